"""Checks as an engine: what they are (`kinds`), who serves them (`engine`), what runs in their process (`inside`).

Names are loaded when they are used: the process of a check imports this package and needs none of them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlay.engines.checker.engine import Checker
    from outlay.engines.checker.force import Protection, in_force
    from outlay.engines.checker.kinds import Limits

_HOMES = {"Checker": "engine", "Limits": "kinds", "Protection": "force", "in_force": "force"}

__all__ = ["Checker", "Limits", "Protection", "in_force"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
