"""What every policy of the registry keeps, on batches of any kind."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outlay.batch import DRAW, VERDICT, DrawRow, OfferRow, PointRow, Valuation, VerdictRow, pack
from outlay.beliefs import Prior
from outlay.policies import POLICIES, Policy, View, policy

NAN = float("nan")
MODELS = ("small", "middle", "big")
SPECS = {
    "priced": ("priced",),
    "uniform": ("uniform:1", "uniform:7", "uniform:3@big"),
    "lead": ("lead:2", "lead:3@middle"),
    "until_pass": ("until_pass:4",),
    "agree": ("agree",),
    "every": ("every:1", "every:3"),
}
"""How each is written; a new policy is added here before anything else is written for it."""

ALL = sorted(spec for name in POLICIES for spec in SPECS[name])


COSTS = st.sampled_from([0.0, 1e-6, 1e-3, 0.02, 0.1])
PRIOR = Prior({name: rank for rank, name in enumerate(MODELS)}, {})
KLASS = PRIOR.klass("number|check")
SLOTS = [PRIOR.slot("sample", name) for name in MODELS] + [PRIOR.slot("check", "check")]


class Made(NamedTuple):
    """One point: whether answers exclude each other, draws as (candidate, model), verdicts, offers."""

    exclusive: bool
    draws: list[tuple[int, int]]
    verdicts: list[tuple[int, bool]]
    offers: list[OfferRow]


@st.composite
def points(draw: st.DrawFn) -> Made:
    models = st.integers(0, len(MODELS) - 1)
    names = draw(st.lists(st.tuples(st.integers(-1, 3), models), max_size=8))
    seen = list(dict.fromkeys(name for name, _ in names if name >= 0))
    draws = [(seen.index(name) if name >= 0 else -1, arm) for name, arm in names]
    checked = draw(st.booleans())
    told = (
        draw(st.lists(st.tuples(st.sampled_from(range(len(seen))), st.booleans()), max_size=3))
        if seen
        else []
    )
    then = len(MODELS) if checked else -1
    offers = [
        OfferRow(arm, DRAW, -1, then, draw(COSTS), 0.0, 0.0, draw(st.integers(1, 16)), True, NAN)
        for arm in range(len(MODELS))
        if draw(st.booleans())
    ]
    if checked:
        cost = draw(st.sampled_from([0.0, 0.001]))
        looked = {candidate for candidate, _ in told}
        offers += [
            OfferRow(then, VERDICT, candidate, -1, cost, 0.0, 0.0, 1, False, NAN)
            for candidate in range(len(seen))
            if candidate not in looked
        ]
    return Made(draw(st.booleans()), draws, told if checked else [], offers)


def view(made: list[Made], price: float) -> View:
    batch = pack(
        [PointRow(KLASS, at.exclusive, 1.0, len({c for c, _ in at.draws if c >= 0})) for at in made],
        [[DrawRow(c, SLOTS[arm], NAN, NAN) for c, arm in at.draws] for at in made],
        [[VerdictRow(c, SLOTS[-1], float(value)) for c, value in at.verdicts] for at in made],
        [
            [
                offer._replace(slot=SLOTS[offer.slot], then=SLOTS[offer.then] if offer.then >= 0 else -1)
                for offer in at.offers
            ]
            for at in made
        ],
    )
    values: Valuation = PRIOR.value(batch, price)
    arm_O = [offer.slot if offer.effect == DRAW else -1 for at in made for offer in at.offers]
    bought_O = [
        sum(arm == offer.slot for _, arm in at.draws) if offer.effect == DRAW else 0
        for at in made
        for offer in at.offers
    ]
    arm_D = [arm for at in made for _, arm in at.draws]
    return View(batch, values, price, *(np.array(x, dtype=np.int64) for x in (arm_O, bought_O, arm_D)))


@pytest.fixture
def rule(spec: str) -> Policy:
    return policy(spec, MODELS)


def test_every_policy_is_tested_here():
    assert set(SPECS) == set(POLICIES)


batches = st.lists(points(), min_size=1, max_size=5)
prices = st.sampled_from([0.0, 0.01, 1.0, 1e30])


@pytest.mark.parametrize("spec", ALL)
@settings(max_examples=25)
@given(batches, prices)
def test_a_choice_refers_to_an_offer_of_its_own_point_in_copies_that_may_be_bought(
    spec: str, made: list[Made], price: float
):
    seen = view(made, price)
    batch = seen.batch
    choice = policy(spec, MODELS).choose(seen)
    assert choice.offer_P.shape == choice.copies_P.shape == (len(made),)
    for point, (row, copies) in enumerate(zip(choice.offer_P, choice.copies_P, strict=True)):
        if row >= 0:
            assert batch.point_O[row] == point
            assert 1 <= copies <= batch.most_O[row]
        else:
            assert row == -1


@pytest.mark.parametrize("spec", ALL)
@settings(max_examples=20)
@given(batches, prices)
def test_the_same_view_gives_the_same_choice_and_stays_as_it_is(spec: str, made: list[Made], price: float):
    rule, seen, fresh = policy(spec, MODELS), view(made, price), view(made, price)
    first, second = rule.choose(seen), rule.choose(seen)
    other = policy(spec, MODELS).choose(fresh)
    for each in (second, other):
        assert np.array_equal(each.offer_P, first.offer_P)
        assert np.array_equal(each.copies_P, first.copies_P)
    for name in ("cost_O", "slot_O", "candidate_D", "value_V"):
        assert np.array_equal(getattr(seen.batch, name), getattr(fresh.batch, name)), name


@pytest.mark.parametrize("spec", ALL)
def test_what_came_first_does_not_matter_to_other_points(spec: str, rule: Policy):
    offers = [OfferRow(arm, DRAW, -1, -1, 0.001, 0.0, 0.0, 4, True, NAN) for arm in range(3)]
    made = [
        Made(True, [], [], offers),
        Made(True, [(0, 0), (1, 1)], [], offers),
        Made(True, [(0, 0), (0, 1)], [], offers),
    ]
    forwards, backwards = (rule.choose(view(order, 0.01)) for order in (made, made[::-1]))
    local = [
        [int(row) - 3 * point if row >= 0 else -1 for point, row in enumerate(choice.offer_P)]
        for choice in (forwards, backwards)
    ]
    assert local[0] == local[1][::-1]


@pytest.mark.parametrize("spec", ALL)
def test_an_empty_batch_and_a_point_without_offers_buy_nothing(spec: str, rule: Policy):
    assert rule.choose(view([], 1.0)).offer_P.tolist() == []
    assert rule.choose(
        view([Made(True, [], [], []), Made(False, [(0, 0)], [], [])], 1.0)
    ).offer_P.tolist() == [
        -1,
        -1,
    ]
