"""The budget of a run that goes on: what it was, and whether the one that is given now is a larger one."""

from __future__ import annotations

from decimal import Decimal

from outlay.errors import ResumeError
from outlay.journal import Journal, decode
from outlay.types import NANO, UNITS, Budget

BUDGET = "budget"
"""The part of a fingerprint that may grow."""


def written(budget: Budget) -> str:
    """Limits as their user writes them, to the last unit: two budgets are never taken for one."""
    return ", ".join(f"{Decimal(limit) / _scale(unit):f}{unit}" for unit, limit in budget.limits().items())


def _scale(unit: str) -> int:
    return {"usd": NANO, "s": 1000}.get(unit, 1)


def _read(text: str) -> Budget:
    """What `written` wrote."""
    limits: dict[str, int] = {}
    for part in text.split(", ") if text else ():
        number = part.rstrip("abcdefghijklmnopqrstuvwxyz")
        unit = part[len(number) :]
        limits[unit] = int(Decimal(number) * _scale(unit))
    return Budget(*(limits.get(unit) for unit in UNITS))


def budget_before(journal: Journal, now: Budget) -> Budget:
    """The budget that the run in a journal had when it ended; the one that is given now is at least as large.

    Raises:
        ResumeError: It is smaller, or in other units; says what may be given.
    """
    said = journal.part(BUDGET)
    before = _read(said)
    had, has = before.limits(), now.limits()
    if had.keys() == has.keys() and all(has[unit] >= limit for unit, limit in had.items()):
        return before
    what = "limits other units" if had.keys() != has.keys() else "is smaller"
    raise ResumeError(
        f"{journal.path} belongs to a run with a budget of {said}, and {written(now)} {what}; give {said} to go on, or "
        "more of the same to top it up, or another directory with -o to start anew"
    )


def first_budget(journal: Journal) -> Budget | None:
    """The budget with which a run was begun that was topped up; None where it was not."""
    if next(journal.read("topup"), None) is None:  # as usual: then no line is looked at
        return None
    for number, line in enumerate(journal.read(), 1):
        if line.kind == "topup":
            with journal.understood(number, line):
                return Budget(*decode(line.body)["from"])
    return None
