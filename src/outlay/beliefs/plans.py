"""What an offer is worth: the plan that begins with it and is worth most.

A plan stops as soon as it has its answer, so its value is not that of a fixed number of purchases (see
`docs/decisions/0001-plans-that-stop.md`): voting goes on until a lead of j, drawing with a check until one passes or m
have been drawn, a verdict on the leader is followed by new draws where it fails. Each has a closed form given the
difficulty, so that all plans of all offers of all points are a few array operations.

Letters as in `outlay.batch` and `outlay.beliefs.model`; `N` plans of one family, `H` the three cases: the leader is
right, the runner-up is right, the right answer was not seen yet.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from outlay.batch import DRAW, NOTE, VERDICT, Batch, Floats, Ints, Top, draws_made, votes
from outlay.beliefs.model import GRID, SIGMA, THETA, Parameters, Posterior, Tables, verdict_logs

LEADS = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 7.0])
"""Leads at which a voting plan stops, in votes of the arm that is bought."""

TRIES = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
"""Draws after which a plan with a check gives up."""

PATIENCE = 32.0
"""Votes after which a voting plan gives up; without it a hopeless prompt whose answers scatter never ends."""


class Worth(NamedTuple):
    """Best plan of each offer at the price asked, (O,) each; see `Valuation`."""

    gain_O: Floats
    cost_O: Floats
    until_O: Floats
    copies_O: Ints


class _Best:
    """Keeps the best plan of each offer while families of plans are tried."""

    def __init__(self, stake_O: Floats, price: float) -> None:
        self.stake_O, self.price = stake_O, price
        count = len(stake_O)
        self.net_O = np.full(count, -np.inf)
        self.gain_O, self.cost_O, self.until_O = np.zeros(count), np.zeros(count), np.zeros(count)
        self.copies_O = np.ones(count, dtype=np.int64)

    def offer(self, rows: Ints, gain_XN: Floats, cost_XN: Floats, copies_XN: Floats | None = None) -> None:
        """Consider N plans for the offers `rows` (X of them)."""
        if not len(rows):
            return
        worth_XN = self.stake_O[rows][:, None] * gain_XN
        # What is free is bought at any price and sets none.
        ratio_XN = np.divide(worth_XN, cost_XN, out=np.zeros(worth_XN.shape), where=cost_XN > 0)
        net_XN = worth_XN - self.price * cost_XN
        if net_XN.shape[1] == 1:
            net, gain, cost, ratio = net_XN[:, 0], gain_XN[:, 0], cost_XN[:, 0], ratio_XN[:, 0]
            copies = None
        else:
            pick = (np.arange(len(rows)), net_XN.argmax(axis=1))
            net, gain, cost, ratio = net_XN[pick], gain_XN[pick], cost_XN[pick], ratio_XN.max(axis=1)
            copies = None if copies_XN is None else copies_XN[pick].astype(np.int64)
        self.until_O[rows] = np.maximum(self.until_O[rows], ratio)
        better = net > self.net_O[rows]
        at = rows[better]
        self.net_O[at], self.gain_O[at], self.cost_O[at] = net[better], gain[better], cost[better]
        self.copies_O[at] = 1 if copies is None else copies[better]

    def worth(self) -> Worth:
        return Worth(self.gain_O, self.cost_O, np.maximum(self.until_O, 0.0), self.copies_O)


class _State(NamedTuple):
    """What the plans need to know of each point, (P, …)."""

    leader_PG: Floats  # joint mass of the leader being right
    runner_PG: Floats
    unseen_PG: Floats  # mass of every other case
    best_P: Floats
    lead_P: Floats  # support of the leader over the runner-up, in nats
    alone_P: Floats  # support of the leader over an answer without any vote, in nats
    votes_leader_P: Floats
    votes_runner_P: Floats
    votes_all_P: Floats


def worth(
    batch: Batch, post: Posterior, first: Top, shift_D: Floats, p: Parameters, t: Tables, price: float
) -> Worth:
    """Value every offer of the batch at `price`."""
    best = _Best(batch.stake_P[batch.point_O], price)
    if not len(batch.point_O):
        return best.worth()
    state = _state(batch, post, first, shift_D, p, t)
    success_OG = _success(batch, t)
    exclusive_O = batch.exclusive_P[batch.point_O]
    draw_O = (batch.effect_O == DRAW) | (batch.effect_O == NOTE)
    certain_O = ~np.isnan(batch.success_O)
    looked_O = draw_O & (batch.then_O >= 0)
    # What stands alone and is looked at by nobody is worth a first draw, and no second.
    once_O = np.where(
        batch.then_O < 0, exclusive_O | (state.best_P[batch.point_O] <= 0) | certain_O, exclusive_O
    )
    _one_draw(best, np.nonzero(draw_O & once_O)[0], batch, state, success_OG, p, t)
    _votes(
        best, np.nonzero(draw_O & exclusive_O & batch.more_O & ~certain_O)[0], batch, state, success_OG, p, t
    )
    _until_pass(best, np.nonzero(looked_O)[0], batch, state, success_OG, p)
    _verdicts(best, np.nonzero(batch.effect_O == VERDICT)[0], batch, post, first, state, success_OG, p)
    return best.worth()


def _state(batch: Batch, post: Posterior, first: Top, shift_D: Floats, p: Parameters, t: Tables) -> _State:
    right_CG = np.vstack(
        [post.right_CG, np.zeros((1, len(GRID)))]
    )  # row −1 is the candidate that is not there
    leader_PG, runner_PG = right_CG[first.leader_P], right_CG[first.runner_P]
    # Exclusive: the cases exclude each other. Alone: "the runner-up is right" is no case of its own.
    runner_PG = np.where(batch.exclusive_P[:, None], runner_PG, 0.0)
    unseen_PG = np.maximum(post.total_PG - leader_PG - runner_PG, 0.0)
    count = len(batch.point_C)
    support_C = np.zeros(1)
    if count:
        weight_D = t.weight_KS[batch.klass_P[batch.point_D], batch.slot_D] + shift_D
        counted = batch.candidate_D >= 0
        ok_C, bad_C = verdict_logs(batch, p)
        by_votes_C = np.bincount(batch.candidate_D[counted], weights=weight_D[counted], minlength=count)
        support_C = np.append(by_votes_C + ok_C - bad_C, 0.0)
    votes_C = np.append(votes(batch), 0).astype(np.float64)
    return _State(
        leader_PG,
        runner_PG,
        unseen_PG,
        leader_PG.sum(axis=1),
        np.maximum(support_C[first.leader_P] - support_C[first.runner_P], 0.0),
        np.maximum(support_C[first.leader_P], 0.0),
        votes_C[first.leader_P],
        votes_C[first.runner_P],
        draws_made(batch).astype(np.float64),
    )


def _success(batch: Batch, t: Tables) -> Floats:
    """P(right) of one further draw of each offer, by difficulty, (O, G)."""
    klass_O = batch.klass_P[batch.point_O]
    hit_OG: Floats = t.hit_KSG[klass_O, batch.slot_O]
    certain_O = np.isnan(batch.success_O)
    return hit_OG if certain_O.all() else np.where(certain_O[:, None], hit_OG, batch.success_O[:, None])


def _joins(batch: Batch, rows: Ints, votes_X: Floats, wrong_X: Floats, p: Parameters) -> Floats:
    """Chance that a further wrong answer joins a class that has `votes_X` of `wrong_X` wrong votes; the next vote of
    a class without votes is its founder's.
    """
    gather_XJ = p.gather_KJ[batch.klass_P[batch.point_O[rows]]]
    lone = np.maximum(votes_X, 1.0)[:, None]
    join_X: Floats = (gather_XJ * (lone - SIGMA) / (THETA + np.maximum(wrong_X, lone[:, 0])[:, None])).sum(
        axis=1
    )
    return join_X


def _one_draw(
    best: _Best, rows: Ints, batch: Batch, s: _State, success_OG: Floats, p: Parameters, t: Tables
) -> None:
    """Buy one copy and look: it changes the answer where it disagrees and outweighs the leader."""
    if not len(rows):
        return
    at = batch.point_O[rows]
    hit = success_OG[rows]
    weight = t.weight_KS[batch.klass_P[at], batch.slot_O[rows]]
    certain = ~np.isnan(batch.success_O[rows])
    chance = np.clip(batch.success_O[rows][certain], 1e-4, 1 - 1e-4)
    weight[certain] = np.maximum(np.log(chance / (1 - chance)), 0.0)
    over_runner = (weight > s.lead_P[at])[:, None]
    over_leader = (weight > s.alone_P[at])[:, None]
    joins = _joins(batch, rows, s.votes_runner_P[at], s.votes_all_P[at] - s.votes_leader_P[at], p)[:, None]
    leader, runner, unseen = s.leader_PG[at], s.runner_PG[at], s.unseen_PG[at]
    lost = leader * (1 - hit) * (joins * over_runner + (1 - joins) * over_leader)
    won = runner * hit * over_runner + unseen * hit * over_leader
    gain = (won - lost).sum(axis=1)
    cost = batch.cost_O[rows] + batch.rest_O[rows]
    best.offer(rows, gain[:, None], cost[:, None])


def _votes(
    best: _Best, rows: Ints, batch: Batch, s: _State, success_OG: Floats, p: Parameters, t: Tables
) -> None:
    """Vote until the leader leads by j, or another does.

    A gambler's ruin in each of the three cases: from lead i, up with the chance of a vote for the leader, down with
    that of a vote for the rival; other votes scatter. Source: arXiv 2511.09030 for the race of two, exact form of
    expected votes by Wald's identity.
    """
    if not len(rows):
        return
    at = batch.point_O[rows]
    klass = batch.klass_P[at]
    hit = np.clip(success_OG[rows], 0.002, 0.998)  # (X, G)
    weight = t.weight_KS[klass, batch.slot_O[rows]]
    fresh = s.votes_leader_P[at] == 0
    lead_R = np.where(fresh, 0.0, s.lead_P[at] / weight)
    lead_U = np.where(fresh, 0.0, s.alone_P[at] / weight)
    wrong_A = s.votes_all_P[at] - s.votes_leader_P[at]
    join_R = _joins(batch, rows, s.votes_runner_P[at], wrong_A, p)
    join_B = _joins(batch, rows, s.votes_leader_P[at], s.votes_all_P[at] - s.votes_runner_P[at], p)
    join_U = _joins(batch, rows, s.votes_leader_P[at], s.votes_all_P[at], p)
    miss = 1 - hit
    up_XHG = np.stack([hit, miss * join_B[:, None], miss * join_U[:, None]], axis=1)
    down_XHG = np.stack([miss * join_R[:, None], hit, hit], axis=1)
    # A fresh point has no leader: the right answer races the first wrong one from a lead of 0.
    mass_XHG = np.stack([s.leader_PG[at], s.runner_PG[at], s.unseen_PG[at]], axis=1)
    mass_XHG[fresh, 0], mass_XHG[fresh, 2] = mass_XHG[fresh, 2], mass_XHG[fresh, 0]
    small = 1e-9
    up_steps_XN = np.maximum(np.ceil(LEADS - lead_R[:, None] - small), 1.0)
    down_R = np.maximum(np.ceil(LEADS + lead_R[:, None] - small), 1.0)
    down_U = np.maximum(np.ceil(LEADS + lead_U[:, None] - small), 1.0)
    a = up_steps_XN[:, None, :, None]  # (X, 1, N, 1)
    b = np.stack([down_R, down_R, down_U], axis=1)[..., None]  # (X, H, N, 1)
    down_chance, steps = _ruin(up_XHG[:, :, None, :], down_XHG[:, :, None, :], a, b)
    ends = 1 - np.exp(-PATIENCE / steps)
    down_chance *= ends
    steps *= ends
    mass = mass_XHG[:, :, None, :]
    moved = (mass * down_chance).sum(axis=3)  # (X, H, N)
    gain = moved[:, 1] + moved[:, 2] - moved[:, 0]
    if fresh.any():
        decided = (mass[:, 0] * ends[:, 0]).sum(axis=2) - moved[:, 0]
        gain = np.where(fresh[:, None], decided, gain)
    votes_XN = (mass * steps).sum(axis=(1, 3))
    cost = votes_XN * (batch.cost_O[rows] + batch.rest_O[rows])[:, None]
    copies = np.minimum(up_steps_XN, batch.most_O[rows][:, None])
    best.offer(rows, gain, cost, copies)


def _ruin(up: Floats, down: Floats, a: Floats, b: Floats) -> tuple[Floats, Floats]:
    """Chance of falling by b before rising by a, and the expected votes till either; lazy steps included.

    Vector: up .9, down .1, a = b = 3 → .00137, 3.743 (arXiv 2511.09030 in exact form).
    """
    ratio = np.log(down / up)
    ratio = np.where(np.abs(ratio) < 1e-6, 1e-6, ratio)
    fair = -np.abs(ratio)  # work with the power below 1 so that nothing overflows
    low_a, low_b, low_ab = np.exp(fair * a), np.exp(fair * b), np.exp(fair * (a + b))
    # ratio < 0 (drifting up): P(fall) = r^b (1 − r^a) / (1 − r^(a+b)); drifting down: 1 − the mirror image.
    fall = np.where(ratio < 0, low_b * (1 - low_a), 1 - low_ab - low_a * (1 - low_b)) / (1 - low_ab)
    drift = up - down
    drift = np.where(np.abs(drift) < 1e-9, 1e-9, drift)
    steps = np.where(np.abs(ratio) < 1e-4, a * b / (up + down), (a * (1 - fall) - b * fall) / drift)
    return fall, np.maximum(steps, 1.0)


def _after_failure(
    hit: Floats, sens: Floats, spec: Floats, cost_draw: Floats
) -> tuple[Floats, Floats, Floats]:
    """Draw, look, and go on until a pass or m tries: chance of ending on a right pass, chance of no pass, expected
    cost, by difficulty, (X, N, G) each.
    """
    passes = hit * sens[:, None] + (1 - hit) * (1 - spec)[:, None]  # (X, G)
    passes = np.clip(passes, 1e-6, 1.0)
    none = (1 - passes)[:, None, :] ** TRIES[:, None]
    won = (1 - none) * (hit * sens[:, None] / passes)[:, None, :]
    cost = cost_draw[:, None, None] * ((1 - none) / passes[:, None, :])
    return won, none, cost


def _until_pass(best: _Best, rows: Ints, batch: Batch, s: _State, success_OG: Floats, p: Parameters) -> None:
    """Draw with its verdict until one passes or m were drawn."""
    if not len(rows):
        return
    at = batch.point_O[rows]
    klass = batch.klass_P[at]
    then = batch.then_O[rows]
    sens, spec = p.sens_KS[klass, then], p.spec_KS[klass, then]
    hit = success_OG[rows]
    cost_one = batch.cost_O[rows] + batch.rest_O[rows] + batch.then_cost_O[rows]
    won, none, cost = _after_failure(hit, sens, spec, cost_one)
    # Mass of the best answer at hand, and of all, by difficulty; exclusive answers that are right leave no room.
    leader = s.leader_PG[at][:, None, :]
    total = leader + s.runner_PG[at][:, None, :] + s.unseen_PG[at][:, None, :]
    pass_right = (total * won).sum(axis=2)
    kept = (leader * (1 - none)).sum(axis=2)  # the leader, in the cases where something passes
    # A pass is taken where what passed is surer than the leader.
    gain = np.maximum(pass_right - kept, 0.0)
    gain[~batch.more_O[rows], 1:] = 0.0  # what can be bought only once is tried only once
    best.offer(rows, gain, (total * cost).sum(axis=2))


def _verdicts(
    best: _Best,
    rows: Ints,
    batch: Batch,
    post: Posterior,
    first: Top,
    s: _State,
    success_OG: Floats,
    p: Parameters,
) -> None:
    """Have a candidate looked at. If it is the leader and fails, the runner-up takes its place, or new draws with
    their own verdicts are bought; if it is another and passes, it may take the lead.
    """
    if not len(rows):
        return
    at = batch.point_O[rows]
    klass = batch.klass_P[at]
    sens, spec = p.sens_KS[klass, batch.slot_O[rows]], p.spec_KS[klass, batch.slot_O[rows]]
    belief_C = np.append(post.right_CG.sum(axis=1), 0.0)
    about = batch.candidate_O[rows]
    is_leader = about == first.leader_P[at]
    rival = np.where(is_leader, first.runner_P[at], first.leader_P[at])
    own, other = belief_C[about], belief_C[rival]
    exclusive = batch.exclusive_P[at]
    passes = own * sens + (1 - own) * (1 - spec)
    other_pass = np.where(exclusive, other * (1 - spec), other * passes)
    other_fail = np.where(exclusive, other * spec, other * (1 - passes))
    after = np.maximum(own * sens, other_pass) + np.maximum(own * (1 - sens), other_fail)
    cost = batch.cost_O[rows]
    best.offer(rows, np.maximum(after - s.best_P[at], 0.0)[:, None], cost[:, None])
    # Followed by draws that get the same verdict: the best such offer of the point, as valued just before.
    draws = np.nonzero((batch.effect_O == DRAW) & (batch.then_O >= 0))[0]
    lead = np.nonzero(is_leader)[0]
    if not len(draws) or not len(lead):
        return
    order = np.lexsort((best.net_O[draws], batch.point_O[draws]))
    chosen_P = np.full(batch.points, -1, dtype=np.int64)
    chosen_P[batch.point_O[draws][order]] = draws[order]  # the last assignment of a point is its best
    follow = chosen_P[at[lead]]
    lead, follow = lead[follow >= 0], follow[follow >= 0]
    if not len(lead):
        return
    se, sp = sens[lead], spec[lead]
    won, none, spend = _after_failure(
        success_OG[follow],
        p.sens_KS[klass[lead], batch.then_O[follow]],
        p.spec_KS[klass[lead], batch.then_O[follow]],
        batch.cost_O[follow] + batch.then_cost_O[follow] + batch.rest_O[follow],
    )
    leader = post.right_CG[about[lead]]
    rest = np.maximum(post.total_PG[at[lead]] - leader, 0.0)
    fail_right = leader * (1 - se)[:, None]
    fail = fail_right + rest * sp[:, None]
    one_try = np.where(~batch.more_O[follow][:, None] & (TRIES > 1), 0.0, 1.0)
    after_XN = (leader * se[:, None]).sum(axis=1)[:, None] + (
        (fail[:, None, :] * won).sum(axis=2) + (fail_right[:, None, :] * none).sum(axis=2)
    ) * one_try
    cost_XN = cost[lead][:, None] + (fail[:, None, :] * spend).sum(axis=2)
    best.offer(rows[lead], np.maximum(after_XN - s.best_P[at[lead]][:, None], 0.0), cost_XN)
