"""What a budget must survive beside a server: the recovery scenarios of the Cycles protocol's clients, as cases here.

There a client settles with a remote ledger; here the ledger is the journal beside the run, and what is remote is the
endpoint that was paid. A case says what goes wrong in the first sitting; the same command is then given again. Source:
the client recovery profile of the Cycles protocol (Apache-2.0), CR-CORE-001 to CR-BOUNDARY-001.
"""

import asyncio
import json
import os
import random
import runpy
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from outlay.driver import Job, Summary, run_job
from outlay.engines.http import Http, Patience
from outlay.errors import ResumeError, UpstreamError
from outlay.journal import Journal, decode
from outlay.market.identity import seed_of
from outlay.types import Answer, Arm, Budget, Call, Delivery, Message, Price, Prompt, Usage

SERVER = runpy.run_path(
    str(Path(__file__).parents[1] / "servers" / "openai_server.py"), run_name="openai_server"
)
PROMPTS = tuple(Prompt(f"p{i}", (Message("user", f"question {i}"),), "last_line") for i in range(6))
KEY = "sk-canary-4711"


class Endpoint(NamedTuple):
    """A server process and the log that it keeps."""

    url: str
    log: Path

    def asked(self) -> list[dict[str, Any]]:
        events = map(json.loads, self.log.read_text().splitlines()) if self.log.exists() else ()
        return [event for event in events if event["event"] == "asked"]


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[Endpoint]:
    log = tmp_path / "server.log"
    with SERVER["serving"](log) as url:
        yield Endpoint(url, log)


class Dying:
    """An http engine; the process around it dies at a call, before it is sent or after it was served."""

    def __init__(self, inside: Http, at: int, *, served: bool) -> None:
        self.lockstep, self.chunk = inside.lockstep, inside.chunk
        self.worst, self.expected, self.close = inside.worst, inside.expected, inside.close
        self._inside, self._at, self._served, self._count = inside, at, served, 0

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        self._count += 1
        if self._count < self._at:
            return await self._inside.complete(calls)
        if self._served:
            await self._inside.complete(calls)
        raise Killed


class Killed(BaseException):
    """Stands for kill -9: nothing of ours runs after it."""


def job(endpoint: Endpoint, directory: Path, model: str = "sound", key: str = KEY, **other: Any) -> Job:
    arm = Arm(model, "http", model, max_tokens=20, price=Price(1_000_000_000, 4_000_000_000))
    patience = Patience(broken=0, lost=0, backoff_s=0.01)
    engine = Http(endpoint.url, key, concurrency=1, patience=patience)
    return Job(PROMPTS, (arm,), {"http": engine}, policy="uniform:2", budget=Budget(tok=4000, usd=10**9),
               directory=directory, **other)  # fmt: skip


def run(job: Job) -> tuple[Summary, tuple[Answer, ...]]:
    return asyncio.run(run_job(job))


def done(directory: Path) -> dict[str, Delivery]:
    journal = Journal(directory / "journal.db")
    try:
        rows = [(line.key, decode(line.body)) for line in journal.read("done")]
    finally:
        journal.close()
    assert len({key for key, _ in rows}) == len(rows), "settled at most once"
    return {key: Delivery((), Usage(**row["usage"]), row["ms"], row["error"]) for key, row in rows}


def dies(at: int, *, served: bool) -> Callable[[Endpoint, Path], Job]:
    def first(endpoint: Endpoint, directory: Path) -> Job:
        plain = job(endpoint, directory)
        dying = Dying(plain.engines["http"], at, served=served)  # type: ignore[arg-type]
        with pytest.raises(Killed):
            run(replace(plain, engines={"http": dying}))  # type: ignore[dict-item]
        return job(endpoint, directory)

    return first


def sick(model: str) -> Callable[[Endpoint, Path], Job]:
    def first(endpoint: Endpoint, directory: Path) -> Job:
        run(job(endpoint, directory, model))
        return job(endpoint, directory, model)

    return first


def other_key(endpoint: Endpoint, directory: Path) -> Job:
    dies(4, served=True)(endpoint, directory)
    return job(endpoint, directory, key="sk-another")


def twice_at_once(endpoint: Endpoint, directory: Path) -> Job:
    """Another process has the journal while this one tries."""
    dies(4, served=True)(endpoint, directory)
    first = Journal(directory / "journal.db")
    first.claim()
    before = len(endpoint.asked())
    with pytest.raises(ResumeError, match="at work"):
        run(job(endpoint, directory))
    first.close()
    assert len(endpoint.asked()) == before
    return job(endpoint, directory)


