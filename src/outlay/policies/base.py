"""What a policy is: at each point it buys one of the offers, or decides."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from outlay.batch import Batch, Bools, Floats, Ints, Valuation


class Choice(NamedTuple):
    """For each point: row in O to buy or -1 to buy nothing, and how many copies, (P,) each."""

    offer_P: Ints
    copies_P: Ints


class View(NamedTuple):
    """What a policy sees. `values` is None for policies that do not ask for beliefs; `arm_O` the arm of each offer as
    its position from cheap to dear (-1: not a model); `bought_O` copies of the same offer bought before at the
    point; `arm_D` the arm of each draw, likewise.
    """

    batch: Batch
    values: Valuation
    price: float
    arm_O: Ints
    bought_O: Ints
    arm_D: Ints


class Policy(Protocol):
    """A rule that chooses among offers; it keeps nothing from one call to the next.

    `priced`: whether it looks at the price. A policy that does not is not made to wait for a lower one.
    """

    @property
    def priced(self) -> bool:
        """See the class."""
        ...

    def choose(self, view: View) -> Choice:
        """One choice for each point of the batch."""
        ...


def first_of(points: int, point_X: Ints, ok_X: Bools) -> Ints:
    """The first row of each point for which `ok_X` holds, -1 where none does, (P,)."""
    first_P = np.full(points, -1, dtype=np.int64)
    rows = np.nonzero(ok_X)[0][::-1]
    first_P[point_X[rows]] = rows
    return first_P


def best_of(points: int, point_X: Ints, score_X: Floats, ok_X: Bools) -> Ints:
    """The row of each point with the highest score among those for which `ok_X` holds, ties to the first, (P,)."""
    best_P = np.full(points, -1, dtype=np.int64)
    rows = np.nonzero(ok_X)[0]
    order = rows[np.lexsort((-rows, score_X[rows]))]
    best_P[point_X[order]] = order
    return best_P
