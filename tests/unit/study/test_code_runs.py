from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from outlay.study import code_bed, code_runs
from outlay.study.code_bed import render, table
from outlay.study.replay import lines_of
from outlay.study.rivals import Always, UntilPass
from outlay.types import Answer, Cost

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def bed():
    return code_bed.bed_of(EXAMPLES, orders=4)


@pytest.mark.parametrize(
    ("policy", "model", "rule", "noise"),
    [
        ("uniform:1", "small", Always("small"), 0.0),
        ("uniform:1", "big", Always("big"), 0.0),
        ("until_pass:3", "small", UntilPass("small", True, 3), 0.03),  # sampled draws come in other orders
    ],
)
def test_the_market_and_the_replay_agree_about_the_same_rule(bed, policy, model, rule, noise):
    market = code_runs.runs(EXAMPLES, budget=3.0, seeds=[0], policy=policy, models=(model,))
    replay = bed.grade(rule(bed.seen))
    assert market.outcome.score_P.mean() == pytest.approx(replay.score_P.mean(), abs=noise + 1e-9)
    assert market.outcome.cost_P.mean() == pytest.approx(replay.cost_P.mean(), rel=noise + 1e-9)


def test_outlay_never_spends_above_its_budget_and_its_row_says_so():
    market = code_runs.market(EXAMPLES, budgets=(0.4, 1.0), seeds=[0])
    for run in market.values():
        assert max(run.spent) <= run.limit
        assert run.outcome.cost_P.sum() * 1000 == pytest.approx(np.mean(run.spent))
    made = table(EXAMPLES, orders=2, market=market)
    assert [step.budget for step in made.steps] == [0.4, 1.0]
    for step in made.steps:
        assert step.most <= 1
        assert step.cost <= step.budget
    ours = next(line for line in made.at_cost if line.name == "outlay")
    assert ours.cost.value <= 1
    assert "outlay" in render(made)


def test_a_run_is_the_same_each_time():
    one, two = (code_runs.runs(EXAMPLES, budget=0.5, seeds=[7]) for _ in range(2))
    assert one.spent == two.spent
    assert np.array_equal(one.outcome.score_P, two.outcome.score_P)
    assert np.array_equal(one.outcome.cost_P, two.outcome.cost_P)


def test_no_label_is_within_reach_of_a_run(tmp_path):
    for name in (code_bed.PROMPTS, code_bed.ANSWERS):
        (tmp_path / name).write_bytes((EXAMPLES / name).read_bytes())
    job = code_runs.job_of(tmp_path, budget=1.0, seed=0)  # there are no labels in this folder
    assert len(job.prompts) == 164
    assert "correct" not in "".join(str(getattr(job.prompts[0], f.name)) for f in fields(job.prompts[0]))


def test_a_program_is_graded_by_what_it_is_and_a_cut_one_is_wrong():
    job = code_runs.job_of(EXAMPLES, budget=1.0, seed=0)
    grader = code_runs.by_recording(EXAMPLES)
    rows = {(r["prompt"], r["arm"], r["draw"]): r["text"] for r in lines_of(EXAMPLES / code_bed.ANSWERS)}
    labels = list(lines_of(EXAMPLES / code_bed.LABELS))
    prompts = {prompt.id: prompt for prompt in job.prompts}

    def answer(text):
        return Answer("", text, text or "", "answered", 0.5, Cost())

    for label in labels[:60]:
        text = rows[label["prompt"], label["arm"], label["draw"]]
        prompt = prompts[label["prompt"]]
        assert grader(prompt, answer(text)) == label["correct"]
    assert grader(prompt, answer(text[: len(text) // 2])) is False
    assert grader(prompt, answer(None)) is False
