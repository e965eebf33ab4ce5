"""Amounts as people write and read them. Parsed with decimals into the integers of `outlay.types`."""

import difflib
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from outlay.errors import BudgetError, UsageError
from outlay.types import MILLION, NANO, UNITS, Budget, Cost

FORMS: Final = "write 40ktok, 10Mtok, 500outtok, 2usd, 0.50usd, 90s, 10min or 1h"
MOST: Final = 2**62
"""No amount may be larger: sums of two still fit the integers of the journal."""

_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+) ?([A-Za-z$€]*)")
_SCALES: Final = {"k": 1_000, "K": 1_000, "M": MILLION, "G": NANO}
_UNITS: Final[Mapping[str, tuple[str, int]]] = {
    "usd": ("usd", NANO),
    "s": ("s", 1_000),
    "min": ("s", 60_000),
    "h": ("s", 3_600_000),
} | {scale + unit: (unit, by) for unit in ("tok", "outtok") for scale, by in {"": 1, **_SCALES}.items()}


def parse_budget(*texts: str) -> Budget:
    """Read a budget, one limit a text.

    >>> parse_budget("2usd", "10min")
    Budget(tok=None, outtok=None, usd=2000000000, ms=600000)

    Raises:
        BudgetError: A text has no unit or an unknown one, is zero or too fine, or limits a unit again.
    """
    limits: dict[str, int] = {}
    written: dict[str, str] = {}
    for text in texts:
        unit, amount = _limit(text.strip())
        if unit in limits:
            raise BudgetError(
                f"budget {shown(text)}: {shown(written[unit])} limits {unit} already; give each unit once"
            )
        limits[unit], written[unit] = amount, text
    return Budget(limits.get("tok"), limits.get("outtok"), limits.get("usd"), limits.get("s"))


def shown(value: object) -> str:
    """A value as errors show it: on one line, and not longer than can be read."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _limit(text: str) -> tuple[str, int]:
    """Unit and ledger integer of one limit."""
    found = _AMOUNT.fullmatch(text)
    if found is None:
        raise BudgetError(f"budget {shown(text)} cannot be read; {FORMS}")
    number, suffix = found.groups()
    if suffix not in _UNITS:
        raise BudgetError(f"budget {shown(text)} {_unit_problem(number, suffix)}; {FORMS}")
    unit, scale = _UNITS[suffix]
    amount = Decimal(number) * scale
    if amount != int(amount):
        raise BudgetError(
            f"budget {shown(text)} is finer than the smallest amount that can be booked; {FORMS}"
        )
    if not 0 < amount <= MOST:
        problem = "buys nothing" if amount == 0 else "is more than can be counted"
        raise BudgetError(f"budget {shown(text)} {problem}; {FORMS}")
    return unit, int(amount)


def _unit_problem(number: str, suffix: str) -> str:
    if not suffix:
        return "has no unit"
    number = number if len(number) <= 20 else "…"
    if suffix == "m":
        return f"could be minutes or millions: {number}min or {number}Mtok?"
    near = [unit for unit in _UNITS if unit.lower() == suffix.lower()]
    near = near or difflib.get_close_matches(suffix, _UNITS, n=1, cutoff=0.5)
    hint = f"; did you mean {number}{near[0]}?" if near else ""
    return f"has the unknown unit {shown(suffix)}{hint}"


def show_amount(unit: str, amount: int) -> str:
    """An amount in ledger integers, for people.

    >>> show_amount("tok", 40_000), show_amount("usd", 12_300_000), show_amount("s", 12_000)
    ('40.0 ktok', '$0.0123', '12 s')
    """
    if amount < 0:
        return f"-{show_amount(unit, -amount)}"
    if unit == "usd":
        return _dollars(amount)
    return _time(amount) if unit == "s" else f"{_scaled(amount)}{unit}"


def show_cost(cost: Cost, units: Iterable[str] = UNITS) -> str:
    """The given units of a cost, for people.

    >>> show_cost(Cost(1_280, 320, 0, 450), ("tok", "s"))
    '1.28 ktok, 0.45 s'
    """
    return ", ".join(show_amount(unit, amount_of(cost, unit)) for unit in units)


def amount_of(cost: Cost, unit: str) -> int:
    """The ledger integer of a cost in a unit of `UNITS`."""
    return {"tok": cost.tok, "outtok": cost.outtok, "usd": cost.usd, "s": cost.ms}[unit]


def _scaled(count: int) -> str:
    for scale, letter in ((NANO, "G"), (MILLION, "M"), (1_000, "k")):
        if count >= scale:
            return f"{_short(count / scale)} {letter}"
    return f"{count} "


def _short(value: float) -> str:
    """Three digits are read at a glance; a fourth one is noise beside a budget."""
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 1_000 else f"{value:,.0f}"


def _dollars(nano: int) -> str:
    if nano == 0:
        return "$0"
    if nano >= NANO:
        return f"${Decimal(nano) / NANO:,.2f}"
    digits = 12 - len(str(nano))  # three significant ones
    return f"${Decimal(nano) / NANO:.{min(max(digits, 4), 9)}f}"


def _time(ms: int) -> str:
    if ms < 10_000:
        return f"{ms / 1000:.2g} s" if ms >= 100 else f"{ms / 1000:.3f} s" if ms else "0 s"
    seconds = ms // 1000
    if seconds < 120:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes} min {seconds:02} s" if seconds else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02} min"


def share_of(text: str | float) -> float:
    """A share as written.

    >>> share_of("5%"), share_of("0.05")
    (0.05, 0.05)
    """
    written = str(text).strip()
    try:
        value = float(Decimal(written.removesuffix("%").strip()) / (100 if written.endswith("%") else 1))
    except ArithmeticError:
        raise UsageError(f"share {shown(text)} cannot be read; write 5% or 0.05") from None
    if not 0 <= value <= 1:
        raise UsageError(f"share {shown(text)} must lie between 0% and 100%")
    return value


def dollars(text: str | float) -> int:
    """Dollars as written, in nano-dollars.

    >>> dollars("0.15")
    150000000
    """
    try:
        value = Decimal(str(text)) * NANO
        sound = 0 <= value <= MOST
    except ArithmeticError:  # no number, or not comparable
        raise UsageError(f"price {shown(text)} is not a number of dollars; write 0.15") from None
    if not sound:
        raise UsageError(
            f"price {shown(text)} must be between 0 and {MOST // NANO} dollars per million tokens"
        )
    return int(value)
