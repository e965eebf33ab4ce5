"""`outlay record` against a server process: killed and begun again, in dollars, with servers that count differently."""

import json
import os
import runpy
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from outlay.market.identity import seed_of
from outlay.study.recording import load

SERVER = runpy.run_path(
    str(Path(__file__).parents[1] / "servers" / "openai_server.py"), run_name="openai_server"
)
PROGRAM = Path(sys.executable).parent / "outlay"
PROMPTS = [f"question number {k}" for k in range(4)]
COMMAND = ("record", "tasks.jsonl", "--draws", "3", "-o", "mine.jsonl.gz", "--seed", "7")


class Endpoint(NamedTuple):
    """A server process and the log that it keeps."""

    url: str
    log: Path

    def events(self, kind: str) -> list[dict[str, Any]]:
        rows = map(json.loads, self.log.read_text().splitlines()) if self.log.exists() else ()
        return [row for row in rows if row["event"] == kind]


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    rows = [{"id": f"p{k}", "prompt": prompt, "answer": "last_line"} for k, prompt in enumerate(PROMPTS)]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "look.py").write_text("def short(text):\n    return len(text) < 30\n")
    log = tmp_path / "server.log"
    with SERVER["serving"](log) as url:
        yield Endpoint(url, log)


def environment(endpoint: Endpoint) -> dict[str, str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "OUTLAY_"))}
    return bare | {"OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": "sk-canary-4711"}


def outlay(endpoint: Endpoint, folder: Path, *options: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PROGRAM, *COMMAND, *options],
        cwd=folder,
        env=environment(endpoint),
        capture_output=True,
        text=True,
        timeout=120,
    )


def journaled(folder: Path) -> set[str]:
    path = folder / "mine.outlay" / "journal.db"
    if not path.exists():
        return set()
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
        try:
            return {key for (key,) in db.execute("SELECT key FROM lines WHERE kind = 'done'")}
        except sqlite3.OperationalError:  # it is just being made
            return set()


def test_killed_and_begun_again_it_asks_for_nothing_that_came_back(endpoint: Endpoint, tmp_path: Path):
    options = ("--models", "slow@1/4,cli-slow@2/8", "--budget", "1usd", "--check", "look.py:short")
    running = subprocess.Popen(
        [PROGRAM, *COMMAND, *options, "--quiet"], cwd=tmp_path, env=environment(endpoint)
    )
    while len(journaled(tmp_path)) < 8:
        assert running.poll() is None, "killed midway, not after the end"
        time.sleep(0.01)
    running.send_signal(signal.SIGKILL)
    running.wait()
    back = journaled(tmp_path)
    asked_before = Counter(event["seed"] for event in endpoint.events("asked"))
    done = outlay(endpoint, tmp_path, *options, "--json")
    assert done.returncode == 0, done.stderr
    asked = Counter(event["seed"] for event in endpoint.events("asked"))
    for key in back:
        assert asked[seed_of(key, 7)] <= 1, f"{key} was asked for again"
    again = sum(count - 1 for count in asked.values() if count > 1)
    assert again <= len(asked_before) - len([key for key in back if "sample" in key])

    made = load(tmp_path / "mine.jsonl.gz")
    assert Counter((row.prompt, row.arm) for row in made.rows) == {
        (f"p{k}", arm): draws
        for k in range(len(PROMPTS))
        for arm, draws in {"slow": 3, "slow:greedy": 1, "cli-slow": 3, "cli-slow:greedy": 1}.items()
    }
    assert made.complete
    assert made.dollars
    assert {arm.name.removesuffix(":greedy") for arm in made.arms[:2]} == {"slow"}, "cheap to dear"
    for row in made.rows:
        price = 1 if row.arm.startswith("slow") else 2
        assert row.usd == pytest.approx((row.input * price + row.output * 4 * price) / 1e6, abs=1e-9)
        assert row.input == 7
        assert row.output == len(row.text.split())
        assert row.verdicts == {"short": len(row.text) < 30}
        assert row.confidence is not None
    assert "sk-canary-4711" not in done.stdout + done.stderr
    for path in tmp_path.glob("mine*.jsonl*"):
        assert b"sk-canary-4711" not in path.read_bytes()


@pytest.mark.parametrize("model", ["sound", "n_ignored"])
def test_a_draw_costs_what_it_would_alone_however_a_server_counts_copies(
    endpoint: Endpoint, tmp_path: Path, model: str
):
    done = outlay(endpoint, tmp_path, "--models", model, "--budget", "9ktok", "--json")
    assert done.returncode == 0, done.stderr
    rows = load(tmp_path / "mine.jsonl.gz").rows
    assert len(rows) == (3 + 1) * len(PROMPTS)
    assert {row.input for row in rows} == {7}
    assert all(row.output == len(row.text.split()) for row in rows)


def test_interrupted_it_says_so_and_the_same_command_goes_on(endpoint: Endpoint, tmp_path: Path):
    options = ("--models", "slow", "--budget", "9ktok")
    running = subprocess.Popen(
        [PROGRAM, *COMMAND, *options, "--quiet"],
        cwd=tmp_path,
        env=environment(endpoint),
        stderr=subprocess.PIPE,
    )
    while len(journaled(tmp_path)) < 2:
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    done = outlay(endpoint, tmp_path, *options, "--json")
    assert done.returncode == 0, done.stderr
    assert len(load(tmp_path / "mine.jsonl.gz").prompts) == len(PROMPTS)
