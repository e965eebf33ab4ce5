"""`every:N` buys N answers of every model, whatever they say, and then every look at them."""

from collections.abc import Sequence

import numpy as np
import pytest

from outlay.batch import DRAW, VERDICT, DrawRow, OfferRow, PointRow, Valuation, pack
from outlay.errors import UsageError
from outlay.policies import View, policy
from outlay.policies.every import Every

NAN = float("nan")


def draw(arm: int, most: int = 16) -> OfferRow:
    return OfferRow(arm, DRAW, -1, -1, 0.01, 0.0, 0.0, most, True, NAN)


LOOK = OfferRow(9, VERDICT, 0, -1, 0.0, 0.0, 0.0, 1, False, NAN)


def choose(number: int, *points: tuple[Sequence[OfferRow], Sequence[int]]) -> list[tuple[int, int] | None]:
    """For each point, of its offers and of how many copies of each it had: what is bought, and how many."""
    batch = pack(
        [PointRow(0, True, 1.0, 1) for _ in points],
        [[DrawRow(0, 0, NAN, NAN)] for _ in points],
        [[] for _ in points],
        [offers for offers, _ in points],
    )
    empty, none = np.zeros(0), np.zeros(0, dtype=np.int64)
    arm_O = np.where(batch.effect_O == DRAW, batch.slot_O, -1)
    bought_O = np.array([count for _, bought in points for count in bought], dtype=np.int64)
    values = Valuation(empty, none, empty, empty, empty, empty, none)
    choice = Every(number).choose(View(batch, values, 1.0, arm_O, bought_O, none))
    first = np.searchsorted(batch.point_O, np.arange(len(points)))
    rows = zip(choice.offer_P.tolist(), choice.copies_P.tolist(), first.tolist(), strict=True)
    return [None if row < 0 else (row - at, copies) for row, copies, at in rows]


def test_each_model_in_turn_until_all_have_their_number_then_the_looks():
    menu = (draw(0), draw(1, most=2), LOOK)
    assert choose(
        4, (menu, (0, 0, 0)), (menu, (3, 0, 0)), (menu, (4, 1, 0)), (menu, (4, 3, 0)), (menu, (4, 4, 0))
    ) == [
        (0, 4),
        (0, 1),
        (1, 2),
        (1, 1),
        (2, 1),
    ]


def test_it_stops_where_nothing_is_left():
    assert choose(2, ((draw(0),), (2,)), ((), ())) == [None, None]


def test_it_asks_every_model_and_needs_a_number():
    assert policy("every:3", ["small", "big"]) == Every(3)
    for spec, words in (
        ("every:3@big", "asks every model"),
        ("every", "needs a number"),
        ("every:0", "at least 1"),
    ):
        with pytest.raises(UsageError, match=words):
            policy(spec, ["small", "big"])
