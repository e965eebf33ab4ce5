"""Checks that run what a model wrote: which walls hold here, and which kinds of check stand behind them."""

import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any, Final

from outlay.engines.checker.inside import confine
from outlay.engines.checker.inside.confine import LINUX, Walls
from outlay.engines.checker.inside.fresh import Fresh, Send
from outlay.engines.checker.inside.told import Check, Refused, Stop, called

if LINUX:
    from outlay.engines.checker.inside import landlock

KINDS: Final = {"tests": "code", "command": "shell"}
"""The module of each kind, whose `load` gives the check. One is enough: what is not read costs no fork."""


def load(setup: Mapping[str, Any], function: Check | None) -> tuple[Check, Mapping[str, Any]]:
    """The check, and what is in force around each answer.

    Raises:
        Refused: The check cannot be used, or nothing can be run here.
    """
    signal.signal(signal.SIGTERM, _stop)
    own = function is None and setup["kind"] == "tests"
    fresh = _fresh(setup, confine.enter(setup["without"]), own)
    check = _apart(function, fresh) if function else _kind(setup["kind"])(setup, fresh)
    return check, fresh.walls._asdict()


def _kind(name: str) -> Callable[[Mapping[str, Any], Fresh], Check]:
    loaded: Callable[[Mapping[str, Any], Fresh], Check]
    loaded = import_module(f"outlay.engines.checker.inside.{KINDS[name]}").load
    return loaded


def _stop(*_: object) -> None:
    raise Stop


def _reads(own: bool) -> Sequence[str]:
    """A user's command or function may be anywhere; tests need the interpreter and nothing of the user's."""
    if not LINUX:
        return ()
    return (*landlock.SYSTEM, *landlock.python_needs()) if own else ("/",)


def _fresh(setup: Mapping[str, Any], most: Walls, own: bool) -> Fresh:
    """With the most walls that a trial run stands behind."""
    needs = [os.__file__, sys.executable, *(path for path in sys.path if os.path.exists(path))]
    needs += [] if own else [setup["cwd"]]
    why = ""
    for spaces in ((True, True), (True, False), (False, False)):
        for other in (True, False):
            walls = most._replace(
                pid=most.pid and spaces[0], proc=most.proc and spaces[1], other=most.other and other
            )
            fresh = Fresh(setup, confine.counted(walls), _reads(own))
            try:
                end = fresh.run(lambda folder, send: _trial(folder, send, needs))
            except OSError as error:
                why = str(error)
                continue
            if end.said is not None and end.said.get("passed"):
                return fresh
            why = str((end.said or {}).get("error", end.why))
    raise Refused(f"an answer cannot be run on this system: {why}; check answers with a function of your own")


def _trial(folder: str, send: Send, needs: Sequence[str]) -> None:
    try:
        for path in needs:
            if not os.access(path, os.R_OK):
                raise PermissionError(f"{path} cannot be read")
        with open(f"{folder}/trial", "w") as file:
            file.write("trial")
        os.unlink(f"{folder}/trial")
        if os.fork() == 0:
            os._exit(0)
    except OSError as error:
        send({"error": str(error)})
    else:
        send({"passed": True})


def _apart(check: Check, fresh: Fresh) -> Check:
    """A user's function, called in a fresh process each time."""

    def verdict(**given: Any) -> dict[str, Any]:
        end = fresh.run(lambda _, send: send(called(lambda: check.verdict(**given), fresh.setup)))
        if end.said is not None:
            return end.said
        early = "" if end.limit else " before there was a verdict"
        return {"passed": False, "message": f"{end.why or 'ended'}{early}"}

    return check._replace(verdict=verdict)
