import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.study.statistics import Interval, Resamples, curve_at, hull, interval, mixture, wilson


def test_paired_difference_equals_resampling_by_hand():
    rng = np.random.default_rng(3)
    ours, theirs = rng.random(30), rng.random(30)
    got = Resamples(30, count=4000).difference(ours, theirs)
    picks = np.random.default_rng(9).integers(0, 30, size=(4000, 30))
    by_hand = (ours - theirs)[picks].mean(axis=1)
    assert got.value == pytest.approx((ours - theirs).mean())
    assert got.low == pytest.approx(np.quantile(by_hand, 0.025), abs=0.012)
    assert got.high == pytest.approx(np.quantile(by_hand, 0.975), abs=0.012)


def test_paired_interval_is_that_of_the_normal_formula_on_many_prompts():
    rng = np.random.default_rng(5)
    gap = rng.normal(0.1, 1.0, size=400)
    got = Resamples(400).difference(gap, np.zeros(400))
    half = 1.96 * gap.std() / 20
    assert (got.high - got.low) / 2 == pytest.approx(half, rel=0.05)


def test_pairing_cancels_what_both_rules_share():
    hard = np.random.default_rng(1).random(100)
    assert Resamples(100).difference(hard + 0.1, hard) == pytest.approx((0.1, 0.1, 0.1))


def test_resamples_repeat_and_weigh_every_prompt_once_on_average():
    one, two = Resamples(7, count=2000), Resamples(7, count=2000)
    assert np.array_equal(one.weights_RP, two.weights_RP)
    assert np.allclose(one.weights_RP.sum(axis=1), 1)
    assert np.allclose(one.weights_RP.mean(axis=0), 1 / 7, atol=0.01)


def test_ratio_of_means_is_not_the_mean_of_ratios():
    got = Resamples(2, count=50).ratio(np.array([1.0, 9.0]), np.array([1.0, 1.0]))
    assert got.value == 5
    assert got.low >= 1
    assert got.high <= 9


def test_interval_holds_the_middle_95_percent():
    assert interval(0.5, np.arange(1001) / 1000) == pytest.approx((0.5, 0.025, 0.975))


@pytest.mark.parametrize(
    ("figure", "word"),
    [((2, 1, 3), "win"), ((-2, -3, -1), "loss"), ((1, -1, 3), "nothing"), ((1, 0, 3), "nothing")],
)
def test_a_verdict_needs_the_whole_interval(figure, word):
    assert Interval(*figure).verdict() == word


def test_wilson_known_values():
    # Newcombe 1998, table I: 81 of 263, and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.3080, 0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0, 0.1611), abs=5e-5)
    assert wilson(0, 0)[1:] == (0.0, 1.0)


POINTS = st.lists(
    st.tuples(st.integers(1, 20).map(float), st.integers(0, 20).map(lambda s: s / 20)), min_size=1, max_size=9
)


@given(POINTS, st.floats(0, 25))
def test_a_mixture_at_a_cost_is_the_best_of_all_pairs(points, wanted):
    cost, score = (np.array(axis) for axis in zip(*points, strict=True))
    weight = mixture(cost, score, cost=wanted)
    assert weight.sum() == pytest.approx(1)
    assert (weight > 0).sum() <= 2
    wanted = max(wanted, cost.min())
    assert weight @ cost <= wanted + 1e-9
    best = max(
        s + w * (t - s)
        for c, s in points
        for d, t in points
        for w in ([1.0, 0.0] if d == c else [min(max((wanted - c) / (d - c), 0), 1)])
        if c + w * (d - c) <= wanted + 1e-9
    )
    assert weight @ score == pytest.approx(best)


@given(POINTS, st.floats(0, 1))
def test_a_mixture_at_a_score_reaches_it_or_the_top(points, wanted):
    cost, score = (np.array(axis) for axis in zip(*points, strict=True))
    weight = mixture(cost, score, score=wanted)
    assert weight @ score >= min(wanted, score.max()) - 1e-9
    # The same cost buys no more: it lies on the frontier.
    assert mixture(cost, score, cost=float(weight @ cost)) @ score == pytest.approx(weight @ score)


def test_hull_drops_what_a_mixture_beats():
    cost = np.array([1.0, 2.0, 3.0, 4.0, 1.0])
    score = np.array([0.0, 0.1, 0.8, 0.7, 0.2])
    assert hull(cost, score) == [4, 2]


def test_mixture_wants_one_target():
    with pytest.raises(ValueError, match="either"):
        mixture(np.ones(1), np.ones(1))


def test_a_curve_is_read_in_order_of_cost_and_held_at_its_ends():
    cost = np.array([[3.0, 1.0, 2.0]])
    score = np.array([[0.2, 0.1, 0.5]])
    read = [curve_at(cost, score, np.array([at]))[0] for at in (0.5, 1.0, 1.5, 2.5, 9.0)]
    assert read == pytest.approx([0.1, 0.1, 0.3, 0.35, 0.2])
    tied = curve_at(np.ones((1, 2)), score[:, :2], np.ones(1))
    assert np.isfinite(tied).all()
