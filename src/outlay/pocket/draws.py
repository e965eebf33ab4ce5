"""The problems again, many at once: numpy generators of chained and Countdown problems as arrays.

Shape suffixes: `R` rows, `K` operations of a chain, `M` numbers of a Countdown problem, `S = M - 1` merges of
its plan, `N` plans per row, `B` bytes.
"""

import zlib
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from outlay.pocket import problems

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

PLANS_PER_ROW: Final = 10
_WEIGHTS: Final = np.array([3.0, 3.0, 1.0, 1.0, 1.0])
_OPERANDS: Final = np.array([0, 0, 2, 3, 2])


class Chains(NamedTuple):
    """Chained problems; columns past a row's own number of operations hold -1.

    Attributes:
        start_R: First value.
        operation_RK: Operation codes of `problems`.
        number_RK: Operands.
        value_RK: Running value after each operation.
    """

    start_R: Ints
    operation_RK: Ints
    number_RK: Ints
    value_RK: Ints


class Countdowns(NamedTuple):
    """Countdown problems, each with one valid plan: `M - 1` merges of two of the numbers then left.

    Attributes:
        number_RM: The numbers in prompt order.
        target_R: What the plan reaches.
        first_RS, second_RS: Slots that each merge joins, the larger value first; the result replaces the
            first. operation_RS: 0 plus, 1 minus, 2 times.
    """

    number_RM: Ints
    target_R: Ints
    first_RS: Ints
    second_RS: Ints
    operation_RS: Ints


def draw_chains(k_R: Ints, hi_R: Ints, rng: np.random.Generator) -> Chains:
    """Draw chained problems of both splits; use `held_out_chains` to tell them apart."""
    rows, most = len(k_R), int(k_R.max())
    start_R = rng.integers(2, hi_R + 1)
    value = start_R.copy()
    columns: list[tuple[Ints, Ints, Ints]] = []
    for step in range(most):
        allowed = np.stack(
            [
                value <= hi_R - 2,
                value >= 3,
                value * 2 <= hi_R,
                value * 3 <= hi_R,
                (value % 2 == 0) & (value >= 8),
            ],
            1,
        )
        cumulative = np.cumsum(allowed * _WEIGHTS, 1)
        operation = (cumulative <= rng.random((rows, 1)) * cumulative[:, -1:]).sum(1)
        plus = rng.integers(2, np.maximum(hi_R - value, 2) + 1)
        minus = rng.integers(2, np.maximum(value - 1, 2) + 1)
        number = np.where(operation == 0, plus, np.where(operation == 1, minus, _OPERANDS[operation]))
        value = np.select(
            [operation == 0, operation == 1, operation == 4],
            [value + number, value - number, value // number],
            value * number,
        )
        live = step < k_R
        columns.append((np.where(live, operation, -1), np.where(live, number, -1), np.where(live, value, -1)))
    return Chains(start_R, *(np.stack(column, 1) for column in zip(*columns, strict=True)))


def draw_countdowns(m: int, hi_R: Ints, rng: np.random.Generator) -> Countdowns:
    """Draw number sets, try random plans on each, pick a target among those reached, then one of its plans.

    Targets that only few plans reach are as likely as common ones; number sets that reach none are dropped.
    """
    rows = len(hi_R)
    number_RM = rng.integers(1, hi_R[:, None] + 1, (rows, m))
    first, second, operation, value = draw_plans(np.repeat(number_RM, PLANS_PER_ROW, 0), rng)
    value_RN = value.reshape(rows, PLANS_PER_ROW)
    reached = (value_RN >= problems.MIN_TARGET) & (value_RN <= problems.MAX_VALUE)
    # One key per value, shared by the plans that reach it, chooses the target; a second one, per plan, breaks
    # the tie.
    key = rng.random((rows, problems.MAX_VALUE + 1))
    score = np.take_along_axis(key, value_RN, 1) + 1e-9 * rng.random(value_RN.shape)
    chosen = np.where(reached, score, -1.0).argmax(1)
    keep = np.flatnonzero(reached.any(1))
    plan = keep * PLANS_PER_ROW + chosen[keep]
    return Countdowns(number_RM[keep], value[plan], first[plan], second[plan], operation[plan])


def draw_plans(number_RM: Ints, rng: np.random.Generator) -> tuple[Ints, Ints, Ints, Ints]:
    """Draw one random plan per row: a pair of what is left, an operation, until one number remains.

    Returns:
        `first_RS`, `second_RS`, `operation_RS` as in `Countdowns`, and the result, 0 where a plan leaves
        1..99.
    """
    rows, m = number_RM.shape
    at = np.arange(rows)
    value = number_RM.copy()
    valid = np.ones(rows, bool)
    columns: list[tuple[Ints, Ints, Ints]] = []
    for _ in range(m - 1):
        # Two distinct live slots: rank among the live ones, dead ones sorted behind.
        live = np.where(value > 0, rng.random((rows, m)), 2.0)
        order = np.argsort(live, 1)
        one, other = order[:, 0], order[:, 1]
        swap = value[at, one] < value[at, other]
        a, b = np.where(swap, other, one), np.where(swap, one, other)
        x, y = value[at, a], value[at, b]
        operation: Ints = rng.integers(0, 3, size=(rows,))
        result = np.select([operation == 0, operation == 1], [x + y, x - y], x * y)
        valid &= (result >= 1) & (result <= problems.MAX_VALUE)
        value[at, a] = np.where(valid, result, 1)  # a failed plan still needs a live slot to go on
        value[at, b] = 0
        columns.append((a, b, operation))
    first, second, operation_RS = (np.stack(column, 1) for column in zip(*columns, strict=True))
    return first, second, operation_RS, np.where(valid, value.max(1), 0)


def held_out_chains(chains: Chains) -> Bools:
    """Vectorised `problems.held_out` of `problems.chain_key`."""
    pairs = np.stack([chains.operation_RK, chains.number_RK], 2).reshape(len(chains.start_R), -1)
    held_R: Bools = _crc32(np.concatenate([chains.start_R[:, None], pairs], 1)) % problems.TEST_SHARE == 0
    return held_R


def held_out_countdowns(countdowns: Countdowns) -> Bools:
    """Vectorised `problems.held_out` of `problems.countdown_key`."""
    key = np.concatenate([np.sort(countdowns.number_RM, 1), countdowns.target_R[:, None]], 1)
    held_R: Bools = _crc32(key) % problems.TEST_SHARE == 0
    return held_R


def _crc32(bytes_RB: Ints) -> Ints:
    """Return zlib's crc32 of each row; negative entries are skipped."""
    table = _crc_table()
    state = np.full(len(bytes_RB), 0xFFFFFFFF, np.int64)
    for column in bytes_RB.T:
        state = np.where(column >= 0, table[(state ^ column) & 255] ^ (state >> 8), state)
    return state ^ 0xFFFFFFFF


def _crc_table() -> Ints:
    """Return the table of the reflected polynomial, read back from zlib itself.

    One byte on state 0 leaves the table entry; zlib starts from and ends with a complement, so its running
    value for state 0 is 0xFFFFFFFF.
    """
    return np.array([zlib.crc32(bytes([byte]), 0xFFFFFFFF) ^ 0xFFFFFFFF for byte in range(256)], np.int64)
