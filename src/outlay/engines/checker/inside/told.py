"""Words about what went wrong: short, and the same each time, since they go back to a model and into a journal."""

import os
import re
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

LONGEST: Final = 600
"""Characters of a message."""

LIBRARY: Final = os.path.dirname(os.__file__)
HERE: Final = os.path.dirname(__file__)
_ADDRESS: Final = re.compile(r" at 0x[0-9a-fA-F]+")


class Check(NamedTuple):
    """A check that was loaded.

    Attributes:
        takes: Which of `prompt`, `answer` and `text` it wants.
        verdict: Called with these by name; returns what is said to the run, `{"passed", "message"}` or
            `{"error"}`.
        applies: From a prompt to whether the check exists there; None means everywhere.
        confined: Whether each call gets a fresh process, walled in.
    """

    takes: list[str]
    verdict: Callable[..., dict[str, Any]]
    applies: Callable[[Any], Any] | None = None
    confined: bool = False


class Stop(Exception):
    """The run wants no more of this process."""


class Refused(Exception):
    """The check cannot be used; says why and what to do."""


def called(check: Callable[[], dict[str, Any]], setup: Mapping[str, Any]) -> dict[str, Any]:
    """What the check says, or what it raised."""
    try:
        return check()
    except Stop:
        raise
    except MemoryError:
        return {"passed": False, "message": f"needed more than {setup['memory_mb']} MB of memory"}
    except Refused as refused:
        return {"error": str(refused)}
    except BaseException as error:  # noqa: BLE001  what the check raises is told, whatever it is
        return {"error": f"the check raised {told(error)}"}


def told(error: BaseException) -> str:
    """Type, words and the last line of the user's that was running."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith((LIBRARY, HERE, "<frozen"))]
    where = f" ({os.path.basename(own[-1].filename)}, line {own[-1].lineno})" if own else ""
    if isinstance(error, SyntaxError) and not own:
        where = f" ({os.path.basename(error.filename or '')}, line {error.lineno})"
    return named(error) + where


def named(error: BaseException) -> str:
    """Type and words."""
    words = shown(error.msg if isinstance(error, SyntaxError) else error, str)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def shown(value: Any, form: Callable[[Any], str] = repr, longest: int = 400) -> str:
    """A value in words, cut, without addresses."""
    try:
        words = _ADDRESS.sub(" at 0x…", form(value))
    except Exception:  # noqa: BLE001  an object of the user's that cannot even be shown
        return "that cannot be shown"
    return words if len(words) <= longest else words[:longest] + "…"


def tail(output: bytes, folder: str) -> str:
    """The last lines of what was printed, without addresses and without the folder that will not be there again."""
    text = output.decode("utf-8", "replace").replace(folder + "/", "").replace(folder, ".")
    lines = [line.rstrip() for line in _ADDRESS.sub(" at 0x…", text).splitlines() if line.strip()]
    kept = "\n".join(lines[-12:])
    return kept if len(kept) <= LONGEST else "…" + kept[-LONGEST:]
