"""`priced`: buy the offer worth most at the going price, while its gain is worth more than its cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from outlay.batch import VERDICT
from outlay.policies.base import Choice, View, best_of, first_of


@final
@dataclass(frozen=True, slots=True)
class Priced:
    """Keep buying while `worth · gain > price · cost`; of all offers the one with the largest difference.

    Source: Lagrangian relaxation of the multiple-choice knapsack, one price for all prompts.
    """

    priced: bool = True

    def choose(self, view: View) -> Choice:
        """See the contract."""
        batch, values = view.batch, view.values
        net_O = batch.stake_P[batch.point_O] * values.gain_O - view.price * values.cost_O
        # Rounding must not start what is worth nothing: a free look at something already known, for ever.
        worth = (net_O > 1e-12) & (values.gain_O > 1e-9)
        offer_P = best_of(batch.points, batch.point_O, net_O, worth)
        # What it costs nothing to know is known before anything is paid for.
        free_P = first_of(batch.points, batch.point_O, (batch.effect_O == VERDICT) & (batch.cost_O <= 0))
        offer_P = np.where(free_P >= 0, free_P, offer_P)
        copies_P = np.append(values.copies_O, 1)[offer_P]
        return Choice(offer_P, copies_P)
