"""The same number of answers from every model: what a recording is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from outlay.batch import DRAW, VERDICT
from outlay.policies.base import Choice, View, first_of


@final
@dataclass(frozen=True, slots=True)
class Every:
    """`every:N`: N answers of every model, a greedy one once, each answer looked at by every check there is."""

    number: int
    priced: bool = False

    def choose(self, view: View) -> Choice:
        """See the contract."""
        batch = view.batch
        draw_O = (batch.effect_O == DRAW) & (view.arm_O >= 0) & (view.bought_O < self.number)
        draw_P = first_of(batch.points, batch.point_O, draw_O)
        look_P = first_of(batch.points, batch.point_O, batch.effect_O == VERDICT)
        left_P = self.number - np.append(view.bought_O, self.number - 1)[draw_P]
        copies_P = np.clip(left_P, 1, np.append(batch.most_O, 1)[draw_P])
        return Choice(np.where(draw_P >= 0, draw_P, look_P), np.where(draw_P >= 0, copies_P, 1))
