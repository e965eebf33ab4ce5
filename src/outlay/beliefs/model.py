"""The statistical model behind `prior`: difficulty, skill, confidence, verdicts, and how wrong answers gather.

Letters as in `outlay.batch`; `G` grid of difficulty, `J` grid of concentration, `K` classes, `S` slots.

A prompt of class k has difficulty δ_g with weight mix_kg. A draw of slot s is right with probability
σ(skill_ks − δ_g); its standardised confidence z is e^(slope_s·z − offset) times likelier if it is right than if it is
wrong. A sub-flow's draw is right with a probability that depends on its own belief only. Wrong answers gather like a
two-parameter process (θ_j, σ_j) with weight gather_kj: from one wrong answer that is loved to many that scatter. A
verdict passes a right candidate with probability sens_ks and a wrong one with 1 − spec_ks.

Answers that exclude each other: exactly one class of answers is right, perhaps none seen so far. Answers that stand
alone: each is right or not, coupled by the difficulty; a text drawn twice says no more than once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from outlay.batch import Batch, Bools, Floats, top

GRID = np.linspace(-4.8, 4.8, 17)
"""Difficulties δ on the logit scale: success from .992 to .008 at skill 0."""

THETA = np.array([0.05, 0.5, 10.0, 20.0, 40.0])
SIGMA = np.array([0.0, 0.0, -1.0, -2.0, -1.0])
"""How wrong answers may gather: concentration θ and discount σ of a two-parameter process. The first two are
Chinese restaurants, in which one wrong answer is loved; the others spread over −θ/σ = 10, 10 and 40 classes, more and
more evenly, without which an even spread is mistaken for a hopeless prompt whose wrong answers gather.
"""

_TINY = 1e-300


@dataclass(slots=True)
class Parameters:
    """All that the belief learns; the belief is its one owner."""

    mix_KG: Floats
    gather_KJ: Floats
    skill_KS: Floats
    slope_S: Floats
    center_S: Floats
    scale_S: Floats
    sens_KS: Floats
    spec_KS: Floats
    own_KS: Floats  # mean belief with which a sub-flow of this kind ends in this class
    shift_S: Floats  # of a sub-flow's own belief, on the logit scale
    ease_KG: Floats  # like mix_KG, with the pseudo-prompts at the easy end
    hits_KS: Floats  # share of right draws
    seen_K: Floats  # points from which a class was learned


class Tables(NamedTuple):
    """What follows from the parameters and is looked up at every valuation."""

    hit_KSG: Floats  # success of a draw by difficulty
    weight_KS: Floats  # how much one vote says for its answer, in nats


def tables(p: Parameters) -> Tables:
    """See `Tables`. A vote's weight is the log of how often right answers are hit over how often one wrong answer is,
    averaged over the prompts of the class; at least a little, see `_majority`.
    """
    x_KSG = p.skill_KS[:, :, None] - GRID
    level_KS = (p.mix_KG[:, None, :] * x_KSG).sum(axis=2)
    gather_K = (p.gather_KJ * (1 - SIGMA) / (1 + THETA)).sum(axis=1)
    weight_KS = np.maximum(level_KS - np.log(gather_K)[:, None], 0.3)
    return Tables(np.exp(log_success(x_KSG)[0]), weight_KS)


class Posterior(NamedTuple):
    """Joint masses: of each candidate being right at each difficulty (C, G), and all mass of each point (P, G)."""

    right_CG: Floats
    total_PG: Floats


def log_success(x: Floats) -> tuple[Floats, Floats]:
    """Log σ(x) and log(1 − σ(x))."""
    lost = np.logaddexp(0.0, -x)
    hit: Floats = -lost
    miss: Floats = hit - x
    return hit, miss


def standardised(confidence: Floats, slot: np.ndarray, p: Parameters) -> Floats:
    """Z of each confidence under its slot's running mean and scale; 0 where there is none."""
    z = (confidence - p.center_S[slot]) / p.scale_S[slot]
    return np.where(np.isnan(z), 0.0, np.clip(z, -3.0, 3.0))


def draw_logits(batch: Batch, p: Parameters) -> Floats:
    """Logit P(right | δ_g) of each draw before its confidence is looked at, (D, G)."""
    klass_D = batch.klass_P[batch.point_D]
    x_DG = p.skill_KS[klass_D, batch.slot_D][:, None] - GRID
    own = ~np.isnan(batch.own_D)
    if own.any():
        belief = np.clip(batch.own_D[own], 1e-4, 1 - 1e-4)
        x_DG[own] = (np.log(belief / (1 - belief)) + p.shift_S[batch.slot_D[own]])[:, None]
    return x_DG


