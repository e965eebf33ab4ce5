"""A run given again with a larger budget goes on where it ended; nothing that was paid for is bought again."""

import asyncio
import json
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import outlay
from outlay.driver import Job, Summary, answer_row
from outlay.errors import ResumeError
from outlay.flow import Arms, Candidate, Decision, Flow
from outlay.journal import decode, encode
from outlay.strategies import STRATEGIES
from outlay.types import Answer, Budget, Prompt

RESUME = runpy.run_path(str(Path(__file__).with_name("test_resume.py")), run_name="test_resume")
job, run, state = RESUME["job"], RESUME["run"], RESUME["state"]
journaled, exported, served, ended = (RESUME[name] for name in ("journaled", "exported", "served", "ended"))
SERVER = runpy.run_path(
    str(Path(__file__).parents[1] / "servers" / "openai_server.py"), run_name="openai_server"
)


def times(budget: Budget, by: float) -> Budget:
    return Budget(*(None if each is None else round(each * by) for each in astuple(budget)))


def astuple(budget: Budget) -> tuple[int | None, ...]:
    return (budget.tok, budget.outtok, budget.usd, budget.ms)


def given(name: str, directory: Path | None, by: float, log: int | None = None) -> Job:
    """A bed of the resume tests with so many times its budget."""
    plain = job(name, directory, log)
    return replace(plain, budget=times(plain.budget, by))


def sound(of: Job, done: tuple[Summary, Sequence[Answer]], log: Path | None = None) -> None:
    """All that must hold after any sitting."""
    summary, answers = done
    spent = summary.spent
    for unit, limit in of.budget.limits().items():
        assert getattr(spent, unit) <= limit
    assert sorted(answer.id for answer in answers) == sorted(prompt.id for prompt in of.prompts)
    lines = [line for answer in answers for line in answer.receipt["purchases"]]
    for unit in ("tok", "outtok"):
        assert sum(line[unit] for line in lines) == getattr(spent, unit)
        assert sum(getattr(answer.cost, unit) for answer in answers) == getattr(spent, unit)
    assert sum(answer.cost.usd for answer in answers) == spent.usd
    if of.directory is not None:
        assert exported(of.directory) == {a.id: RESUME["without_seconds"](answer_row(a)) for a in answers}
    if log is not None:
        assert max(Counter(served(log)).values(), default=0) <= 1, "nothing is asked twice"


@pytest.mark.parametrize("name", ["checks", "parts", "two_units"])
def test_two_top_ups_keep_every_budget_and_ask_nothing_twice(tmp_path: Path, name: str):
    log = tmp_path / "served"
    file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    spent = []
    for by in (0.4, 0.7, 1.0):
        of = given(name, tmp_path / "run", by, file)
        done = run(of)
        sound(of, done, log)
        spent.append(done[0].spent.tok)
    again = run(of)
    assert ended(again) == ended(done), "given once more, it buys nothing and says the same"
    assert again[0].topped_up is None
    assert spent == sorted(set(spent)), "each budget is used"
    tops = [decode(line.body) for line in journaled(tmp_path / "run") if line.kind == "topup"]
    assert [(Budget(*top["from"]), Budget(*top["to"])) for top in tops] == [
        (times(job(name, None).budget, a), times(job(name, None).budget, b))
        for a, b in ((0.4, 0.7), (0.7, 1.0))
    ]
    os.close(file)


def cut(source: Path, target: Path, count: int) -> None:
    """As a kill would have left it after the first `count` lines, with the budget that it had then."""
    lines = journaled(source)
    budgets = [decode(line.body) for line in lines if line.kind == "topup"]
    reached = sum(line.kind == "topup" for line in lines[:count])
    now = budgets[reached - 1]["to"] if reached else budgets[0]["from"]
    RESUME["cut"](source, target, count, {"budget": f"{now[0]}tok"})


