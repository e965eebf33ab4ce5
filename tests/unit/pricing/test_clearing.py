"""The batch price: what is left just suffices for what is still worth buying."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.pricing import Clearing, Forecast
from outlay.pricing.clearing import HIGH, SLOWEST_FALL
from outlay.types import Budget, Cost

Buyers = list[tuple[float, float]]
"""Up to which price, and what it would spend."""


def forecast(left: float, buyers: Buyers, fresh: Buyers = [], done: float = 0.0, **spent: float) -> Forecast:  # noqa: B006
    """`fresh` are falling prices and the spend of all prompts not yet asked at each."""
    columns = [np.array(column, dtype=float) for column in zip(*buyers, strict=True)] or [np.zeros(0)] * 2
    curve = [np.array(column, dtype=float) for column in zip(*fresh, strict=True)] or [np.zeros(0)] * 2
    return Forecast(left, columns[0], columns[1], curve[0], curve[1], spent, done)


def first_price(told: Forecast) -> float:
    clearing = Clearing(Budget(tok=1000))
    clearing.update(told)
    return clearing.price


def spend_at(price: float, buyers: Buyers) -> float:
    """Who would pay more than the price buys."""
    return sum(cost for until, cost in buyers if until > price)


CRUMB = (1e-3, 1e-6)
"""A buyer of next to nothing below all others, see `test_the_lowest_jump_counts_too`."""

levels = st.floats(0.01, 100)
costs = st.floats(0.001, 0.5)
crowds = st.lists(st.tuples(levels, costs), min_size=1, max_size=12)


def test_before_the_first_forecast_nothing_is_worth_its_price():
    assert Clearing(Budget(tok=10)).price == HIGH


def test_without_a_budget_everything_is_free_of_price():
    clearing = Clearing(Budget())
    clearing.update(forecast(0.0, [(5.0, 0.5)]))
    assert clearing.price == 0.0
    assert clearing.share(Cost(5, 5, 5, 5)) == 0.0


def test_a_forecast_that_fits_gives_a_small_positive_price():
    assert 0 < first_price(forecast(1.0, [(5.0, 0.2), (3.0, 0.2), (1.0, 0.1)])) < 1.0
    assert 0 < first_price(forecast(1.0, [], [(4.0, 0.1), (2.0, 0.3)])) < 2.0


def test_where_nobody_would_buy_the_price_is_nothing():
    assert first_price(forecast(1.0, [])) == 0.0


def test_a_jump_that_does_not_fit_keeps_the_price_above_it():
    buyers = [(5.0, 0.2), (3.0, 0.5), (1.0, 0.1)]
    price = first_price(forecast(0.4, buyers))
    assert 3.0 <= price < 5.0
    assert spend_at(price, buyers) == 0.2


def test_where_not_even_the_dearest_fits_nobody_buys():
    buyers = [(5.0, 0.6), (3.0, 0.1)]
    assert spend_at(first_price(forecast(0.4, buyers)), buyers) == 0.0
    assert first_price(forecast(0.05, [], [(4.0, 0.1), (2.0, 0.3)])) > 4.0


def test_what_is_set_aside_for_fresh_prompts_is_not_there_for_the_open_ones():
    buyers = [(5.0, 0.2), (3.0, 0.2), (1.0, 0.2)]
    fresh = [(6.0, 0.0), (4.0, 0.3), (2.0, 0.35)]
    buyers.append(CRUMB)
    alone, beside = first_price(forecast(0.5, buyers)), first_price(forecast(0.5, buyers, fresh))
    assert spend_at(alone, buyers) == pytest.approx(0.4)
    assert spend_at(beside, buyers) == pytest.approx(0.2)


def test_what_is_free_sets_no_price():
    buyers = [(5.0, 0.2), (3.0, 0.5)]
    assert first_price(forecast(0.4, [*buyers, (1e9, 0.0)])) == first_price(forecast(0.4, buyers))


@given(crowds, st.floats(0, 2))
def test_what_would_be_bought_at_the_price_fits_and_no_lower_price_would_fit_more(
    buyers: Buyers, left: float
):
    buyers = [*buyers, CRUMB]
    price = first_price(forecast(left, buyers))
    assert spend_at(price, buyers) <= left + CRUMB[1]
    next_level = max((until for until, _ in buyers if until <= price), default=0.0)
    if next_level > 0:
        lower = max((until for until, _ in buyers if until < next_level), default=0.0)
        assert spend_at(lower, buyers) > left - 1e-9


@pytest.mark.parametrize(
    ("left", "buyers"), [(0.15, [(90.0, 0.1), (80.0, 0.1)]), (0.5, [(2.0, 0.02)] * 100), (0.0, [(1.0, 0.5)])]
)
def test_the_lowest_jump_counts_too(left: float, buyers: Buyers):
    assert spend_at(first_price(forecast(left, buyers)), buyers) <= left


@given(crowds, st.lists(costs, max_size=6), st.floats(-0.5, 2), st.floats(-0.5, 2))
def test_the_price_falls_when_more_is_left(buyers: Buyers, growth: list[float], one: float, other: float):
    less, more = sorted([one, other])
    fresh = list(zip(np.geomspace(50, 0.5, len(growth)).tolist(), np.cumsum(growth).tolist(), strict=True))
    assert first_price(forecast(more, buyers, fresh)) <= first_price(forecast(less, buyers, fresh))


@given(st.lists(st.tuples(crowds, st.floats(0, 2)), min_size=2, max_size=8))
def test_the_price_never_falls_by_more_than_the_slowest_fall_at_once(told: list[tuple[Buyers, float]]):
    clearing = Clearing(Budget(tok=1000))
    for at, (buyers, left) in enumerate(told):
        before = clearing.price
        clearing.update(forecast(left, buyers))
        if at:
            assert clearing.price >= before * SLOWEST_FALL * (1 - 1e-12)


def test_a_fall_goes_on_until_the_price_clears():
    clearing, rich = Clearing(Budget(tok=1000)), forecast(1.0, [(4.0, 0.1)])
    clearing.update(forecast(0.05, [(4.0, 0.1)]))
    prices = [clearing.price]
    for _ in range(12):
        clearing.update(rich)
        prices.append(clearing.price)
    assert prices == sorted(prices, reverse=True)
    assert prices[-1] == pytest.approx(first_price(rich), rel=0.06)


def test_a_rise_comes_at_once():
    clearing, poor = Clearing(Budget(tok=1000)), forecast(0.15, [(90.0, 0.1), (80.0, 0.1), CRUMB])
    clearing.update(forecast(1.0, [(0.1, 0.1)]))
    clearing.update(poor)
    assert clearing.price == first_price(poor) >= 80.0


# ── units ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_share_is_the_part_of_the_budget_that_a_cost_takes():
    assert Clearing(Budget(tok=1000)).share(Cost(tok=250, outtok=99, usd=99, ms=99)) == pytest.approx(0.25)
    assert Clearing(Budget(ms=2000)).share(Cost(ms=500)) == pytest.approx(0.25)
    assert Clearing(Budget(tok=1000, usd=10)).share(Cost(tok=1000, usd=10)) == pytest.approx(1.0)
    assert Clearing(Budget(tok=0)).share(Cost(tok=1)) > 0


UNITS = {"tok": Cost(tok=100), "outtok": Cost(outtok=50), "usd": Cost(usd=10), "s": Cost(ms=1000)}


@pytest.mark.parametrize("first", sorted(UNITS))
def test_weights_move_to_the_unit_that_runs_out_first(first: str):
    clearing = Clearing(Budget(tok=1000, outtok=500, usd=100, ms=10_000))
    for _ in range(3):
        before = {unit: clearing.share(cost) for unit, cost in UNITS.items()}
        clearing.weigh(forecast(0.5, [], done=0.5, **{unit: 0.8 if unit == first else 0.3 for unit in UNITS}))
        after = {unit: clearing.share(cost) for unit, cost in UNITS.items()}
        assert after[first] > before[first]
        assert all(after[unit] < before[unit] for unit in UNITS if unit != first)
    assert sum(after.values()) == pytest.approx(0.1)


def test_weights_stay_where_all_units_are_used_alike():
    clearing = Clearing(Budget(tok=1000, usd=100))
    before = clearing.state()
    clearing.weigh(forecast(0.5, [], done=0.2, tok=0.7, usd=0.7))
    assert clearing.state() == pytest.approx(before)


def test_a_unit_that_is_hardly_used_can_come_back():
    clearing = Clearing(Budget(tok=1000, usd=100))
    for _ in range(200):
        clearing.weigh(forecast(0.5, [], done=0.5, tok=1.0, usd=0.0))
    low = clearing.share(UNITS["usd"])
    for _ in range(20):
        clearing.weigh(forecast(0.5, [], done=0.5, tok=0.2, usd=0.9))
    assert clearing.share(UNITS["usd"]) > 100 * low > 0


def test_a_single_unit_keeps_its_weight():
    clearing = Clearing(Budget(tok=1000))
    clearing.weigh(forecast(0.5, [], done=0.1, tok=0.9))
    assert clearing.share(Cost(tok=1000)) == 1.0
