"""Gold answers, read from the input file apart from the prompts: nothing but a study ever sees them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from outlay.errors import InputError
from outlay.inputs import objects, row_id

Gold = tuple[str, ...]
"""The answers that are right, each as good as the others."""


def read_gold(
    path: Path | str, *, limit: int | None = None, refused: Collection[int] = ()
) -> Mapping[str, Gold]:
    """The gold answers of a file by the id of their row; rows without one are left out.

    Args:
        path: The input file; the standard input cannot be read twice.
        limit: As in `inputs.read`.
        refused: Lines that `inputs.read` could not use: they hold no id.

    Raises:
        InputError: A `gold` is no text, number or list of these: grading by the rest would flatter or blame.
        UsageError: The file cannot be read.
    """
    gold: dict[str, Gold] = {}
    for line, row in objects(path, limit=limit):
        if isinstance(row, InputError) or line in refused or row.get("gold") is None:
            continue
        gold[row_id(line, row)] = _accepted(line, row["gold"])
    return gold


def _accepted(line: int, value: Any) -> Gold:
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str | int | float) for one in values):
        problem = "it is neither a text nor a number nor a list of these"
        raise InputError(line, "gold", problem, "write the right answer, or a list of right ones")
    return tuple(_text(one) for one in values)


def _text(value: str | float) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
