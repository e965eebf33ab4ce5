"""`batch`: the price at which what is left of the budget just suffices for what is still worth buying."""

from __future__ import annotations

import math
from typing import final

import numpy as np

from outlay.pricing.base import Forecast
from outlay.types import Budget, Cost

HIGH = 1e30
"""Before the first forecast: nothing is worth it. Finite, so that it can be written down."""

SLOWEST_FALL, SMALL = 0.7, 0.05
"""Most that a price falls in one step, and the change below which it stays as it is, so that what was valued stands."""

_RATE = 1.0
"""How fast the weights of the units follow their use; multiplicative updates."""


def _limits(budget: Budget) -> dict[str, int]:
    return {("ms" if unit == "s" else unit): limit for unit, limit in budget.limits().items()}


def _alike(limits: dict[str, int]) -> dict[str, float]:
    return {unit: 1.0 / len(limits) for unit in limits}


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
        self._limits = _limits(budget)
        self._weights = _alike(self._limits)
        self.price = HIGH

    def share(self, cost: Cost) -> float:
        """See the contract; 0 without any limit."""
        total = 0.0
        for unit, weight in self._weights.items():
            total += weight * getattr(cost, unit) / max(self._limits[unit], 1)
        return total

    def update(self, forecast: Forecast, *, at_rest: bool = False) -> None:
        """See the contract."""
        if not self._limits:
            self.price = 0.0
            return
        old = self.price
        new = self._clearing(forecast)
        if old < HIGH and not at_rest:
            # Points between two purchases are forecast too low, so a fall is taken in steps; a rise at once.
            new = max(new, old * SLOWEST_FALL)
        if old >= HIGH or abs(new - old) > SMALL * old:
            self.price = new

    @staticmethod
    def _clearing(forecast: Forecast) -> float:
        paid = forecast.cost_P > 0  # what is free is bought at any price, and sets none
        until_P, cost_P = forecast.until_P[paid], forecast.cost_P[paid]
        order = np.argsort(-until_P)
        until, spend = until_P[order], np.cumsum(cost_P[order])
        levels = np.concatenate([forecast.level_F, until, [0.0]])
        # Spend at each level: open points that would still buy there, and the fresh ones.
        buyers = np.searchsorted(-until, -levels, side="left")
        total = np.concatenate([[0.0], spend])[buyers]
        if len(forecast.level_F):
            total = total + np.interp(-levels, -forecast.level_F, forecast.cost_F)
        # Where the spend jumps over what is left, the price stays above the jump: what is left over then is spent
        # at a later, lower price, while an overspent budget cannot be mended.
        too_much = levels[total > forecast.left]
        if not len(
            too_much
        ):  # everything fits; of two offers that bring the same the cheaper is still the better
            some = levels[levels > 0]
            return float(some.min()) / 2 if len(some) else 0.0
        above = levels[levels > too_much.max()]
        return float(above.min()) if len(above) else float(too_much.max()) * 1.5

    def weigh(self, forecast: Forecast) -> None:
        """See the contract."""
        if len(self._weights) < 2:
            return
        used = {("ms" if unit == "s" else unit): share for unit, share in forecast.spent.items()}
        raw = {u: w * math.exp(_RATE * (used.get(u, 0.0) - forecast.done)) for u, w in self._weights.items()}
        total = sum(raw.values())
        self._weights = {unit: max(weight / total, 1e-4) for unit, weight in raw.items()}

    def top_up(self, budget: Budget) -> float:
        """See the contract. Weights and price start anew. The price at nothing: so everything that is wanted is
        forecast in full, and the first price is rather too high, from where it falls in steps. At the highest price
        the next purchase alone would be forecast, and what is left would be spent on whoever comes first.
        """
        old, self._limits = self._limits, _limits(budget)
        self._weights = _alike(self._limits)
        self.price = 0.0
        return sum(w * max(old[unit], 1) / max(self._limits[unit], 1) for unit, w in self._weights.items())

    def state(self) -> dict[str, float]:
        """See the contract."""
        return {"price": self.price, **{f"w.{unit}": weight for unit, weight in self._weights.items()}}

    def restore(self, state: dict[str, float]) -> None:
        """See the contract."""
        self.price = state["price"]
        self._weights = {unit: state[f"w.{unit}"] for unit in self._weights}
