"""Make the code bed in `examples/` from the recorded set of real code answers.

    python benchmarks/code/prepare.py SOURCE_DIR [DEST]

SOURCE_DIR holds `prompts.parquet` and `samples.parquet` (reading them needs `outlay[parquet]`). Three files
come out: `code_prompts.jsonl` and `code.jsonl.gz`, which a run may see, and `code_labels.jsonl.gz`, which
only a study may. The same source gives the same bytes.
"""

import gzip
import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ARMS = {"Qwen2.5-Coder-0.5B-Instruct": "small", "Qwen2.5-Coder-1.5B-Instruct": "big"}
ASK = "Complete this Python function. Reply with the whole function in one python block and nothing else."

Row = Mapping[str, Any]


def arm_of(sample: Row) -> str:
    """The arm that a recorded answer belongs to: the greedy answer of a model is an arm of its own."""
    return ARMS[sample["model"]] + (":greedy" if sample["greedy"] else "")


def prompt_row(task: Row) -> dict[str, Any]:
    """What a run reads. Whether examples stand in the docstring is seen by anyone who reads the prompt."""
    check = json.loads(task["examples"]) != []
    return {
        "id": task["task_id"],
        "prompt": f"{ASK}\n\n```python\n{task['prompt']}```",
        "answer": "code",
        "metadata": {"check": check, "group": "example" if check else "no-example"},
    }


def answer_row(sample: Row) -> dict[str, Any]:
    """One recorded answer, without its grade."""
    mean = sample["sum_logprob"] / sample["output_tokens"]
    return {
        "prompt": sample["task_id"],
        "arm": arm_of(sample),
        "draw": max(int(sample["sample"]), 0),
        "text": sample["code"],
        "input": int(sample["prompt_tokens"]),
        "output": int(sample["output_tokens"]),
        "confidence": [round(mean, 5), sample["low_window_logprob"], sample["tail_logprob"]],
        "finish": sample["finish"],
        "verdicts": {"visible": sample["visible_check"]},
    }


def label_row(sample: Row) -> dict[str, Any]:
    """The grade of one recorded answer by the hidden tests."""
    return {
        "prompt": sample["task_id"],
        "arm": arm_of(sample),
        "draw": max(int(sample["sample"]), 0),
        "correct": bool(sample["correct"]),
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
    dest = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parents[2] / "examples"
    for name in ("prompts.parquet", "samples.parquet"):
        print(f"{name}  {hashlib.sha256((source / name).read_bytes()).hexdigest()}")
    tasks = parquet.read_table(source / "prompts.parquet").to_pylist()
    samples = parquet.read_table(source / "samples.parquet").to_pylist()
    order = {task["task_id"]: at for at, task in enumerate(tasks)}
    samples.sort(key=lambda s: (order[s["task_id"]], s["model"], not s["greedy"], s["sample"]))
    write(dest / "code_prompts.jsonl", map(prompt_row, tasks))
    write(dest / "code.jsonl.gz", map(answer_row, samples))
    write(dest / "code_labels.jsonl.gz", map(label_row, samples))


if __name__ == "__main__":
    main()
