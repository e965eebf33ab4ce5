"""The simple rule that outlay meets here: some answers of the small model until its check passes, then the big one."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np

from outlay.batch import DRAW, VERDICT, draws_made, passes
from outlay.policies.base import Choice, View, first_of

SMALL: Final = 0
BIG: Final = 1


@final
@dataclass(frozen=True, slots=True)
class SmallThenBig:
    """At most `looks` answers of the small model and then `tries` of the big one, until one passes.

    Where nothing can be checked: one answer of the big model. The greedy answer of a model comes before sampled ones.
    """

    looks: int = 2
    tries: int = 1
    priced: bool = False

    def choose(self, view: View) -> Choice:
        """See the contract."""
        batch = view.batch
        passed_C, _ = passes(batch)
        passed_P = np.bincount(batch.point_C, weights=passed_C, minlength=batch.points) > 0
        can_P = np.bincount(batch.point_O, weights=batch.then_O >= 0, minlength=batch.points) > 0
        drawn_P = draws_made(batch)
        small_P = can_P & (drawn_P < self.looks)
        more_P = ~passed_P & (drawn_P < np.where(can_P, self.looks + self.tries, 1))
        wanted_P = np.where(small_P, SMALL, BIG)
        draw_O = (batch.effect_O == DRAW) & (view.arm_O == wanted_P[batch.point_O]) & more_P[batch.point_O]
        draw_P = first_of(batch.points, batch.point_O, draw_O)
        check_P = first_of(
            batch.points, batch.point_O, (batch.effect_O == VERDICT) & ~passed_P[batch.point_O]
        )
        offer_P = np.where(check_P >= 0, check_P, draw_P)
        return Choice(offer_P, np.ones_like(offer_P))
