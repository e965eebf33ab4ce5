"""A run that was stopped, killed or cut anywhere ends as the uninterrupted one would, but for seconds."""

import asyncio
import itertools
import os
import random
import runpy
import signal
import sqlite3
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from outlay.beliefs import Prior
from outlay.driver import Job, Summary, answer_row, run_job
from outlay.engines.simulated import Simulated
from outlay.errors import ResumeError
from outlay.journal import Journal, JournalLine, decode, encode
from outlay.market import Market, Setting
from outlay.policies import policy
from outlay.pricing import Clearing
from outlay.strategies import STRATEGIES
from outlay.types import NOTHING, Answer, Call, Cost, Delivery

PROGRAM = Path(__file__).with_name("resumable.py")
BEDS: dict[str, Any] = runpy.run_path(str(PROGRAM), run_name="resumable")
job: Callable[..., Job] = BEDS["job"]
run: Callable[..., tuple[Summary, tuple[Answer, ...]]] = BEDS["run"]


class End(NamedTuple):
    """All of a run that must not depend on interruptions."""

    answers: Mapping[str, Any]
    spent: Cost
    end: str
    gave_up: int
    lines: Any


def without_seconds(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_seconds(each) for key, each in value.items() if key != "s"}
    return [without_seconds(each) for each in value] if isinstance(value, list | tuple) else value


def ended(done: tuple[Summary, Sequence[Answer]]) -> End:
    summary, answers = done
    rows = {answer.id: without_seconds(answer_row(answer)) for answer in answers}
    assert len(rows) == len(answers) == summary.prompts
    lines = tuple((line.kind, line.arm, line.purchases, line.copies, line.cost) for line in summary.lines)
    return End(rows, summary.spent, summary.end, summary.gave_up, lines)


def journaled(directory: Path) -> list[JournalLine]:
    journal = Journal(directory / "journal.db")
    try:
        return list(journal.read())
    finally:
        journal.close()


def exported(directory: Path) -> dict[str, Any]:
    lines = (directory / "answers.jsonl").read_bytes().splitlines()
    rows = {row["id"]: without_seconds(row) for row in map(decode, lines)}
    assert len(rows) == len(lines), "an answer was written twice"
    return rows


def cut(source: Path, target: Path, count: int, then: Mapping[str, str] = NOTHING) -> None:
    """A run directory as a kill would have left it after the first `count` lines; `then` is what its identity was."""
    target.mkdir()
    with sqlite3.connect(source / "journal.db") as db:
        meta = dict(db.execute("SELECT key, value FROM meta"))
    db.close()
    journal = Journal(target / "journal.db")
    journal.identify({**meta, **then})
    journal.append(journaled(source)[:count])
    journal.close()


def commits(lines: Sequence[JournalLine]) -> list[int]:
    """Where a kill can cut: what was learned, its step and the answers of that step are one commit."""
    pairs = itertools.pairwise(lines)
    return [at for at, (a, b) in enumerate(pairs, 1) if b.kind != "answer" and a.kind != "learn"]


@pytest.mark.parametrize("name", ["checks", "held_out", "mixed", "one_by_one", "poor", "twins", "two_units"])
def test_a_run_cut_after_any_commit_ends_as_the_uninterrupted_one(tmp_path: Path, name: str):
    whole = ended(run(job(name, tmp_path / "whole")))
    lines = journaled(tmp_path / "whole")
    for at in sorted(random.Random(name).sample(commits(lines), 2)):
        cut(tmp_path / "whole", tmp_path / str(at), at)
        assert ended(run(job(name, tmp_path / str(at)))) == whole, (
            f"cut after line {at}, {lines[at - 1].kind}"
        )
        assert exported(tmp_path / str(at)) == whole.answers


@pytest.mark.parametrize("name", ["code", "poor"])
def test_a_run_cut_between_two_engines_of_one_step_ends_as_the_uninterrupted_one(tmp_path: Path, name: str):
    """Calls of a model and of a check are out together, and only the first engine's are back."""
    whole = ended(run(job(name, tmp_path / "whole")))
    lines = journaled(tmp_path / "whole")
    between = [
        at
        for at, (a, b) in enumerate(itertools.pairwise(lines), 1)
        if a.kind == b.kind == "done" and "/check." in b.key and "/check." not in a.key
    ]
    for at in random.Random(name).sample(between, min(3, len(between))):
        cut(tmp_path / "whole", tmp_path / str(at), at)
        assert ended(run(job(name, tmp_path / str(at)))) == whole, f"cut after line {at}"


