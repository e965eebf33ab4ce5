"""The process in which a user's check runs; started by `checker`, never imported.

It speaks JSON lines over the pipes that it was given as standard input and output, which it takes away from
the check: whatever the check prints is dropped, whatever it reads is empty. First line in: what to load, and
the limits. First line out: what the function takes, or why it cannot be loaded. Then one line out for each
line in.
"""

import importlib
import importlib.util
import inspect
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

KNOWN = ("prompt", "answer", "text")
LONGEST = 400
"""Characters of a message."""

LIBRARY = os.path.dirname(os.__file__)


class Refused(Exception):
    """The function cannot be used; says why and what to do."""


def main() -> None:
    """Load, then answer requests until the pipe closes."""
    requests, answers = _take_pipes()
    setup = json.loads(requests.readline())
    sys.path.append(setup["package"])
    from outlay.types import Message, Prompt  # before the user's folder, whose names may shadow the library's

    def prompt_of(row: dict[str, Any]) -> Prompt:
        messages = tuple(Message(*message) for message in row["messages"])
        return Prompt(row["id"], messages, row["answer"], row["metadata"], row["worth"])

    sys.path.insert(0, setup["cwd"])
    _limit(setup)
    try:
        module, function = _load(setup["spec"])
        takes = _takes(function)
        applies = getattr(function, "applies", getattr(module, "applies", None))
    except MemoryError:
        _say(answers, {"refused": f"loading it needs more than {setup['memory_mb']} MB; raise memory_mb"})
        return
    except Refused as refused:
        _say(answers, {"refused": str(refused)})
        return
    except BaseException as error:  # noqa: BLE001  the check's module may raise anything, SystemExit included
        _say(answers, {"refused": f"loading it raised {_told(error)}; mend it, or point to another function"})
        return
    _say(answers, {"takes": takes, "applies": applies is not None})
    for line in requests:
        request = json.loads(line)
        _renew(setup["cpu_s"])
        began = time.perf_counter()
        if "applies" in request:
            assert applies is not None
            said = _called(partial(applies, prompt_of(request["applies"])), setup["memory_mb"])
        else:
            if "prompt" in takes:
                request["prompt"] = prompt_of(request["prompt"])
            said = _called(partial(function, **request), setup["memory_mb"])
        said["ms"] = round(1000 * (time.perf_counter() - began))
        _say(answers, said)


def _take_pipes() -> tuple[Any, Any]:
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for taken in (0, 1, 2):
        os.dup2(nothing, taken)
    return requests, answers


def _limit(setup: dict[str, Any]) -> None:
    _lower(resource.RLIMIT_AS, setup["memory_mb"] << 20)
    _lower(resource.RLIMIT_FSIZE, setup["file_mb"] << 20)
    _lower(resource.RLIMIT_CORE, 0)


def _renew(cpu_s: int) -> None:
    """Give the next check its processor time: the limit counts from the start of the process."""
    _lower(resource.RLIMIT_CPU, int(time.process_time()) + 1 + cpu_s)


def _lower(what: int, limit: int) -> None:
    """Set the soft limit, which may rise again, never above the hard one."""
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _load(spec: str) -> tuple[ModuleType, Callable[..., Any]]:
    place, _, name = spec.rpartition(":")
    if place.endswith(".py"):
        path = Path(place).resolve()
        if not path.is_file():
            raise Refused(f"there is no file {path}; give path/to/file.py:function or module:function")
        sys.path.insert(0, str(path.parent))
        found = importlib.util.spec_from_file_location(f"outlay_check_{path.stem}", path)
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        sys.modules[found.name] = module
        found.loader.exec_module(module)
    else:
        try:
            module = importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name != place.split(".")[0] and error.name != place:
                raise
            raise Refused(
                f"there is no module {error.name!r} in {os.getcwd()} or among the installed packages; "
                "run where it can be imported, or give path/to/file.py:function"
            ) from None
    function = getattr(module, name, None)
    if not callable(function):
        names = [key for key, value in vars(module).items() if inspect.isfunction(value) and key[0] != "_"]
        raise Refused(f"{place} has no function {name!r}; it has {', '.join(names) or 'none'}")
    return module, function


def _takes(function: Callable[..., Any]) -> list[str]:
    if inspect.iscoroutinefunction(function):
        raise Refused("it is an async function; make it a plain one")
    shape = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in shape):
        return list(KNOWN)
    takes = []
    for parameter in shape:
        if parameter.name in KNOWN and parameter.kind is not parameter.POSITIONAL_ONLY:
            takes.append(parameter.name)
        elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL:
            raise Refused(f"it wants {parameter.name!r}; a check takes any of {', '.join(KNOWN)} by name")
    return takes


def _called(check: Callable[[], Any], memory_mb: int) -> dict[str, Any]:
    try:
        value = check()
    except MemoryError:
        return {"passed": False, "message": f"needed more than {memory_mb} MB of memory"}
    except BaseException as error:  # noqa: BLE001  what the check raises is told, whatever it is
        return {"error": f"the check raised {_told(error)}"}
    if value is None or isinstance(value, bool):
        return {"passed": value}
    if type(value).__name__ in ("bool", "bool_"):  # numpy's
        return {"passed": bool(value)}
    return {"error": f"the check returned {type(value).__name__} {_short(value)}; return True, False or None"}


def _told(error: BaseException) -> str:
    """Type, words and the last line of the user's that was running."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if f.filename != __file__ and not f.filename.startswith((LIBRARY, "<frozen"))]
    where = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    if isinstance(error, SyntaxError) and not own:
        where = f" ({Path(error.filename or '').name}, line {error.lineno})"
    words = _short(error.msg if isinstance(error, SyntaxError) else error, str)
    return f"{type(error).__name__}: {words}{where}" if words else f"{type(error).__name__}{where}"


def _short(value: Any, form: Callable[[Any], str] = repr) -> str:
    try:
        words = form(value)
    except Exception:  # noqa: BLE001  an object of the user's that cannot even be shown
        return "that cannot be shown"
    return words if len(words) <= LONGEST else words[:LONGEST] + "…"


def _say(answers: Any, said: dict[str, Any]) -> None:
    answers.write(json.dumps(said).encode() + b"\n")


if __name__ == "__main__":
    main()
