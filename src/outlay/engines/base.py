"""What an engine is: it performs calls, and says beforehand what they may cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from outlay.types import Call, Cost, Delivery


class Engine(Protocol):
    """Performs calls.

    Attributes:
        lockstep: True where the same calls always give the same deliveries (in-process models, recordings, checks).
            The driver then waits for the whole batch before it takes the next decision, so that a run is
            reproducible; a call that was in flight at a crash is released and bought again.
        chunk: Calls per `complete`; what came back from one chunk is committed before the next is asked.
    """

    lockstep: bool
    chunk: int

    def worst(self, call: Call) -> Cost:
        """The most that `call` (n copies, its `max_tokens`) can cost. Nothing above it is ever reserved, so an
        engine that returns more has broken its word: the overdraft is booked and named, and buying stops.
        """
        ...

    def expected(self, call: Call) -> Cost:
        """A first guess at the cost of `call`; the belief learns better ones from what is settled."""
        ...

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        """Perform the calls; one delivery each, in order. A fault of one call is its delivery's `error`.

        Raises:
            EngineError: The engine cannot serve at all.
        """
        ...

    async def close(self) -> None:
        """Release connections and processes."""
        ...
