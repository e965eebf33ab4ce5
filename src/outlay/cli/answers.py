"""Rows of `answers.jsonl`, by id."""

import difflib
import json
from pathlib import Path
from typing import Any

from outlay.errors import UsageError

FILE = "answers.jsonl"


def newest(folder: Path) -> Path:
    """The run of a folder that was written last.

    Raises:
        UsageError: There is none.
    """
    runs = [path.parent for path in folder.glob(f"*.outlay/{FILE}")]
    if not runs:
        raise UsageError(f"no run here: name its directory with -o, or run one; it holds {FILE}")
    return max(runs, key=lambda run: (run / FILE).stat().st_mtime)


def find(directory: Path, id_: str) -> dict[str, Any]:
    """The row of one prompt; of a run that is going on the last one, since a larger budget may bring another.

    Raises:
        UsageError: The run or the row is not there.
    """
    near: list[str] = []
    found: dict[str, Any] = {}
    try:
        with (directory / FILE).open(encoding="utf-8") as file:
            for line in file:
                row = _row(line)
                found = row if row.get("id") == id_ else found
                if len(near) < 50_000:  # enough to find what was meant
                    near.append(str(row.get("id")))
    except OSError:
        raise UsageError(f"{directory} holds no {FILE}; name the directory of a run with -o") from None
    if found:
        return found
    meant = difflib.get_close_matches(id_, near, n=3) or near[:3]
    hint = f"; ids there: {', '.join(meant)}" if meant else "; it holds no answers yet"
    raise UsageError(f"{directory} has no answer to {id_!r}{hint}")


def _row(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError:  # a run that is going on is writing it
        return {}
    return row if isinstance(row, dict) else {}
