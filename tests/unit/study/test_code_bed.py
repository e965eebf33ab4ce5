import hashlib
from pathlib import Path

import numpy as np
import pytest

from outlay.study import code_bed
from outlay.study.code_bed import BUDGETS, Market, render, table
from outlay.study.replay import Outcome
from outlay.study.rivals import YARDSTICK, Always, UntilPass

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def bed():
    return code_bed.bed_of(EXAMPLES, orders=2)


def test_the_bed_is_what_the_protocol_says(bed):
    assert len(bed.ids) == 164
    assert bed.seen.checked_P.sum() == 115
    counts = {
        arm: bed.seen.there_POD[:, 0, [s[0] == arm for s in bed.seen.slots]].sum(axis=1)
        for arm in code_bed.RATES
    }
    assert set(counts["small:greedy"]) == set(counts["big:greedy"]) == {1}
    assert set(counts["small"]) == {4, 8}
    assert set(counts["big"]) == {2}
    # silent exactly where there is no check
    spoke = (bed.seen.check_POD != 0).any(axis=(1, 2))
    assert np.array_equal(spoke, bed.seen.checked_P)


def test_figures_agree_with_those_of_the_recording_s_notes(bed):
    yard = bed.grade(YARDSTICK(bed.seen))
    assert yard.score_P.mean() == pytest.approx(0.689, abs=5e-4)
    small = bed.grade(Always("small")(bed.seen))
    assert small.score_P.mean() == pytest.approx(0.530, abs=5e-4)
    assert small.cost_P.mean() / yard.cost_P.mean() == pytest.approx(0.39, abs=5e-3)
    five = bed.grade(UntilPass("small", True, 5)(bed.seen))
    assert five.score_P.mean() == pytest.approx(0.657, abs=5e-3)
    assert five.cost_P.mean() / yard.cost_P.mean() == pytest.approx(0.69, abs=1e-2)


def market(bed, rule, budget):
    outcome = bed.grade(rule(bed.seen))
    spent = round(outcome.cost_P.sum())
    return {budget: Market(outcome, spent, (spent,))}


def test_a_market_that_is_always_big_is_neither_better_nor_worse_than_itself(bed):
    got = table(EXAMPLES, orders=2, market=market(bed, YARDSTICK, 1.0))
    ours = next(line for line in got.at_cost if line.name == "outlay")
    assert ours.points == (0, 0, 0)
    assert ours.cost == (1, 1, 1)
    assert got.steps[0].most == 1
    text = render(got)
    assert "outlay cannot be told from always-big at no more than its cost (+0.0 [+0.0, +0.0] points)" in text
    assert "No saving at the score of always-big is shown" in text


def test_a_loss_is_called_a_loss(bed):
    text = render(table(EXAMPLES, orders=2, market=market(bed, Always("small"), 1.0)))
    assert "outlay solves less than always-big" in text
    assert "-15.9 [" in text


def test_without_runs_the_rivals_stand_alone():
    got = table(EXAMPLES, orders=1)
    assert not got.steps
    assert "rivals alone" in render(got)
    assert [line.name for line in got.at_cost] == [line.name for line in got.at_score]
    assert len(got.at_cost) == 8


def test_a_budget_below_the_cheapest_rival_is_not_compared(bed):
    nothing = Outcome(np.zeros(164), np.full(164, 1.0))
    text = render(table(EXAMPLES, orders=1, market={BUDGETS[0]: Market(nothing, 164, (164,))}))
    assert "below the cheapest rival" in text


def test_the_bed_has_the_hashes_that_the_protocol_pins():
    protocol = (EXAMPLES.parent / "benchmarks" / "code" / "PROTOCOL.md").read_text(encoding="utf-8")
    for name in (code_bed.PROMPTS, code_bed.ANSWERS, code_bed.LABELS):
        assert hashlib.sha256((EXAMPLES / name).read_bytes()).hexdigest() in protocol
