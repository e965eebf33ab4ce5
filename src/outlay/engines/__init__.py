"""Engines by name. An engine imports what it needs (HTTP, numpy, pyarrow) when it is loaded, not before."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from outlay.errors import UnknownName

if TYPE_CHECKING:
    from outlay.engines.checker import Checker
    from outlay.engines.function import Function
    from outlay.engines.http import Http
    from outlay.engines.pocket import Pocket
    from outlay.engines.recorded import Recorded
    from outlay.engines.simulated import Simulated


def checker() -> "type[Checker]":
    """A user's own check."""
    from outlay.engines.checker import Checker

    return Checker


def function() -> "type[Function]":
    """A check that is a function of the caller's."""
    from outlay.engines.function import Function

    return Function


def http() -> "type[Http]":
    """Any endpoint that speaks the OpenAI chat API."""
    from outlay.engines.http import Http

    return Http


def pocket() -> "type[Pocket]":
    """The tiny model of the package."""
    from outlay.engines.pocket import Pocket

    return Pocket


def recorded() -> "type[Recorded]":
    """Draws from recorded answers."""
    from outlay.engines.recorded import Recorded

    return Recorded


def simulated() -> "type[Simulated]":
    """An engine of known truth."""
    from outlay.engines.simulated import Simulated

    return Simulated


ENGINES: dict[str, Callable[[], type]] = {
    "checker": checker,
    "function": function,
    "http": http,
    "pocket": pocket,
    "recorded": recorded,
    "simulated": simulated,
}
"""`ENGINES[name]()` is the class of the engine; what it is built from differs from engine to engine."""


def engine(name: str) -> type:
    """The class of the engine called `name`.

    Raises:
        UnknownName: With the names that are known.
    """
    if name not in ENGINES:
        raise UnknownName("engine", name, ENGINES)
    return ENGINES[name]()


__all__ = ["ENGINES", "engine"]
