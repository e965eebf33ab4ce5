"""The market: the only loop. See `outlay.market.market`."""

from outlay.market.floor import DEADLINE, GAVE_UP, NO_MONEY
from outlay.market.market import Market
from outlay.market.setting import Setting, Settled

__all__ = ["DEADLINE", "GAVE_UP", "NO_MONEY", "Market", "Setting", "Settled"]
