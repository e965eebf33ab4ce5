"""How much the calls of one engine slow each other."""

from __future__ import annotations

import math
from typing import final

READING = 16
"""Tokens whose writing takes as long as reading a prompt, roughly: short answers are not thought slow."""
SLOWER, SURE_OF_IT = 0.5, 0.3
"""Expected slowing and its standard deviation before anything is seen: between a server that divides one machine among
its calls (1) and one that has a machine for each (0)."""
NOISE = 0.4
"""Standard deviation of the logarithm of a call's time per token, for what else differs."""


@final
class Slowing:
    """Of one engine: a call's time grows as a power of the number of the engine's calls under way. That is a straight
    line in logarithms; its slope is estimated within each arm and drawn towards what is usual (Bayesian regression,
    known noise).
    """

    def __init__(self, in_all: int, own: int) -> None:
        self._arms: dict[str, list[float]] = {}  # count, and sums of x, y, xx, xy
        self._count, self._in_all, self._own = 1.0, math.log(in_all), math.log(own)

    def note(self, arm: str, ms: int, tokens: int, in_all: float, own: float) -> None:
        """A call came back that took so long and wrote so much, on average among so many of the run and the engine."""
        if ms <= 0:
            return
        x, y = math.log(max(own, 1.0)), math.log(ms / (tokens + READING))
        sums = self._arms.setdefault(arm, [0.0] * 5)
        for at, value in enumerate((1.0, x, y, x * x, x * y)):
            sums[at] += value
        self._count, self._in_all, self._own = (
            self._count + 1, self._in_all + math.log(max(in_all, 1.0)), self._own + x,
        )  # fmt: skip

    @property
    def slope(self) -> float:
        """0: calls do not slow each other; 1: they share one machine."""
        weight, pull = 1 / SURE_OF_IT**2, SLOWER / SURE_OF_IT**2
        for count, x, y, xx, xy in self._arms.values():
            weight += (xx - x * x / count) / NOISE**2
            pull += (xy - x * y / count) / NOISE**2
        return min(max(pull / weight, 0.0), 1.0)

    def times(self, own: int) -> float:
        """How many times what it takes of the run a call is under way, as one of so many of its engine."""
        usual, in_all = math.exp(self._own / self._count), math.exp(self._in_all / self._count)
        return float(in_all * (own / usual) ** self.slope)
