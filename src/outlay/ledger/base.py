"""What a ledger is: reserve the worst case, settle the actual, never lose a unit."""

from __future__ import annotations

from typing import Protocol

from outlay.types import Budget, Cost


class Ledger(Protocol):
    """Keeps one budget in every unit that has an account (`outlay.types.ACCOUNTS`).

    `left + held + spent == budget` in every limited unit after every call; `left < 0` only by a recorded
    `overdraft`, which can happen only where an engine broke its own worst case.
    """

    budget: Budget

    @property
    def left(self) -> Cost:
        """Free to reserve; a very large number in a unit without a limit."""
        ...

    @property
    def held(self) -> Cost:
        """The sum of open holds."""
        ...

    @property
    def spent(self) -> Cost:
        """Settled in full, overruns included."""
        ...

    @property
    def overdraft(self) -> Cost:
        """By how much settlements exceeded their holds."""
        ...

    def reserve(self, key: str, amount: Cost, chain: str = "", keep: Cost | None = None) -> bool:
        """Hold `amount` for `key`: first from the hold `chain` down to what it must `keep`, then from what is
        free. False, with nothing changed, where that does not suffice.
        """
        ...

    def hold(self, chain: str, amount: Cost, parent: str = "") -> bool:
        """Set the hold of a chain to `amount`, taking the difference from `parent`'s hold first and then from
        what is free, or giving back what is too much.
        """
        ...

    def settle(self, key: str, actual: Cost) -> Cost:
        """End the hold of `key` and book `actual` in full; returns by how much it exceeded the hold. What was not
        spent goes back where it came from.
        """
        ...

    def top_up(self, budget: Budget) -> None:
        """Have a larger budget from now on, in the same units: the difference is free to reserve."""
        ...

    def release(self, key: str) -> None:
        """End the hold of `key`, or of a chain, with nothing spent."""
        ...
