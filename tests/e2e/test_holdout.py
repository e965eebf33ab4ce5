"""`--holdout`: the run beside always asking the dearest model, without a label and without peeking."""

import asyncio
import json
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import outlay
from outlay.api.result import beside
from outlay.cli import main
from outlay.driver import Job, Summary, run_job
from outlay.engines.simulated import Simulated
from outlay.market.identity import is_held_out
from outlay.types import Answer, Budget, Call, Completion, Cost, Usage

BEDS = runpy.run_path(str(Path(__file__).with_name("resumable.py")), run_name="resumable")


def run(job: Job) -> tuple[Summary, tuple[Answer, ...]]:
    return asyncio.run(run_job(job))


def held(job: Job) -> set[str]:
    return {prompt.id for prompt in job.prompts if is_held_out(prompt.id, job.seed, job.holdout)}


@pytest.fixture(scope="module")
def ended() -> tuple[Job, Summary, tuple[Answer, ...]]:
    job = BEDS["job"]("held_out", None)
    return job, *run(job)


def test_every_held_out_prompt_is_asked_of_the_dearest_model_first_and_once(
    ended: tuple[Job, Summary, tuple[Answer, ...]],
):
    job, summary, answers = ended
    assert summary.compared is not None
    compared = {
        answer.id
        for answer in answers
        if any(line["kind"] == "compare" for line in answer.receipt["purchases"])
    }
    assert 20 < len(compared) <= len(held(job))
    assert compared <= held(job)
    assert summary.compared.prompts == len(compared)
    assert summary.compared.held == len(held(job)) == len(compared) + sum(summary.compared.missing.values())
    for answer in answers:
        kinds = [line["kind"] for line in answer.receipt["purchases"]]
        assert "compare" not in kinds[1:]
    assert {line["arm"] for a in answers for line in a.receipt["purchases"] if line["kind"] == "compare"} == {
        "big"
    }


def test_the_run_decides_without_the_answer_that_it_is_compared_with(
    ended: tuple[Job, Summary, tuple[Answer, ...]],
):
    """Were it seen, an untouched prompt would be believed from the first purchase on."""
    answers = ended[2]
    first = [
        line["belief"][0]
        for answer in answers
        if answer.receipt["purchases"] and answer.receipt["purchases"][0]["kind"] == "compare"
        for line in answer.receipt["purchases"][1:2]
    ]
    assert first
    assert set(first) == {0.0}


def test_costs_on_the_held_out_share_are_those_of_the_run_alone(
    ended: tuple[Job, Summary, tuple[Answer, ...]],
):
    _, summary, answers = ended
    compared = summary.compared
    assert compared is not None
    lines = [line for answer in answers for line in answer.receipt["purchases"]]
    assert compared.dearest == sum(line["tok"] for line in lines if line["kind"] == "compare")
    own = [a for a in answers if any(line["kind"] == "compare" for line in a.receipt["purchases"])]
    # What was bought after the comparison is not part of it.
    assert compared.spent <= sum(answer.cost.tok for answer in own) - compared.dearest
    assert compared.spent > 0
    assert summary.spent.tok == sum(answer.cost.tok for answer in answers) <= 24_000


def told(differ: set[str], **changes: Any) -> tuple[Job, Summary, tuple[Answer, ...]]:
    """The big model says 42, and so does the small one except for the prompts in `differ`; a rule asks the small."""

    def said(call: Call, ordinal: int) -> Completion:
        other = call.arm.name == "small" and call.prompt_id in differ
        return Completion(f"It is {7 if other else 42}.", output_tokens=5)

    def used(call: Call, copies: tuple[Completion, ...]) -> Usage:
        return Usage(10, (5 if call.arm.name == "small" else 40) * len(copies))

    engine = Simulated(said, lambda call: Cost(100, 50, 10**9), Cost(30, 10), used)
    bed = BEDS["job"]("held_out", None)
    job = replace(bed, arms=bed.arms[:2], engines={"models": engine}, policy="uniform:1@small", strategy="vote",
                  budget=Budget(tok=10**6))  # fmt: skip
    job = replace(job, **changes)
    return job, *run(job)


def test_the_share_of_same_answers_and_the_cost_are_counted_to_the_prompt():
    own = sorted(held(BEDS["job"]("held_out", None)))
    for differ in (set[str](), set(own[:5]), set(own)):
        _, summary, answers = told(differ)
        compared = summary.compared
        assert compared is not None
        assert (compared.prompts, compared.same) == (len(own), len(own) - len(differ))
        assert (compared.spent, compared.dearest) == (15 * len(own), 50 * len(own))
        assert all(answer.answer is not None for answer in answers)


