"""What a market is made of, and what comes out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from outlay.beliefs import Belief
from outlay.engines.base import Engine
from outlay.flow import Arms, Candidate, Start
from outlay.policies import Policy
from outlay.pricing import Pricing
from outlay.types import NOTHING, Budget, Cost, Prompt

OPEN_POINTS = 10_000


@dataclass(frozen=True, slots=True)
class Setting:
    """The parts of one market.

    Attributes:
        checks: For each prompt id the check arms that exist for it; None where every check exists for every prompt.
        same: The user's own equality of answers, in place of canonical forms.
        open_points: Most prompts that are open at once.
        at_once: Calls that engines not in lockstep may have under way: so many share one second.
        holdout: The share of prompts on which the dearest model is asked beside the run, to be compared with.
    """

    arms: Arms
    engines: Mapping[str, Engine]
    strategy: Start
    policy: Policy
    belief: Belief
    pricing: Pricing
    budget: Budget
    seed: int = 0
    checks: Mapping[str, frozenset[str]] | None = None
    same: Callable[[str, str], bool] | None = None
    open_points: int = OPEN_POINTS
    holdout: float = 0.0
    at_once: Mapping[str, int] = field(default_factory=lambda: NOTHING)


class Beside(NamedTuple):
    """A held-out prompt before the run used the answer of the dearest model: whether its own was the same, whether it
    had one, and both costs.
    """

    id: str
    same: bool
    answered: bool
    spent: Cost
    dearest: Cost
    arm: str


class Settled(NamedTuple):
    """A prompt that is done: what was decided, why, how many draws there were, what it cost, its receipt lines."""

    prompt: Prompt
    candidate: Candidate | None
    belief: float
    reason: str
    drawn: int
    cost: Cost
    lines: list[dict[str, Any]]
