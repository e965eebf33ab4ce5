"""What the time that is left allows: which calls would be back, and what those under way still take (decision 0017).
Only where seconds are limited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import final

from outlay.flow import Offer
from outlay.ledger import MemoryLedger
from outlay.market.appraisal import Appraisal
from outlay.market.clock import Clock
from outlay.market.point import Point
from outlay.market.purchase import Purchase
from outlay.types import Call


@final
class Deadline:
    """Owned by the floor. `elapsed` is in ms, at the last step; `busy` counts calls under way, by engine."""

    def __init__(
        self, clock: Clock, appraisal: Appraisal, ledger: MemoryLedger, flight: Mapping[str, Purchase]
    ) -> None:
        self._clock, self._appraisal, self._ledger, self._flight = clock, appraisal, ledger, flight
        self.elapsed = 0
        self.busy: Counter[str] = Counter()

    def at(self, elapsed_ms: int) -> None:
        """It is so late in the run: what calls under way took of it so far says what such calls take."""
        self.elapsed = elapsed_ms
        if not self._clock.limited:
            return
        by_slot, by_model = self._appraisal.had, []
        by_slot.clear()
        for purchase in self._flight.values():
            call = purchase.call
            if call is not None and self._clock.shares(call.arm.engine):
                so_far = self._clock.so_far(purchase.began, elapsed_ms) / call.n
                by_slot.setdefault(purchase.slot, []).append(so_far)
                by_model.append((call, so_far))
        self._clock.under_way(by_model)

    def in_time(self, point: Point, offer: Offer) -> bool:
        """Whether a call would be sent at once and is expected back by the deadline."""
        if not self._clock.limited or not isinstance(offer.do, Call):
            return True
        engine = offer.do.arm.engine
        busy = self.busy[engine]
        return not (self._clock.full(engine, busy) or self.too_late(point, offer, self.elapsed, busy + 1))

    def too_late(self, point: Point, offer: Offer, elapsed_ms: int, beside: int) -> bool:
        """Whether a call that is sent now, as one of so many of its engine, is not expected back by the deadline."""
        limit = self._ledger.budget.ms
        if limit is None or not isinstance(offer.do, Call):
            return False
        slot = self._appraisal.slot(offer.kind, offer.arm)
        usual = self._clock.of_call(offer.do, self._appraisal.expected(point, offer, slot), beside)
        return elapsed_ms + min(usual, self._appraisal.worst(offer.do).ms) > limit

    def under_way_ms(self) -> int:
        """Milliseconds that calls under way are still expected to take of the run."""
        calls = [
            p for p in self._flight.values() if p.call is not None and self._clock.shares(p.call.arm.engine)
        ]
        return sum(max(round(p.ms - self._clock.so_far(p.began, self.elapsed)), 0) for p in calls)
