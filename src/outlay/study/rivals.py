"""What people use today, with the same check and confidence as outlay, and the grids that it is tuned on.

Where a prompt has no check, a rule acts as its users would: until pass stops at the first draw, because more
draws would teach it nothing. The answer is always `Seen.best` of what was bought.
"""

from dataclasses import dataclass
from itertools import product
from typing import final

import numpy as np

from outlay.study.replay import CONFIDENCES, Bools, Choice, Rule, Seen

THRESHOLDS = {
    "mean": (-0.02, -0.03, -0.045, -0.065, -0.1),
    "low": (-0.1, -0.17, -0.25, -0.4, -0.6),
    "tail": (-0.02, -0.045, -0.08, -0.12, -0.2),
}
"""Round quantiles of the small model's confidences, set without labels."""


def _everywhere(seen: Seen) -> Bools:
    return np.ones(seen.there_POD.shape[:2], dtype=np.bool_)


def _open(seen: Seen, which_P: Bools) -> Bools:
    return _everywhere(seen) & which_P[:, None]


def _line(greedy: bool) -> str:
    return "greedy" if greedy else "sampled"


@final
@dataclass(frozen=True, slots=True)
class Always:
    """One draw of one model."""

    model: str
    greedy: bool = True

    def __str__(self) -> str:
        return f"{_line(self.greedy)} {self.model}"

    def __call__(self, seen: Seen) -> Choice:
        bought = seen.buy(seen.line(self.model, self.greedy), 1, _everywhere(seen))
        return Choice(seen.best(bought), bought)


@final
@dataclass(frozen=True, slots=True)
class UntilPass:
    """Draw until the check passes, at most `cap` times; without a check, once."""

    model: str
    greedy: bool
    cap: int

    def __str__(self) -> str:
        return f"{_line(self.greedy)} {self.model}, at most {self.cap}"

    def __call__(self, seen: Seen) -> Choice:
        line = seen.line(self.model, self.greedy)
        checked = seen.buy(line, self.cap, _open(seen, seen.checked_P))
        bought = checked | seen.buy(line, 1, _open(seen, ~seen.checked_P))
        return Choice(seen.best(bought), bought)


@final
@dataclass(frozen=True, slots=True)
class SmallThenBig:
    """Small until its check passes, at most `looks`; then big until pass, at most `tries`.

    Without a check the small model is asked first, and the big one where the confidence of that answer is
    below `below`: minus infinity is always small. `straight` asks the big one at once.
    """

    greedy: bool
    looks: int
    tries: int
    straight: bool = False
    confidence: str = "low"
    below: float = -np.inf

    def __str__(self) -> str:
        sure = f"big if {self.confidence} < {self.below:g}" if self.below > -np.inf else "small"
        blind = "big" if self.straight else sure
        return f"{_line(self.greedy)}, {self.looks} small, {self.tries} big, no check: {blind}"

    def __call__(self, seen: Seen) -> Choice:
        small, big = seen.line("small", self.greedy), seen.line("big", self.greedy)
        cheap = seen.buy(small, self.looks, _open(seen, seen.checked_P))
        dear = seen.buy(big, self.tries, _open(seen, seen.checked_P) & ~seen.passed(cheap))
        blind = _open(seen, ~seen.checked_P)
        if self.straight:
            dear = dear | seen.buy(big, 1, blind)
        else:
            cheap = cheap | seen.buy(small, 1, blind)
            sure = seen.confidence_PODC[:, :, small[0], CONFIDENCES.index(self.confidence)]
            dear = dear | seen.buy(big, 1, blind & (sure < self.below))
        # big is bought only where small failed or was not sure enough: then its word counts
        slot = np.where(dear.any(axis=2), seen.best(dear), seen.best(cheap))
        return Choice(slot, cheap | dear)


@final
@dataclass(frozen=True, slots=True)
class BestOf:
    """Buy `n`, answer with the most confident among those that did not fail."""

    model: str
    greedy: bool
    n: int
    confidence: str

    def __str__(self) -> str:
        return f"{_line(self.greedy)} {self.model}, {self.n} by {self.confidence}"

    def __call__(self, seen: Seen) -> Choice:
        bought = seen.buy(seen.line(self.model, self.greedy), self.n, _everywhere(seen), patient=True)
        return Choice(seen.best(bought, self.confidence), bought)


LINES = (True, False)
CAPS = {"small": (2, 3, 4, 5, 6, 8, 9), "big": (2, 3)}
COUNTS = {"small": (2, 3, 4, 5, 8), "big": (2, 3)}


def _until(model: str) -> tuple[Rule, ...]:
    return tuple(UntilPass(model, greedy, cap) for greedy, cap in product(LINES, CAPS[model]))


def _best(model: str) -> tuple[Rule, ...]:
    grid = product(LINES, CONFIDENCES, COUNTS[model])
    return tuple(BestOf(model, greedy, n, confidence) for greedy, confidence, n in grid)


def _cascade() -> tuple[Rule, ...]:
    blind = [(False, "low", -np.inf), (True, "low", -np.inf)]
    blind += [(False, name, below) for name, values in THRESHOLDS.items() for below in values]
    grid = product(LINES, range(1, 6), range(1, 4), blind)
    return tuple(SmallThenBig(greedy, looks, tries, *where) for greedy, looks, tries, where in grid)


FAMILIES: dict[str, tuple[Rule, ...]] = {
    "always small": tuple(Always("small", greedy) for greedy in LINES),
    "always big": tuple(Always("big", greedy) for greedy in LINES),
    "until pass, small": _until("small"),
    "until pass, big": _until("big"),
    "small then big": _cascade(),
    "best of n, small": _best("small"),
    "best of n, big": _best("big"),
}
"""Each rival with its grid. Mixing at random between any two of these settings is a rival of its own."""

YARDSTICK = Always("big")
