"""The contract of a strategy: it says what may be bought, and nothing else.

A strategy is sans-IO. It never sees a client, a budget, a clock, a price, a random generator or a gold answer. It is
a generator that yields what may be bought at this stop, is sent the longer evidence, and ends when it is sent a
`Decision` or has a candidate of its own. Most are `loop(offers)`, where `offers` is a pure function of evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from outlay.types import Arm, Call, Completion, Prompt

Effect = Literal["draw", "verdict", "note"]


class Draw(NamedTuple):
    """One proposed candidate.

    `candidate` is the number of its class at the point (equal answers share it), -1 where no answer was found;
    `answer` and `text` what was said; `index` the number given at dispatch, which orders draws whatever arrives
    first; `confidence` a mean log-probability or None; `belief` that of a sub-flow or None; `parent` the draw that
    it revises or -1; `handle` the engine's name for the completion.
    """

    candidate: int
    answer: str | None
    text: str
    kind: str
    arm: str
    index: int  # type: ignore[assignment]  # the field's own word; nobody looks for members of a draw
    tokens: int = 0
    confidence: float | None = None
    belief: float | None = None
    finish: str = "stop"
    parent: int = -1
    handle: str = ""


class Verdict(NamedTuple):
    """What was said about the draw with index `about`. `value` is True, False, or None where nothing was said."""

    about: int
    kind: str
    arm: str
    value: bool | None
    message: str = ""


class Note(NamedTuple):
    """A step of a chain: a plan, a page, the result of a part. `belief` is that of a sub-flow, or None."""

    kind: str
    arm: str
    text: str
    belief: float | None = None


class Failure(NamedTuple):
    """What an engine could not deliver for this point; it is not bought again here."""

    kind: str
    arm: str
    error: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Append-only tables: all that was bought at one point, and what could not be had."""

    draws: tuple[Draw, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[Note, ...] = ()
    failures: tuple[Failure, ...] = ()

    def judged(self, draw: Draw, arm: str) -> bool:
        """Whether `arm` already spoke about this draw or an equal one."""
        same = {d.index for d in self.draws if d.candidate == draw.candidate} | {draw.index}
        return any(v.arm == arm and v.about in same for v in self.verdicts)


class Candidate(NamedTuple):
    """What a flow ends with."""

    answer: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Decision:
    """Made by the market: the best-supported candidate, the belief in it, why buying stopped."""

    candidate: Candidate | None
    belief: float
    reason: str


class Leg(NamedTuple):
    """What a chain still needs after this purchase: `times` purchases of this kind and arm."""

    kind: str
    arm: str
    times: int = 1


class Sub(NamedTuple):
    """A flow not yet started. A started generator could not be copied, hashed or replayed."""

    start: Start
    prompt: Prompt


Read = Callable[[Any], Any]
"""From what came back (a `Completion`, or a tuple of `Decision` for flows) to the text of the draw or note, or the
value of the verdict. A module-level function."""


def text_of(completion: Completion) -> str:
    """The plainest `read`: what was written."""
    return completion.text


def passed(completion: Completion) -> bool | None:
    """The plainest `read` of a check."""
    return completion.passed


def joined(decisions: tuple[Decision, ...]) -> str:
    """The plainest `read` of flows: their answers, one a line."""
    return "\n".join(d.candidate.text if d.candidate else "" for d in decisions)


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing that may be bought.

    Attributes:
        kind: A name for receipts and for pooled parameters.
        arm: Who is asked; the name of an arm, or of a sub-strategy.
        do: The call, or the flow or flows that run side by side.
        effect: Whether it proposes a candidate, tells about one, or only advances a chain.
        about: The draw that a verdict is on, by index.
        then: The verdict that a draw will get; valued together with it, bought later on its own gain.
        rest: What the chain still needs after this purchase.
        most: Copies that may be bought at once.
        read: From what came back to a draw, verdict or note.
    """

    kind: str
    arm: str
    do: Call | Sub | tuple[Sub, ...]
    effect: Effect = "draw"
    about: int = -1
    then: Offer | None = None
    rest: tuple[Leg, ...] = ()
    most: int = 1
    read: Read = field(default=text_of, compare=False)


Flow = Generator[tuple[Offer, ...], Evidence | Decision, Candidate | None]
Arms = tuple[Arm, ...]
Start = Callable[[Prompt, Arms], Flow]
Offers = Callable[[Prompt, Arms, Evidence], tuple[Offer, ...]]


def loop(offers: Offers) -> Start:
    """A strategy from a pure function: offer again after each purchase, until the market decides."""

    def start(prompt: Prompt, arms: Arms) -> Flow:
        evidence = Evidence()
        while True:
            got = yield offers(prompt, arms, evidence)
            if isinstance(got, Decision):
                return got.candidate
            evidence = got

    start.__name__ = offers.__name__
    start.__doc__ = offers.__doc__
    return start
