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


def passes(prompt: Prompt, answer: str) -> bool:
    """Whether every example in the prompt comes out as it says there."""

    def as_shown(names: Names) -> bool:
        return all(eval(call, names) == eval(value, names) for call, value in _visible()[prompt.id])

    return _holds(prompt, answer, as_shown)


def right(prompt: Prompt, answer: str) -> bool:
    """Whether HumanEval's hidden tests pass."""
    row = _hidden()[prompt.id]

    def as_tested(names: Names) -> bool:
        exec(row["test"], names)
        random.seed(0)  # four of the tests draw their input
        names["check"](names[row["entry_point"]])
        return True

    return _holds(prompt, answer, as_tested)


def code_in(text: str) -> str:
    r"""The code in a prompt.

    >>> code_in("Complete this.\n\n```python\nimport math\n```")
    'import math\n'
    """
    return text.partition(f"{FENCE}python\n")[2].rpartition(FENCE)[0]


def _holds(prompt: Prompt, answer: str, look: Callable[[Names], bool]) -> bool:
    names: Names = {"__name__": "program"}
    try:
        exec(code_in(prompt.text), names)
        exec(answer, names)
        return look(names)
    except BaseException:  # noqa: BLE001  a program may raise anything, SystemExit included
        return False


@functools.cache
def _visible() -> Mapping[str, list[list[str]]]:
    lines = (HERE / "visible.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["id"]: row["examples"] for row in map(json.loads, lines)}


@functools.cache
def _hidden() -> Mapping[str, Mapping[str, str]]:
    with gzip.open(HERE / "hidden.jsonl.gz", "rt", encoding="utf-8") as file:
        return {row["id"]: row for row in map(json.loads, file)}