def test_answers_that_stand_alone_are_not_compared():
    """Two programs that do the same are not the same text."""
    job = replace(BEDS["job"]("code", None), holdout=0.3)
    summary, answers = run(job)
    assert summary.compared is not None
    assert (summary.compared.prompts, summary.compared.missing) == (0, {"incomparable": len(held(job))})
    assert "nothing could be compared with" in beside(summary.compared)
    assert "name their kind" in beside(summary.compared)
    assert not any(line["kind"] == "compare" for answer in answers for line in answer.receipt["purchases"])


def test_held_out_prompts_that_the_budget_could_not_pay_for_are_told_and_counted():
    """The share may take at most twice itself: what came back at its 50 tokens, and one more at its worst, 100."""
    job, summary, answers = told(set(), budget=Budget(tok=2_000), holdout=0.25)
    compared = summary.compared
    assert compared is not None
    assert compared.prompts == 19
    assert 2_000 * 2 * job.holdout == 18 * 50 + 100
    assert compared.missing == {"unaffordable": len(held(job)) - 19}
    said = f"; of {compared.held} held out, {compared.held - 19} could not be afforded when they began (at most 50%"
    assert said in beside(compared)
    asked = [a for a in answers if any(line["kind"] == "compare" for line in a.receipt["purchases"])]
    assert len(asked) == 19


@pytest.mark.parametrize("lockstep", [True, False])
@pytest.mark.parametrize(
    ("policy", "open_points"), [("uniform:1@small", 4), ("uniform:1@small", 10_000), ("priced", 10_000)]
)
def test_all_are_compared_where_answers_cost_a_tenth_of_their_worst_case(
    policy: str, lockstep: bool, open_points: int
):
    """At their worst cases, 10 of them would fit."""
    engine = Simulated(
        lambda call, _: Completion("It is 42.", output_tokens=5), Cost(500, 450, 10**9), Cost(50, 40),
        lambda call, copies: Usage(10, 40 * len(copies)), lockstep=lockstep,
    )  # fmt: skip
    job, summary, answers = told(
        set(), engines={"models": engine}, policy=policy, open_points=open_points, budget=Budget(tok=10_000),
        holdout=0.25,
    )  # fmt: skip
    compared = summary.compared
    assert compared is not None
    assert (compared.prompts, compared.same, compared.missing) == (len(held(job)), len(held(job)), {})
    assert compared.dearest == 50 * compared.prompts <= 10_000 * compared.most
    assert summary.spent.tok <= 10_000
    assert {answer.answer for answer in answers} == {"42"}


def test_under_a_rule_those_that_waited_for_their_comparison_are_not_the_last_to_be_paid_for():
    """The budget pays for all comparisons and for an answer to five prompts in six."""
    job, summary, _ = told(set(), budget=Budget(tok=3_000), holdout=0.25)
    compared = summary.compared
    assert compared is not None
    assert (compared.prompts, compared.same, compared.unanswered) == (len(held(job)), len(held(job)), 0)
    assert 0 < summary.outcomes["out_of_budget"] < 30
    assert "no answer of its own" not in beside(compared)


def test_prompts_that_the_run_had_no_answer_to_are_counted_apart_and_told():
    own = sorted(held(BEDS["job"]("held_out", None)))

    def said(call: Call, ordinal: int) -> Completion:
        blank = call.arm.name == "small" and call.prompt_id in own[:3]
        return Completion("I do not know" if blank else "It is 42.", output_tokens=5)

    engine = Simulated(said, Cost(100, 50, 10**9), Cost(30, 10), lambda _, copies: Usage(10, 5 * len(copies)))
    _, summary, answers = told(set(), engines={"models": engine})
    compared = summary.compared
    assert compared is not None
    assert (compared.prompts, compared.same, compared.unanswered) == (len(own), len(own) - 3, 3)
    assert beside(compared).endswith("; on 3 of them the run had no answer of its own")
    assert all(answer.answer == "42" for answer in answers), "what was paid for is used"


