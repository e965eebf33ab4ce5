import gzip
import json

import numpy as np
import pytest

from outlay.study.replay import (
    Outcome,
    Yardstick,
    at_cost,
    at_score,
    folds_of,
    load,
    mixed_at_cost,
    mixed_at_score,
    spent_up,
    tune,
)
from outlay.study.rivals import FAMILIES, Always, BestOf, SmallThenBig, UntilPass

RATES = {"small:greedy": 1.0, "small": 1.0, "big:greedy": 3.0, "big": 3.0}

# One line a draw: prompt, arm, draw, tokens, verdict, confidence, finish, right.
DRAWS = [
    # the small model never passes here
    ("pass", "small:greedy", 0, 10, False, -0.5, "stop", False),
    ("pass", "small", 0, 20, False, -0.1, "stop", False),
    ("pass", "small", 1, 20, False, -0.1, "stop", False),
    ("pass", "big:greedy", 0, 30, True, -0.2, "stop", True),
    ("pass", "big", 0, 40, True, -0.2, "stop", False),
    # nothing can be checked; the small model is unsure
    ("blind", "small:greedy", 0, 10, None, -0.5, "stop", False),
    ("blind", "small", 0, 20, None, -0.1, "length", False),
    ("blind", "small", 1, 20, None, -0.3, "stop", True),
    ("blind", "big:greedy", 0, 30, None, -0.4, "stop", True),
    ("blind", "big", 0, 40, None, -0.6, "stop", False),
]


@pytest.fixture
def bed(tmp_path):
    prompts = [
        {"id": "pass", "metadata": {"check": True}},
        {"id": "blind", "metadata": {"check": False}},
    ]
    answers, labels = [], []
    for prompt, arm, draw, tokens, verdict, sure, finish, right in DRAWS:
        row = {"prompt": prompt, "arm": arm, "draw": draw}
        answers.append(
            row | {"output": tokens, "verdicts": {"v": verdict}, "confidence": [sure] * 3, "finish": finish}
        )
        labels.append(row | {"correct": right})
    files = {"p.jsonl": prompts, "a.jsonl.gz": answers, "l.jsonl": labels}
    for name, rows in files.items():
        text = "".join(json.dumps(row) + "\n" for row in rows)
        packed = name.endswith(".gz")
        (tmp_path / name).write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return load(*(tmp_path / name for name in files), rates=RATES, check="v", orders=6)


def played(bed, rule):
    outcome = bed.grade(rule(bed.seen))
    return [(float(s), float(c)) for s, c in zip(outcome.score_P, outcome.cost_P, strict=True)]


@pytest.mark.parametrize(
    ("rule", "wanted"),  # score and cost on "pass", then on "blind"
    [
        (Always("small"), [(0, 10), (0, 10)]),
        (Always("big"), [(1, 90), (1, 90)]),
        (UntilPass("small", True, 2), [(0, 30), (0, 10)]),
        (UntilPass("small", True, 9), [(0, 50), (0, 10)]),  # no more than were recorded
        (UntilPass("big", False, 2), [(0, 120), (0, 120)]),
        (UntilPass("big", True, 3), [(1, 90), (1, 90)]),  # stops at the pass; unchecked at the first
        (SmallThenBig(True, 1, 1), [(1, 100), (0, 10)]),
        (SmallThenBig(True, 3, 2, straight=True), [(1, 140), (1, 90)]),
        (SmallThenBig(True, 1, 1, confidence="mean", below=-0.4), [(1, 100), (1, 100)]),
        (SmallThenBig(True, 1, 1, confidence="mean", below=-0.5), [(1, 100), (0, 10)]),
        (BestOf("small", False, 2, "low"), [(0, 40), (1, 40)]),  # a cut answer comes last
        (BestOf("big", True, 2, "tail"), [(1, 210), (1, 210)]),
    ],
)
def test_each_rival_does_on_a_small_recording_what_its_name_says(bed, rule, wanted):
    assert played(bed, rule) == wanted


def test_orders_shuffle_samples_and_nothing_else(bed):
    slot = bed.seen.slots.index(("small", 0))
    assert len(set(bed.seen.confidence_PODC[1, :, slot, 0])) == 2
    pairs = bed.seen.confidence_PODC[1, :, slot : slot + 2, 0]
    assert (np.sort(pairs, axis=1) == [-0.3, -0.1]).all()
    greedy = bed.seen.slots.index(("small:greedy", 0))
    assert (bed.seen.cost_POD[1, :, greedy] == 10).all()
    # a draw keeps its own verdict, finish and label
    assert (bed.seen.cut_POD[1, :, slot] == (pairs[:, 0] == -0.1)).all()
    assert (bed.right_POD[1, :, slot] == (pairs[:, 0] == -0.3)).all()


