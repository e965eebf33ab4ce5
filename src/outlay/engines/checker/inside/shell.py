"""A user's command: it gets the answer on its standard input, or in a file where the command says `{file}`."""

import os
import re
import shlex
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any, Final

from outlay.engines.checker.inside.fresh import Fresh
from outlay.engines.checker.inside.told import Check, Refused

_FILE: Final = re.compile(r"\{file(\.\w+)?\}")
NOT_RUN: Final = (126, 127)
"""Exit codes by which a shell says that it could not start the command."""


def load(setup: Mapping[str, Any], fresh: Fresh) -> Check:
    """The check by exit code: 0 passes.

    Raises:
        Refused: The shell cannot read the command.
    """
    command: str = setup["argument"]
    read = subprocess.run(
        ["/bin/sh", "-n", "-c", command],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if read.returncode:
        raise Refused(f"the shell cannot read the command: {read.stderr.strip()}; mend it")

    def verdict(answer: str) -> dict[str, Any]:
        end = fresh.run(lambda folder, _: _become(command, setup["cwd"], folder, answer))
        if end.said is not None:  # it never became the command
            return end.said
        if end.code in NOT_RUN:
            return {"error": f"the command could not be run: {end.printed or end.why}; mend it"}
        if end.code == 0 and not end.limit:
            return {"passed": True}
        words = f"{end.why}\n{end.printed}".strip() if end.limit else end.printed or end.why
        return {"passed": False, "message": words}

    return Check(["answer"], verdict, confined=True)


def _become(command: str, cwd: str, folder: str, answer: str) -> None:
    place = _FILE.search(command)
    if place:
        path = f"{folder}/answer{place[1] or ''}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(answer)
        command = _FILE.sub(lambda _: shlex.quote(path), command)
    else:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(answer.encode())
            file.seek(0)
            os.dup2(file.fileno(), 0)
    os.chdir(cwd)
    homes = {"TMPDIR": folder, "XDG_CACHE_HOME": folder}
    os.execve("/bin/sh", ["sh", "-c", command], {**os.environ, **homes})
