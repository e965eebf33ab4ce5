"""The offers that strategies are made of: draws of every model, and verdicts on what was drawn."""

from __future__ import annotations

from functools import lru_cache

from outlay.flow import Arms, Evidence, Offer, passed
from outlay.techniques import judge
from outlay.types import Arm, Ask, Call, Completion, Prompt, Test

MOST = 16
"""Copies of one draw that may be bought at once."""


def judged(completion: Completion) -> bool | None:
    """Reads a judge's word."""
    return judge.verdict(completion.text)


def _verdict(prompt: Prompt, arm: Arm, text: str, answer: str, handle: str, about: int) -> Offer:
    if arm.role == "judge":
        payload = Ask(judge.ask(prompt.messages, answer))
        return Offer(
            "judge", arm.name, Call(arm, payload, max_tokens=arm.max_tokens), "verdict", about, read=judged
        )
    return Offer(
        "check",
        arm.name,
        Call(arm, Test(prompt, text, answer, handle), max_tokens=arm.max_tokens),
        "verdict",
        about,
        read=passed,
    )


@lru_cache(maxsize=1 << 14)
def then(prompt: Prompt, arm: Arm) -> Offer:
    """The verdict that a draw will get; it is the same at every stop of a prompt."""
    return _verdict(prompt, arm, "", "", "", -1)


def draws(prompt: Prompt, arms: Arms, evidence: Evidence, look: Arm | None = None) -> tuple[Offer, ...]:
    """One further answer of every model, cheap to dear; a greedy one only once. `look` is who will look at it."""
    made = {draw.arm for draw in evidence.draws if draw.kind == "sample"}
    ask = Ask(prompt.messages)
    after = then(prompt, look) if look else None
    return tuple(
        Offer(
            "sample",
            arm.name,
            Call(arm, ask, max_tokens=arm.max_tokens),
            then=after,
            most=1 if arm.deterministic else MOST,
        )
        for arm in arms
        if arm.role == "model" and not (arm.deterministic and arm.name in made)
    )


def verdicts(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
    """A look at every answer that was drawn, by every check and judge that has not yet spoken about it."""
    lookers = [arm for arm in arms if arm.role != "model"]
    if not lookers:
        return ()
    first: dict[int, int] = {}
    for draw in evidence.draws:
        if draw.candidate >= 0:
            first.setdefault(draw.candidate, draw.index)
    candidate_of = {draw.index: draw.candidate for draw in evidence.draws}
    spoken = {(candidate_of[v.about], v.arm) for v in evidence.verdicts}
    by_index = {draw.index: draw for draw in evidence.draws}
    return tuple(
        _verdict(prompt, arm, by_index[at].text, by_index[at].answer or "", by_index[at].handle, at)
        for candidate, at in first.items()
        for arm in lookers
        if (candidate, arm.name) not in spoken
    )


def looker(arms: Arms) -> Arm | None:
    """Who looks at new draws: the user's check if there is one, else the cheapest judge."""
    return next(
        (arm for arm in arms if arm.role == "check"), next((arm for arm in arms if arm.role == "judge"), None)
    )
