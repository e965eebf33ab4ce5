"""Reserve the worst case, settle the actual: the one place that knows whether something may be afforded."""

from outlay.ledger.base import Ledger
from outlay.ledger.memory import MemoryLedger

__all__ = ["Ledger", "MemoryLedger"]