CACHES = {
    "_curves",
    "_shares",
    "_standards",
    "_tables",
    "sub_classes",
    *("_busy", "_ready", "_steps", "rows", "valued"),
}
"""Filled when first asked for, from what the rest of the state determines; the last five last for one step."""
FORECASTS = {"until", "remaining"}
"""Of a point: nothing to a point that is done."""
GIVEN = {
    *("arms", "flow", "kind", "_kinds", "prompt", "prompts", "setting", "_setting"),
    *("evidence", "offers", "pattern"),  # follow from what came back, which both are told
    *("lines", "ops", "new", "_named"),  # on their way out
    "stopped",  # flows; what goes on is compared
}
LONG = {"settled", "_records"}
"""Of the market: points that are mostly done; compared once, at the end."""


def state(thing: Any, seen: set[int] | None = None) -> Any:
    """All that an object holds, down to plain values, in order; each object of ours once."""
    seen = set() if seen is None else seen
    if isinstance(thing, dict):
        return [(state(key, seen), state(value, seen)) for key, value in thing.items()]
    if isinstance(thing, tuple | list | deque | set | frozenset):
        return [state(each, seen) for each in thing]
    if isinstance(thing, np.ndarray):
        return thing.tobytes()
    if not type(thing).__module__.startswith("outlay") or callable(thing):
        return repr(thing)
    if id(thing) in seen:
        return "seen"
    seen.add(id(thing))
    names = getattr(type(thing), "__slots__", None) or vars(thing)
    without = CACHES | GIVEN | LONG | (FORECASTS if getattr(thing, "done", False) else set())
    held = [(name, getattr(thing, name)) for name in names if name not in without]
    return [(name, state(value, seen)) for name, value in held]


def market(of: Job) -> Market:
    models = [arm.model for arm in of.arms if arm.role == "model"]
    rank = {arm.name: list(dict.fromkeys(models)).index(arm.model) for arm in of.arms if arm.role == "model"}
    rule = policy(of.policy, [arm.name for arm in of.arms])
    flow, belief, pricing = STRATEGIES[of.strategy][0], Prior(rank, of.known), Clearing(of.budget)
    parts = (of.arms, of.engines, flow, rule, belief, pricing, of.budget)
    return Market(Setting(*parts, open_points=of.open_points, holdout=of.holdout), of.prompts)


@pytest.mark.parametrize("name", sorted(BEDS["BEDS"]))
def test_a_replayed_market_is_in_the_same_state_as_the_live_one(name: str):
    """After each of the first steps, and then after every sixteenth: what differs once goes on to differ."""
    live, again = market(job(name, None)), market(job(name, None))
    steps = 0
    while not live.finished:
        calls = live.step()
        told = [(kind, decode(encode(body))) for kind, body in live.lines if kind != "settled"]
        live.lines.clear()
        for kind, body in told:
            again.replay(kind, body)
        steps += 1
        if steps <= 8 or steps % 16 == 0 or live.finished:
            held, replayed = (
                {at: each for at, each in vars(of).items() if at not in CACHES | GIVEN | LONG}
                for of in (live, again)
            )
            assert state(replayed) == state(held), f"after step {steps}"
            assert state(again.setting.belief) == state(live.setting.belief), f"belief after step {steps}"
            assert state(again.setting.pricing) == state(live.setting.pricing), f"price after step {steps}"
        for call in calls:
            [delivery] = asyncio.run(live.setting.engines[call.arm.engine].complete([call]))
            live.deliver(call.key, delivery)
            again.deliver(call.key, delivery)
    assert state(again.settled) == state(live.settled)


def served(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def bought(directory: Path) -> set[str]:
    return {line.key for line in journaled(directory) if line.kind == "done"}


def sitting(name: str, directory: Path, log: Path, nap: float) -> "subprocess.Popen[bytes]":
    command = [sys.executable, str(PROGRAM), name, str(directory), str(log), str(nap)]
    return subprocess.Popen(command, env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})


def wait_for_more(log: Path, than: int, process: "subprocess.Popen[bytes]") -> None:
    while len(served(log)) <= than and process.poll() is None:
        time.sleep(0.002)