def test_a_run_without_money_for_an_answer_of_its_own_says_so():
    _, summary, _ = told(set(), budget=Budget(tok=120), holdout=1.0)
    compared = summary.compared
    assert compared is not None
    assert (compared.prompts, compared.same, compared.unanswered) == (1, 0, 1)
    assert "on 0% [0%, 79%] of 1 held-out prompt, for 0% of its tokens; on 1 of them the run had" in beside(
        compared
    )
    assert summary.spent.tok == 50


def test_held_out_prompts_whose_dearest_answer_failed_are_told_also_when_the_run_is_resumed(tmp_path: Path):
    """What was not compared is read from the receipts, which a resumed run has too."""
    own = sorted(held(BEDS["job"]("held_out", None)))

    def said(call: Call, ordinal: int) -> Completion:
        if call.arm.name == "big" and call.prompt_id in own[:3]:
            return Completion("no answer", finish="error")
        return Completion("It is 42.", output_tokens=5)

    def again() -> Summary:
        engine = Simulated(
            said, Cost(100, 50, 10**9), Cost(30, 10), lambda _, copies: Usage(10, 5 * len(copies))
        )
        return told(set(), engines={"models": engine}, directory=tmp_path)[1]

    for summary in (again(), again()):
        assert summary.compared is not None
        assert (summary.compared.prompts, summary.compared.missing) == (len(own) - 3, {"failed": 3})
        assert beside(summary.compared).endswith(f"; of {len(own)} held out, 3 failed")
        assert any(trouble.startswith("big failed 3 times") for trouble in summary.troubles)


def test_a_share_into_which_no_prompt_falls_says_so():
    job = BEDS["job"]("held_out", None)
    _, summary, _ = told(set(), holdout=1e-9)
    assert job.prompts
    assert summary.compared is not None
    assert beside(summary.compared) == "no prompt fell into the held-out share; hold out a larger one"


def test_the_summary_says_it_in_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "tasks.jsonl"
    rows = [f"{a} + {b} = ?" for a in range(2, 6) for b in range(3, 8)]
    file.write_text("\n".join(json.dumps({"prompt": row, "answer": "number"}) for row in rows))
    assert main(["run", str(file), "--budget", "6ktok", "--holdout", "50%", "--quiet", "--json"]) in (0, 4)
    said = json.loads(capsys.readouterr().out)["held_out"]
    assert said["beside"] == "think:greedy"
    assert said["low"] <= said["share"] <= said["high"]
    assert said["same"] + said["unanswered"] <= said["prompts"]
    assert main(["run", str(file), "--budget", "6ktok", "--holdout", "50%"]) in (0, 4)
    text = " ".join(capsys.readouterr().out.split())
    assert "same answers as always think:greedy on" in text
    assert "held-out prompts, for" in text


def test_in_python_the_result_says_what_the_summary_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    file = tmp_path / "tasks.jsonl"
    rows: list[Any] = [
        {"prompt": f"{a} + {b} = ?", "answer": "number"} for a in range(2, 5) for b in range(3, 7)
    ]
    file.write_text("\n".join(map(json.dumps, rows)))
    result = outlay.run(rows, budget="4ktok", holdout="50%")
    assert main(["run", str(file), "--budget", "4ktok", "--holdout", "50%"]) in (0, 4)
    assert result.held_out.startswith("same answers as always think:greedy on")
    assert result.held_out in " ".join(capsys.readouterr().out.split())
    assert f"Held out: {result.held_out}." in str(result)
    assert result.compared is not None
    assert outlay.run(rows[:2], budget="1ktok").held_out == ""


@pytest.mark.parametrize("share", ["150%", "a lot", "-1%"])
def test_a_share_that_is_none_is_an_error(share: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"prompt": "2 + 2 = ?"}\n')
    assert main(["run", str(file), "--budget", "1ktok", f"--holdout={share}"]) == 2
    assert "share" in capsys.readouterr().err


def test_who_was_compared_before_the_budget_grew_is_counted(tmp_path: Path):
    whole = BEDS["job"]("held_out", tmp_path)
    less = replace(whole, budget=replace(whole.budget, tok=whole.budget.tok // 2))
    first, _ = asyncio.run(run_job(less))
    assert first.compared is not None
    assert first.compared.prompts > 0
    assert "before the budget grew" not in beside(first.compared)
    then, _ = asyncio.run(run_job(whole))
    assert then.compared is not None
    assert then.compared.before == first.compared.prompts
    assert f"; {first.compared.prompts} of them compared before the budget grew" in beside(then.compared)
