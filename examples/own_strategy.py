"""A strategy of one's own: beside plain answers it offers answers to the same question about somebody else.

It only says what may be bought. What is bought, when, and what an answer to a reworded question is worth, is found
out in the run: `reworded` is a kind of purchase of its own, with a skill that is learned apart.
"""

import outlay
from outlay.flow import Arms, Evidence, Offer, loop
from outlay.strategies import menu
from outlay.types import Ask, Call, Message, Prompt

NAMES = ("Zoe", "Mia", "Sam")


@loop
def rewording(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
    """One more plain answer of any model, or a greedy one to the question with the next name."""
    plain = menu.draws(prompt, arms, evidence)
    asked = sum(draw.kind == "reworded" for draw in evidence.draws)
    if asked == len(NAMES):
        return plain
    text = " ".join([NAMES[asked], *prompt.text.split()[1:]])
    calls = [Call(arm, Ask((Message("user", text),))) for arm in arms if arm.deterministic]
    return plain + tuple(Offer("reworded", call.arm.name, call) for call in calls)


sums = [f"Tom has {n} nuts, buys 8, gives 5, doubles them, eats 7. How many?" for n in range(3, 11)]
result = outlay.run(sums, budget="1ktok", answer="number", strategy=rewording)
print(result)
bought = [line["kind"] for answer in result for line in answer.receipt["purchases"]]
print(f"bought: {bought.count('sample')} plain and {bought.count('reworded')} reworded answers")
