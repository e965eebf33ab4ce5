"""What every pricing of the registry keeps."""

import json
import math
from collections.abc import Callable
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlay.pricing import PRICINGS, Clearing, Fixed, Forecast, Pricing
from outlay.types import Budget, Cost

MAKES: dict[str, Callable[[Budget], Pricing]] = {
    "fixed": lambda budget: Fixed(0.125, next(iter(budget.limits()), "outtok")),
    "batch": Clearing,
}
"""How each is made for a budget; a new pricing is added here before anything else is written for it."""

every_pricing = pytest.mark.parametrize("name", sorted(PRICINGS))
amounts = st.integers(0, 10**6)
budgets = st.builds(Budget, *(st.one_of(st.none(), st.integers(0, 10**7)) for _ in range(4)))
shares = st.floats(0, 1.2)


@st.composite
def forecasts(draw: st.DrawFn) -> Forecast:
    open_points = draw(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1)), max_size=6))
    fresh = draw(st.lists(st.tuples(st.floats(1e-9, 1e6), st.floats(0, 1)), max_size=6))
    level_F = np.sort(np.unique([level for level, _ in fresh]))[::-1].astype(float)
    cost_F = np.cumsum([cost for _, cost in fresh])[: len(level_F)].astype(float)
    until_P, cost_P = (np.array([row[k] for row in open_points], dtype=float) for k in (0, 1))
    spent = {unit: draw(shares) for unit in ("tok", "outtok", "usd", "s")}
    return Forecast(draw(st.floats(-0.2, 1)), until_P, cost_P, level_F, cost_F, spent, draw(st.floats(0, 1)))


def moved(name: str, budget: Budget, told: list[Forecast]) -> Pricing:
    pricing = MAKES[name](budget)
    for each in told:
        pricing.update(each)
        pricing.weigh(each)
    return pricing


def test_every_pricing_is_tested_here():
    assert set(MAKES) == set(PRICINGS)


@every_pricing
@settings(max_examples=40)
@given(budgets, st.lists(forecasts(), max_size=5))
def test_a_price_stays_finite_and_is_never_negative(name: str, budget: Budget, told: list[Forecast]):
    pricing = MAKES[name](budget)
    assert 0 <= pricing.price < math.inf
    for each in told:
        pricing.update(each)
        pricing.weigh(each)
        assert 0 <= pricing.price < math.inf


@every_pricing
@settings(max_examples=40)
@given(budgets, st.lists(forecasts(), max_size=4), st.integers(1, 9), st.integers(0, 10**6))
def test_a_top_up_says_which_part_of_the_new_budget_the_old_one_is(
    name: str, budget: Budget, told: list[Forecast], by: int, amount: int
):
    whole = Budget(*(None if limit is None else max(limit, 1) for limit in astuple(budget)))
    pricing, cost = moved(name, whole, told), Cost(amount, amount, amount, amount)
    pricing.restore(MAKES[name](whole).state())
    before = pricing.share(cost)
    part = pricing.top_up(Budget(*(None if limit is None else by * limit for limit in astuple(whole))))
    assert pricing.share(cost) == pytest.approx(before * part)
    assert 0 <= pricing.price < math.inf


@every_pricing
@settings(max_examples=40)
@given(budgets, st.lists(forecasts(), max_size=4), forecasts())
def test_what_is_restored_from_the_journal_goes_on_as_the_same(
    name: str, budget: Budget, told: list[Forecast], later: Forecast
):
    pricing, again = moved(name, budget, told), MAKES[name](budget)
    again.restore(json.loads(json.dumps(pricing.state())))
    assert again.state() == pricing.state()
    for each in (pricing, again):
        each.update(later)
        each.weigh(later)
    assert again.state() == pricing.state()
    cost = Cost(3, 5, 7, 11)
    assert (again.price, again.share(cost)) == (pricing.price, pricing.share(cost))


@every_pricing
@settings(max_examples=40)
@given(budgets, st.lists(forecasts(), max_size=3), *[st.builds(Cost, *[amounts] * 4)] * 2, st.integers(0, 50))
def test_a_share_is_additive_and_never_negative(
    name: str, budget: Budget, told: list[Forecast], one: Cost, other: Cost, copies: int
):
    share = moved(name, budget, told).share
    assert share(one) >= 0 == share(Cost())
    assert share(one + other) == pytest.approx(share(one) + share(other))
    assert share(one.times(copies)) == pytest.approx(copies * share(one))


@every_pricing
def test_the_same_forecasts_give_the_same_price(name: str):
    until, cost = np.array([5.0, 3.0, 1.0]), np.array([0.2, 0.5, 0.1])
    level, fresh = np.array([4.0, 2.0]), np.array([0.1, 0.4])
    told = [Forecast(left, until, cost, level, fresh, {"tok": 0.3}, 0.2) for left in (0.9, 0.4, 0.1)]
    budget = Budget(tok=1000, usd=10)
    assert moved(name, budget, told).state() == moved(name, budget, told).state()
