"""What people use today, by name: fixed numbers, leads, until a check passes, agreement of the cheap ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from outlay.batch import DRAW, VERDICT, Bools, Ints, draws_made, passes, top, votes
from outlay.policies.base import Choice, View, first_of


def _choice(offer_P: Ints, copies_P: Ints | int = 1) -> Choice:
    return Choice(offer_P, np.broadcast_to(np.asarray(copies_P), offer_P.shape))


def _own_draws(view: View, arm: int) -> Bools:
    """Draw offers of one model, or of the first model for -1."""
    own_O: Bools = (view.batch.effect_O == DRAW) & (view.arm_O == max(arm, 0))
    return own_O


def _verdicts(view: View, wanted_P: Bools) -> Ints:
    """A verdict on a candidate that has none yet, where it is wanted."""
    batch = view.batch
    return first_of(batch.points, batch.point_O, (batch.effect_O == VERDICT) & wanted_P[batch.point_O])


@final
@dataclass(frozen=True, slots=True)
class Uniform:
    """`uniform:N`: N draws of one model (the first, or `@NAME`), then the best-supported answer."""

    number: int
    arm: int = -1
    priced: bool = False

    def choose(self, view: View) -> Choice:
        """See the contract."""
        batch = view.batch
        left_P = self.number - draws_made(batch)
        offer_P = first_of(
            batch.points, batch.point_O, _own_draws(view, self.arm) & (left_P > 0)[batch.point_O]
        )
        copies_P = np.clip(left_P, 1, np.append(batch.most_O, 1)[offer_P])
        # What was drawn is checked, where a check exists, as every other rule may.
        check_P = _verdicts(view, left_P <= 0)
        return _choice(np.where(offer_P >= 0, offer_P, check_P), copies_P)


@final
@dataclass(frozen=True, slots=True)
class Lead:
    """`lead:K`: draw until one answer has K votes more than any other, at most 40 draws.

    Source: the stopping rule of arXiv 2511.09030 and of arXiv 2503.17587, which is the same.
    """

    number: int
    arm: int = -1
    cap: int = 40
    priced: bool = False

    def choose(self, view: View) -> Choice:
        """See the contract."""
        batch = view.batch
        votes_C = np.append(votes(batch), 0)
        first = top(batch, votes_C[:-1])
        lead_P = votes_C[first.leader_P] - votes_C[first.runner_P]
        drawn_P = draws_made(batch)
        more_P = (lead_P < self.number) & (drawn_P < self.cap)
        offer_P = first_of(batch.points, batch.point_O, _own_draws(view, self.arm) & more_P[batch.point_O])
        # The fewest further votes that could end it: few rounds and no overdraw.
        copies_P = np.minimum(np.clip(self.number - lead_P, 1, None), np.maximum(self.cap - drawn_P, 1))
        copies_P = np.minimum(copies_P, np.append(batch.most_O, 1)[offer_P])
        return _choice(offer_P, copies_P)


@final
@dataclass(frozen=True, slots=True)
class UntilPass:
    """`until_pass:N`: draw and check until one passes, at most N draws; where nothing can be checked, one draw."""

    number: int
    arm: int = -1
    priced: bool = False

    def choose(self, view: View) -> Choice:
        """See the contract."""
        batch = view.batch
        passed_C, _ = passes(batch)
        passed_P = np.bincount(batch.point_C, weights=passed_C, minlength=batch.points) > 0
        check_P = _verdicts(view, ~passed_P)
        drawn_P = draws_made(batch)
        can_P = np.bincount(batch.point_O, weights=batch.then_O >= 0, minlength=batch.points) > 0
        more_P = ~passed_P & (drawn_P < np.where(can_P, self.number, 1))
        draw_P = first_of(batch.points, batch.point_O, _own_draws(view, self.arm) & more_P[batch.point_O])
        return _choice(np.where(check_P >= 0, check_P, draw_P))


@final
@dataclass(frozen=True, slots=True)
class Agree:
    """`agree`: ask every model but the last once; where they agree, take it, else ask the last once."""

    priced: bool = False

    def choose(self, view: View) -> Choice:
        """See the contract."""
        batch = view.batch
        last = int(view.arm_O.max(initial=0))
        fresh_O = (batch.effect_O == DRAW) & (view.bought_O == 0) & (view.arm_O >= 0)
        asked_P = np.zeros(batch.points, dtype=bool)
        asked_P[batch.point_D[view.arm_D == last]] = True
        # One offer of each model: a model that was asked in one mode is not asked again in another.
        seen = set(zip(batch.point_D.tolist(), view.arm_D.tolist(), strict=True))
        new_O = np.array(
            [(p, a) not in seen for p, a in zip(batch.point_O.tolist(), view.arm_O.tolist(), strict=True)],
            dtype=bool,
        )
        cheap_P = first_of(batch.points, batch.point_O, fresh_O & new_O & (view.arm_O < last))
        classes_P = np.diff(batch.first_P)
        blank_P = np.bincount(batch.point_D[batch.candidate_D < 0], minlength=batch.points) > 0
        split_P = ((classes_P > 1) | blank_P | (draws_made(batch) == 0)) & ~asked_P
        dear_P = first_of(
            batch.points, batch.point_O, fresh_O & (view.arm_O == last) & split_P[batch.point_O]
        )
        done_P = np.where(cheap_P >= 0, cheap_P, dear_P)
        return _choice(done_P)
