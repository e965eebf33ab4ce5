import json

import pytest

from outlay.study import recording
from outlay.study.agreement import Trio, agree, line
from outlay.study.replay import Outcome

TRIO = Trio("a", "b", "big", (1.0, 2.0, 10.0))


@pytest.fixture
def read(tmp_path):
    """On the first two of five prompts the cheap ones agree (right, wrong); on the last neither answers."""
    said = [("A", "A", "A"), ("B", "B", "A"), ("A", "B", "A"), ("B", "A", "C"), (None, None, "A")]
    rows = [
        {"prompt": f"p{p}", "arm": arm, "draw": 0, "answer": answer, "output": 10}
        for p, answers in enumerate(said)
        for arm, answer in zip(TRIO[:3], answers, strict=True)
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    labels = [{"prompt": f"p{p}", "gold": "A"} for p in range(5)]
    (tmp_path / "log_labels.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels))
    return recording.load(tmp_path / "log.jsonl")


def test_the_dear_one_is_asked_where_the_cheap_ones_differ_or_say_nothing(read):
    outcome, same = agree(read, TRIO)
    assert same.tolist() == [True, True, False, False, False]
    assert outcome.score_P.tolist() == [1, 0, 1, 0, 1]
    assert outcome.cost_P.tolist() == [30, 30, 130, 130, 130]


def test_a_line_holds_agreement_and_our_run_against_the_dear_one(read):
    made = line(read, TRIO, Outcome(agree(read, TRIO)[0].score_P, agree(read, TRIO)[0].cost_P))
    assert (made.agreed, made.right, made.dear) == (0.4, 0.5, 0.8)
    assert made.cost.value == pytest.approx(0.9)
    assert made.points.value == pytest.approx(-20)
    assert made.ours.value == pytest.approx(-20)
    assert made.ours_over == (0, 0, 0)
    # a mix of the first (2 of 5 right at .1) and the dear one at .9: 4/5 - 1/9 * 2/5
    assert made.over_mix.value == pytest.approx(100 * (0.6 - (0.8 - 0.4 / 9)))
