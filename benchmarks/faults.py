"""The fault table: each fault of an endpoint, what the user sees, and what it cost.

    python benchmarks/faults.py [--only NAME,…] [--write docs/faults.md]

Each line is one `outlay run` in a process of its own: 12 prompts, `uniform:1`, 200 ktok, the patience that ships,
against `tests/servers/openai_server.py`, which misbehaves the first K times that it is asked, or always. The sound
run is the first line. `billed` is what the server's own log says of its 200s; what other faults cost, only the
endpoint's owner knows. The key is looked for in everything that was printed or written.
"""

import argparse
import contextlib
import json
import os
import re
import runpy
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[1]
SERVER = ROOT / "tests" / "servers" / "openai_server.py"
KEY = "sk-canary-4f1d0a7c22b94e55"
PROMPTS = 12


class Fault(NamedTuple):
    """What the endpoint does, in words, and the name of the model that does it."""

    what: str
    model: str


FAULTS = (
    Fault("none", "sound"),
    Fault("429 with Retry-After in seconds, 6 times", "limited:6"),
    Fault("429 with Retry-After as a date, 6 times", "limited-until:6"),
    Fault("429 without Retry-After, 6 times", "limited-silently:6"),
    Fault("429 that says to wait a day", "limited-long"),
    Fault("429, no credit left", "out-of-credit"),
    Fault("500 once", "broken:1"),
    Fault("500 always", "broken"),
    Fault("502 with HTML once", "bad-gateway:1"),
    Fault("503, 10 times", "overloaded:10"),
    Fault("503 always", "overloaded"),
    Fault("an error in a 200, once", "error-in-200:1"),
    Fault("connection closed without an answer, once", "closes:1"),
    Fault("reset in the middle of the body, once", "reset:1"),
    Fault("body cut short, once", "cut:1"),
    Fault("body stops midway, once", "stall-in-body:1"),
    Fault("body drips a byte at a time, once", "drip:1"),
    Fault("empty lines while it computes", "blank-while-it-computes"),
    Fault("malformed JSON once", "malformed:1"),
    Fault("malformed JSON always", "malformed"),
    Fault("no usage", "no-usage-no-logprobs"),
    Fault("usage is zero", "zero-usage"),
    Fault("usage of the wrong type", "usage-as-text"),
    Fault("usage is null", "usage-as-null"),
    Fault("a megabyte said to be 7 tokens", "far-too-few"),
    Fault("max_tokens ignored, three times as long", "cap-ignored"),
    Fault("reasoning_effort ignored, hidden thoughts billed", "effort-ignored"),
    Fault("all of max_tokens thought away, no text", "only-thoughts"),
    Fault("n ignored", "n-ignored"),
    Fault("usage counts one choice of n", "one-choice-counted"),
    Fault("cut at max_tokens", "truncated"),
    Fault("prompt filtered (400)", "filtered"),
    Fault("answer filtered midway", "filtered-midway"),
    Fault("refusal", "refusal"),
    Fault("prompt longer than the context", "overflow"),
    Fault("refuses the key and repeats it", "repeats-the-key"),
    Fault("repeats the key in a 400", "repeats-the-key-in-400"),
    Fault("no such model", "unknown-model"),
    Fault("redirect to another address", "elsewhere"),
    Fault("nobody listens", "nobody"),
)


class Row(NamedTuple):
    """What came of a run under one fault."""

    fault: Fault
    code: int
    outcomes: str
    seen: str
    spent: int
    estimated: bool
    billed: int
    requests: int
    seconds: float
    leaks: int


