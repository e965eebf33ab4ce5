"""What a call takes of a run's time, and how long it is under way. Many are under way at once, so a call of eight
seconds among sixteen takes half a second: each moment is divided evenly among the calls that are under way in it, and
what all take adds up to the clock (Little's law). Only where seconds are limited; else times stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import final

from outlay.market.identity import places
from outlay.market.purchase import Began
from outlay.market.setting import Setting
from outlay.market.slowing import Slowing
from outlay.types import Call, Cost

USUAL = 32
"""Calls under way at once of an engine that was given no limit, before the run knows."""
MARGIN = 1.25
"""Times that a call usually takes, for it to be sent before the deadline."""
UNBOUNDED = 1 << 30


@final
class Meter:
    """Time divided evenly among the calls under way: `had` is the part, in ms, of one that always was. Between two
    marks their number stays as it was at the first, so it does not matter how often it is read.
    """

    __slots__ = ("_at", "_had", "beside")

    def __init__(self, beside: int) -> None:
        self._had, self._at, self.beside = 0.0, 0, max(beside, 1)

    def mark(self, elapsed_ms: int, beside: int) -> None:
        """From now on so many calls are under way."""
        self._had, self._at, self.beside = self.had(elapsed_ms), elapsed_ms, max(beside, 1)

    def had(self, elapsed_ms: int) -> float:
        """What such a call had by now."""
        return self._had + max(elapsed_ms - self._at, 0) / self.beside

    def rate(self, at: int, had: float) -> float:
        """The part that a call had on average which is under way since then."""
        return (self._had - had) / (self._at - at) if self._at > at else 1 / self.beside


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
        # Before anything was sent, a guess: all engines have as many under way as they may.
        usual = {
            name: min(USUAL if room == UNBOUNDED else room, max(prompts, 1))
            for name, room in self._places.items()
        }
        self._run = Meter(min(sum(usual.values()), max(prompts, 1)))
        self._own = {name: Meter(beside) for name, beside in usual.items()}
        self._slowing = {name: Slowing(self._run.beside, beside) for name, beside in usual.items()}
        # A cheap answer's part. Before anything came back: a budget that makes sense pays for two to each prompt.
        self._cheap_ms, self._cheap_calls = (limit or 0) / (2 * max(prompts, 1)), 1
        self._place = places(setting.arms)
        self._took: dict[tuple[str, str], list[float]] = {}  # by engine and model: sum in ms, copies
        self._so_far: dict[tuple[str, str], list[float]] = {}  # what calls under way took so far

    def mark(self, elapsed_ms: int, busy: Mapping[str, int]) -> None:
        """From now on so many calls are under way, by engine. Told of steps that the journal holds, so that a resumed
        run reckons alike.
        """
        if not self.limited:
            return
        self._run.mark(elapsed_ms, sum(busy[name] for name in self._places))
        for name, meter in self._own.items():
            meter.mark(elapsed_ms, busy[name])

    def began(self, engine: str, elapsed_ms: int) -> Began:
        """What to remember of a call that is bought now."""
        own = self._own.get(engine)
        if not self.limited or own is None:
            return (0, 0.0, 0.0)
        return (elapsed_ms, self._run.had(elapsed_ms), own.had(elapsed_ms))

    def so_far(self, began: Began, elapsed_ms: int) -> float:
        """What a call under way took of the run by now, in ms."""
        return self._run.had(elapsed_ms) - began[1]

    def shares(self, engine: str) -> bool:
        """Whether calls of an engine are under way beside others."""
        return engine in self._places

    def full(self, engine: str, busy: int) -> bool:
        """Whether a call more of an engine would only wait: who waits may decide on what is known later."""
        return self.limited and busy >= self._places.get(engine, UNBOUNDED)

    def of_run(self, call: Call, cost: Cost, began: Began) -> Cost:
        """A settled cost, its time as the part of the run's that it took."""
        engine = call.arm.engine
        if not self.limited or not self.shares(engine):
            return cost
        at, had, own = began
        rate = self._run.rate(at, had)
        beside = 1 / self._own[engine].rate(at, own)
        self._slowing[engine].note(call.arm.name, cost.ms, cost.outtok, 1 / rate, beside)
        used = round(cost.ms * rate)
        self._cheap_ms += used / (1 + self._place.get(call.arm.name, 0))
        self._cheap_calls += call.n
        took = self._took.setdefault(_model(call), [0.0, 0.0])
        took[0], took[1] = took[0] + used, took[1] + call.n
        return replace(cost, ms=used)

    def of_call(self, call: Call, cost: Cost, beside: int) -> int:
        """The other way round: how long a call is under way that takes so much of the run's time, as one of so many of
        its engine; a margin included. The engine of a process of ours says itself how long at most.
        """
        slowing = self._slowing.get(call.arm.engine)
        return UNBOUNDED if slowing is None else round(MARGIN * cost.ms * slowing.times(beside))

    def guess(self, call: Call, cost: Cost) -> Cost:
        """An engine's first guess likewise: what the model took in this run, or what the engine knows; else a guess by
        the model's place.
        """
        slowing = self._slowing.get(call.arm.engine)
        if not self.limited or slowing is None:
            return cost
        took = self._took.get(_model(call))
        if took is not None:
            ms, weight = took[0] / took[1], took[1]
        elif cost.ms:
            ms, weight = cost.ms / slowing.times(self._own[call.arm.engine].beside) / call.n, 1.0
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
