"""The error tree. Every message says what happened, with values, and what to do next.

OutlayError
├── UsageError (also ValueError)      the user can mend it: a flag, a config key, an input row
│   ├── InputError                    one input row; names line, field and remedy
│   ├── UnknownName                   a name that is not in a registry; lists the known ones
│   └── BudgetError                   a budget that cannot be read or cannot be kept
├── ResumeError                       a run directory that belongs to another run
│   └── NotDeterministic              a strategy no longer offers what it offered before
├── EngineError                       an engine cannot serve at all
│   └── UpstreamError                 an endpoint is unreachable or refuses the key
└── CheckError                        the user's check cannot be loaded or run
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outlay.types import Usage


class OutlayError(Exception):
    """Root of all errors that outlay raises on purpose."""


class UsageError(OutlayError, ValueError):
    """Something the user can mend in a flag, a config file or the input."""


class InputError(UsageError):
    """One input row cannot be used."""

    def __init__(self, line: int, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"line {line}, field {field!r}: {problem}; {remedy}")
        self.line, self.field, self.problem, self.remedy = line, field, problem, remedy


class UnknownName(UsageError):
    """A name that no registry knows."""

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown {what} {name!r}; known: {', '.join(sorted(known))}")


class BudgetError(UsageError):
    """A budget that cannot be read, or that nothing can be bought within."""


class ResumeError(OutlayError):
    """The run directory belongs to another input, config or version."""


class NotDeterministic(ResumeError):
    """A strategy did not offer again what the journal says it offered."""


class EngineError(OutlayError):
    """An engine cannot serve. `usage` is what the attempts had used all the same, which is charged."""

    def __init__(self, message: str, usage: Usage | None = None) -> None:
        super().__init__(message)
        self.usage = usage


class UpstreamError(EngineError):
    """An endpoint cannot be reached or refuses us."""


class CheckError(OutlayError):
    """The user's check cannot be loaded or run."""
