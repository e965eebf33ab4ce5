"""A user's own function: `module:function` or `path/to/file.py:function`."""

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from outlay.engines.checker.inside.told import LONGEST, Check, Refused, shown

KNOWN: Final = ("prompt", "answer", "text")


def load(setup: Mapping[str, Any]) -> Check:
    """The function, what it takes, and what it or its module says about itself.

    Raises:
        Refused: There is none, or it wants what no check gets.
    """
    sys.path.insert(0, setup["cwd"])
    module, function = _found(setup["argument"])
    applies = getattr(function, "applies", getattr(module, "applies", None))
    confined = getattr(function, "confined", getattr(module, "confined", False)) is True
    return Check(takes_of(function), lambda **given: said(function(**given)), applies, confined)


def said(value: Any) -> dict[str, Any]:
    """What a function returned, as it goes to the run: True, False, None, or one of these with a message."""
    message = ""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], str):
        value, message = value
    if type(value).__name__ in ("bool", "bool_"):  # Python's or numpy's
        value = bool(value)
    elif value is not None:
        what = f"{type(value).__name__} {shown(value)}"
        return {"error": f"the check returned {what}; return True, False or None, or (False, 'why')"}
    return {"passed": value, "message": message[:LONGEST]}


def _found(spec: str) -> tuple[ModuleType, Callable[..., Any]]:
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


def takes_of(function: Callable[..., Any]) -> list[str]:
    """Which of `KNOWN` it wants.

    Raises:
        Refused: It wants something else, or is no plain function.
    """
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