EVERY = [rule for rules in FAMILIES.values() for rule in rules]


def test_no_rule_looks_at_what_it_does_not_buy(bed):
    rng = np.random.default_rng(0)
    for rule in EVERY:
        choice = rule(bed.seen)
        hidden = ~choice.bought_POD
        other = type(bed.seen)(
            slots=bed.seen.slots,
            there_POD=bed.seen.there_POD,
            cost_POD=bed.seen.cost_POD,
            check_POD=np.where(hidden, rng.integers(-1, 2, hidden.shape), bed.seen.check_POD).astype(np.int8),
            confidence_PODC=np.where(
                hidden[..., None], -rng.random((*hidden.shape, 3)), bed.seen.confidence_PODC
            ),
            cut_POD=np.where(hidden, rng.random(hidden.shape) < 0.5, bed.seen.cut_POD),
            checked_P=bed.seen.checked_P,
        )
        again = rule(other)
        assert np.array_equal(again.slot_PO, choice.slot_PO), rule
        assert np.array_equal(again.bought_POD, choice.bought_POD), rule


def test_a_rule_buys_only_what_is_there_and_answers_with_what_it_bought(bed):
    for rule in EVERY:
        slot, bought = rule(bed.seen)
        assert not (bought & ~bed.seen.there_POD).any()
        assert np.take_along_axis(bought, slot[..., None], axis=2).all()


def test_folds_depend_on_the_id_alone():
    ids = [f"task/{i}" for i in range(200)]
    assert np.array_equal(folds_of(ids)[::-1], folds_of(ids[::-1]))
    assert set(folds_of(ids)) == set(range(5))


PICKS = [at_cost, at_score, mixed_at_cost(1.0), mixed_at_score]


@pytest.mark.parametrize("pick", PICKS)
def test_held_out_labels_change_no_choice(pick):
    rng = np.random.default_rng(2)
    score, cost = (rng.random((12, 60)) < 0.5).astype(float), rng.random((12, 60)) + 0.5
    fold = folds_of([str(i) for i in range(60)])
    yard = Outcome(score[3], cost[3])
    before = tune(score, cost, yard, fold, pick)
    for held in range(5):
        out = fold == held
        other = score.copy()
        other[:, out] = rng.permuted(1 - score[:, out], axis=1)
        after = tune(other, cost, Outcome(other[3], cost[3]), fold, pick)
        assert np.array_equal(after.weight_FK[held], before.weight_FK[held])
        # and training labels do: the test would see it otherwise
    flipped = tune(1 - score, cost, Outcome(1 - score[3], cost[3]), fold, pick)
    assert not np.array_equal(flipped.weight_FK, before.weight_FK)


def test_a_family_of_one_setting_is_graded_as_it_is():
    score, cost = np.array([[1.0, 0.0, 1.0]]), np.array([[1.0, 2.0, 3.0]])
    got = tune(score, cost, Outcome(score[0], cost[0]), np.array([0, 1, 2]), at_cost)
    assert got.outcome.score_P.tolist() == score[0].tolist()
    assert got.outcome.cost_P.tolist() == cost[0].tolist()


@pytest.mark.parametrize(
    ("pick", "yard", "wanted"),
    [
        (at_cost, (0.5, 2.0), 1),  # the best within the cost, the cheaper of two equals
        (at_cost, (0.5, 0.5), 0),  # nothing is: the cheapest
        (at_score, (0.6, 9.0), 1),
        (at_score, (0.99, 9.0), 3),  # nothing is: the best
        (spent_up(0.5), (0.0, 4.5), 2),  # the dearest within the share, whatever it scores
        (spent_up(1.0), (0.0, 0.5), 0),  # nothing is: the cheapest
    ],
)
def test_targets(pick, yard, wanted):
    score, cost = np.array([0.5, 0.7, 0.7, 0.9]), np.array([1.0, 1.5, 2.0, 3.0])
    assert pick(score, cost, Yardstick(*yard)).tolist() == np.eye(4)[wanted].tolist()