def confidence_shift(batch: Batch, p: Parameters) -> Floats:
    """Log of how much likelier the confidence of each draw is if the draw is right than if it is wrong, (D,).

    Two normal laws of one width, slope · z − offset; z has mean 0 and variance 1 over all draws, so that slope and
    share of right draws give the offset.
    """
    z_D = standardised(batch.confidence_D, batch.slot_D, p)
    slope_D = np.where(
        np.isnan(batch.confidence_D) | np.isnan(p.center_S[batch.slot_D]), 0.0, p.slope_S[batch.slot_D]
    )
    right_D = np.clip(p.hits_KS[batch.klass_P[batch.point_D], batch.slot_D], 0.02, 0.98)
    spread_D = right_D * (1 - right_D) * slope_D**2
    # v + spread · v² = 1 for the width v within a law.
    width_D = 2.0 / (1.0 + np.sqrt(1.0 + 4.0 * spread_D))
    offset_D = slope_D**2 * width_D * (0.5 - right_D)
    shift_D: Floats = slope_D * z_D - offset_D
    return shift_D


_TABLE = 512
_STEPS = np.arange(_TABLE)[:, None]


def _running(terms: Floats) -> Floats:
    """Sums of the first n rows, n = 0 … _TABLE."""
    return np.concatenate([np.zeros((1, len(THETA))), np.cumsum(terms, axis=0)])


_LOG_NEW = _running(np.log(np.maximum(THETA + _STEPS * SIGMA, 1e-12)))  # (classes, J): each class is founded
_LOG_ALL = _running(np.log(THETA + _STEPS))  # (answers, J)
_LOG_JOIN = np.vstack(
    [np.zeros(len(THETA)), _running(np.log(1 + _STEPS - SIGMA))[:-1]]
)  # (size of a class, J)


def partition(batch: Batch, gather_PJ: Floats) -> tuple[Floats, Floats]:
    """Log probability of a concentration and of how the wrong answers fell into classes, if each candidate is the
    right one (C, J), and if none is (P, J).

    Source: Pitman's sampling formula, Π (θ + iσ) · Π (1 − σ)…(n_k − 1 − σ) / θ(θ+1)…(θ+n−1).
    """
    n_C = np.minimum(
        np.bincount(batch.candidate_D[batch.candidate_D >= 0], minlength=len(batch.point_C)), _TABLE
    )
    own_CJ = _LOG_JOIN[n_C]
    classes_P = np.minimum(np.diff(batch.first_P), _TABLE)
    n_P = np.minimum(np.bincount(batch.point_C, weights=n_C, minlength=batch.points).astype(np.int64), _TABLE)
    all_PJ = sum_by(batch.point_C, own_CJ, batch.points)
    at = batch.point_C
    log_gather_PJ = np.log(gather_PJ + _TINY)
    none_PJ: Floats = log_gather_PJ + _LOG_NEW[classes_P] + all_PJ - _LOG_ALL[n_P]
    right_CJ: Floats = (
        log_gather_PJ[at] + _LOG_NEW[classes_P[at] - 1] + all_PJ[at] - own_CJ - _LOG_ALL[n_P[at] - n_C]
    )
    return right_CJ, none_PJ


def verdict_logs(batch: Batch, p: Parameters) -> tuple[Floats, Floats]:
    """log-likelihood of each candidate's verdicts if it is right, and if it is wrong, (C,) each."""
    count = len(batch.point_C)
    if not len(batch.candidate_V):
        return np.zeros(count), np.zeros(count)
    klass_V = batch.klass_P[batch.point_C[batch.candidate_V]]
    sens, spec = p.sens_KS[klass_V, batch.slot_V], p.spec_KS[klass_V, batch.slot_V]
    ok = batch.value_V > 0.5
    right = np.log(np.where(ok, sens, 1 - sens))
    wrong = np.log(np.where(ok, 1 - spec, spec))
    right_C = np.bincount(batch.candidate_V, weights=right, minlength=count).astype(np.float64)
    wrong_C = np.bincount(batch.candidate_V, weights=wrong, minlength=count).astype(np.float64)
    return right_C, wrong_C


