"""What is run of a program: the examples in its prompt (`passes`), or HumanEval's hidden tests (`right`).

Both are loaded by the check's process, never imported by a run. `passes` is the visible check; `right` is gold, and
only grading calls it, after a run has ended. A program is the prompt's own code, for its imports and helpers, and then
the answer. Whatever a program raises, it has failed.
"""

import functools
import gzip
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from outlay.types import Prompt

HERE = Path(__file__).parent
FENCE = "```"

Names = dict[str, Any]


def applies(prompt: Prompt) -> bool:
    """Whether the prompt holds an example that can be run."""
    return bool(_visible()[prompt.id])


def passes(prompt: Prompt, answer: str) -> tuple[bool, str]:
    """Whether every example in the prompt comes out as it says there, and if not, what came out."""
    return _ran(prompt, answer, lambda names: _first_slip(_visible()[prompt.id], names))


def right(prompt: Prompt, answer: str) -> bool:
    """Whether HumanEval's hidden tests pass."""
    row = _hidden()[prompt.id]

    def as_tested(names: Names) -> str:
        exec(row["test"], names)
        random.seed(0)  # four of the tests draw their input
        names["check"](names[row["entry_point"]])
        return ""

    return _ran(prompt, answer, as_tested)[0]


def code_in(text: str) -> str:
    r"""The code in a prompt.

    >>> code_in("Complete this.\n\n```python\nimport math\n```")
    'import math\n'
    """
    return text.partition(f"{FENCE}python\n")[2].rpartition(FENCE)[0]


def _ran(prompt: Prompt, answer: str, look: Callable[[Names], str]) -> tuple[bool, str]:
    """Run a program and then `look`, which says what is wrong, or nothing."""
    names: Names = {"__name__": "program"}
    try:
        exec(code_in(prompt.text), names)
        exec(answer, names)
        slip = look(names)
    except BaseException as error:  # noqa: BLE001  a program may raise anything, SystemExit included
        slip = f"it raised {type(error).__name__}: {error}"
    return not slip, slip


def _first_slip(examples: list[list[str]], names: Names) -> str:
    for call, value in examples:
        try:
            got = eval(call, names)
        except BaseException as error:  # noqa: BLE001  as above
            return f"{call} raised {type(error).__name__}: {error}"
        if got != eval(value, names):
            return f"{call} returned {got!r}; it should return {value}"
    return ""


@functools.cache
def _visible() -> Mapping[str, list[list[str]]]:
    lines = (HERE / "visible.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row["examples"] for row in map(json.loads, lines)}


@functools.cache
def _hidden() -> Mapping[str, Mapping[str, str]]:
    with gzip.open(HERE / "hidden.jsonl.gz", "rt", encoding="utf-8") as file:
        return {row["id"]: row for row in map(json.loads, file)}