class Case(NamedTuple):
    """What goes wrong, by the number of the scenario there; whether something is charged without an answer."""

    scenario: str
    name: str
    first: Callable[[Endpoint, Path], Job]
    charged: bool


CASES = (
    Case("CORE-001", "the commit of an answer that was served is lost", dies(3, served=True), True),
    Case(
        "CORE-002",
        "what a call held is never given to another while it may be billed",
        dies(1, served=True),
        True,
    ),
    Case("CORE-003", "a request is lost on its way while others go on", sick("reset:1"), True),
    Case("CORE-004", "a success that is none: a 200 that cannot be read", sick("malformed:1"), True),
    Case("DURABLE-001", "settled and written down, then killed", dies(6, served=False), True),
    Case("DURABLE-003", "turned away with Retry-After", sick("limited:1"), False),
    Case("DURABLE-004", "the key of the endpoint is another one now", other_key, True),
    Case("DURABLE-006", "two processes go on with one run", twice_at_once, True),
    Case("BOUNDARY-001", "killed before it is known whether the call was sent", dies(2, served=False), True),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.scenario}: {case.name}")
def test_a_run_beside_a_server_recovers(case: Case, endpoint: Endpoint, tmp_path: Path):
    directory = tmp_path / "run"
    again = case.first(endpoint, directory)
    kept = {key for key, delivery in done(directory).items() if not delivery.error}
    before = len(endpoint.asked())
    summary, answers = run(again)
    assert {answer.id for answer in answers if answer.outcome == "answered"} == {
        prompt.id for prompt in PROMPTS
    }
    later = {request["seed"] for request in endpoint.asked()[before:]}
    assert not later & {seed_of(key, 0) % 2**31 for key in kept}, (
        "nothing that was written down is asked again"
    )
    settled = done(directory)
    paid = sum(delivery.usage.input + delivery.usage.output for delivery in settled.values())
    assert summary.spent.tok == paid == sum(answer.cost.tok for answer in answers) <= 4000
    nothing_for_it = [d for d in settled.values() if d.error and d.usage.input + d.usage.output]
    assert bool(nothing_for_it) == case.charged
    for file in directory.iterdir():
        assert KEY.encode() not in file.read_bytes()


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("done", b'{"completions": [', "is damaged"),
        ("done", b"\xff\xfe", "is damaged"),
        ("step", b'{"ops": 3', "is damaged"),
        ("done", None, "comes back twice"),
    ],
)
def test_a_damaged_or_doubled_line_is_named_and_settles_nothing(
    endpoint: Endpoint, tmp_path: Path, kind: str, body: bytes | None, said: str
):
    """DURABLE-005 there sets the record aside and goes on; here everything after a line rests on it."""
    directory = tmp_path / "run"
    run(job(endpoint, directory))
    with sqlite3.connect(directory / "journal.db") as db:
        last = "(SELECT max(seq) FROM lines WHERE kind = ?)"
        if body is None:
            db.execute(
                f"INSERT INTO lines (kind, key, body) SELECT kind, key, body FROM lines WHERE seq = {last}",
                (kind,),
            )
        else:
            db.execute(f"UPDATE lines SET body = ? WHERE seq = {last}", (body, kind))
    db.close()
    before = len(endpoint.asked())
    with pytest.raises(ResumeError, match=said) as told:
        run(job(endpoint, directory))
    assert "-o" in str(told.value)
    assert len(endpoint.asked()) == before


def test_an_endpoint_that_goes_away_leaves_rows_open_and_the_same_command_goes_on(tmp_path: Path):
    directory = tmp_path / "run"
    with SERVER["serving"](tmp_path / "first.log") as url:
        first = Endpoint(url, tmp_path / "first.log")
        dies(5, served=True)(first, directory)
    with pytest.raises(UpstreamError):
        run(job(first, directory))  # its server is gone
    kept = done(directory)
    rows = [json.loads(line) for line in (directory / "answers.jsonl").read_text().splitlines()]
    assert {row["outcome"] for row in rows} <= {"answered", "provisional"}, "no row has failed for good"
    with SERVER["serving"](tmp_path / "second.log") as url:
        summary, answers = run(job(Endpoint(url, tmp_path / "second.log"), directory))
    assert {answer.outcome for answer in answers} == {"answered"}
    assert summary.spent.tok == sum(answer.cost.tok for answer in answers)
    assert kept.items() <= done(directory).items()


