"""The live run's own parts, without a server: its tasks, its grading, its rule, its sums, its tables."""

import asyncio
import contextlib
import hashlib
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

from benchmarks.live import checks, plan, report, rivals, run, serve  # noqa: E402

from outlay.api import checks_for  # noqa: E402
from outlay.driver import run_job  # noqa: E402
from outlay.inputs import read  # noqa: E402
from outlay.policies import POLICIES  # noqa: E402
from outlay.study import code_runs  # noqa: E402
from outlay.types import Budget  # noqa: E402

EXAMPLES, LIVE = ROOT / "examples", ROOT / "benchmarks" / "live"
SERVER = ROOT / "tests" / "servers" / "letters_server.py"
PROTOCOL = (LIVE / "PROTOCOL.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def prompts():
    return read(EXAMPLES / "code_prompts.jsonl").prompts


@pytest.fixture(scope="module")
def rule_runs():
    """What the simple rule buys on the recorded answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(POLICIES, plan.RULE, (rivals.SmallThenBig, ""))
        job = code_runs.job_of(EXAMPLES, budget=3.0, seed=0, policy=plan.RULE)
        _, answers = asyncio.run(run_job(job))
    return job, answers


@contextlib.contextmanager
def letters():
    """An endpoint whose models `small` and `big` answer with a letter, which is no program that passes."""
    with subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True) as server:
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def arms_bought(answer):
    return [line["arm"] for line in answer.receipt["purchases"] if line["kind"] == "sample"]


def test_sixty_tasks_are_chosen_and_pilots_use_others(prompts):
    study, pilot = plan.chosen(prompts)
    assert len(study) == 60
    assert len(study) + len(pilot) == len({p.id for p in (*study, *pilot)}) == 164
    assert plan.chosen(tuple(reversed(prompts))) == (study, pilot)
    assert sum(map(checks.applies, study)) == 42


def test_the_files_and_models_are_those_that_the_protocol_names():
    for path in (EXAMPLES / "code_prompts.jsonl", LIVE / "visible.jsonl", LIVE / "hidden.jsonl.gz"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in PROTOCOL
    for digest in plan.SHA256.values():
        assert digest in PROTOCOL


def test_a_check_exists_where_the_recording_has_one(prompts):
    assert [checks.applies(p) for p in prompts] == [p.metadata["check"] for p in prompts]


def test_reference_solutions_pass_and_an_empty_answer_does_not(prompts):
    study, _ = plan.chosen(prompts)
    for prompt in study:
        whole = checks.code_in(prompt.text) + checks._hidden()[prompt.id]["reference"]
        assert checks.right(prompt, whole), prompt.id
        assert checks.passes(prompt, whole) == (True, ""), prompt.id
        assert not checks.right(prompt, "pass"), prompt.id


@pytest.mark.parametrize(
    "answer", ["raise SystemExit", "def (", "1/0", "def has_close_elements(*_): raise KeyboardInterrupt"]
)
def test_whatever_a_program_raises_it_has_failed(prompts, answer):
    passed, message = checks.passes(prompts[0], answer)
    assert not passed
    assert "raised" in message
    assert not checks.right(prompts[0], answer)


def test_a_failed_check_says_which_example_came_out_how(prompts):
    wrong = "def has_close_elements(numbers, threshold): return True"
    assert checks.passes(prompts[0], wrong) == (
        False,
        "has_close_elements([1.0, 2.0, 3.0], 0.5) returned True; it should return False",
    )


def test_grading_runs_the_hidden_tests_and_an_answer_that_is_missing_is_wrong(prompts, rule_runs):
    some = prompts[:3]
    _, answers = rule_runs
    given = {answer.id: answer for answer in answers}
    whole = checks.code_in(some[0].text) + checks._hidden()[some[0].id]["reference"]
    right = replace(given[some[0].id], answer=whole)
    wrong = replace(given[some[1].id], answer="raise SystemExit")
    none = replace(given[some[2].id], answer=None)
    assert asyncio.run(run.grade(some, [right, wrong, none])) == {
        some[0].id: True,
        some[1].id: False,
        some[2].id: False,
    }


def test_the_simple_rule_asks_the_big_model_where_nothing_is_checked_and_else_after_two_failures(rule_runs):
    job, answers = rule_runs
    seen = Counter()
    for answer in answers:
        bought = arms_bought(answer)
        looks = [line for line in answer.receipt["purchases"] if line["kind"] == "check"]
        passed = bool(looks) and looks[-1]["belief"][1] > 0.5
        if not job.checks[answer.id]:
            assert bought == ["big:greedy"]
        else:
            assert bought == ["small:greedy", "small", "big:greedy"][: len(bought)]
            assert bought
            assert looks
            assert passed or len(bought) == 3
        seen[tuple(bought)] += 1
    assert len(seen) == 4


def test_ledger_answers_receipts_and_journal_come_to_the_same_integers(tmp_path):
    job = replace(code_runs.job_of(EXAMPLES, budget=0.5, seed=3), directory=tmp_path)
    summary, answers = asyncio.run(run_job(job))
    prices = {arm.name: arm.price for arm in job.arms if arm.role == "model"}
    sums = run.sums(summary, answers, tmp_path / "journal.db", prices)
    assert sums["ledger"][2] > 0
    assert len({tuple(one) for one in sums.values()}) == 1


def test_a_run_against_a_server_is_graded_and_its_sums_agree(prompts, tmp_path, monkeypatch):
    monkeypatch.setitem(POLICIES, plan.RULE, (rivals.SmallThenBig, ""))
    _, pilot = plan.chosen(prompts)
    some = pilot[:4]
    [check] = checks_for([f"{run.CHECKS}:passes"], some)
    yard = plan.Spent(tok=4_000, usd=10**6, ms=60_000)
    results = []
    with letters() as address:
        addresses = dict.fromkeys(plan.BILLIONS, address)
        for one in plan.runs():
            if one.name in ("always-big", "small-then-big", "outlay-tok-1.00"):
                place = tmp_path / one.name
                done = asyncio.run(run.perform(one, some, check, addresses, yard, place, 4))
                told = {"name": one.name, "unit": one.unit, "limit": one.budget(yard).limits(), "servers": {}}
                grades = dict.fromkeys((p.id for p in some), False)
                results.append(told | run.result_of(done, some, check, grades, place / "journal.db"))
    asyncio.run(check.engine.close())
    assert [sum(t["draws"].get("big", 0) for t in r["tasks"]) for r in results[:2]] == [4, 4]
    for result in results:
        assert result["sums"]["ledger"][0] > 0
        assert len({tuple(sums) for sums in result["sums"].values()}) == 1
        assert result["flight"]
    assert results[2]["sums"]["ledger"][0] <= yard.tok
    assert "outlay-tok-1.00" in report.render(results)


def test_budgets_are_multiples_of_what_always_big_used():
    yard = plan.Spent(tok=20_001, usd=7_000, ms=500_000)
    by_name = {one.name: one for one in plan.runs()}
    assert by_name["outlay-tok-0.50"].budget(yard) == Budget(tok=10_000)
    assert by_name["outlay-usd-1.00"].budget(yard) == Budget(usd=7_000)
    assert by_name["outlay-s-1.25"].budget(yard) == Budget(ms=625_000)
    assert by_name["small-then-big"].budget(None) == Budget()
    with pytest.raises(ValueError, match="always-big first"):
        by_name["outlay-s-1.00"].budget(None)


def test_what_the_first_answers_brought_is_read_from_a_receipt():
    said = [("sample", 100, None), ("check", 0, False), ("revise", 250, None), ("check", 0, True)]
    bought = [
        {"kind": kind, "tok": tok} | ({} if verdict is None else {"verdict": verdict})
        for kind, tok, verdict in said
    ]
    task = {"receipt": {"purchases": bought}}
    assert [report.within(task, number) for number in (1, 2, 4)] == [(False, 100), (True, 350), (True, 350)]


def test_what_was_mended_is_set_against_what_was_drawn_anew():
    def loop(name: str, passed: bool) -> dict[str, object]:
        bought = [{"kind": "revise", "tok": 9}, {"kind": "check", "tok": 0, "verdict": passed}]
        task = {"id": "t", "right": True, "checked": True, "receipt": {"purchases": bought}}
        return {"name": name, "policy": "until_pass:4", "tasks": [task]}

    said = report._loops([loop("m-until-4", True), loop("m-until-4-revise", False)])
    assert said.endswith("- m-until-4-revise minus m-until-4: -100.0 [-100.0, -100.0]")


def test_another_strategy_gets_folders_of_its_own():
    names = {one.name: one for one in plan.runs()}
    assert not [one for one in plan.runs("cascade") if one.strategy == "cascade" and one.name in names]
    for strategy in ("auto", "cascade", "revise"):
        made = [one.name for one in plan.runs(strategy)]
        assert len(made) == len(set(made))


def test_the_servers_counters_are_read():
    page = "# HELP llamacpp:n_decode_total x\nllamacpp:n_decode_total 12\nllamacpp:requests_processing 3\n"
    assert serve.read_counters(page) == {"decodes": 12.0}


def test_calls_in_flight_are_weighted_by_time():
    flight = [(0, 16), (500, 8), (1000, 0)]
    assert report.mean_flight(flight, 0, 1000) == 12.0
    assert report.flight_in_parts(flight, 1000) == [16.0] * 5 + [8.0] * 5
    assert report.mean_flight([], 0, 1000) == 0.0


def task(name, right, kinds=("sample", "check"), draws=("small",)):
    bought = [{"kind": kind, "arm": "small"} for kind in kinds]
    receipt = {"purchases": bought, "stopped": "no offer is worth its price"}
    return {
        "id": name, "right": right, "checked": True, "outcome": "answered", "confidence": 0.9, "cost": [100, 50, 7],
        "draws": dict.fromkeys(draws, 1), "receipt": receipt,
    }  # fmt: skip


def result(name, tasks, **more):
    spent = [100 * len(tasks), 50 * len(tasks), 7]
    sums = {place: list(spent) for place in ("ledger", "answers", "receipts", "journal")}
    server = {"busy_slots": 9.5, "output_tokens": 100.0, "prompt_tokens": 50.0}
    return {
        "name": name, "unit": "", "level": 0.0, "limit": {}, "elapsed_ms": 10_000, "sums": sums, "end": "done",
        "resumed": False, "flight": [(0, 16)], "servers": {"small": server, "big": server}, "tasks": tasks, **more,
    }  # fmt: skip


def test_the_tables_compare_on_the_same_tasks_and_flag_sums_that_differ():
    names = [f"t{at}" for at in range(20)]
    big = result("always-big", [task(name, False) for name in names])
    ours = result(
        "outlay-tok-1.00",
        [task(name, True, ("sample", "check", "revise", "sample"), ("small", "big")) for name in reversed(names)],
        unit="tok", limit={"tok": 2_500},
    )  # fmt: skip
    gap = report.difference(ours, big)
    assert (gap.value, gap.verdict()) == (100.0, "win")
    text = report.render([big, ours])
    assert "500 of 2,500 tok" in text
    assert "| +100.0 [+100.0, +100.0] | win |" in text
    assert "t19 in outlay-tok-1.00" in text
    assert "NO" not in text
    off = {**ours, "sums": {**ours["sums"], "journal": [1, 2, 3]}}
    assert "| NO |" in report.render([big, off])


def test_a_run_without_a_revised_and_escalated_task_says_so():
    text = report.render([result("always-big", [task("a", True)])])
    assert "No task of these runs was sampled, checked, revised and escalated." in text


def test_dollars_left_are_those_of_the_ledger():
    ours = result("outlay-usd-1.00", [task("a", True)], unit="usd", limit={"usd": 1_000_007})
    assert report.left(ours) == "0.001000 of 0.001000 USD"


def test_seconds_left_are_those_of_the_clock():
    ours = result("outlay-s-1.00", [task("a", True)], unit="s", limit={"s": 12_500})
    assert report.left(ours) == "2.5 of 12.5 s"
