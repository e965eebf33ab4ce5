"""What purchases are expected to cost, learned from what was settled, and the most that was ever seen."""

from __future__ import annotations

from typing import final

from outlay.market.purchase import amounts
from outlay.types import Cost

PRIOR_WEIGHT = 2.0
ENOUGH = 24
"""Settled copies after which the first guess no longer counts."""
UNITS = len(amounts(Cost()))
APART = 0.5
"""How far the means of classes are thought to lie apart, as a share of the mean over all."""


class _Sums:
    """Of what was settled: copies, and for each unit the sum and the sum of squares. Four numbers are added up faster
    by themselves than as an array.
    """

    __slots__ = ("copies", "squares_U", "sum_U")

    def __init__(self) -> None:
        self.copies = 0
        self.sum_U = [0] * UNITS
        self.squares_U = [0.0] * UNITS

    def add(self, cost_U: list[int], copies: int) -> None:
        self.copies += copies
        self.sum_U = [a + b for a, b in zip(self.sum_U, cost_U, strict=True)]
        self.squares_U = [a + b * b / copies for a, b in zip(self.squares_U, cost_U, strict=True)]


@final
class Costs:
    """Means per class and slot, one copy each. Filled in the order of settlement, so that a replay agrees.

    The mean of a class is drawn towards that of all classes, the more the fewer answers there are and the more they
    differ: one runaway answer must not make a whole class look dear, for then nothing more is bought in it, and nothing
    corrects it.

    Source: Bühlmann's credibility, z = n / (n + k) with k = variance within a class / variance between classes.
    """

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int], _Sums] = {}
        self._all: dict[int, _Sums] = {}  # of a slot, over all classes
        self._worst: dict[int, Cost] = {}

    def settle(self, klass: int, slot: int, cost: Cost, copies: int) -> None:
        """Book a settled purchase of `copies` that cost `cost` together."""
        cost_U = amounts(cost)
        self._sums.setdefault((klass, slot), _Sums()).add(cost_U, copies)
        self._all.setdefault(slot, _Sums()).add(cost_U, copies)

    def known(self, slot: int) -> bool:
        """Whether enough was settled for the first guess not to be needed."""
        return slot in self._all and self._all[slot].copies >= ENOUGH

    def seen(self, slot: int) -> bool:
        """Whether anything was settled."""
        return slot in self._all

    def mean(self, klass: int, slot: int, guess: Cost) -> Cost:
        """Expected cost of one copy; `guess` is what is thought before anything was settled."""
        everywhere = self._all.get(slot)
        if everywhere is None:
            return guess
        weight = 0.0 if everywhere.copies >= ENOUGH else PRIOR_WEIGHT
        own = self._sums.get((klass, slot))
        if own is not None and own.copies == everywhere.copies:
            own = None
        return Cost(
            *[_mean(unit, guessed, weight, everywhere, own) for unit, guessed in enumerate(amounts(guess))]
        )

    def weight(self, slot: int) -> float:
        """How many copies a mean rests on, the first guess included."""
        everywhere = self._all.get(slot)
        return PRIOR_WEIGHT if everywhere is None else everywhere.copies + PRIOR_WEIGHT

    def note_worst(self, slot: int, worst: Cost) -> None:
        """Remember the worst case of one copy of a slot."""
        seen = self._worst.get(slot)
        if seen is None:
            self._worst[slot] = worst
        elif worst.tok > seen.tok or worst.outtok > seen.outtok or worst.usd > seen.usd:
            self._worst[slot] = Cost(
                max(worst.tok, seen.tok), max(worst.outtok, seen.outtok), max(worst.usd, seen.usd), seen.ms
            )

    def worst(self, slot: int, guess: Cost) -> Cost:
        """The worst case known of one copy of a slot."""
        return self._worst.get(slot, guess)


def _mean(unit: int, guess: int, weight: float, everywhere: _Sums, own: _Sums | None) -> int:
    """In one unit, of all classes where `own` is none."""
    total, copies = everywhere.sum_U[unit], everywhere.copies
    mean = (total + weight * guess) / (copies + weight)
    if own is not None:
        usual = total / copies
        spread = max(everywhere.squares_U[unit] / copies - usual**2, 0.0)
        drawn = spread / max((APART * usual) ** 2, 1e-12)
        mean = (own.sum_U[unit] + drawn * mean) / (own.copies + drawn)
    return round(mean)