@pytest.mark.parametrize(
    ("name", "kills"), [("checks", 20), ("two_units", 2), ("parts", 2), ("one_by_one", 2)]
)
def test_a_run_killed_twenty_times_ends_as_the_uninterrupted_one(tmp_path: Path, name: str, kills: int):
    whole = ended(run(job(name, None)))
    directory, log, rng = tmp_path / "run", tmp_path / "served", random.Random(name)
    landed, known = 0, set[str]()
    while landed < kills:
        before = len(served(log))
        with sitting(name, directory, log, nap=0.001) as process:
            wait_for_more(log, before, process)
            time.sleep(rng.uniform(0, 0.06))
            process.kill()
        assert not known & set(served(log)[before:]), "something journaled was asked again"
        known = bought(directory)
        assert set(served(log)) >= known
        if process.returncode == -signal.SIGKILL:
            landed += 1
        else:  # it came to its end first
            directory, log, known = tmp_path / f"run{landed}", tmp_path / f"served{landed}", set()
    before = len(served(log))
    with sitting(name, directory, log, nap=0.0) as process:
        assert process.wait(120) == 0
    assert not known & set(served(log)[before:])
    assert exported(directory) == whole.answers
    assert ended(run(job(name, directory))) == whole
    lost = len(served(log)) - len(set(served(log)))
    chunk = job(name, None).engines["models"].chunk
    assert lost <= kills * chunk, "no more than the chunk that was in flight is asked again"


def test_the_first_ctrl_c_drains_with_exit_code_130_and_the_same_command_goes_on(tmp_path: Path):
    whole = ended(run(job("fewer_open", None)))
    directory, log = tmp_path / "run", tmp_path / "served"
    with sitting("fewer_open", directory, log, nap=0.002) as process:
        wait_for_more(log, 200, process)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert set(served(log)) == bought(directory), "what was in flight is back and written down"
    assert exported(directory).keys() < whole.answers.keys()
    with sitting("fewer_open", directory, log, nap=0.0) as process:
        assert process.wait(60) == 0
    assert exported(directory) == whole.answers
    assert len(served(log)) == len(set(served(log))), "nothing is asked twice after a drain"


class Remote:
    """Like an endpoint: not in lockstep, and slow to answer one of its calls."""

    lockstep, chunk = False, 1

    def __init__(self, inside: Simulated, slow: str = "") -> None:
        self.inside, self.slow, self.asked, self.stuck = inside, slow, list[str](), asyncio.Event()

    def worst(self, call: Call) -> Cost:
        return self.inside.worst(call)

    def expected(self, call: Call) -> Cost:
        return self.inside.expected(call)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        self.asked += [call.key for call in calls]
        if self.slow and any(self.slow in call.key for call in calls):
            self.stuck.set()
            await asyncio.sleep(3600)
        return await self.inside.complete(calls)

    async def close(self) -> None:
        """Nothing is held."""


def remote(directory: Path, slow: str = "") -> tuple[Job, Remote]:
    plain = job("two_units", directory)
    engine = Remote(plain.engines["models"], slow)  # type: ignore[arg-type]
    return replace(plain, engines={**plain.engines, "models": engine}), engine


