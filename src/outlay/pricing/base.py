"""What a price is: one number for the whole run, per share of the budget."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from outlay.batch import Floats
from outlay.types import Budget, Cost


class Forecast(NamedTuple):
    """What the market expects to be asked for.

    Attributes:
        left: Share of the budget that is neither spent nor held, weighted as `share` does.
        until_P: For each open idle point, the highest price at which it would still buy.
        cost_P: What it would then spend, as a share.
        level_F, cost_F: Spend of all prompts not yet asked anything, at each of F falling prices.
        spent: Share of each limited unit that is spent, and the share of prompts that are done.
        done: See `spent`.
    """

    left: float
    until_P: Floats
    cost_P: Floats
    level_F: Floats
    cost_F: Floats
    spent: dict[str, float]
    done: float


class Pricing(Protocol):
    """The going price λ, in worth per whole budget.

    `falls`: a point at which nothing is worth the price waits, since the price may fall.
    """

    falls: bool
    price: float

    def share(self, cost: Cost) -> float:
        """A cost as one number: the weighted share of the budget that it takes."""
        ...

    def update(self, forecast: Forecast, *, at_rest: bool = False) -> None:
        """Set the price anew; `at_rest` where nothing is in flight, so that the forecast is complete."""
        ...

    def weigh(self, forecast: Forecast) -> None:
        """Shift the weights of the units towards the one that runs out first."""
        ...

    def top_up(self, budget: Budget) -> float:
        """Price a larger budget of the same units from now on; the share of it that the old one is, which turns
        shares of the old budget into shares of the new one.
        """
        ...

    def state(self) -> dict[str, float]:
        """Price and weights as plain values, for the journal."""
        ...

    def restore(self, state: dict[str, float]) -> None:
        """Take what `state` returned."""
        ...
