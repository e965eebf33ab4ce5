"""`batch`: the price at which what is left of the budget just suffices for what is still worth buying."""

from __future__ import annotations

import math
from typing import final

import numpy as np

from outlay.pricing.base import Forecast
from outlay.types import Budget, Cost

HIGH = 1e30
"""Before the first forecast: nothing is worth it. Finite, so that it can be written down."""

_RATE = 1.0
"""How fast the weights of the units follow their use; multiplicative updates."""


@final
class Clearing:
    """Meets a budget in one or several units.

    Costs are weighed as Σ_r w_r · cost_r / budget_r, Σ w = 1. The price is the smallest at which the spend forecast
    fits in what is left, found over the prices at which the forecast changes (the forecast is a step function, so
    this is bisection without the steps); it is corrected with every purchase that settles.

    Source: bisection on the shadow price of a multiple-choice knapsack; multiplicative weights for the units.
    """

    falls = True

    def __init__(self, budget: Budget) -> None:
        self._limits = {("ms" if unit == "s" else unit): limit for unit, limit in budget.limits().items()}
        self._weights = {unit: 1.0 / len(self._limits) for unit in self._limits} if self._limits else {}
        self.price = HIGH

    def share(self, cost: Cost) -> float:
        """See the contract; 0 without any limit."""
        total = 0.0
        for unit, weight in self._weights.items():
            total += weight * getattr(cost, unit) / max(self._limits[unit], 1)
        return total

    def update(self, forecast: Forecast) -> None:
        """See the contract."""
        if not self._limits:
            self.price = 0.0
            return
        order = np.argsort(-forecast.until_P)
        until, spend = forecast.until_P[order], np.cumsum(forecast.cost_P[order])
        levels = np.concatenate([forecast.level_F, until])
        # Spend at a price a hair below each level: every open point that would still buy there, and the fresh ones.
        reached = np.searchsorted(-until, -levels, side="right")
        total = np.append(spend, 0.0)[reached - 1] if len(spend) else np.zeros(len(levels))
        total = np.where(reached > 0, total, 0.0)
        if len(forecast.level_F):
            total = total + np.interp(-levels, -forecast.level_F, forecast.cost_F)
        fits = total <= forecast.left
        too_much = levels[~fits]
        # Everything fits: the price falls to nothing. Otherwise it stands at the highest level that does not fit.
        self.price = float(too_much.max()) if len(too_much) else 0.0

    def weigh(self, forecast: Forecast) -> None:
        """See the contract."""
        if len(self._weights) < 2:
            return
        used = {("ms" if unit == "s" else unit): share for unit, share in forecast.spent.items()}
        raw = {u: w * math.exp(_RATE * (used.get(u, 0.0) - forecast.done)) for u, w in self._weights.items()}
        total = sum(raw.values())
        self._weights = {unit: max(weight / total, 1e-4) for unit, weight in raw.items()}

    def state(self) -> dict[str, float]:
        """See the contract."""
        return {"price": self.price, **{f"w.{unit}": weight for unit, weight in self._weights.items()}}

    def restore(self, state: dict[str, float]) -> None:
        """See the contract."""
        self.price = state["price"]
        self._weights = {unit: state[f"w.{unit}"] for unit in self._weights}
