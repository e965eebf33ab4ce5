"""The held-out share: prompts on which the run is compared with one answer of the dearest model (decision 0010)."""

from __future__ import annotations

from typing import final

from outlay.market.identity import is_held_out, seed_of
from outlay.market.point import Hidden, Point
from outlay.market.setting import Beside, Setting
from outlay.types import Arm, Ask, Call

BUDGET = 2.0
"""At most so many times the held-out share of prompts is the share of the budget that goes there."""


@final
class HoldOut:
    """Owned by the market. `rows` are the prompts that were compared."""

    def __init__(self, setting: Setting) -> None:
        self.rows: list[Beside] = []
        self._share, self._seed, self._spent = setting.holdout, setting.seed, 0.0
        self._arm = _dearest(setting)

    def takes(self, point: Point) -> bool:
        """Whether a prompt is held out: its answers must be such that two can be the same."""
        comparable = point.kind.exclusive or point.same is not None
        return comparable and self._arm is not None and is_held_out(point.path, self._seed, self._share)

    def call(self, point: Point) -> Call:
        """The question to the dearest model."""
        arm = self._arm
        assert arm is not None
        key = f"{point.path}/compare.{arm.name}.-1.0"
        seed = seed_of(key, self._seed)
        return Call(arm, Ask(point.prompt.messages), key, point.prompt.id, 0, 1, seed, arm.max_tokens)

    def affords(self, share: float) -> bool:
        """Whether a call that takes this share of the budget at its worst may still be made."""
        return self._spent + share <= BUDGET * self._share

    def spend(self, share: float) -> None:
        """It was made."""
        self._spent += share

    def compare(self, point: Point, hidden: Hidden) -> None:
        """The run has decided: is its answer that of the dearest model?"""
        said = point.kind.extract(hidden.completion.text) if hidden.completion.text else None
        same = point.candidate(said) == point.leader
        self.rows.append(Beside(same, point.spent - hidden.cost, hidden.cost, hidden.offer.arm))
        point.hidden = None


def _dearest(setting: Setting) -> Arm | None:
    """The last model, greedy if it can be."""
    models = [arm for arm in setting.arms if arm.role == "model"]
    own = [arm for arm in models if arm.who == models[-1].who]
    return next((arm for arm in own if arm.deterministic), models[-1] if models else None)