@pytest.mark.parametrize("name", ["checks", "twins"])
def test_a_topped_up_run_cut_after_any_commit_ends_as_the_uninterrupted_one(tmp_path: Path, name: str):
    """The same commands are given again; and a run that was killed half-way is given the largest budget at once."""
    budgets = (0.4, 0.7, 1.0)
    for by in budgets:
        whole = run(given(name, tmp_path / "whole", by))
    lines = journaled(tmp_path / "whole")
    tops = [at for at, line in enumerate(lines, 1) if line.kind == "topup"]
    commits, dice = [at for at in RESUME["commits"](lines) if at + 1 not in tops], random.Random(name)
    for at in (tops[1], dice.choice([at for at in commits if at > tops[0]])):
        cut(tmp_path / "whole", tmp_path / str(at), at)
        for by in budgets[1 if at < tops[1] else 2 :]:
            of = given(name, tmp_path / str(at), by)
            done = run(of)
            sound(of, done)
        assert ended(done) == ended(whole), f"cut after line {at}, {lines[at - 1].kind}"
    at = dice.choice([at for at in commits if at < tops[0] // 2])
    cut(tmp_path / "whole", tmp_path / str(at), at)
    of = given(name, tmp_path / str(at), 1.0)
    done = run(of)
    sound(of, done)
    assert done[0].topped_up is not None
    assert done[0].topped_up.others > 0, "they share the larger budget"


@pytest.mark.parametrize("name", ["fewer_open", "held_out"])
def test_a_replayed_market_is_in_the_same_state_as_the_one_that_was_topped_up(name: str):
    live, again = RESUME["market"](given(name, None, 0.5)), RESUME["market"](given(name, None, 0.5))
    for each in (live, again):
        each.keep(keeps=True)
    budget, steps, topped = job(name, None).budget, 0, 0
    without = RESUME["CACHES"] | RESUME["GIVEN"] | RESUME["LONG"]
    while not live.finished or topped < 2:
        if live.finished:
            topped += 1
            body = live.top_up(times(budget, 0.5 + topped / 4))
            again.replay("topup", decode(encode(body)))
        calls = live.step()
        told = [(kind, decode(encode(body))) for kind, body in live.lines if kind != "settled"]
        live.lines.clear()
        for kind, body in told:
            again.replay(kind, body)
        steps += 1
        if steps % 8 == 0 or live.finished or not topped:
            held, replayed = (
                {at: each for at, each in vars(of).items() if at not in without} for of in (live, again)
            )
            assert state(replayed) == state(held), f"after step {steps}, {topped} top-ups"
            assert state(again.setting.pricing) == state(live.setting.pricing)
        for call in calls:
            [delivery] = asyncio.run(live.setting.engines[call.arm.engine].complete([call]))
            live.deliver(call.key, delivery)
            again.deliver(call.key, delivery)
    assert state(again.settled) == state(live.settled)
    live.ledger.audit()


def three(prompt: Prompt, arms: Arms) -> Flow:
    """Votes; ends of its own with the third."""
    sent = yield next(STRATEGIES["vote"][0](prompt, arms))
    while not isinstance(sent, Decision):
        if len(sent.draws) > 2:
            return Candidate(sent.draws[2].answer, sent.draws[2].text)
        sent = yield next(STRATEGIES["vote"][0](prompt, arms))
    return sent.candidate


def test_an_answer_that_is_settled_anew_as_the_run_is_topped_up_again_is_written(tmp_path: Path):
    """Killed with a call back that ends its flow; its prompt had an answer before the first top-up, which counts no
    more.
    """

    def ends(directory: str, by: float) -> Job:
        return replace(given("votes", tmp_path / directory, by), strategy=three, policy="uniform:9")

    for by in (0.2, 0.4):
        run(ends("whole", by))
    lines = journaled(tmp_path / "whole")
    top = next(at for at, line in enumerate(lines) if line.kind == "topup")
    before = {line.key for line in lines[:top] if line.kind == "answer"}
    anew = next(
        at for at, line in enumerate(lines)
        if at > top and line.kind == "answer" and line.key in before
        and decode(line.body)["receipt"]["stopped"] == "the flow ended"
    )  # fmt: skip
    at = max(at for at, line in enumerate(lines[:anew], 1) if line.kind == "done")
    cut(tmp_path / "whole", tmp_path / "cut", at)
    sound(ends("cut", 1.0), run(ends("cut", 1.0)))


def performed(market: Any) -> None:
    """One step."""
    for call in market.step():
        [delivery] = asyncio.run(market.setting.engines[call.arm.engine].complete([call]))
        market.deliver(call.key, delivery)


def test_what_is_held_in_shares_of_the_budget_becomes_shares_of_the_new_one():
    market = RESUME["market"](given("checks", None, 0.5))
    for _ in range(4):
        performed(market)
    market.step()
    floor = market.floor
    open_ = {path: (point.until, point.remaining) for path, point in floor.points.items()}
    assert any(until > 0 for until, _ in open_.values())
    spent, even, price = market.ledger.spent, floor.even_spent, market.setting.pricing.price
    assert even > 0
    assert price > 0
    market.top_up(given("checks", None, 1.0).budget)
    assert market.ledger.spent == spent
    assert floor.even_spent == pytest.approx(even / 2)
    assert not floor.parked
    for path, point in floor.points.items():
        assert (point.until, point.remaining) == pytest.approx((open_[path][0] * 2, open_[path][1] / 2))


def test_whoever_waited_for_money_may_act_once_there_is_more():
    market = RESUME["market"](given("parts", None, 0.4))
    while not market.floor.refused:
        performed(market)
    waited = set(market.floor.refused)
    market.top_up(job("parts", None).budget)
    assert not market.floor.refused
    assert waited <= market.floor.active.keys()


@pytest.mark.parametrize("name", ["parts", "poor"])
def test_what_had_stopped_is_open_again_as_if_it_never_had(name: str):
    market = RESUME["market"](given(name, None, 0.4))
    market.keep(keeps=True)
    while not market.finished:
        performed(market)
    gave_up, settled = market.gave_up, len(market.settled)
    assert (gave_up > 0) == (name == "parts")
    body = market.top_up(job(name, None).budget)
    going = [*body["again"], *body["beside"]]
    assert len(market.settled) == settled - len(going)
    assert market.gave_up == 0
    assert not market.ran_into_budget
    fresh = [point for point in market.floor.queue if not point.bought]
    assert sum(market.floor.seen.fresh(0).values()) == len(fresh)
    assert bool(fresh) == (name == "poor")
    drawn = [bool(point.draw_rows) for point in list(market.floor.queue)[: len(body["again"])]]
    assert drawn == sorted(drawn), "who has no answer comes first"


def test_a_run_whose_engine_broke_its_word_buys_nothing_more_whatever_the_budget():
    market = RESUME["market"](given("votes", None, 0.4))
    market.keep(keeps=True)
    while not market.finished:
        performed(market)
    market.floor.overdrawn_by = "small"
    body = market.top_up(job("votes", None).budget)
    assert (body["again"], body["beside"]) == ([], [])
    assert market.finished


def test_a_smaller_budget_or_other_units_are_refused_and_change_nothing(tmp_path: Path):
    of = given("two_units", tmp_path / "run", 0.5)
    run(of)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    tok, usd = of.budget.tok, of.budget.usd
    assert tok is not None
    assert usd is not None
    for other, why in (
        (Budget(tok=tok - 1, usd=usd), "is smaller"),
        (Budget(tok=2 * tok, usd=usd - 1), "is smaller"),
        (Budget(tok=2 * tok), "limits other units"),
        (Budget(tok=2 * tok, usd=usd, ms=10**6), "limits other units"),
    ):
        with pytest.raises(ResumeError, match=why) as refused:
            run(replace(of, budget=other))
        assert "give 15000tok, 0.018usd to go on, or more of the same" in str(refused.value)
    lock = {"journal.db-lock", "journal.db-wal", "journal.db-shm"}
    after = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    assert {n: b for n, b in after.items() if n not in lock} == {
        n: b for n, b in before.items() if n not in lock
    }
    assert run(of)[0].topped_up is None, "and it goes on with what it had"


def test_another_policy_beside_a_larger_budget_is_another_run(tmp_path: Path):
    of = given("votes", tmp_path, 0.5)
    run(of)
    with pytest.raises(
        ResumeError, match="budget was 12000tok, now 24000tok; policy was priced, now uniform:2"
    ):
        run(replace(given("votes", tmp_path, 1.0), policy="uniform:2"))


def test_a_run_of_the_python_api_is_topped_up_by_the_same_call(tmp_path: Path):
    rows = [{"id": f"n{i}", "prompt": f"Ana has {i + 3} pens, finds {i}. How many?", "answer": "number"}
            for i in range(12)]  # fmt: skip
    asked = {"directory": tmp_path, "policy": "uniform:4"}
    first = outlay.run(rows, budget="300tok", **asked)  # type: ignore[arg-type]
    second = outlay.run(rows, budget="20ktok", **asked)  # type: ignore[arg-type]
    assert first.spent.tok <= 300 < second.spent.tok <= 20_000
    for answer in second:
        own = answer.receipt["purchases"]
        assert sum(line["copies"] for line in own) == 4
        if answer.id in first:
            had = first[answer.id].receipt["purchases"]
            assert own[: len(had)] == had, "what was bought stands first on the receipt"
    with pytest.raises(ResumeError, match="is smaller"):
        outlay.run(rows, budget="300tok", **asked)  # type: ignore[arg-type]


def test_what_the_time_had_stopped_goes_on_with_a_later_deadline(tmp_path: Path):
    plain = job("votes", tmp_path, os.open(tmp_path / "log", os.O_CREAT | os.O_WRONLY), 0.001)
    late = replace(plain, budget=Budget(tok=10**6, ms=60))
    summary, _ = run(late)
    assert summary.end == "deadline"
    assert summary.spent.tok > 0
    summary, answers = run(replace(late, budget=Budget(tok=10**6, ms=600_000)))
    assert summary.topped_up is not None
    assert summary.topped_up.prompts > 0
    assert summary.end == "no_gain"
    assert summary.elapsed_ms > 60, "the seconds of the first sitting count"
    assert {answer.outcome for answer in answers} == {"answered"}


# ── a program, a server, kill -9 ────────────────────────────────────────────────────────────────────────────

CONFIG = '[[model]]\nname = "slow"\nmax_tokens = 20\n'
PROMPTS = 30


def command(url: str, folder: Path, budget: str, *more: str) -> "subprocess.Popen[str]":
    program = [str(Path(sys.executable).with_name("outlay")), "run", "tasks.jsonl", "--budget", budget]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "OUTLAY_"))}
    return subprocess.Popen(
        [*program, "--config", "outlay.toml", "--policy", "uniform:3", *more], cwd=folder, text=True,
        env={**env, "OPENAI_BASE_URL": url}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finished(url: str, folder: Path, budget: str) -> tuple[dict[str, Any], str]:
    with command(url, folder, budget, "--json") as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode in (0, 3), err
    return json.loads(out), err


def asked(log: Path) -> list[Mapping[str, Any]]:
    events = map(json.loads, log.read_text().splitlines()) if log.exists() else ()
    return [event for event in events if event["event"] == "asked"]


def rows_of(folder: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in (folder / "tasks.outlay" / "answers.jsonl").read_text().splitlines()]


def test_a_command_topped_up_thrice_and_killed_in_between_asks_the_server_for_nothing_that_it_has(
    tmp_path: Path,
):
    rows = [{"id": f"p{i}", "prompt": f"question {i}", "answer": "last_line"} for i in range(PROMPTS)]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "outlay.toml").write_text(CONFIG)
    log = tmp_path / "server.log"
    with SERVER["serving"](log) as url:
        first, _ = finished(url, tmp_path, "400tok")
        assert first["topped_up"] is None
        assert first["spent"]["tok"] <= 400
        before = len(asked(log))
        with command(url, tmp_path, "1200tok") as process:
            while len(asked(log)) < before + 8 and process.poll() is None:
                time.sleep(0.01)
            process.kill()
        assert process.returncode == -signal.SIGKILL, "the run was over before it could be killed"
        shown = {row["id"] for row in rows_of(tmp_path)}
        assert shown == {row["id"] for row in rows}, "what a prompt had is shown until it has more"
        second, _ = finished(url, tmp_path, "1200tok")
        assert second["topped_up"] is None, "that had been done when it was killed"
        assert 400 < second["spent"]["tok"] <= 1200
        assert sorted(row["id"] for row in rows_of(tmp_path)) == sorted(row["id"] for row in rows)
        third, err = finished(url, tmp_path, "100ktok")
        assert "topped up from 1.20 ktok to 100.0 ktok; " in err
        assert "that had stopped for want of budget go on" in err
        assert third["topped_up"]["from"] == {"tok": 1200}
        assert third["end"] == "rule_done"
        count = len(asked(log))
        with command(url, tmp_path, "300ktok") as process:
            out, _ = process.communicate(timeout=120)
        assert "no prompt had stopped for want of budget, so nothing more was bought" in " ".join(out.split())
        assert len(asked(log)) == count, "the rule was carried out: nothing is bought"
    seeds = [request["seed"] for request in asked(log)]
    assert len(seeds) == len(set(seeds)), "no request was sent twice"
    most = Counter[str]()
    for request in asked(log):
        most[request["prompt"]] += request["n"] or 1
    again = sum(most.values()) - 3 * PROMPTS
    assert min(most.values()) == 3
    assert again == sum(line["copies"] for row in rows_of(tmp_path) for line in row["receipt"]["purchases"]
                        if "under way when" in line.get("error", "")), "only what a kill left behind"  # fmt: skip
    assert sorted(row["id"] for row in rows_of(tmp_path)) == sorted(row["id"] for row in rows)
    done = [
        decode(line.body)["usage"] for line in journaled(tmp_path / "tasks.outlay") if line.kind == "done"
    ]
    paid = sum(usage["input"] + usage["output"] for usage in done)
    assert sum(row["cost"]["tok"] for row in rows_of(tmp_path)) == paid == third["spent"]["tok"]
