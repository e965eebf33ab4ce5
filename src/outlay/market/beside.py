"""The held-out share: prompts on which the run is compared with one answer of the dearest model (decision 0010)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import final

from outlay.answers import kind as answer_kind
from outlay.flow import Offer
from outlay.market.identity import is_held_out, seed_of
from outlay.market.point import Hidden, Point
from outlay.market.setting import Beside, Setting, Settled
from outlay.types import FREE, Arm, Ask, Budget, Call, Cost, Prompt

BUDGET = 2.0
"""At most so many times the held-out share of prompts is the share of the budget that goes there."""


@final
class HoldOut:
    """Owned by the market. `waiting` are open prompts that were not asked yet, in input order; `rows` those that were
    compared. What came back counts at its cost, what is under way at its worst case, or in time at what is expected;
    times are parts of the run's.
    """

    def __init__(self, setting: Setting) -> None:
        self.waiting: dict[str, Point] = {}
        self.rows: list[Beside] = []
        self._share, self._seed = setting.holdout, setting.seed
        self._arm = dearest(setting)
        self._most: list[tuple[str, float]] = []
        self.before = 0  # how many were compared before the budget grew
        self.top_up(setting.budget)
        self._taken = FREE
        self._under_way: dict[str, Cost] = {}

    def top_up(self, budget: Budget) -> None:
        """So much is the budget from now on."""
        self.before = len(self.rows)
        self._most = [
            ("ms" if unit == "s" else unit, BUDGET * self._share * limit)
            for unit, limit in budget.limits().items()
        ]

    def takes(self, point: Point) -> bool:
        """Whether a prompt is held out: its answers must be such that two can be the same."""
        comparable = point.kind.exclusive or point.same is not None
        return comparable and self._arm is not None and is_held_out(point.path, self._seed, self._share)

    def offer(self, point: Point) -> tuple[Offer, Call]:
        """The question to the dearest model, as an offer of the point and as the call that it buys."""
        arm = self._arm
        assert arm is not None
        key = f"{point.path}/compare.{arm.name}.-1.0"
        seed = seed_of(key, self._seed)
        call = Call(arm, Ask(point.prompt.messages), key, point.prompt.id, 0, 1, seed, arm.max_tokens)
        return Offer("sample", arm.name, call), call

    @property
    def under_way(self) -> bool:
        """Whether anything that was asked is not back."""
        return bool(self._under_way)

    def affords(self, worst: Cost) -> bool:
        """Whether a call that costs so much at its worst may be made now: in no unit does more than its part of the
        budget go there.
        """
        total = self._taken + worst
        return all(getattr(total, unit) <= most for unit, most in self._most)

    def ask(self, key: str, worst: Cost) -> None:
        """A call is made."""
        self._under_way[key] = worst
        self._taken += worst

    def settle(self, key: str, cost: Cost) -> None:
        """It is back."""
        self._taken += cost - self._under_way.pop(key)

    def compare(self, point: Point, hidden: Hidden) -> None:
        """The run has decided: is its answer that of the dearest model?"""
        said = point.kind.extract(hidden.completion.text) if hidden.completion.text else None
        answered = point.leader >= 0
        same = answered and point.candidate(said) == point.leader
        spent = point.spent - hidden.cost
        self.rows.append(Beside(point.prompt.id, same, answered, spent, hidden.cost, hidden.offer.arm))
        point.hidden = None


def missing(
    setting: Setting, prompts: Sequence[Prompt], rows: Sequence[Beside], settled: Sequence[Settled]
) -> dict[str, int]:
    """Why held-out prompts were not compared, and how many: `incomparable` answers stand alone, `unaffordable` ones
    did not fit when nothing was left to wait for, `failed` ones did not come back, `open` prompts are not decided yet.

    Read from the receipts and not counted on the way: a resumed run repeats what was asked, not what was not.
    """
    had = {row.id for row in rows}
    ended = {each.prompt.id: each for each in settled}
    alone = {
        spec
        for spec in {p.answer for p in prompts}
        if setting.same is None and not answer_kind(spec).exclusive
    }
    why = Counter[str]()
    for prompt in prompts:
        if prompt.id in had or not is_held_out(prompt.id, setting.seed, setting.holdout):
            continue
        if prompt.answer in alone:
            why["incomparable"] += 1
        elif prompt.id not in ended:
            why["open"] += 1
        else:
            asked = any(line["kind"] == "compare" for line in ended[prompt.id].lines)
            why["failed" if asked else "unaffordable"] += 1
    return dict(why)


def dearest(setting: Setting) -> Arm | None:
    """The last model, greedy if it can be."""
    models = [arm for arm in setting.arms if arm.role == "model"]
    own = [arm for arm in models if arm.who == models[-1].who]
    return next((arm for arm in own if arm.deterministic), models[-1] if models else None)
