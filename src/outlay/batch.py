"""Many decision points at once: the evidence tables and the offers as columns.

The live market packs its open points into one `Batch`; a study builds it from a recording. Beliefs, policies and
prices are functions over it, so that every rule is written once.

Letters: `P` points, `C` candidates (answers that exclude each other or texts that stand alone), `D` draws,
`V` verdicts, `O` offers, `G` grid of difficulty. Rows of every table are sorted by point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

DRAW, VERDICT, NOTE = 0, 1, 2
EFFECTS = {"draw": DRAW, "verdict": VERDICT, "note": NOTE}


class DrawRow(NamedTuple):
    """One draw as numbers: candidate number at its point (-1: no answer), slot, confidence on the working scale
    (NaN: none), own belief of a sub-flow (NaN: a plain call).
    """

    candidate: int
    slot: int
    confidence: float
    own: float


class VerdictRow(NamedTuple):
    """One verdict as numbers: candidate number at its point, slot, 1.0 passed or 0.0 failed."""

    candidate: int
    slot: int
    value: float


class OfferRow(NamedTuple):
    """One offer as numbers.

    `candidate` is the one that a verdict is about (-1 otherwise), `then` the slot of the verdict that a draw will
    get (-1: none), `cost` and `then_cost` what one copy and its verdict are expected to cost, as shares of the
    budget, `rest` the same for the rest of a chain, `most` the copies that may be bought at once, `more` whether
    further draws of the same model may follow, `success` the chance that a chain or sub-flow ends right (NaN: the
    skill of the slot tells).
    """

    slot: int
    effect: int
    candidate: int
    then: int
    cost: float
    then_cost: float
    rest: float
    most: int
    more: bool
    success: float


class PointRow(NamedTuple):
    """One point: class, whether answers exclude each other, what being right is worth, how many candidates."""

    klass: int
    exclusive: bool
    stake: float
    candidates: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Columns over P points. See the module for letters and the row types for meanings and units."""

    klass_P: Ints
    exclusive_P: Bools
    stake_P: Floats
    first_P: Ints  # row of each point's first candidate, (P + 1,)
    point_C: Ints
    point_D: Ints
    candidate_D: Ints  # row in C, or -1
    slot_D: Ints
    confidence_D: Floats
    own_D: Floats
    candidate_V: Ints  # row in C
    slot_V: Ints
    value_V: Floats
    point_O: Ints
    slot_O: Ints
    effect_O: Ints
    candidate_O: Ints  # row in C, or -1
    then_O: Ints
    cost_O: Floats
    then_cost_O: Floats
    rest_O: Floats
    most_O: Ints
    more_O: Bools
    success_O: Floats

    @property
    def points(self) -> int:
        """P."""
        return len(self.klass_P)


@dataclass(frozen=True, slots=True)
class Valuation:
    """What a belief says about a batch.

    Attributes:
        belief_C: P(right) of each candidate.
        leader_P: Row in C of the best candidate, -1 where there is none.
        best_P: P(right) of the best candidate, 0 where there is none.
        gain_O: E[best belief after the plan that begins with this offer] − best belief now, for the plan worth most
            at the price given.
        cost_O: Expected cost of that plan, in shares of the budget.
        until_O: The highest price at which some plan that begins with this offer is still worth its cost.
        copies_O: Copies to buy at once: the fewest that could end the plan.
    """

    belief_C: Floats
    leader_P: Ints
    best_P: Floats
    gain_O: Floats
    cost_O: Floats
    until_O: Floats
    copies_O: Ints


_NO_DRAW = np.empty((0, 4))
_NO_VERDICT = np.empty((0, 3))
_NO_OFFER = np.empty((0, 10))


