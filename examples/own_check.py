"""A check of one's own: right or wrong, from the prompt and the answer. Nothing else helps as much.

A prompt is `6,2,4:26`: write the number after the colon with those before it, each of them once. The model in the
package is often wrong at it, and the check knows. `same` says that spaces make no other answer.
"""

import re

import outlay


def reaches_target(prompt: outlay.Prompt, answer: str) -> bool:
    """Whether the expression uses the numbers once each and gives the target."""
    numbers, target = prompt.text.split(":")
    if sorted(re.findall(r"\d+", answer)) != sorted(numbers.split(",")):
        return False
    try:  # the pattern lets no words through to eval, and no **
        return bool(re.fullmatch(r"([-+*]?[ ()]*\d+[ ()]*)+", answer)) and eval(answer) == int(target)
    except (SyntaxError, TypeError):
        return False


def same_signs(one: str, other: str) -> bool:
    return one.replace(" ", "") == other.replace(" ", "")


problems = [
    "13,17,11:19",
    "2,5,6:38",
    "7,9,4:59",
    "17,19,12,8:26",
    "12,3,10:46",
    "9,9,2:83",
    "8,3:24",
    "9,5,3:42",
]
rows = [{"id": problem, "prompt": problem} for problem in problems]
result = outlay.run(rows, budget="600tok", check=reaches_target, same=same_signs)
print(result)
for answer in result:
    purchases = answer.receipt["purchases"]
    bought = sum(line["copies"] for line in purchases if line["kind"] == "sample")
    checked = sum(line["kind"] == "check" for line in purchases)
    print(f"{answer.id}: answers bought: {bought}, different ones checked: {checked}")
