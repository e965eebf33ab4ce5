"""What a run has seen so far: from how much it learns next, of which points, and which judges say nothing."""

from __future__ import annotations

from collections import deque
from typing import final

from outlay.beliefs import Record
from outlay.market.point import Point
from outlay.types import Arm

FIRST_LEARNING, LEARNING_GROWTH = 16, 1.45
SELDOM = 4.0
"""The growth under a rule, which asks for no gains: what is learned is the confidence that answers go out with."""
REMEMBERED = 3000
"""Points of a class that are kept for learning."""
SILENT = 6
"""Replies without a verdict, and none with one, after which a judge is asked no more; likewise checks that fail."""


@final
class Experience:
    """Owned by the market. `draws` and `told` count answers and verdicts that came back, `epoch` the learnings."""

    def __init__(self, *, priced: bool) -> None:
        self.draws = self.told = self.epoch = 0
        self._growth = LEARNING_GROWTH if priced else SELDOM
        self._learn_at = FIRST_LEARNING
        self._records: dict[int, deque[Point]] = {}
        self._fresh: dict[int, float] = {}
        self._spoken: dict[str, tuple[int, int]] = {}  # of judges and checks: verdicts, and none

    def due(self) -> bool:
        """Whether enough came back since the last learning."""
        return self.draws + self.told >= self._learn_at

    def learned(self) -> None:
        """Something was learned: the next time is further off."""
        self.epoch += 1
        seen = self.draws + self.told
        self._learn_at = max(int(seen * self._growth), seen + FIRST_LEARNING)

    def remember(self, point: Point) -> None:
        """Keep a point to learn from; the latest of its class count."""
        self._records.setdefault(point.klass, deque(maxlen=REMEMBERED)).append(point)

    def records(self) -> list[Record]:
        """All that is learned from."""
        return [
            Record(point.row()._replace(stake=1.0), point.draw_rows, point.verdict_rows, point.even)
            for of_class in self._records.values()
            for point in of_class
            if point.draw_rows
        ]

    def count_fresh(self, point: Point, by: int) -> None:
        """One more or less root point of a class that was asked nothing yet."""
        self._fresh[point.klass] = self._fresh.get(point.klass, 0.0) + by

    def fresh(self, later: int) -> dict[int, float]:
        """Fresh points of each class; `later` prompts not yet open are of the classes of those that were."""
        seen = {klass: len(of_class) for klass, of_class in self._records.items() if klass in self._fresh}
        weight = sum(seen.values())
        if not (later and weight):
            return self._fresh
        return {klass: self._fresh[klass] + later * number / weight for klass, number in seen.items()}

    def heard(self, arm: Arm, value: bool | None) -> None:
        """A verdict came back, or a reply without one. A check that does not apply costs nothing and may yet speak."""
        self.told += 1
        if arm.role == "judge" or value is not None:
            self._count(arm, value is not None)

    def failed(self, arm: Arm) -> None:
        """A verdict did not come back."""
        self._count(arm, said=False)

    def _count(self, arm: Arm, said: bool) -> None:
        spoken, silent = self._spoken.get(arm.name, (0, 0))
        self._spoken[arm.name] = (spoken + said, silent + (not said))

    def mute(self) -> set[str]:
        """Judges that say neither yes nor no time after time, and checks that only fail: what is bought for their
        sake is bought for nothing.
        """
        return {name for name, (said, silent) in self._spoken.items() if silent >= SILENT and not said}
