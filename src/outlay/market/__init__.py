"""The market: the only loop. See `outlay.market.market`."""

from outlay.market.market import Market
from outlay.market.setting import Setting, Settled

__all__ = ["Market", "Setting", "Settled"]
