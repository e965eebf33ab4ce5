"""How sure we are now, and how much surer each purchase would make us."""

from outlay.beliefs.base import Belief, Record
from outlay.beliefs.prior import Prior

BELIEFS = {"prior": Prior}

__all__ = ["BELIEFS", "Belief", "Prior", "Record"]
