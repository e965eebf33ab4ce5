"""Whole runs against an endpoint that misbehaves: what the user sees, what it cost, and that nothing hangs or leaks.

The patience is shorter than the one that ships; `benchmarks/faults.py` makes the table with that one.
"""

import asyncio
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from outlay.driver import Job, Summary, run_job
from outlay.engines.http import Http, Patience
from outlay.errors import UpstreamError
from outlay.types import Answer, Arm, Budget, Message, Prompt

ROOT = Path(__file__).parents[2]
KEY = "sk-canary-4f1d0a7c22b94e55"
QUICK = Patience(backoff_s=0.01, timeout_s=10, silent_s=0.8, trickle_s=1.2, outage_s=0.5)
PROMPTS = tuple(Prompt(f"p{at}", (Message("user", f"What is {at} plus {at}?"),)) for at in range(12))


class Endpoint(NamedTuple):
    """Where it is, and the log of what it was asked and what it served."""

    url: str
    log: Path

    def events(self, model: str, event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self.log.read_text().splitlines())
        return [line for line in lines if line["model"] == model and line["event"] == event]

    def billed(self, model: str) -> int:
        """Tokens that its 200s claimed."""
        claimed = [line["usage"] or {} for line in self.events(model, "served")]
        return sum(one.get("prompt_tokens", 0) + one.get("completion_tokens", 0) for one in claimed)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    log = tmp_path_factory.mktemp("endpoint") / "log"
    log.touch()
    serving: Callable[..., Any] = runpy.run_path(
        str(ROOT / "tests" / "servers" / "openai_server.py"), run_name="openai_server"
    )["serving"]
    with serving(log) as url:
        yield Endpoint(url, log)


def run(
    endpoint: Endpoint, model: str, directory: Path, *, policy: str = "uniform:1", **knobs: Any
) -> tuple[Summary, Mapping[str, Answer]]:
    engine = Http(endpoint.url, KEY, patience=knobs.pop("patience", QUICK), **knobs)
    arm = Arm("small", "http", model=model, max_tokens=64)
    job = Job(
        PROMPTS, (arm,), {"http": engine}, policy=policy, budget=Budget(tok=100_000), directory=directory
    )
    summary, answers = asyncio.run(run_job(job))
    return summary, {answer.id: answer for answer in answers}


def errors(answers: Mapping[str, Answer]) -> list[str]:
    return [line["error"] for one in answers.values() for line in one.receipt["purchases"] if "error" in line]


