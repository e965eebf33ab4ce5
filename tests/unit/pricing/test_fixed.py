"""A price that the user gave: worth per unit, whatever happens."""

import numpy as np
import pytest

from outlay.pricing import Fixed, Forecast
from outlay.types import Cost

EMPTY = np.zeros(0)


@pytest.mark.parametrize(("unit", "units"), [("tok", 7), ("outtok", 5), ("usd", 3), ("s", 2)])
def test_a_cost_is_counted_in_the_unit_of_the_price(unit: str, units: int):
    assert Fixed(0.1, unit).share(Cost(7, 5, 3, 2)) == units


def test_nothing_moves_a_fixed_price():
    fixed = Fixed(0.25)
    told = Forecast(-1.0, np.array([9.0]), np.array([3.0]), EMPTY, EMPTY, {"tok": 1.0}, 0.0)
    fixed.update(told)
    fixed.weigh(told)
    assert fixed.price == 0.25
    assert not fixed.falls
