"""The going price: one number that says what a share of the budget must bring."""

from outlay.pricing.base import Forecast, Pricing
from outlay.pricing.clearing import Clearing
from outlay.pricing.fixed import Fixed

PRICINGS = {"fixed": Fixed, "batch": Clearing}

__all__ = ["PRICINGS", "Clearing", "Fixed", "Forecast", "Pricing"]
