import json

import numpy as np
import pytest

from outlay.config import parse_budget
from outlay.errors import BudgetError, UnknownName, UsageError
from outlay.study import recording
from outlay.study.bench import replay, report
from outlay.study.bench_bed import bed_of, notes_of, rules_of
from outlay.study.bench_log import log_of
from outlay.types import ACCOUNTS, NANO, Budget


def write(path, rows, labels=(), prompts=()):
    for end, made in (("", rows), ("_labels", labels), ("_prompts", prompts)):
        if made:
            path.with_name(f"log{end}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in made))
    return path.with_name("log.jsonl")


def row(prompt, arm, answer, draw=0, output=10, **more):
    return {"prompt": prompt, "arm": arm, "draw": draw, "answer": answer, "output": output, **more}


def two_models(prompts=40):
    """`small` is right on every second prompt for 10 tokens, `big` on all but every eighth for 50."""
    rows, labels = [], []
    for p in range(prompts):
        rows += [
            row(f"p{p}", "small", "A" if p % 2 else "B"),
            row(f"p{p}", "big", "B" if p % 8 == 1 else "A", output=50),
        ]
        labels.append({"prompt": f"p{p}", "gold": "A"})
    return rows, labels


@pytest.fixture
def log(tmp_path):
    rows, labels = two_models()
    return log_of(recording.load(write(tmp_path / "x", rows, labels)))


def lines(made):
    return {line.rule: line for line in made.lines}


def test_always_one_model_costs_and_scores_what_the_log_says(log):
    made = report(bed_of(log, ["small", "big"]), [parse_budget("1ktok")])
    small, big = lines(made)["uniform:1@small"], lines(made)["uniform:1@big"]
    assert (small.cost, big.cost) == (400, 2000)
    assert (small.right.value, big.right.value) == (0.5, 35 / 40)
    assert small.share.value == 0.2
    assert small.points.value == pytest.approx(-37.5)
    assert (big.same.value, big.points.value) == (1.0, 0.0)
    # both say A on prompts 3, 5 and 7 of eight; on the others one says A and the other B
    assert small.same.value == pytest.approx(15 / 40)


def test_priced_keeps_to_each_budget_and_is_graded_like_the_rules(log):
    made = report(bed_of(log, ["small", "big"]), [parse_budget("500tok"), parse_budget("1500tok")])
    ours = [line for line in made.lines if line.rule == "priced"]
    assert [line.budget for line in ours] == [500, 1500]
    for line in ours:
        assert 0 < line.cost <= line.budget
        assert line.right is not None
        assert line.over_mix is not None


def test_prompts_that_a_budget_leaves_without_an_answer_are_counted(log):
    made = report(bed_of(log, ["small", "big"]), [parse_budget("200tok")])
    ours = made.lines[-1]
    assert 0.4 <= ours.blank < 1  # at most 20 of 40 can be asked
    assert lines(made)["uniform:1@small"].blank == 0


def test_without_labels_it_tells_the_share_of_the_same_answers(tmp_path):
    rows, _ = two_models()
    bed = bed_of(log_of(recording.load(write(tmp_path / "x", rows))), ["small", "big"])
    made = report(bed, [parse_budget("1ktok")])
    assert made.labelled == 0
    assert all(line.right is None and line.points is None for line in made.lines)
    assert lines(made)["uniform:1@small"].same.value == pytest.approx(15 / 40)
    assert any(note.startswith("No labels") for note in made.notes)


def test_no_label_is_within_reach_of_a_run(log):
    bed = bed_of(log, ["small", "big"])
    told = repr([(row.text, row.answer, row.verdicts) for row in log.rows]) + repr(log.prompts)
    assert "'A'" not in told
    assert "gold" not in told
    got = [
        replay(bed_of(one, ["small", "big"]), "priced", budget=Budget(tok=900), orders=1)
        for one in (bed.log, type(log)(log.rows, log.prompts, {}))
    ]
    assert np.array_equal(got[0].said_OP, got[1].said_OP)
    assert np.isnan(got[1].score_OP).all()


def test_all_rules_meet_the_same_draws_in_the_same_orders(tmp_path):
    rows = [row(f"p{p}", "small", "ABC"[d % 3], d) for p in range(12) for d in range(6)]
    bed = bed_of(log_of(recording.load(write(tmp_path / "x", rows))), ["small"])
    first, again, two = (replay(bed, f"uniform:{n}@small", budget=Budget(), orders=4) for n in (1, 1, 2))
    assert np.array_equal(first.said_OP, again.said_OP)
    assert np.array_equal(first.said_OP, two.said_OP)  # two votes never beat one
    assert len({tuple(order) for order in first.said_OP.tolist()}) > 1
    lead = replay(bed, "lead:2@small", budget=Budget(), orders=4)
    unit = ACCOUNTS.index("outtok")
    assert (lead.cost_OPU[..., unit] >= 20).all()  # two draws at least
    assert (lead.cost_OPU[..., unit] <= 60).all()  # and never more than were recorded


@pytest.mark.parametrize(
    ("draws", "checks", "models", "shown"),
    [
        (1, False, 2, {"uniform:1@m0", "uniform:1@m1"}),
        (1, False, 3, {"uniform:1@m0", "uniform:1@m1", "uniform:1@m2", "agree"}),
        (3, False, 1, {"uniform:1@m0", "uniform:3@m0", "lead:2@m0"}),
        (2, True, 1, {"uniform:1@m0", "uniform:2@m0", "until_pass:2@m0"}),
        (2, False, 1, {"uniform:1@m0"}),
    ],
)
def test_a_rule_is_shown_only_where_the_log_holds_what_it_needs(tmp_path, draws, checks, models, shown):
    more = {"verdicts": {"visible": True}} if checks else {}
    rows = [
        row(f"p{p}", f"m{m}", "A", d, **more) for p in range(3) for m in range(models) for d in range(draws)
    ]
    bed = bed_of(log_of(recording.load(write(tmp_path / "x", rows))), [f"m{m}" for m in range(models)])
    assert set(rules_of(bed)) == shown


def test_the_dollars_of_a_log_give_its_prices(tmp_path):
    rows = [
        row(
            f"p{p}",
            "small",
            "A",
            output=10 + p,
            input=100 + p % 3,
            usd=1e-6 * (100 + p % 3) + 3e-6 * (10 + p),
        )
        for p in range(20)
    ]
    (arm,) = bed_of(log_of(recording.load(write(tmp_path / "x", rows))), ["small"]).arms
    assert arm.price.input == pytest.approx(NANO, rel=1e-6)
    assert arm.price.output == pytest.approx(3 * NANO, rel=1e-6)


def test_dollars_that_follow_no_price_become_a_mean_and_are_told(tmp_path):
    rows = [row(f"p{p}", "small", "A", usd=0.5 * (p % 2)) for p in range(20)]
    bed = bed_of(log_of(recording.load(write(tmp_path / "x", rows))), ["small"])
    assert bed.arms[0].price.output == 25_000 * NANO
    assert any("follow no price" in note for note in notes_of(bed, "usd"))


def test_prices_of_the_user_make_dollars_the_unit(log):
    made = report(bed_of(log, ["small@0/1", "big@0/2"]), [])
    assert made.unit == "usd"
    assert lines(made)["uniform:1@big"].cost == 40 * 50 * 2 * 1000
    assert [line.budget for line in made.lines if line.rule == "priced"] == [1_000_000, 2_000_000, 4_000_000]


@pytest.mark.parametrize(
    ("models", "budgets", "error", "says"),
    [
        (["small", "huge"], [], UnknownName, "huge"),
        (["small", "small"], [], UsageError, "twice"),
        (["small", "big"], ["1ktok", "1usd"], BudgetError, "one unit"),
        (["small", "big"], ["10s"], BudgetError, "seconds"),
        (["small", "big"], ["1usd"], BudgetError, "no price"),
        (["small@0/0", "big@0/0"], ["1usd"], BudgetError, "costs nothing"),
        ([f"m{m}" for m in range(9)], [], UsageError, "at most 8"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_remedy(log, models, budgets, error, says):
    with pytest.raises(error, match=says):
        report(bed_of(log, models), [parse_budget(text) for text in budgets])


def test_an_arm_without_tokens_is_refused_since_it_would_look_free(tmp_path):
    rows = [row("p", "small", "A"), row("p", "hidden", "A", output=0)]
    with pytest.raises(UsageError, match="hidden"):
        bed_of(log_of(recording.load(write(tmp_path / "x", rows))), ["small", "hidden"])


def test_what_a_log_cannot_tell_is_said(tmp_path):
    rows = [row("p", "small", "A"), row("q", "small", None), row("p", "big", "A", estimated=True)]
    labels = [{"prompt": "p", "gold": "A"}]
    bed = bed_of(log_of(recording.load(write(tmp_path / "x", rows, labels))), ["small", "big"])
    said = " ".join(notes_of(bed, "tok"))
    for word in (
        "1 of 2 prompts; accuracy",
        "One draw",
        "No confidence",
        "No check",
        "No input",
        "no bill",
        "1 of 2 prompts have no draw of big",
        "1 of 3 draws answer nothing",
        "counts the same",
    ):
        assert word in said
