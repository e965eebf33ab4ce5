"""`priced` buys the offer whose worth exceeds its price by most, and what is free before it."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from outlay.batch import DRAW, VERDICT, DrawRow, OfferRow, PointRow, Valuation, pack
from outlay.policies import View
from outlay.policies.priced import Priced

NAN = float("nan")


class On(NamedTuple):
    """An offer with what a belief says of it: gain and cost of its plan, copies, and what one copy costs."""

    gain: float
    cost: float
    copies: int = 1
    effect: int = DRAW
    one: float = 0.01


def choose(price: float, *menus: Sequence[On], stake: float = 1.0) -> list[tuple[int, int] | None]:
    """For each point which offer is bought and how many copies, or None. All have one candidate."""
    batch = pack(
        [PointRow(0, True, stake, 1) for _ in menus],
        [[DrawRow(0, 0, NAN, NAN)] for _ in menus],
        [[] for _ in menus],
        [
            [
                OfferRow(0, on.effect, 0 if on.effect == VERDICT else -1, -1, on.one, 0, 0, 16, True, NAN)
                for on in menu
            ]
            for menu in menus
        ],
    )
    flat = [on for menu in menus for on in menu]
    gain_O, cost_O = np.array([on.gain for on in flat]), np.array([on.cost for on in flat])
    copies_O = np.array([on.copies for on in flat], dtype=np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        until_O = np.where(cost_O > 0, stake * gain_O / cost_O, np.inf)
    half_P = np.full(len(menus), 0.5)
    leader_P = np.arange(len(menus))
    values = Valuation(half_P, leader_P, half_P, gain_O, cost_O, until_O, copies_O)
    none = np.zeros(0, dtype=np.int64)
    choice = Priced().choose(View(batch, values, price, none, none, none))
    first = np.searchsorted(batch.point_O, np.arange(len(menus)))
    return [
        None if row < 0 else (int(row - first[p]), int(choice.copies_P[p]))
        for p, row in enumerate(choice.offer_P)
    ]


def test_an_offer_is_bought_below_the_price_at_which_it_pays_and_not_above():
    offer = On(gain=0.2, cost=0.1)
    assert [choose(price, [offer])[0] for price in (0.0, 1.99, 2.01, 1e30)] == [(0, 1), (0, 1), None, None]


def test_worth_scales_what_may_be_paid():
    offer = On(gain=0.2, cost=0.1)
    assert choose(3.0, [offer]) == [None]
    assert choose(3.0, [offer], stake=2.0) == [(0, 1)]


def test_the_largest_difference_is_bought_not_the_largest_ratio():
    cheap, good = On(gain=0.05, cost=0.01), On(gain=0.3, cost=0.1)
    assert choose(1.0, [cheap, good]) == [(1, 1)]
    assert choose(4.0, [cheap, good]) == [(0, 1)]


def test_of_equals_the_first_is_bought():
    assert choose(1.0, [On(0.1, 0.2), On(0.3, 0.1), On(0.3, 0.1)]) == [(1, 1)]


def test_the_copies_are_those_that_could_end_the_plan():
    assert choose(1.0, [On(0.01, 0.001, copies=2), On(0.3, 0.1, copies=5)]) == [(1, 5)]


def test_what_brings_next_to_nothing_is_not_bought_even_for_nothing():
    assert choose(0.0, [On(0.0, 0.0)], [On(1e-13, 0.0)], [On(0.0, 0.1)]) == [None, None, None]


def test_each_point_is_decided_by_itself():
    assert choose(1.0, [], [On(0.3, 0.1, 3)], [On(0.1, 0.3)], [On(0.1, 0.2), On(0.2, 0.1, 2)]) == [
        None,
        (0, 3),
        None,
        (1, 2),
    ]


free_look = On(gain=0.0, cost=0.0, effect=VERDICT, one=0.0)
paid = st.builds(
    On,
    gain=st.floats(0, 1),
    cost=st.floats(1e-4, 1),
    copies=st.integers(1, 16),
    effect=st.sampled_from([DRAW, VERDICT]),
    one=st.floats(1e-4, 1),
)


@given(st.lists(paid, max_size=5), st.integers(0, 5), st.sampled_from([0.0, 1e-6, 0.1, 1.0, 1e30]))
def test_a_free_verdict_is_always_bought_before_anything_paid(menu: list[On], at: int, price: float):
    at = min(at, len(menu))
    assert choose(price, [*menu[:at], free_look, *menu[at:]]) == [(at, 1)]


@given(st.lists(paid, min_size=1, max_size=6), st.floats(0, 10))
def test_what_is_bought_is_worth_its_price_and_nothing_offered_is_worth_more(menu: list[On], price: float):
    net = [on.gain - price * on.cost for on in menu]
    [choice] = choose(price, menu)
    if choice is None:
        assert max(net) <= 1e-9 or all(on.gain <= 1e-9 for on in menu if on.gain - price * on.cost > 0)
    else:
        at, copies = choice
        assert net[at] == max(net) > 0
        assert copies == menu[at].copies


@given(st.lists(paid, max_size=5), st.floats(0, 10), st.floats(0, 10))
def test_a_point_that_buys_nothing_buys_nothing_at_a_higher_price(menu: list[On], one: float, other: float):
    low, high = sorted([one, other])
    if choose(low, menu) == [None]:
        assert choose(high, menu) == [None]
