"""`fixed`: the user says what a unit is worth."""

from __future__ import annotations

from typing import final

from outlay.pricing.base import Forecast
from outlay.types import Budget, Cost


@final
class Fixed:
    """A price per unit that never changes: `price` in worth per token, nano-dollar or millisecond."""

    falls = False

    def __init__(self, price: float, unit: str = "outtok") -> None:
        self.price = price
        self._field = "ms" if unit == "s" else unit

    def share(self, cost: Cost) -> float:
        """See the contract; the whole is one unit."""
        return float(getattr(cost, self._field))

    def update(self, forecast: Forecast, *, at_rest: bool = False) -> None:
        """Nothing moves it."""

    def weigh(self, forecast: Forecast) -> None:
        """Nothing moves it."""

    def top_up(self, budget: Budget) -> float:
        """See the contract; the price is no share of a budget."""
        return 1.0

    def state(self) -> dict[str, float]:
        """See the contract."""
        return {"price": self.price}

    def restore(self, state: dict[str, float]) -> None:
        """See the contract."""
        self.price = state["price"]
