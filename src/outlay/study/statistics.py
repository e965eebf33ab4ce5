"""What a comparison on few tasks can and cannot show: paired resampling, intervals, mixtures of two rules.

Arrays carry their axes in their names: R resamples, P prompts, K rules or settings.
"""

from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

LEVEL = 0.95
"""Every interval holds this share."""


class Interval(NamedTuple):
    """A figure and its percentile interval."""

    value: float
    low: float
    high: float

    def verdict(self, zero: float = 0.0) -> str:
        """`win` if the interval lies above `zero`, `loss` if below, `nothing` otherwise."""
        if self.low > zero + 1e-9:
            return "win"
        return "loss" if self.high < zero - 1e-9 else "nothing"


@final
@dataclass(frozen=True)
class Resamples:
    """Resamples of prompts with replacement, drawn once and used for every figure, so that all stay paired.

    Attributes:
        prompts: How many there are.
        count: How many resamples.
        seed: Same seed, same resamples.
    """

    prompts: int
    count: int = 10_000
    seed: int = 0

    @cached_property
    def weights_RP(self) -> Floats:
        """Share of each prompt in each resample; rows sum to one."""
        rng = np.random.default_rng(self.seed)
        share = np.full(self.prompts, 1.0 / self.prompts)
        return rng.multinomial(self.prompts, share, size=self.count) / self.prompts

    def mean(self, value_P: Floats) -> Floats:
        """The mean in every resample; extra axes of `value_P` after the first are kept."""
        return np.asarray(self.weights_RP @ value_P, dtype=np.float64)

    def difference(self, ours_P: Floats, theirs_P: Floats) -> Interval:
        """Mean of ours minus mean of theirs on the same prompts."""
        gap_P = ours_P - theirs_P
        return interval(float(gap_P.mean()), self.mean(gap_P))

    def ratio(self, ours_P: Floats, theirs_P: Floats) -> Interval:
        """Mean of ours over mean of theirs on the same prompts."""
        return interval(float(ours_P.mean() / theirs_P.mean()), self.mean(ours_P) / self.mean(theirs_P))

    def over_curve(self, score_P: Floats, cost_P: Floats, score_PK: Floats, cost_PK: Floats) -> Interval:
        """Mean score minus that of a curve at the same mean cost, read anew in every resample (`curve_at`)."""
        at = curve_at(cost_PK.mean(axis=0)[None], score_PK.mean(axis=0)[None], np.array([cost_P.mean()]))
        at_R = curve_at(self.mean(cost_PK), self.mean(score_PK), self.mean(cost_P))
        return interval(float(score_P.mean() - at[0]), self.mean(score_P) - at_R)


def interval(value: float, value_R: Floats) -> Interval:
    """The percentile interval of a figure from its resamples."""
    low, high = np.quantile(value_R, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def wilson(right: int, of: int, z: float = 1.959964) -> Interval:
    """The score interval of a share: of use where a resampled interval would have no width.

    >>> low, high = wilson(0, 10)[1:]
    >>> round(low, 3), round(high, 3)
    (0.0, 0.278)

    Source:
        E. B. Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference.
    """
    if of == 0:
        return Interval(float("nan"), 0.0, 1.0)
    share = right / of
    center = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return Interval(share, max(center - half, 0.0), min(center + half, 1.0))


def hull(cost_K: Floats, score_K: Floats) -> list[int]:
    """The rules on the upper concave hull, from the cheapest to the one that scores highest.

    Choosing at random between two neighbours reaches every point of the line between them, and no random
    choice between rules lies above.
    """
    chain: list[int] = []
    for k in np.lexsort((np.arange(len(cost_K)), -score_K, cost_K)).tolist():
        if chain and score_K[k] <= score_K[chain[-1]]:
            continue
        while len(chain) > 1:
            a, b = chain[-2], chain[-1]
            rise_ab = (score_K[b] - score_K[a]) * (cost_K[k] - cost_K[a])
            rise_ak = (score_K[k] - score_K[a]) * (cost_K[b] - cost_K[a])
            if rise_ab > rise_ak:
                break
            chain.pop()
        chain.append(k)
    return chain


def mixture(
    cost_K: Floats, score_K: Floats, *, cost: float | None = None, score: float | None = None
) -> Floats:
    """Weights of the one or two rules that reach the hull at `cost`, or at `score`; beyond its ends, the end.

    Args:
        cost_K: Mean cost of each rule.
        score_K: Mean score of each rule.
        cost: Wanted mean cost; give this or `score`.
        score: Wanted mean score.

    Returns:
        One weight per rule, at most two of them above 0, that sum to one.
    """
    if (cost is None) == (score is None):
        raise ValueError("mixture() takes either cost or score")
    chain = hull(cost_K, score_K)
    along_K, wanted = (cost_K, cost) if cost is not None else (score_K, score)
    assert wanted is not None
    spot = float(np.interp(wanted, along_K[chain], np.arange(len(chain))))
    left = min(int(spot), len(chain) - 1)
    weight_K = np.zeros(len(cost_K))
    weight_K[chain[left]] = 1 - (spot - left)
    if spot > left:
        weight_K[chain[left + 1]] = spot - left
    return weight_K


def curve_at(cost_RK: Floats, score_RK: Floats, at_R: Floats) -> Floats:
    """Score of a curve at a cost, in every resample.

    Straight lines in order of cost, ends held, no running maximum: over many points it would flatter.
    """
    order_RK = np.argsort(cost_RK, axis=1, kind="stable")
    x_RK = np.take_along_axis(cost_RK, order_RK, axis=1)
    y_RK = np.take_along_axis(score_RK, order_RK, axis=1)
    right_R = np.clip((x_RK < at_R[:, None]).sum(axis=1), 1, x_RK.shape[1] - 1)
    rows_R = np.arange(len(at_R))
    x0, x1 = x_RK[rows_R, right_R - 1], x_RK[rows_R, right_R]
    y0, y1 = y_RK[rows_R, right_R - 1], y_RK[rows_R, right_R]
    wide_R = x1 > x0
    share_R = np.where(wide_R, (at_R - x0) / np.where(wide_R, x1 - x0, 1.0), 1.0)
    return np.asarray(y0 + np.clip(share_R, 0.0, 1.0) * (y1 - y0), dtype=np.float64)