def pack(
    points: Sequence[PointRow],
    draws: Sequence[Sequence[DrawRow]],
    verdicts: Sequence[Sequence[VerdictRow]],
    offers: Sequence[Sequence[OfferRow]],
) -> Batch:
    """One batch from rows of each point; the four sequences have the same length P."""
    table_P = np.array(points, dtype=np.float64).reshape(len(points), 4)
    count_P = table_P[:, 3].astype(np.int64)
    first_P = np.zeros(len(points) + 1, dtype=np.int64)
    np.cumsum(count_P, out=first_P[1:])
    index_P = np.arange(len(points))
    table_D, point_D = _stack(draws, index_P, _NO_DRAW)
    table_V, point_V = _stack(verdicts, index_P, _NO_VERDICT)
    table_O, point_O = _stack(offers, index_P, _NO_OFFER)
    of_D = table_D[:, 0].astype(np.int64)
    about_O = table_O[:, 2].astype(np.int64)
    return Batch(
        klass_P=table_P[:, 0].astype(np.int64),
        exclusive_P=table_P[:, 1] > 0,
        stake_P=table_P[:, 2],
        first_P=first_P,
        point_C=np.repeat(index_P, count_P),
        point_D=point_D,
        candidate_D=np.where(of_D >= 0, of_D + first_P[point_D], -1),
        slot_D=table_D[:, 1].astype(np.int64),
        confidence_D=table_D[:, 2],
        own_D=table_D[:, 3],
        candidate_V=table_V[:, 0].astype(np.int64) + first_P[point_V],
        slot_V=table_V[:, 1].astype(np.int64),
        value_V=table_V[:, 2],
        point_O=point_O,
        slot_O=table_O[:, 0].astype(np.int64),
        effect_O=table_O[:, 1].astype(np.int64),
        candidate_O=np.where(about_O >= 0, about_O + first_P[point_O], -1),
        then_O=table_O[:, 3].astype(np.int64),
        cost_O=table_O[:, 4],
        then_cost_O=table_O[:, 5],
        rest_O=table_O[:, 6],
        most_O=table_O[:, 7].astype(np.int64),
        more_O=table_O[:, 8] > 0,
        success_O=table_O[:, 9],
    )


def _stack(rows: Sequence[Sequence[tuple[float, ...]]], index_P: Ints, empty: Floats) -> tuple[Floats, Ints]:
    """All rows under each other, and the point of each."""
    flat = [row for of_point in rows for row in of_point]
    if not flat:
        return empty, np.empty(0, dtype=np.int64)
    return np.array(flat, dtype=np.float64), np.repeat(index_P, [len(of_point) for of_point in rows])


def votes(batch: Batch) -> Ints:
    """Draws of each candidate, (C,)."""
    counted = batch.candidate_D[batch.candidate_D >= 0]
    return np.bincount(counted, minlength=len(batch.point_C))


def draws_made(batch: Batch) -> Ints:
    """Draws at each point, those without an answer included, (P,)."""
    return np.bincount(batch.point_D, minlength=batch.points)


class Top(NamedTuple):
    """Rows in C of the best and second best candidate of each point by some score; -1 where there is none."""

    leader_P: Ints
    runner_P: Ints


def top(batch: Batch, score_C: Floats | Ints) -> Top:
    """The two best candidates of each point; ties go to the candidate that was drawn first."""
    leader_P = np.full(batch.points, -1, dtype=np.int64)
    runner_P = np.full(batch.points, -1, dtype=np.int64)
    count = len(batch.point_C)
    if count:
        order = np.lexsort((-np.arange(count), score_C, batch.point_C))
        last_P = batch.first_P[1:]
        some = last_P > batch.first_P[:-1]
        two = last_P - batch.first_P[:-1] > 1
        leader_P[some] = order[last_P[some] - 1]
        runner_P[two] = order[last_P[two] - 2]
    return Top(leader_P, runner_P)


def passes(batch: Batch) -> tuple[Bools, Bools]:
    """For each candidate, whether a verdict passed it, and whether one failed it, (C,) each."""
    count = len(batch.point_C)
    passed = np.bincount(batch.candidate_V, weights=batch.value_V, minlength=count) > 0
    failed = np.bincount(batch.candidate_V, weights=1.0 - batch.value_V, minlength=count) > 0
    return passed, failed
