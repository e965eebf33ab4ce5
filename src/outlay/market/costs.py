"""What purchases are expected to cost, learned from what was settled, and the most that was ever seen."""

from __future__ import annotations

from typing import final

from outlay.types import Cost

PRIOR_WEIGHT = 2.0
ENOUGH = 24
"""Settled copies after which the first guess no longer counts."""


@final
class Costs:
    """Means per class and slot, one copy each. Filled in the order of settlement, so that a replay agrees."""

    def __init__(self) -> None:
        self._sums: dict[tuple[int, int], list[float]] = {}
        self._worst: dict[int, Cost] = {}

    def settle(self, klass: int, slot: int, cost: Cost, copies: int) -> None:
        """Book a settled purchase of `copies` that cost `cost` together."""
        row = self._sums.setdefault((klass, slot), [0.0, 0.0, 0.0, 0.0, 0.0])
        row[0] += copies
        row[1] += cost.tok
        row[2] += cost.outtok
        row[3] += cost.usd
        row[4] += cost.ms

    def known(self, klass: int, slot: int) -> bool:
        """Whether enough was settled for the first guess not to be needed."""
        row = self._sums.get((klass, slot))
        return row is not None and row[0] >= ENOUGH

    def seen(self, klass: int, slot: int) -> bool:
        """Whether anything was settled."""
        return (klass, slot) in self._sums

    def mean(self, klass: int, slot: int, guess: Cost) -> Cost:
        """Expected cost of one copy."""
        row = self._sums.get((klass, slot))
        if row is None:
            return guess
        weight = 0.0 if row[0] >= ENOUGH else PRIOR_WEIGHT
        total = row[0] + weight
        return Cost(
            round((row[1] + weight * guess.tok) / total),
            round((row[2] + weight * guess.outtok) / total),
            round((row[3] + weight * guess.usd) / total),
            round((row[4] + weight * guess.ms) / total),
        )

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
