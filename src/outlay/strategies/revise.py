"""`revise`: the message of a failed check goes back to a model; the draft stays a candidate.

The latest draft that failed is offered for revision to every model, so a dearer one may mend what a cheap one wrote.
Each revision is an answer like others: it is checked, and may itself be revised.

Source: self-debugging, arXiv 2304.05128.
"""

from __future__ import annotations

from outlay.flow import Arms, Draw, Evidence, Offer, loop
from outlay.strategies import menu
from outlay.techniques import revise as words
from outlay.types import Arm, Ask, Call, Prompt


def offers(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
    """A better version of the draft that failed last, one more answer of any model, or a look at one that is there."""
    look = menu.looker(arms)
    return (
        *revisions(prompt, arms, evidence, look),
        *menu.draws(prompt, arms, evidence, look),
        *menu.verdicts(prompt, arms, evidence),
    )


def revisions(prompt: Prompt, arms: Arms, evidence: Evidence, look: Arm | None) -> tuple[Offer, ...]:
    """For every model a revision of the draft that failed last; of a greedy one only one for each draft."""
    failed = _failed(evidence)
    if failed is None:
        return ()
    draft, message = failed
    made = {draw.arm for draw in evidence.draws if draw.kind == "revise" and draw.parent == draft.index}
    ask = Ask(words.ask(prompt.messages, draft.text, message))
    after = menu.then(prompt, look) if look else None
    return tuple(
        Offer(
            "revise",
            arm.name,
            Call(arm, ask, max_tokens=arm.max_tokens),
            about=draft.index,
            then=after,
            most=1 if arm.deterministic else menu.MOST,
        )
        for arm in arms
        if arm.role == "model" and not (arm.deterministic and arm.name in made)
    )


def _failed(evidence: Evidence) -> tuple[Draw, str] | None:
    """The draft of the latest verdict against one, and what a check said of it; None once an answer has passed."""
    if any(verdict.kind == "check" and verdict.value for verdict in evidence.verdicts):
        return None
    for verdict in reversed(evidence.verdicts):
        if verdict.value is False:
            draft = next(draw for draw in evidence.draws if draw.index == verdict.about)
            return draft, verdict.message if verdict.kind == "check" else ""
    return None


revise = loop(offers)