@pytest.mark.parametrize("on_crash", ["charge", "release"])
def test_the_second_ctrl_c_stops_at_once_and_what_was_in_flight_is_asked_again(tmp_path: Path, on_crash: str):
    """Of an endpoint it may have been billed: it is charged at its hold, unless the user knows better."""
    first, engine = remote(tmp_path, slow="p7/")
    first = replace(first, on_crash=on_crash)
    # Nothing more comes once the one slow call is alone, and a drain would wait for it for ever.
    polls = 0

    def stop() -> int:
        nonlocal polls
        polls += engine.stuck.is_set()
        return min(polls // 8, 2)

    summary, _ = asyncio.run(run_job(first, stop=stop))
    assert summary.end == "interrupted"
    known = bought(tmp_path)
    stuck = {key for key in engine.asked if "p7/" in key}
    assert stuck
    assert not stuck & known
    second, engine = remote(tmp_path)
    summary, answers = asyncio.run(run_job(replace(second, on_crash=on_crash)))
    assert not known & set(engine.asked)
    [lines] = [answer.receipt["purchases"] for answer in answers if answer.id == "p7"]
    killed = [line for line in lines if "under way when the run was stopped" in line.get("error", "")]
    if on_crash == "release":
        assert stuck <= set(engine.asked)
        assert not killed
    else:
        assert not stuck & set(engine.asked), "the same is asked under a key of its own"
        assert len(killed) == len(stuck)
        assert all(line["tok"] > 0 for line in killed)
    assert len(answers) == 120
    assert summary.spent.tok == sum(answer.cost.tok for answer in answers) <= 30_000


def test_in_a_stopped_run_the_duplicates_of_an_open_prompt_have_a_row_too(tmp_path: Path):
    twins = job("twins", tmp_path)
    polls = itertools.count()
    summary, answers = asyncio.run(run_job(twins, stop=lambda: int(next(polls) > 12)))
    assert summary.outcomes["provisional"] > 0
    same = {answer.id: answer.receipt.get("same_as") for answer in answers}
    open_ = {answer.id for answer in answers if answer.outcome == "provisional"}
    assert any(same[each] for each in open_)
    assert all(same[each] in open_ for each in open_ if same[each])
    assert set(exported(tmp_path)) == set(same)


def test_stopping_before_the_first_purchase_buys_nothing(tmp_path: Path):
    log = tmp_path / "served"
    summary, answers = run(
        job("checks", tmp_path / "run", os.open(log, os.O_CREAT | os.O_WRONLY)), None, lambda: 1
    )
    assert (summary.end, answers, summary.spent) == ("interrupted", (), Cost())
    assert served(log) == []


def test_the_summary_of_a_drained_run_counts_all_that_was_paid_for(tmp_path: Path):
    polls = 0

    def stop() -> int:
        nonlocal polls
        polls += 1
        return int(polls > 40)

    summary, _ = run(job("checks", tmp_path), None, stop)
    done = [decode(line.body) for line in journaled(tmp_path) if line.kind == "done"]
    assert done
    assert summary.spent.tok == sum(each["usage"]["input"] + each["usage"]["output"] for each in done)


def test_a_finished_run_given_again_asks_nothing_and_says_the_same(tmp_path: Path):
    log = tmp_path / "served"
    file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    whole = ended(run(job("code", tmp_path / "run", file)))
    count, rows = len(served(log)), (tmp_path / "run" / "answers.jsonl").read_bytes()
    assert ended(run(job("code", tmp_path / "run", file))) == whole
    assert len(served(log)) == count
    assert (tmp_path / "run" / "answers.jsonl").read_bytes() == rows


def test_a_second_process_in_the_same_directory_is_refused_and_buys_nothing(tmp_path: Path):
    directory, log, other = tmp_path / "run", tmp_path / "served", tmp_path / "other"
    with sitting("checks", directory, log, nap=0.002) as process:
        wait_for_more(log, 20, process)
        with pytest.raises(ResumeError, match="at work"):
            run(job("checks", directory, os.open(other, os.O_CREAT | os.O_WRONLY)))
        assert served(other) == []
        process.kill()
    assert run(job("checks", directory), None, lambda: 1)[0].resumed, "a killed process leaves no lock behind"


@pytest.mark.parametrize(
    ("changed", "said"),
    [({"seed": 1}, "seed was 0, now 1"), ({"policy": "lead:2"}, "policy was priced, now lead:2")],
)
def test_another_run_in_the_same_directory_is_refused(tmp_path: Path, changed: dict[str, Any], said: str):
    polls = itertools.count()
    run(job("poor", tmp_path), None, lambda: int(next(polls) > 4))
    assert bought(tmp_path)
    with pytest.raises(ResumeError, match=said):
        run(replace(job("poor", tmp_path), **changed))


def test_a_directory_for_which_nothing_was_bought_blocks_no_other_run(tmp_path: Path):
    run(job("poor", tmp_path), None, lambda: 1)
    other = replace(job("poor", tmp_path), seed=1)
    assert ended(run(other)) == ended(run(replace(other, directory=None)))


def test_files_of_a_run_are_for_their_owner_alone(tmp_path: Path):
    run(job("poor", tmp_path / "run"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "run").iterdir()}
    assert {"journal.db", "answers.jsonl"} <= modes.keys()
    assert set(modes.values()) == {0o600}
