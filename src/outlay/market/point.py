"""One decision point: a flow, what was bought for it, and what it offers now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from math import log
from typing import Any, NamedTuple, final

from outlay.answers import Kind
from outlay.batch import DrawRow, OfferRow, PointRow, VerdictRow
from outlay.flow import Arms, Candidate, Decision, Draw, Evidence, Failure, Flow, Note, Offer, Start, Verdict
from outlay.types import FREE, Completion, Cost, Prompt

NAN = float("nan")
UNREADABLE = 6
"""Answers without anything to read after which a prompt is asked no more."""
Triple = tuple[str, str, int]
"""Kind, arm and about: what is bought, up to the ordinal."""


def working_scale(confidence: float) -> float:
    """Mean log-probabilities are skewed, from −.001 to −1 with equal steps in meaning: use −log(.001 − mean)."""
    return -log(0.001 - min(confidence, 0.0))


@lru_cache(maxsize=1 << 14)
def _canonical(kind: Kind, answer: str) -> str:
    """Short answers come again and again."""
    return kind.canonical(answer)


class Wanted(NamedTuple):
    """What a point chose and could not reserve."""

    offer: Offer
    copies: int
    gain: float
    cost: float
    forced: bool


class Hidden(NamedTuple):
    """An answer of the dearest model that the run does not see yet."""

    offer: Offer
    slot: int
    completion: Completion
    cost: Cost


class Stopped(NamedTuple):
    """A prompt that ended for want of budget. Its flow was not told: a top-up lets it go on (decision 0016)."""

    point: Point
    flow: Flow
    offers: tuple[Offer, ...]
    reason: str
    wanted: bool  # something was worth a price above nothing


@final
class Point:
    """Owned by the market. A root point belongs to a prompt; others to a sub-flow of their `parent`."""

    __slots__ = (
        "arms",
        "best",
        "bought",
        "chain",
        "classes",
        "done",
        "draw_rows",
        "ended",
        "even",
        "evidence",
        "factor",
        "failed",
        "flight",
        "flow",
        "hidden",
        "kind",
        "klass",
        "last",
        "leader",
        "legs",
        "lengths",
        "lines",
        "lost",
        "offers",
        "owner",
        "parent",
        "parts",
        "path",
        "pattern",
        "prompt",
        "remaining",
        "root",
        "rows",
        "same",
        "spent",
        "stake",
        "sub_classes",
        "until",
        "valued",
        "verdict_rows",
        "wanted",
    )  # fmt: skip

    def __init__(
        self,
        path: str,
        prompt: Prompt,
        kind: Kind,
        arms: Arms,
        klass: int,
        parent: Point | None,
        owner: str,
        same: Callable[[str, str], bool] | None,
    ) -> None:
        self.path, self.prompt, self.kind, self.arms, self.klass = path, prompt, kind, arms, klass
        self.parent, self.owner, self.same = parent, owner, same
        self.root: Point = self if parent is None else parent.root
        self.flow: Flow | None = None
        self.offers: tuple[Offer, ...] = ()
        self.evidence = Evidence()
        self.draw_rows: list[DrawRow] = []
        self.verdict_rows: list[VerdictRow] = []
        self.classes: dict[str, int] = {}
        self.bought: dict[Triple, int] = {}
        self.failed: set[tuple[str, str]] = set()
        self.lost: dict[Triple, int] = {}  # of what was bought, copies that got lost and may be bought again
        self.lines: list[dict[str, Any]] = []  # receipt lines, on root points
        self.last: dict[str, Any] | None = None  # the receipt line that still lacks the belief after
        self.spent: Cost = FREE
        self.stake = prompt.worth
        self.factor = 1.0  # product of the beliefs of the parts so far
        self.parts: list[Point] = []
        self.lengths: list[
            float
        ] = []  # of its answers, each as a multiple of what such answers take on average
        self.legs = 0  # purchases that the chain still needs
        self.chain = ""  # key of the chain's hold, while one is open
        self.flight = 0  # purchases under way: a call, or flows
        self.rows: list[OfferRow] = []
        self.valued = -1  # the step in which `rows` was made
        self.done = False
        self.even = False
        self.hidden: Hidden | None = None  # of a held-out prompt, until the run has decided without it
        self.until = 0.0
        self.remaining = 0.0
        self.best, self.leader = 0.0, -1
        self.ended: Candidate | None = None
        self.pattern: tuple[Offer, ...] = ()  # what it offered when fresh
        self.wanted: Wanted | None = None
        self.sub_classes: dict[
            str, int
        ] = {}  # the class of the points that an offer's flows would open, by kind

    def start(self, start: Start) -> bool:
        """Begin the flow; False if it ends without offering anything."""
        self.flow = start(self.prompt, self.arms)
        offers = self.advance(None)
        self.pattern = self.offers
        return offers

    def advance(self, sent: Evidence | Decision | None) -> bool:
        """Let the flow go on; False once it has ended, with its candidate in `ended`."""
        assert self.flow is not None
        try:
            self.offers = next(self.flow) if sent is None else self.flow.send(sent)
        except StopIteration as end:
            self.ended = end.value
            self.offers = ()
            return False
        self.valued = -1
        return True

    def row(self) -> PointRow:
        """This point as numbers."""
        return PointRow(self.klass, self.kind.exclusive, self.stake, len(self.classes))

    def menu(self) -> list[Offer]:
        """The offers that have not failed here; none where many answers came and not one could be read."""
        if len(self.draw_rows) >= UNREADABLE and not self.classes:
            return []
        if not self.failed:
            return list(self.offers)
        return [offer for offer in self.offers if (offer.kind, offer.arm) not in self.failed]

    def passed(self, sure: float) -> bool:
        """Whether the leading answer is believed that much, passed a check and failed none."""
        if self.best < sure:
            return False
        number = {draw.index: draw.candidate for draw in self.evidence.draws}
        said = [
            v.value for v in self.evidence.verdicts if v.kind == "check" and number[v.about] == self.leader
        ]
        return True in said and False not in said

    def tried(self, triple: Triple) -> int:
        """Copies that were bought and not lost."""
        return self.bought.get(triple, 0) - self.lost.get(triple, 0)

    def fail(self, offer: Offer, error: str) -> None:
        """What failed here is not bought again; the flow is told, so that it may go on without."""
        if (offer.kind, offer.arm) not in self.failed:
            self.failed.add((offer.kind, offer.arm))
            failure = Failure(offer.kind, offer.arm, error)
            self.evidence = replace(self.evidence, failures=(*self.evidence.failures, failure))

    def candidate(self, answer: str | None) -> int:
        """The number of the answer's class; equal answers share it. -1 for none."""
        if answer is None:
            return -1
        if self.same is not None:
            for known, number in self.classes.items():
                if self.same(known, answer):
                    return number
            return self.classes.setdefault(answer, len(self.classes))
        return self.classes.setdefault(_canonical(self.kind, answer), len(self.classes))

    def add_draw(self, offer: Offer, slot: int, completion: Completion) -> None:
        """A completion became a draw."""
        text = offer.read(completion)
        answer = self.kind.extract(text) if text else None
        confidence = completion.confidence.mean if completion.confidence is not None else None
        number = self.candidate(answer)
        draw = Draw(
            number, answer, text, offer.kind, offer.arm, len(self.evidence.draws), completion.output_tokens, confidence,
            None, completion.finish, offer.about, completion.handle,
        )  # fmt: skip
        scaled = NAN if confidence is None else working_scale(confidence)
        self._drawn(draw, DrawRow(number, slot, scaled, NAN))

    def add_answer(self, offer: Offer, slot: int, text: str, belief: float) -> None:
        """The decision of a sub-flow became a draw."""
        answer = self.kind.extract(text) if text else None
        number = self.candidate(answer)
        draw = Draw(number, answer, text, offer.kind, offer.arm, len(self.evidence.draws), belief=belief)
        self._drawn(draw, DrawRow(number, slot, NAN, belief))

    def _drawn(self, draw: Draw, row: DrawRow) -> None:
        self.evidence = replace(self.evidence, draws=(*self.evidence.draws, draw))
        self.draw_rows.append(row)

    def add_verdict(self, offer: Offer, slot: int, value: bool | None, message: str) -> None:
        """A verdict about a draw, and so about every equal answer."""
        seen = self.evidence
        verdict = Verdict(offer.about, offer.kind, offer.arm, value, message)
        self.evidence = replace(seen, verdicts=(*seen.verdicts, verdict))
        number = seen.draws[offer.about].candidate
        if value is not None and number >= 0:
            self.verdict_rows.append(VerdictRow(number, slot, float(value)))

    def add_note(self, offer: Offer, text: str, belief: float | None) -> None:
        """A step of a chain."""
        note = Note(offer.kind, offer.arm, text, belief)
        self.evidence = replace(self.evidence, notes=(*self.evidence.notes, note))

    def answer_of(self, number: int) -> Candidate | None:
        """The first draw of a class."""
        for draw in self.evidence.draws:
            if draw.candidate == number:
                return Candidate(draw.answer, draw.text)
        return None