def sum_by(index: np.ndarray, rows_XG: Floats, count: int) -> Floats:
    """Sums of rows by a sorted or unsorted index, (count, G)."""
    out = np.zeros((count, rows_XG.shape[1]))
    np.add.at(out, index, rows_XG)
    return out


def posterior(
    batch: Batch, p: Parameters, mix_KG: Floats | None = None, shift_D: Floats | None = None
) -> Posterior:
    """The joint belief at every point; the masses of a point sum to 1. `shift_D` spares a second look at the
    confidences where they were looked at already.
    """
    points, count = batch.points, len(batch.point_C)
    log_mix_PG = np.log((p.mix_KG if mix_KG is None else mix_KG)[batch.klass_P] + _TINY)
    if not len(batch.point_D):
        return Posterior(np.zeros((count, len(GRID))), np.exp(log_mix_PG))
    x_DG = draw_logits(batch, p)
    hit_DG, miss_DG = log_success(x_DG)
    if shift_D is None:
        shift_D = confidence_shift(batch, p)
    x_DG, hit_DG = x_DG + shift_D[:, None], hit_DG + shift_D[:, None]
    pass_C, fail_C = verdict_logs(batch, p)
    counted = batch.candidate_D >= 0
    if batch.exclusive_P.all():
        right_CG, total_PG = _exclusive(batch, p, log_mix_PG, x_DG, miss_DG, pass_C, fail_C, counted)
    elif not batch.exclusive_P.any():
        right_CG, total_PG = _alone(batch, log_mix_PG, hit_DG, miss_DG, pass_C, fail_C, counted)
    else:
        right_CG, total_PG = _exclusive(batch, p, log_mix_PG, x_DG, miss_DG, pass_C, fail_C, counted)
        alone_CG, alone_PG = _alone(batch, log_mix_PG, hit_DG, miss_DG, pass_C, fail_C, counted)
        one_P = batch.exclusive_P[:, None]
        right_CG = np.where(one_P[batch.point_C], right_CG, alone_CG)
        total_PG = np.where(one_P, total_PG, alone_PG)
    peak_P = total_PG.max(axis=1)
    total_PG = np.exp(total_PG - peak_P[:, None])
    norm_P = total_PG.sum(axis=1)
    total_PG /= norm_P[:, None]
    right_CG = np.exp(right_CG - (peak_P + np.log(norm_P))[batch.point_C][:, None])
    assert right_CG.shape == (count, len(GRID))
    assert total_PG.shape == (points, len(GRID))
    return Posterior(right_CG, total_PG)


def _exclusive(
    batch: Batch,
    p: Parameters,
    log_mix_PG: Floats,
    x_DG: Floats,
    miss_DG: Floats,
    pass_C: Floats,
    fail_C: Floats,
    counted: Bools,
) -> tuple[Floats, Floats]:
    """Log masses where one class is right: all draws of that class hit, all others miss and gather."""
    count = len(batch.point_C)
    base_PG = log_mix_PG + sum_by(batch.point_D, miss_DG, batch.points)
    add_CG = sum_by(batch.candidate_D[counted], x_DG[counted], count)  # log hit − log miss is the logit
    crp_CJ, crp_PJ = partition(batch, p.gather_KJ[batch.klass_P])
    crp_C, crp_P = np.logaddexp.reduce(crp_CJ, axis=1), np.logaddexp.reduce(crp_PJ, axis=1)
    fail_P = np.bincount(batch.point_C, weights=fail_C, minlength=batch.points)
    at = batch.point_C
    right_CG = base_PG[at] + add_CG + (crp_C + pass_C - fail_C + fail_P[at])[:, None]
    none_PG = base_PG + (crp_P + fail_P)[:, None]
    peak_P = np.full(batch.points, -np.inf)
    np.maximum.at(peak_P, at, right_CG.max(axis=1))
    peak_P = np.maximum(peak_P, none_PG.max(axis=1))[:, None]
    total_PG = np.exp(none_PG - peak_P) + sum_by(at, np.exp(right_CG - peak_P[at]), batch.points)
    total_PG = np.log(total_PG + _TINY) + peak_P
    return _majority(batch, x_DG, right_CG, counted), total_PG


