"""`priced`: buy the offer worth most at the going price, while its gain is worth more than its cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from outlay.policies.base import Choice, View, best_of


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
        copies_P = np.where(offer_P >= 0, np.append(values.copies_O, 1)[offer_P], 1)
        return Choice(offer_P, copies_P)
