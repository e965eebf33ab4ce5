"""What a call takes of a run's time: many are under way at once, so a call of eight seconds among sixteen takes half a
second (Little's law). Only where seconds are limited; else times stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import final

from outlay.market.identity import places
from outlay.market.setting import Setting
from outlay.types import Call, Cost

USUAL = 32
"""Calls under way at once of an engine that was given no limit."""
MARGIN = 1.25
"""Times that a call usually takes, for it to be sent before the deadline."""
UNBOUNDED = 1 << 30


@final
class Clock:
    """`limited`: whether seconds are; `at_once`: calls that may be under way in all."""

    def __init__(self, setting: Setting, prompts: int) -> None:
        limit = setting.budget.ms
        self.limited = limit is not None
        remote = [name for name, engine in setting.engines.items() if not engine.lockstep]
        self.at_once = sum(setting.at_once.get(name, UNBOUNDED) for name in remote) if remote else UNBOUNDED
        self._side_by_side = {name: max(1, min(setting.at_once.get(name, USUAL), prompts)) for name in remote}
        # Before anything came back: a budget that makes sense pays for about two cheap answers to each prompt.
        self._cheap_ms = (limit or 0) / (2 * max(prompts, 1))
        self._place = places(setting.arms)

    def of_run(self, engine: str, cost: Cost) -> Cost:
        """A settled cost, its time as the part of the run's that it took."""
        side_by_side = self._side_by_side.get(engine, 1)
        if not self.limited or side_by_side == 1:
            return cost
        return replace(cost, ms=round(cost.ms / side_by_side))

    def of_call(self, call: Call, cost: Cost) -> int:
        """The other way round: how long a call is under way that takes so much of the run's time; a margin included.
        The engine of a process of ours says itself how long at most.
        """
        side_by_side = self._side_by_side.get(call.arm.engine)
        return UNBOUNDED if side_by_side is None else round(MARGIN * cost.ms * side_by_side)

    def guess(self, call: Call, cost: Cost) -> Cost:
        """An engine's first guess likewise; of one that does not know its speed, a guess by the model's place."""
        if not self.limited or call.arm.engine not in self._side_by_side:
            return cost
        if cost.ms:
            return self.of_run(call.arm.engine, cost)
        return replace(cost, ms=round(self._cheap_ms * (1 + self._place.get(call.arm.name, 0)) * call.n))
