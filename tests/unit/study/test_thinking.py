import json

import numpy as np
import pytest

from outlay.study import recording, thinking
from outlay.study.bench_log import only
from outlay.study.replay import Outcome
from outlay.study.thinking import Pair, capped, fall_back, least_confident, pair_of, table, with_caps


def pair(plain, thought, cost, sure):
    count = len(plain)
    return Pair(
        tuple(f"p{p}" for p in range(count)),
        Outcome(np.array(plain, float), np.full(count, 10.0)),
        Outcome(np.array(thought, float), np.array(cost, float)),
        np.array(sure, float),
    )


@pytest.fixture
def four():
    return pair([1, 0, 1, 0], [1, 1, 0, 0], [100, 200, 900, 900], [-0.1, -0.5, -0.2, -0.4])


def test_a_cut_thought_costs_its_cap_and_falls_back_to_the_plain_answer(four):
    everyone = np.ones(4, dtype=bool)
    score, cost = capped(four, 300, everyone, asked_P=~everyone)
    assert score.tolist() == [1, 1, 1, 0]
    assert cost.tolist() == [100, 200, 310, 310]  # the plain answer is bought where the thought was cut
    score, cost = capped(four, 300, everyone, asked_P=everyone)
    assert cost.tolist() == [110, 210, 310, 310]


def test_without_a_cap_nothing_is_cut(four):
    settings = fall_back(four)
    assert settings.score_KP[-1].tolist() == four.thought.score_P.tolist()
    assert settings.cost_KP[-1].tolist() == four.thought.cost_P.tolist()
    assert settings.cost_KP[0].tolist() == four.plain.cost_P.tolist()


def test_the_least_confident_think_first_and_all_are_asked(four):
    settings = least_confident(four)
    thinking_K = (settings.cost_KP > 10).sum(axis=1)
    assert sorted(set(thinking_K.tolist())) == [0, 1, 2, 3, 4]
    only_one = settings.cost_KP[thinking_K == 1]
    assert (only_one == [10, 210, 10, 10]).all()


def test_the_table_is_paired_and_held_out():
    rng = np.random.default_rng(1)
    count = 400
    cost = rng.choice([100.0, 5000.0], count)
    # a long thought is never right, a short one always: the cap is worth everything
    bed = pair(rng.random(count) < 0.5, cost == 100, cost, -rng.random(count))
    made = table(bed, {("ours", 0.5): bed.plain})
    at_once = {(line.name, line.target): line for line in made.lines}
    assert at_once["cap, fall back", 1.0].score > 0.7
    assert at_once["cap, fall back", 0.15].cost.value <= 0.25
    gaps = {(gap.name, gap.budget, gap.rival): gap.points for gap in made.gaps}
    assert gaps["cap, fall back", 0.5, "blind"].verdict() == "win"
    assert gaps["ours", 0.5, "blind"].value == pytest.approx(0.0)
    assert made.thought.points == (0.0, 0.0, 0.0)


@pytest.fixture
def read(tmp_path):
    rows = [
        {"prompt": f"p{p}", "arm": arm, "draw": 0, "answer": "A" if p else None, "output": output + p,
         "confidence": [-0.1 * (p + 1)] * 3 if arm == "m" else None}
        for p in range(3) for arm, output in (("m", 10), ("m-think", 100), ("other", 7))
    ]  # fmt: skip
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    labels = [{"prompt": f"p{p}", "gold": "AB"[p % 2]} for p in range(3)]
    (tmp_path / "log_labels.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels))
    return recording.load(path)


def test_a_pair_is_read_from_a_recording_in_the_order_of_its_prompts(read):
    made = pair_of(read, "m", "m-think")
    assert made.plain.score_P.tolist() == [0, 0, 1]  # no answer is wrong, gold B is missed
    assert made.thought.cost_P.tolist() == [100, 101, 102]
    assert made.sure_P.tolist() == pytest.approx([-0.1, -0.2, -0.3])


def test_a_capped_arm_gives_whole_answers_or_none(read):
    two = with_caps(only(read, ("m", "m-think")), "m-think", (101,))
    cut = [row for row in two.rows if row.arm == "m-think:101"]
    assert [(row.answer, row.output, row.finish) for row in cut] == [
        (None, 100, "stop"),
        ("A", 101, "stop"),
        (None, 101, "length"),
    ]
    assert {arm.name for arm in two.arms} == {"m", "m-think", "m-think:101"}


def test_without_labels_there_is_no_score(read, tmp_path):
    (tmp_path / "log_labels.jsonl").unlink()
    with pytest.raises(ValueError, match="no labels"):
        thinking.outcome_of(recording.load(tmp_path / "log.jsonl"), "m")
