"""Where requests wait until the pace lets them go: first come, first served, each model in a line of its own."""

import asyncio
import math
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import NamedTuple, final

from outlay.engines.http.pace import Pace, Sign, Ticket


class Waiting(NamedTuple):
    """One that waits, by order of arrival."""

    number: int
    tokens: int
    free: "asyncio.Future[Ticket]"


@final
class Gate:
    """Lets requests through at a pace. One that waits for its model's allowance holds up no other model."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._lines: dict[str, deque[Waiting]] = defaultdict(deque)
        self._arrived = 0
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, model: str, tokens: int) -> Ticket:
        """Wait for leave to send one request; `leave` must follow."""
        now, line = time.monotonic(), self._lines[model]
        if not line and self._pace.wait(now, model, tokens) <= 0:
            return self._pace.send(now, model, tokens)
        free: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()
        self._arrived += 1
        line.append(Waiting(self._arrived, tokens, free))
        self._admit()
        try:
            return await free
        except asyncio.CancelledError:
            if free.done() and not free.cancelled():
                self.leave(free.result(), "none")
            raise

    def leave(
        self, ticket: Ticket, sign: Sign, wait_s: float = 0.0, headers: Mapping[str, str] | None = None
    ) -> None:
        """A request ended; `headers` are those of its reply."""
        now = time.monotonic()
        self._pace.back(now, ticket, sign, wait_s)
        if headers is not None:
            self._pace.told(now, ticket.model, headers)
        if any(self._lines.values()):
            self._admit()

    def _admit(self) -> None:
        """Let all go that may, and come back when the next may."""
        now = time.monotonic()
        while True:
            first, soonest = None, math.inf
            for model, line in self._lines.items():
                while line and line[0].free.done():
                    line.popleft()
                if not line:
                    continue
                wait = self._pace.wait(now, model, line[0].tokens)
                soonest = min(soonest, wait) if wait > 0 else soonest
                if wait <= 0 and (first is None or line[0].number < first[1].number):
                    first = model, line[0]
            if first is None:
                break
            model, waiting = first
            waiting.free.set_result(self._pace.send(now, model, waiting.tokens))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if soonest < math.inf:
            # A timer may fire a little early.
            self._timer = asyncio.get_running_loop().call_later(soonest + 0.001, self._admit)
