"""The rules that people use today stop exactly where they say, and buy the fewest copies that could end them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.batch import DRAW, VERDICT, DrawRow, OfferRow, PointRow, Valuation, VerdictRow, pack
from outlay.policies import Choice, Policy, View
from outlay.policies.rules import Agree, Lead, Uniform, UntilPass

NAN = float("nan")
NOBODY = -1
CHECK = 9


def draw(arm: int = 0, most: int = 16, then: int = -1) -> OfferRow:
    return OfferRow(arm, DRAW, -1, then, 0.01, 0.0, 0.0, most, True, NAN)


def look(candidate: int) -> OfferRow:
    return OfferRow(CHECK, VERDICT, candidate, -1, 0.0, 0.0, 0.0, 1, False, NAN)


class At(NamedTuple):
    """A point: the arm of each draw and its answer (a letter, or a blank), verdicts, what is offered."""

    answers: str = ""
    offers: Sequence[OfferRow] = (draw(),)
    verdicts: Sequence[tuple[str, bool]] = ()
    arms: Sequence[int] | None = None
    bought: Sequence[int] | None = None


def letters(answers: str) -> list[str]:
    return list(dict.fromkeys(answers.replace(" ", "")))


def choose(policy: Policy, *points: At) -> list[tuple[int, int] | None]:
    """For each point which of its offers is bought and how many copies, or None."""
    known = [letters(at.answers) for at in points]
    arms = [at.arms if at.arms is not None else [0] * len(at.answers) for at in points]
    number = [{" ": -1, **{letter: k for k, letter in enumerate(each)}} for each in known]
    batch = pack(
        [PointRow(0, True, 1.0, len(each)) for each in known],
        [
            [DrawRow(of[a], arm, NAN, NAN) for a, arm in zip(at.answers, who, strict=True)]
            for at, who, of in zip(points, arms, number, strict=True)
        ],
        [
            [VerdictRow(of[a], CHECK, float(value)) for a, value in at.verdicts]
            for at, of in zip(points, number, strict=True)
        ],
        [at.offers for at in points],
    )
    empty, none = np.zeros(0), np.zeros(0, dtype=np.int64)
    arm_O = np.where(batch.effect_O == DRAW, batch.slot_O, -1)
    bought_O = np.array([b for at in points for b in at.bought or [0] * len(at.offers)], dtype=np.int64)
    arm_D = np.array([a for of_point in arms for a in of_point], dtype=np.int64)
    values = Valuation(empty, none, empty, empty, empty, empty, none)
    choice: Choice = policy.choose(View(batch, values, 1.0, arm_O, bought_O, arm_D))
    first = np.searchsorted(batch.point_O, np.arange(len(points)))
    return [
        None if row < 0 else (int(row - first[p]), int(choice.copies_P[p]))
        for p, row in enumerate(choice.offer_P)
    ]


def rounds(policy: Policy, coming: str, most: int = 16) -> list[int]:
    """Copies bought in each round, where the answers come in this order, until the policy decides."""
    seen, copies = "", list[int]()
    while True:
        [choice] = choose(policy, At(seen, [draw(most=most)]))
        if choice is None:
            return copies
        copies.append(choice[1])
        seen = coming[: len(seen) + choice[1]]
        assert len(seen) == sum(copies), "the policy wants more answers than the test has"


# ── uniform ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("most", "expected"), [(16, [5]), (2, [2, 2, 1]), (1, [1] * 5)])
def test_uniform_buys_exactly_its_number_as_many_at_once_as_may_be(most: int, expected: list[int]):
    assert rounds(Uniform(5), "AAAAAAAA", most) == expected


def test_uniform_counts_draws_without_an_answer():
    assert choose(Uniform(3), At("A  "), At(" A")) == [None, (0, 1)]


def test_uniform_asks_the_first_model_or_the_one_it_was_told():
    menu = [draw(0), draw(1), draw(2)]
    assert choose(Uniform(2), At("", menu)) == [(0, 2)]
    assert choose(Uniform(2, arm=2), At("", menu)) == [(2, 2)]


def test_uniform_takes_a_greedy_answer_once_and_samples_the_rest_of_the_same_model():
    assert choose(Uniform(4), At("", [draw(0, most=1), draw(0)])) == [(0, 1)]
    assert choose(Uniform(4), At("A", [draw(0)])) == [(0, 3)]


def test_uniform_checks_what_it_drew_only_when_all_is_drawn():
    menu = [draw(0, then=CHECK), look(0), look(1)]
    assert choose(Uniform(3), At("AB", menu), At("ABA", menu), At("ABA", menu[:1])) == [(0, 1), (1, 1), None]


def test_uniform_decides_where_its_model_is_not_offered():
    assert choose(Uniform(2, arm=1), At("", [draw(0)])) == [None]


# ── lead ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("number", "coming", "expected"),
    [
        (1, "A", [1]),
        (3, "AAA", [3]),
        (3, "ABAAA", [3, 2]),
        (3, "ABBAAAA", [3, 2, 2]),
        (2, "ABCCC", [2, 2, 1]),
        (2, "ABACAA", [2, 2, 1]),
        (2, "A A", [2, 1]),
        (2, "ABABABABAA", [2] * 5),
    ],
)
def test_lead_stops_exactly_when_one_answer_is_ahead(number: int, coming: str, expected: list[int]):
    assert rounds(Lead(number), coming) == expected


def test_lead_counts_a_tie_as_no_lead():
    assert choose(Lead(2), At("AB"), At("AABB"), At("AABBCC")) == [(0, 2)] * 3


@pytest.mark.parametrize("coming", ["AB" * 20, " " * 40, "ABC" * 14])
def test_lead_gives_up_after_forty_draws(coming: str):
    assert sum(rounds(Lead(3), coming[:40])) == 40


def test_lead_never_asks_for_more_than_its_cap_leaves():
    assert choose(Lead(5), At("AB" * 19)) == [(0, 2)]
    assert choose(Lead(5, cap=4), At("AB")) == [(0, 2)]
    assert choose(Lead(5), At("AB" * 20)) == [None]


@given(st.integers(1, 5), st.integers(1, 6), st.text("ABC ", min_size=40, max_size=40))
def test_lead_in_many_copies_stops_where_it_would_stop_one_by_one(number: int, most: int, coming: str):
    def ahead(seen: str) -> int:
        votes = sorted((seen.count(each) for each in letters(seen)), reverse=True)
        return (votes[0] if votes else 0) - (votes[1] if len(votes) > 1 else 0)

    stop = next((k for k in range(1, 41) if ahead(coming[:k]) >= number), 40)
    assert sum(rounds(Lead(number), coming, most)) == stop


# ── until_pass ───────────────────────────────────────────────────────────────────────────────────────────


def checked(policy: Policy, coming: str, right: str) -> str:
    """The purchases in order: a letter for a draw, + or - for a look at it."""
    seen, told, log = "", list[tuple[str, bool]](), ""
    while True:
        looked = {letter for letter, _ in told}
        menu = [
            draw(0, then=CHECK),
            *(look(k) for k, letter in enumerate(letters(seen)) if letter not in looked),
        ]
        [choice] = choose(policy, At(seen, menu, told))
        if choice is None:
            return log
        assert choice[1] == 1
        offer = menu[choice[0]]
        if offer.effect == DRAW:
            seen += coming[len(seen)]
            log += seen[-1]
        else:
            letter = letters(seen)[offer.candidate]
            told.append((letter, letter == right))
            log += "+" if letter == right else "-"


@pytest.mark.parametrize(
    ("number", "coming", "log"),
    [
        (5, "RABCD", "R+"),
        (5, "ABRCD", "A-B-R+"),
        (5, "AABRC", "A-AB-R+"),
        (3, "ABCRR", "A-B-C-"),
        (1, "ARRRR", "A-"),
        (3, " AR", " A-R+"),
    ],
)
def test_until_pass_looks_at_each_answer_once_and_stops_at_a_pass_or_its_number(
    number: int, coming: str, log: str
):
    assert checked(UntilPass(number), coming, "R") == log


def test_until_pass_draws_once_where_nothing_can_be_checked():
    assert choose(UntilPass(5), At(""), At("A"), At(" ")) == [(0, 1), None, None]


def test_until_pass_leaves_a_second_look_unbought_once_one_passed():
    menu = [draw(0, then=CHECK), look(1)]
    assert choose(UntilPass(5), At("AB", menu, [("A", True)]), At("AB", menu, [("A", False)])) == [
        None,
        (1, 1),
    ]


# ── agree ────────────────────────────────────────────────────────────────────────────────────────────────

THREE = (draw(0), draw(1), draw(2))


@pytest.mark.parametrize(
    ("answers", "arms", "bought"),
    [
        ("", [], 0),
        ("A", [0], 1),
        ("AA", [0, 1], None),
        ("AB", [0, 1], 2),
        ("A ", [0, 1], 2),
        ("  ", [0, 1], 2),
        ("ABC", [0, 1, 2], None),
        ("AB ", [0, 1, 2], None),
    ],
)
def test_agree_asks_each_cheap_model_once_and_the_dear_one_where_they_differ(
    answers: str, arms: list[int], bought: int | None
):
    had = [arms.count(arm) for arm in range(3)]
    assert choose(Agree(), At(answers, THREE, arms=arms, bought=had)) == [
        None if bought is None else (bought, 1)
    ]


def test_agree_asks_a_model_in_one_of_its_modes_only():
    both = [draw(0, most=1), draw(0), draw(1)]
    assert choose(Agree(), At("A", both[1:], arms=[0], bought=[0, 0])) == [None]
    assert choose(Agree(), At("", both)) == [(0, 1)]


def test_agree_with_one_model_asks_it_once():
    assert choose(Agree(), At("", [draw(0)])) == [(0, 1)]
    assert choose(Agree(), At("A", [draw(0)], arms=[0], bought=[1])) == [None]


# ── all ──────────────────────────────────────────────────────────────────────────────────────────────────

RULES: dict[str, Any] = {"uniform": Uniform(3), "lead": Lead(2), "until_pass": UntilPass(3), "agree": Agree()}


@pytest.mark.parametrize("name", sorted(RULES))
def test_points_side_by_side_are_decided_as_each_would_be_alone(name: str):
    points = [
        At("", THREE),
        At("AB", THREE, arms=[0, 1], bought=[1, 1, 0]),
        At("AA", [*THREE, look(0)], arms=[0, 1], bought=[1, 1, 0, 0]),
        At("AAAB", THREE, arms=[0, 0, 0, 0], bought=[4, 0, 0]),
        At(" ", [draw(0, then=CHECK), *THREE[1:]], arms=[0], bought=[1, 0, 0]),
    ]
    assert choose(RULES[name], *points) == [choose(RULES[name], at)[0] for at in points]


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_does_not_look_at_the_price_and_buys_nothing_where_nothing_is_offered(name: str):
    assert not RULES[name].priced
    assert choose(RULES[name], At("", ()), At("A", ())) == [None, None]