def outlay(folder: Path, url: str, fault: Fault) -> Row:
    """Run it and collect what the user sees."""
    folder.mkdir(parents=True)
    rows = ({"id": f"p{at}", "prompt": f"What is {at} plus {at}?", "answer": "text"} for at in range(PROMPTS))
    (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    copies = ["--policy", "uniform:4"] if fault.model in ("n-ignored", "one-choice-counted") else []
    options = ["--models", fault.model, "--budget", "200ktok", *(copies or ["--policy", "uniform:1"])]
    command = [
        str(Path(sys.executable).with_name("outlay")),
        "run",
        "tasks.jsonl",
        *options,
        "-o",
        "run",
        "--json",
    ]
    address = "http://127.0.0.1:9/v1" if fault.model == "nobody" else url
    env = {**os.environ, "OPENAI_BASE_URL": address, "OPENAI_API_KEY": KEY, "OMP_NUM_THREADS": "1"}
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    took = time.perf_counter() - began
    said = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    path = folder / "run" / "answers.jsonl"
    answers = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    outcomes: dict[str, int] = {}
    for answer in answers:
        outcomes[answer["outcome"]] = outcomes.get(answer["outcome"], 0) + 1
    counts = ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())) or "rows stay open"
    lines = [line for answer in answers for line in answer["receipt"]["purchases"]]
    spent, estimated = settled(folder / "run" / "journal.db")
    log = [json.loads(line) for line in (folder.parent / "log").read_text().splitlines()]
    own = [line for line in log if line["model"] == fault.model]
    usage = [line["usage"] or {} for line in own if line["event"] == "served"]
    billed = sum(count for one in usage for name in ("prompt_tokens", "completion_tokens")
                 if isinstance(count := one.get(name), int))  # fmt: skip
    leaks = sum(KEY in text for text in (done.stdout, done.stderr))
    leaks += sum(KEY.encode() in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return Row(
        fault,
        done.returncode,
        counts,
        sentence(done.stderr, lines, said, url),
        spent,
        estimated,
        billed,
        sum(line["event"] == "asked" for line in own),
        took,
        leaks,
    )


def settled(journal: Path) -> tuple[int, bool]:
    """Tokens of all that the journal says came back or was lost, and whether any were estimated."""
    if not journal.exists():
        return 0, False
    with contextlib.closing(sqlite3.connect(journal)) as db:
        rows = [json.loads(body) for (body,) in db.execute("SELECT body FROM lines WHERE kind = 'done'")]
    usage = [row.get("usage", {}) for row in rows]
    return (
        sum(one.get("input", 0) + one.get("output", 0) for one in usage),
        any(one.get("estimated") for one in usage),
    )


def sentence(stderr: str, lines: Sequence[dict[str, str]], said: dict[str, Any], url: str) -> str:
    """What tells the user: the last error, or a line of a receipt, or how the run ended."""
    errors = [line.removeprefix("outlay: ") for line in stderr.splitlines() if line.startswith("outlay: ")]
    failed = [line["error"] for line in lines if "error" in line]
    finishes = sorted({str(line["finish"]) for line in lines if line.get("finish") not in (None, "stop")})
    told = errors[-1:] or failed[:1] or ([f"answers end with {', '.join(finishes)}"] if finishes else [])
    if not told and said.get("end") == "overdrawn":
        told = [str(said.get("end_sentence", "overdrawn"))]
    told = told or list(said.get("troubles", ()))[:1]
    return re.sub(r"http://127\.0\.0\.1:\d+", "http://…", told[0].replace(url, "http://…/v1")) if told else ""


def short(words: str) -> str:
    """As much of a message as a table bears."""
    flat = words.replace("|", "\\|").replace("outlay: ", "")
    return flat if len(flat) <= 230 else f"{flat[:150]} … {flat[-75:]}"


def table(rows: Sequence[Row]) -> str:
    """As Markdown."""
    head = "| fault | exit | prompts | what the user sees | spent tok | billed tok | requests | s |\n"
    head += "|---|--:|---|---|--:|--:|--:|--:|\n"
    return head + "".join(
        f"| {row.fault.what} | {row.code} | {row.outcomes} | {short(row.seen)} | {'about ' if row.estimated else ''}"
        f"{row.spent:,} | {row.billed:,} | {row.requests} | {row.seconds:.1f} |\n"
        for row in rows
    )


def measure(faults: Sequence[Fault], at_once: int = 6) -> list[Row]:
    """All faults, several side by side."""
    serving = runpy.run_path(str(SERVER), run_name="openai_server")["serving"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with serving(folder / "log") as url, ThreadPoolExecutor(at_once) as threads:
            (folder / "log").touch()
            return list(threads.map(lambda fault: outlay(folder / fault.model, url, fault), faults))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", default="", help="names of the models, separated by commas")
    parser.add_argument("--write", type=Path, help="put the table into this file, after its marker")
    asked = parser.parse_args()
    names = set(asked.only.split(",")) if asked.only else set()
    rows = measure([fault for fault in FAULTS if not names or fault.model in names])
    made = table(rows)
    print(made)
    print(f"the key was found in {sum(row.leaks for row in rows)} files or outputs")
    if asked.write:
        page = asked.write.read_text()
        marker = "<!-- benchmarks/faults.py writes from here on -->\n"
        asked.write.write_text(page[: page.index(marker) + len(marker)] + "\n" + made)


if __name__ == "__main__":
    main()
