"""The process in which checks run; started by `checker`, never imported.

It speaks JSON lines over the pipes that it was given as standard input and output, which it takes away from
the check: whatever the check prints is dropped, whatever it reads is empty. First line in: what to load, and
the limits. First line out: what the check takes, or why it cannot be loaded. Then one line out for each line
in.
"""

import contextlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

if __name__ == "__main__":  # the folder that holds the package; put last, so that it hides nothing
    sys.path.append(os.path.abspath(__file__).rsplit(os.sep + "outlay" + os.sep, 1)[0])

from outlay.engines.checker.inside import forms, loaded
from outlay.engines.checker.inside.limits import lower
from outlay.engines.checker.inside.told import Check, Refused, Stop, called, shown, told
from outlay.types import Message, Prompt  # before the user's folder, whose names may shadow the library's


def main() -> None:
    """Load, then answer requests until the pipe closes."""
    requests, answers = _take_pipes()
    setup = json.loads(requests.readline())
    setup["hangs"] = requests.fileno()
    try:
        _serve(setup, requests, answers)
    except Stop:
        pass
    finally:  # also where the run was killed and cannot
        with contextlib.suppress(OSError):
            os.rmdir(setup["folder"])


def _serve(setup: Mapping[str, Any], requests: Any, answers: Any) -> None:
    try:
        check, walls = _loaded(setup)
    except MemoryError:
        _say(answers, {"refused": f"loading it needs more than {setup['memory_mb']} MB; raise memory_mb"})
        return
    except Refused as refused:
        _say(answers, {"refused": str(refused)})
        return
    except BaseException as error:  # noqa: BLE001  the check's module may raise anything, SystemExit included
        _say(answers, {"refused": f"loading it raised {told(error)}; mend it, or point to another function"})
        return
    applies = check.applies
    _say(answers, {"takes": check.takes, "applies": applies is not None, "walls": walls})
    for line in requests:
        request = json.loads(line)
        began = time.perf_counter()
        if not check.confined:
            _renew(setup["cpu_s"])
        if "applies" in request:
            assert applies is not None
            said = called(partial(_applied, applies, _prompt_of(request["applies"])), setup)
        else:
            if "prompt" in check.takes:
                request["prompt"] = _prompt_of(request["prompt"])
            said = called(partial(check.verdict, **request), setup)
        said["ms"] = round(1000 * (time.perf_counter() - began))
        _say(answers, said)


def _take_pipes() -> tuple[Any, Any]:
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for taken in (0, 1, 2):
        os.dup2(nothing, taken)
    return requests, answers


_PLAIN: dict[str, Callable[[Mapping[str, Any]], Check]] = {
    "function": loaded.load,
    "regex": forms.regex,
    "schema": forms.schema,
}
"""Checks that run in this process, one after the other."""


def _loaded(setup: Mapping[str, Any]) -> tuple[Check, Mapping[str, Any] | None]:
    """The check, and the walls around each answer where it runs answers."""
    if setup["kind"] in _PLAIN:
        lower(resource.RLIMIT_AS, setup["memory_mb"] << 20)
        lower(resource.RLIMIT_FSIZE, setup["file_mb"] << 20)
        lower(resource.RLIMIT_CORE, 0)
        check = _PLAIN[setup["kind"]](setup)
        if not check.confined:
            return check, None
    from outlay.engines.checker.inside import confined

    return confined.load(setup, check if setup["kind"] in _PLAIN else None)


def _renew(cpu_s: int) -> None:
    """Give the next check its processor time: the limit counts from the start of the process."""
    lower(resource.RLIMIT_CPU, int(time.process_time()) + 1 + cpu_s)


def _applied(applies: Callable[[Prompt], Any], prompt: Prompt) -> dict[str, Any]:
    try:
        value = applies(prompt)
    except Refused:
        raise
    except Exception as error:  # noqa: BLE001  what the user's function raises is told, whatever it is
        return {"error": f"applies() raised {told(error)}; it takes a prompt and returns True or False"}
    if type(value).__name__ in ("bool", "bool_"):  # Python's or numpy's
        return {"passed": bool(value)}
    return {"error": f"applies() returned {shown(value)}; return True or False"}


def _prompt_of(row: Mapping[str, Any]) -> Prompt:
    messages = tuple(Message(*message) for message in row["messages"])
    return Prompt(row["id"], messages, row["answer"], row["metadata"], row["worth"])


def _say(answers: Any, said: Mapping[str, Any]) -> None:
    answers.write(json.dumps(said).encode() + b"\n")


if __name__ == "__main__":
    main()
    os._exit(0)  # nothing is left to be tidied
