"""Make `visible.jsonl` and `hidden.jsonl.gz` from the recorded set of real code answers.

    python benchmarks/live/prepare.py SOURCE_DIR [DEST]

SOURCE_DIR holds `prompts.parquet` (reading it needs `outlay[parquet]`). The first file holds the examples that stand
in the prompts, which a check may run; the second HumanEval's hidden tests and reference solutions, which only grading
reads. The same source gives the same bytes.
"""

import gzip
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def visible_row(task: Mapping[str, Any]) -> dict[str, Any]:
    """The examples of a prompt as pairs of an expression and its value; none where there is no check."""
    return {"id": task["task_id"], "examples": json.loads(task["examples"])}


def hidden_row(task: Mapping[str, Any]) -> dict[str, Any]:
    """What says whether a program is right."""
    return {
        "id": task["task_id"],
        "entry_point": task["entry_point"],
        "test": task["test"],
        "reference": task["reference"],
    }


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write rows as JSON lines, compressed without a time stamp where the name ends in `.gz`."""
    text = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    raw = text.encode()
    path.write_bytes(gzip.compress(raw, compresslevel=9, mtime=0) if path.suffix == ".gz" else raw)
    print(f"{path.name}  {path.stat().st_size} bytes  {hashlib.sha256(path.read_bytes()).hexdigest()}")


def main() -> None:
    import pyarrow.parquet as parquet

    source = Path(sys.argv[1])
    dest = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parent
    tasks = parquet.read_table(source / "prompts.parquet").to_pylist()
    write(dest / "visible.jsonl", map(visible_row, tasks))
    write(dest / "hidden.jsonl.gz", map(hidden_row, tasks))


if __name__ == "__main__":
    main()
