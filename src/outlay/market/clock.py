"""What a call takes of a run's time, and how long it is under way. Many are under way at once, so a call of eight
seconds among sixteen takes half a second: each moment is divided evenly among the calls that are under way in it, and
what all take adds up to the clock (Little's law). Only where seconds are limited; else times stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import final

from outlay.market.identity import places
from outlay.market.setting import Setting
from outlay.types import Call, Cost

USUAL = 32
"""Calls under way at once of an engine that was given no limit, before the run knows."""
MARGIN = 1.25
"""Times that a call usually takes, for it to be sent before the deadline."""
UNBOUNDED = 1 << 30


@final
class Clock:
    """`limited`: whether seconds are; `at_once`: calls that may be under way in all."""

    def __init__(self, setting: Setting, prompts: int) -> None:
        limit = setting.budget.ms
        self.limited = limit is not None
        self._places = {
            name: setting.at_once.get(name, UNBOUNDED)
            for name, engine in setting.engines.items()
            if not engine.lockstep
        }
        self.at_once = sum(self._places.values()) if self._places else UNBOUNDED
        usual = sum(USUAL if room == UNBOUNDED else room for room in self._places.values())
        self._beside = max(1, min(usual, prompts))  # calls under way since the last mark; before it, a guess
        self._had, self._at = (
            0.0,
            0,
        )  # what one call had that was always under way, at the last mark; and when
        self._slowing = Slowing(self._beside)
        # A cheap answer's part. Before anything came back: a budget that makes sense pays for two to each prompt.
        self._cheap_ms, self._cheap_calls = (limit or 0) / (2 * max(prompts, 1)), 1
        self._place = places(setting.arms)
        self._took: dict[tuple[str, str], list[float]] = {}  # by engine and model: sum in ms, copies
        self._so_far: dict[tuple[str, str], list[float]] = {}  # what calls under way took so far

    def mark(self, elapsed_ms: int, busy: Mapping[str, int]) -> None:
        """From now on so many calls are under way, by engine. Told of steps that the journal holds, so that a resumed
        run reckons alike.
        """
        if self.limited:
            self._had, self._at = self.had(elapsed_ms), elapsed_ms
            self._beside = max(self.among(busy), 1)

    def among(self, busy: Mapping[str, int]) -> int:
        """How many calls are under way side by side."""
        return sum(busy[name] for name in self._places)

    def had(self, elapsed_ms: int) -> float:
        """What a call that was under way since the beginning of the run would have taken of it by now, in ms."""
        return self._had + max(elapsed_ms - self._at, 0) / self._beside

    def shares(self, engine: str) -> bool:
        """Whether calls of an engine are under way beside others."""
        return engine in self._places

    def full(self, engine: str, busy: int) -> bool:
        """Whether a call more of an engine would only wait: who waits may decide on what is known later."""
        return self.limited and busy >= self._places.get(engine, UNBOUNDED)

    def of_run(self, call: Call, cost: Cost, began: tuple[int, float]) -> Cost:
        """A settled cost, its time as the part of the run's that it took; `began` is when it was bought, and `had`
        then.
        """
        if not self.limited or not self.shares(call.arm.engine):
            return cost
        at, had = began
        rate = (self._had - had) / (self._at - at) if self._at > at else 1 / self._beside
        self._slowing.note(call.arm.name, cost.ms / (cost.outtok + READING), 1 / rate)
        used = round(cost.ms * rate)
        self._cheap_ms += used / (1 + self._place.get(call.arm.name, 0))
        self._cheap_calls += call.n
        took = self._took.setdefault(_model(call), [0.0, 0.0])
        took[0], took[1] = took[0] + used, took[1] + call.n
        return replace(cost, ms=used)

    def of_call(self, call: Call, cost: Cost, beside: int) -> int:
        """The other way round: how long a call is under way that takes so much of the run's time, as one of so many; a
        margin included. The engine of a process of ours says itself how long at most.
        """
        if not self.shares(call.arm.engine):
            return UNBOUNDED
        return round(MARGIN * cost.ms * self._slowing.times(beside))

    def guess(self, call: Call, cost: Cost) -> Cost:
        """An engine's first guess likewise: what the model took in this run, or what the engine knows; else a guess by
        the model's place.
        """
        if not self.limited or not self.shares(call.arm.engine):
            return cost
        took = self._took.get(_model(call))
        if took is not None:
            ms, weight = took[0] / took[1], took[1]
        elif cost.ms:
            ms, weight = cost.ms / self._slowing.times(self._beside) / call.n, 1.0
        else:
            ms, weight = self._cheap_ms / self._cheap_calls * (1 + self._place.get(call.arm.name, 0)), 1.0
        so_far = self._so_far.get(_model(call), ())
        return replace(cost, ms=round(with_those_under_way(ms, weight, so_far) * call.n))

    def under_way(self, calls: Iterable[tuple[Call, float]]) -> None:
        """What calls that are under way took of the run so far, one copy of each, in ms."""
        self._so_far.clear()
        for call, ms in calls:
            self._so_far.setdefault(_model(call), []).append(ms)


def _model(call: Call) -> tuple[str, str]:
    return (call.arm.engine, call.arm.model)


def with_those_under_way(mean: float, weight: float, had: Sequence[float]) -> float:
    """A mean of `weight` calls that came back, corrected by those that did not: the short ones come back first. One
    that had more than half of the mean is thought to take half the mean more.
    """
    told, total = mean, mean * weight
    for _ in range(8):
        longer = [one for one in had if one > told / 2]
        told = (total + sum(longer) + len(longer) * told / 2) / (weight + len(longer))
    return told


READING = 16
"""Tokens whose writing takes as long as reading a prompt, roughly: short answers are not thought slow."""
SLOWER, SURE_OF_IT = 0.5, 0.3
"""Expected slowing and its standard deviation before anything is seen: between a server that divides one machine among
its calls (1) and one that has a machine for each (0)."""
NOISE = 0.4
"""Standard deviation of the logarithm of a call's time per token, for what else differs."""


@final
class Slowing:
    """A call's time grows as a power of the number of calls under way: a straight line in logarithms, its slope
    estimated within each arm and drawn towards what is usual (Bayesian regression, known noise).
    """

    def __init__(self, usual: int) -> None:
        self._arms: dict[str, list[float]] = {}  # count, and sums of x, y, xx, xy
        self._count, self._sum = 1.0, math.log(usual)

    def note(self, arm: str, ms_per_token: float, beside: float) -> None:
        """A call came back that took so long among so many."""
        if ms_per_token <= 0:
            return
        x, y = math.log(max(beside, 1.0)), math.log(ms_per_token)
        sums = self._arms.setdefault(arm, [0.0] * 5)
        for at, value in enumerate((1.0, x, y, x * x, x * y)):
            sums[at] += value
        self._count, self._sum = self._count + 1, self._sum + x

    @property
    def slope(self) -> float:
        """0: calls do not slow each other; 1: they share one machine."""
        weight, pull = 1 / SURE_OF_IT**2, SLOWER / SURE_OF_IT**2
        for count, x, y, xx, xy in self._arms.values():
            weight += (xx - x * x / count) / NOISE**2
            pull += (xy - x * y / count) / NOISE**2
        return min(max(pull / weight, 0.0), 1.0)

    def times(self, beside: int) -> float:
        """How many times what it takes of the run a call is under way, among so many."""
        usual = math.exp(self._sum / self._count)
        return float(usual * (beside / usual) ** self.slope)