def test_what_was_sent_to_be_compared_with_is_not_forgotten_either(endpoint: Endpoint, tmp_path: Path):
    """Killed with nothing but held-out calls under way: they may have been billed, so no other run takes the place."""
    held_out = replace(job(endpoint, tmp_path / "run"), holdout=1.0)
    dying = Dying(held_out.engines["http"], 1, served=True)  # type: ignore[arg-type]
    with pytest.raises(Killed):
        run(replace(held_out, engines={"http": dying}))  # type: ignore[dict-item]
    with pytest.raises(ResumeError, match="belongs to another run"):
        run(replace(job(endpoint, tmp_path / "run"), holdout=0.5))
    summary, answers = run(replace(job(endpoint, tmp_path / "run"), holdout=1.0))
    assert {answer.outcome for answer in answers} == {"answered"}
    assert any(
        "was stopped" in line.get("error", "") for answer in answers for line in answer.receipt["purchases"]
    )
    assert summary.spent.tok == sum(answer.cost.tok for answer in answers)


def test_rows_that_failed_are_asked_again_by_the_same_command(endpoint: Endpoint, tmp_path: Path):
    directory = tmp_path / "run"
    summary, _ = run(job(endpoint, directory, "broken:3"))
    assert summary.outcomes["failed"] == 3
    summary, answers = run(job(endpoint, directory, "broken:3"))
    assert summary.outcomes == {"answered": 6}
    assert summary.spent.tok == sum(answer.cost.tok for answer in answers)
    once_failed = [a for a in answers if any("error" in line for line in a.receipt["purchases"])]
    assert len(once_failed) == 3, "the receipt still tells what failed"
    rows = [json.loads(line) for line in (directory / "answers.jsonl").read_text().splitlines()]
    assert sorted(row["id"] for row in rows) == sorted(prompt.id for prompt in PROMPTS)
    again, same = run(job(endpoint, directory, "broken:3"))
    assert (again.outcomes, again.spent) == (summary.outcomes, summary.spent)
    assert {a.id: a.receipt for a in same} == {a.id: a.receipt for a in answers}


def command(endpoint: Endpoint, file: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("outlay")), "run", str(file), "--models", "slow", "--budget", "400ktok",
         "--policy", "uniform:3", "--quiet"],
        env={**os.environ, "OPENAI_BASE_URL": endpoint.url, "OPENAI_API_KEY": KEY},
    )  # fmt: skip


def test_a_command_killed_at_random_asks_the_server_for_nothing_that_it_has(
    endpoint: Endpoint, tmp_path: Path
):
    """Real processes; the server's own log says what was asked."""
    file, directory = tmp_path / "tasks.jsonl", tmp_path / "tasks.outlay"
    rows = [json.dumps({"id": f"p{i}", "prompt": f"question {i}", "answer": "last_line"}) for i in range(60)]
    file.write_text("\n".join(rows))
    dice, landed = random.Random(0), 0
    while landed < 3:
        before, more = len(endpoint.asked()), dice.randint(8, 40)
        with command(endpoint, file) as process:
            while len(endpoint.asked()) < before + more and process.poll() is None:
                time.sleep(0.01)
            process.kill()
        assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed"
        landed += 1
    with command(endpoint, file) as process:
        assert process.wait(60) == 0
    seeds = [request["seed"] for request in endpoint.asked()]
    assert len(seeds) == len(set(seeds)), "no request was sent twice"
    settled = done(directory)
    killed = [delivery for delivery in settled.values() if "was stopped" in delivery.error]
    assert killed
    prompts = [request["prompt"] for request in endpoint.asked()]
    assert max(prompts.count(prompt) for prompt in prompts) <= 3 + landed, "once more for each kill, at most"
    answers = [json.loads(line) for line in (directory / "answers.jsonl").read_text().splitlines()]
    assert {row["id"] for row in answers} == {f"p{i}" for i in range(60)}
    assert {row["outcome"] for row in answers} == {"answered"}
    paid = sum(delivery.usage.input + delivery.usage.output for delivery in settled.values())
    assert sum(row["cost"]["tok"] for row in answers) == paid <= 400_000