@pytest.fixture(autouse=True)
def no_key(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> Iterator[None]:
    """The key stands in nothing that a test wrote, printed or logged."""
    with caplog.at_level("DEBUG"):
        yield
    out, err = capfd.readouterr()
    assert KEY not in "".join((out, err, caplog.text))
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path


PASSING = [
    "limited:6", "limited-silently:6", "broken:1", "bad-gateway:1", "overloaded:6", "error-in-200:1", "closes:1",
    "reset:1", "cut:1", "stall-in-body:1", "drip:1", "blank-while-it-computes:2",
]  # fmt: skip


@pytest.mark.parametrize("model", PASSING)
def test_a_fault_that_passes_loses_no_row_and_all_that_was_billed_is_charged(
    endpoint: Endpoint, tmp_path: Path, model: str
):
    summary, answers = run(endpoint, model, tmp_path)
    assert summary.outcomes == {"answered": 12}
    assert summary.spent.tok >= endpoint.billed(model) > 0
    again = len(endpoint.events(model, "asked")) - 12
    lines = [line for one in answers.values() for line in one.receipt["purchases"]]
    assert sum(line.get("repeated", {"times": 0})["times"] for line in lines) == again
    times = "once" if again == 1 else f"{again} times, first"
    if again:
        assert summary.troubles[0].startswith(f"small was asked again {times}: http://")


@pytest.mark.parametrize(
    "model", ["no-usage-no-logprobs", "zero-usage", "usage-as-text", "usage-as-fraction", "usage-as-null"]
)
def test_missing_or_wrong_usage_costs_no_answer_and_is_never_free(
    endpoint: Endpoint, tmp_path: Path, model: str
):
    summary, answers = run(endpoint, model, tmp_path)
    assert summary.outcomes == {"answered": 12}
    assert all(one.cost.outtok >= len(one.text.split()) for one in answers.values())


@pytest.mark.parametrize(
    ("model", "least"), [("cap-ignored", 192), ("effort-ignored", 256), ("far-too-few", 100_000)]
)
def test_a_cap_that_is_ignored_is_booked_in_full_and_ends_the_buying(
    endpoint: Endpoint, tmp_path: Path, model: str, least: int
):
    summary, answers = run(endpoint, model, tmp_path)
    assert summary.end == "overdrawn"
    assert "small used more than the most" in summary.end_sentence
    assert summary.overdraft.outtok > 0
    assert max(one.cost.outtok for one in answers.values()) >= least


@pytest.mark.parametrize(("model", "requests"), [("n-ignored", 48), ("one-choice-counted", 12)])
def test_copies_that_do_not_come_are_asked_for_and_copies_that_are_not_counted_are_charged(
    endpoint: Endpoint, tmp_path: Path, model: str, requests: int
):
    summary, _ = run(endpoint, model, tmp_path, policy="uniform:4", concurrency=1)
    assert summary.outcomes == {"answered": 12}
    assert [line.copies for line in summary.lines] == [48]
    assert summary.spent.tok >= endpoint.billed(model)
    assert len(endpoint.events(model, "asked")) == requests


@pytest.mark.parametrize(
    ("model", "outcome", "word"),
    [
        ("overflow", "failed", "exceed_context_size_error"),
        ("repeats-the-key-in-400", "failed", "Bearer ***"),
        ("filtered", "no_answer_found", ""),
        ("only-thoughts", "no_answer_found", ""),
        ("truncated", "answered", ""),
        ("filtered-midway", "answered", ""),
        ("refusal", "answered", ""),
    ],
)
def test_what_is_wrong_with_a_prompt_or_its_answer_is_an_outcome(
    endpoint: Endpoint, tmp_path: Path, model: str, outcome: str, word: str
):
    summary, answers = run(endpoint, model, tmp_path)
    assert summary.outcomes == {outcome: 12}
    assert bool(errors(answers)) == bool(word)
    assert all(word in error and endpoint.url in error for error in errors(answers))


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        ("overloaded", "endpoint unavailable: nothing has come through"),
        ("broken", "500"),
        ("limited-silently", "429"),
        ("malformed", "no chat completion"),
        ("repeats-the-key", "set OPENAI_API_KEY"),
        ("out-of-credit", "pay its bill"),
        ("unknown-model", "name of the model"),
        ("elsewhere", "final address"),
    ],
)
def test_an_outage_ends_the_run_keeps_the_rows_open_and_the_same_run_goes_on_when_it_is_over(
    endpoint: Endpoint, tmp_path: Path, fault: str, word: str
):
    model = f"sound-after-{fault}"
    extra = {"fault": fault}
    with pytest.raises(UpstreamError, match=word):
        run(endpoint, model, tmp_path, extra=extra, patience=replace(QUICK, backoff_s=0.004))
    assert b"answered" not in (tmp_path / "answers.jsonl").read_bytes()
    summary, _ = run(endpoint, model, tmp_path, extra={"fault": "sound"})
    assert summary.outcomes == {"answered": 12}
    assert summary.spent.tok >= endpoint.billed(model)
    served = endpoint.events(model, "served")
    assert len({line["prompt"] for line in served}) == len(served) == 12
    lost = summary.spent.tok - endpoint.billed(model)
    assert (lost > 0) == (fault in ("broken", "malformed"))


@pytest.mark.parametrize(
    ("model", "code", "word"),
    [
        ("repeats-the-key", 5, "set OPENAI_API_KEY to a valid key"),
        ("overflow", 4, "exceed_context_size_error"),
        ("reset:1", 0, "12 answered"),
    ],
)
def test_the_command_line_says_it_with_its_exit_code(
    endpoint: Endpoint, tmp_path: Path, model: str, code: int, word: str
):
    rows = [{"id": one.id, "prompt": one.text, "answer": "text"} for one in PROMPTS]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = ["--models", f"cli-{model}", "--budget", "100ktok", "--policy", "uniform:1"]
    program = f"import sys; from outlay.cli import main; sys.exit(main({['run', 'tasks.jsonl', *options]!r}))"
    env = {**os.environ, "OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": KEY}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == code, done.stderr
    assert word in " ".join((done.stdout + done.stderr).split())
    assert "Traceback" not in done.stderr
    assert KEY not in done.stdout + done.stderr


def test_mutated_replies_are_results_or_clear_errors_and_no_text_is_free():
    mutate = runpy.run_path(str(ROOT / "benchmarks" / "mutate_replies.py"), run_name="mutate_replies")
    ends, harm = asyncio.run(mutate["attack"](300, 7))
    assert harm == []
    assert ends.total() == 300
