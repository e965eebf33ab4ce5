"""What a belief is: how sure we are now, and how much surer each purchase would make us."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from outlay.batch import Batch, DrawRow, PointRow, Valuation, VerdictRow


class Record(NamedTuple):
    """All evidence of one point, settled or open; `even` if it belongs to the evenly bought share."""

    point: PointRow
    draws: Sequence[DrawRow]
    verdicts: Sequence[VerdictRow]
    even: bool


class Belief(Protocol):
    """Learns as the run goes on; its parameters are read from the journal when a run is resumed."""

    def slot(self, kind: str, arm: str) -> int:
        """The number of a (kind, arm) pair, given at first use."""
        ...

    def klass(self, name: str) -> int:
        """The number of a question class, given at first use."""
        ...

    def value(self, batch: Batch, price: float) -> Valuation:
        """Beliefs now and the worth of every offer at `price` per whole budget; at an infinite one beliefs alone."""
        ...

    def standard(self, batch: Batch, exchange: float) -> tuple[float, float]:
        """Belief and cost at which a fresh part would stop if being right were worth `exchange` per unit of cost;
        `batch` holds that one fresh point with its offers.
        """
        ...

    def own(self, klass: int, slot: int) -> float:
        """The belief with which a sub-flow of this kind is expected to end."""
        ...

    def learn(self, records: Sequence[Record]) -> dict[str, Any]:
        """Learn the parameters anew from everything that was bought, and return them as plain values."""
        ...

    def load(self, parameters: dict[str, Any]) -> None:
        """Take parameters that `learn` returned."""
        ...