def evidence(batch: Batch, p: Parameters) -> Floats:
    """How likely everything seen at each point is, by difficulty and by how wrong answers gather, up to a factor of
    the point's own, (P, G, J). What does not exclude each other does not gather.
    """
    x_DG = draw_logits(batch, p)
    hit_DG, miss_DG = log_success(x_DG)
    shift_D = confidence_shift(batch, p)
    x_DG, hit_DG = x_DG + shift_D[:, None], hit_DG + shift_D[:, None]
    pass_C, fail_C = verdict_logs(batch, p)
    counted = batch.candidate_D >= 0
    at, points, count = batch.point_C, batch.points, len(batch.point_C)
    base_PG = sum_by(batch.point_D, miss_DG, points)
    add_CG = sum_by(batch.candidate_D[counted], x_DG[counted], count)
    crp_CJ, crp_PJ = partition(batch, np.ones((points, len(THETA))))
    fail_P = np.bincount(at, weights=fail_C, minlength=points)
    right_CJ = crp_CJ + (pass_C - fail_C + fail_P[at])[:, None]
    right_CGJ = (base_PG[at] + add_CG)[:, :, None] + right_CJ[:, None, :]
    none_PGJ = base_PG[:, :, None] + (crp_PJ + fail_P[:, None])[:, None, :]
    peak_P = none_PGJ.max(axis=(1, 2))
    np.maximum.at(peak_P, at, right_CGJ.max(axis=(1, 2)))
    likely: Floats = np.exp(none_PGJ - peak_P[:, None, None])
    np.add.at(likely, at, np.exp(right_CGJ - peak_P[at][:, None, None]))
    if not batch.exclusive_P.all():
        flat_PG = np.zeros((points, len(GRID)))
        _, alone_PG = _alone(batch, flat_PG, hit_DG, miss_DG, pass_C, fail_C, counted)
        alone_PG = np.exp(alone_PG - alone_PG.max(axis=1)[:, None])
        likely = np.where(batch.exclusive_P[:, None, None], likely, alone_PG[:, :, None])
    return likely


def _majority(batch: Batch, x_DG: Floats, right_CG: Floats, counted: Bools) -> Floats:
    """With votes alone more support never means less belief: a mixture learned without labels may explain a majority
    as a loved wrong answer, and then turns it into the wrong answer (.74 → .59 in a pilot). Where no verdict speaks,
    the leader by votes and the leader by belief trade places.
    """
    quiet_P = np.bincount(batch.point_C[batch.candidate_V], minlength=batch.points) == 0
    many_P = np.diff(batch.first_P) > 1
    if not (quiet_P & many_P & batch.exclusive_P).any():
        return right_CG
    weight_D = np.logaddexp(
        0.0, x_DG[counted].mean(axis=1)
    )  # positive: a vote never counts against its answer
    votes_C = np.bincount(batch.candidate_D[counted], weights=weight_D, minlength=len(batch.point_C))
    belief_C = np.logaddexp.reduce(right_CG, axis=1)
    by_votes, by_belief = top(batch, votes_C).leader_P, top(batch, belief_C).leader_P
    swap = np.nonzero((by_votes != by_belief) & quiet_P & many_P & batch.exclusive_P)[0]
    if len(swap):
        a, b = by_votes[swap], by_belief[swap]
        # A tie in votes is no majority: there the belief may choose.
        clear = votes_C[a] > votes_C[b] * (1 + 1e-9)
        a, b = a[clear], b[clear]
        right_CG = right_CG.copy()
        right_CG[a], right_CG[b] = right_CG[b], right_CG[a].copy()
    return right_CG


def _alone(
    batch: Batch,
    log_mix_PG: Floats,
    hit_DG: Floats,
    miss_DG: Floats,
    pass_C: Floats,
    fail_C: Floats,
    counted: Bools,
) -> tuple[Floats, Floats]:
    """Log masses where each candidate is right or not; only verdicts tell, and through the difficulty they tell
    about the neighbours.
    """
    count = len(batch.point_C)
    # Equal texts are one candidate and one proposal: the first draw of it speaks.
    order = np.nonzero(counted)[0]
    candidates, first = np.unique(batch.candidate_D[order], return_index=True)
    hit_CG = np.full((count, len(GRID)), np.log(0.5))
    miss_CG = np.full((count, len(GRID)), np.log(0.5))
    hit_CG[candidates] = hit_DG[order[first]]
    miss_CG[candidates] = miss_DG[order[first]]
    yes_CG = hit_CG + pass_C[:, None]
    no_CG = miss_CG + fail_C[:, None]
    either_CG = np.logaddexp(yes_CG, no_CG)
    total_PG = log_mix_PG + sum_by(batch.point_C, either_CG, batch.points)
    return total_PG[batch.point_C] + yes_CG - either_CG, total_PG
