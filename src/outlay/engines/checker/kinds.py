"""The kinds of check by their spec, and what one check may use."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, final

from outlay.errors import CheckError


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """What one check may use.

    Attributes:
        timeout_s: Wall-clock time.
        cpu_s: Processor time of a process, all its threads together.
        memory_mb: Address space of a process.
        file_mb: Size of a file; of all files together where the check has a folder of its own.
        files: Files and folders in its own folder.
        processes: Processes at once, of a check that runs the answer.
        output_kb: What it prints, of a check that runs the answer.
    """

    timeout_s: float = 5.0
    cpu_s: int = 10
    memory_mb: int = 4096
    file_mb: int = 64
    files: int = 1000
    processes: int = 64
    output_kb: int = 1024


class Spec(NamedTuple):
    """A check as the user wrote it, taken apart.

    Attributes:
        text: What was written.
        kind: A name of `KINDS`, or `function`.
        argument: What stands behind the kind's colon.
        name: What receipts call it.
        timeout_s: The time limit that was written in front, or None.
        rows: Where it applies, if that depends on the rows: what to say where it applies to none.
    """

    text: str
    kind: str
    argument: str
    name: str
    timeout_s: float | None = None
    rows: str = ""

    def limits(self, usual: Limits) -> Limits:
        """The usual limits; the time that was written gives processor time twice as long."""
        if self.timeout_s is None:
            return usual
        return replace(usual, timeout_s=self.timeout_s, cpu_s=max(usual.cpu_s, round(2 * self.timeout_s)))


def _schema(text: str, argument: str) -> Spec:
    if not Path(argument).is_file():
        raise CheckError(f"check {text!r}: there is no file {argument}; write schema:FILE.json")
    return Spec(text, "schema", argument, "schema")


def _regex(text: str, argument: str) -> Spec:
    try:
        re.compile(argument)
    except re.error as wrong:
        raise CheckError(f"check {text!r}: the pattern cannot be read: {wrong}; mend it") from None
    return Spec(text, "regex", argument, "regex")


def _tests(text: str, argument: str) -> Spec:
    if argument.endswith(".py"):
        if not Path(argument).is_file():
            raise CheckError(
                f"check {text!r}: there is no file {argument}; write tests:FILE.py, or tests:FIELD with "
                "the tests in that field of each row's metadata"
            )
        return Spec(text, "tests", argument, "tests")
    rows = f"no row has tests in its metadata field {argument!r}; name the field that holds them"
    return Spec(text, "tests", argument, "tests", rows=rows)


def _command(text: str, argument: str) -> Spec:
    return Spec(text, "command", argument, "command")


_MODULE: Final = re.compile(r"[^\W\d][\w-]*(\.[^\W\d][\w-]*)*")


def _function(text: str, argument: str) -> Spec:
    place, _, name = argument.rpartition(":")
    if not (place and name):
        raise CheckError(f"check {text!r} means nothing; write {', '.join(FORMS)}")
    file = place.endswith(".py") and (":" not in place or Path(place).is_file())
    if not (file or _MODULE.fullmatch(place)) or not name.isidentifier():
        raise CheckError(
            f"check {text!r} names no function, as path/to/file.py:function or module:function would; other checks "
            f"begin with {', '.join(f'{kind}:' for kind in KINDS)}, and a time limit before that is in seconds: "
            "300s:tests:FIELD"
        )
    return Spec(text, "function", argument, name)


KINDS: Final[dict[str, Callable[[str, str], Spec]]] = {
    "schema": _schema,
    "regex": _regex,
    "tests": _tests,
    "command": _command,
}
"""Everything else is the place of a function."""

FORMS: Final = (
    *("path/to/file.py:function", "module:function", "schema:FILE.json", "regex:PATTERN"),
    *("tests:FIELD", "tests:FILE.py", "command:COMMAND"),
)

LONGEST_S: Final = 86_400
"""Of a time limit: one day. What waits for a process takes no number of any size."""
_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)s:(.*)", re.DOTALL)


def spec_of(text: str) -> Spec:
    """Take a check apart.

    Raises:
        CheckError: It is none; lists the forms, or says what is missing.
    """
    timed = _TIME.fullmatch(text)
    rest = timed[2] if timed else text
    kind, _, argument = rest.partition(":")
    if kind in KINDS:
        if not argument.strip():
            raise CheckError(f"check {text!r} names nothing to check with; write {', '.join(FORMS)}")
        spec = KINDS[kind](text, argument)
    else:
        spec = _function(text, rest)
    if timed and float(timed[1]) <= 0:
        raise CheckError(f"check {text!r} has no time at all; write 30s: for thirty seconds")
    if timed and float(timed[1]) > LONGEST_S:
        raise CheckError(
            f"check {text!r} has a time limit above one day; write at most {LONGEST_S}s, or leave the limit out"
        )
    return spec._replace(text=text, timeout_s=float(timed[1]) if timed else None)
