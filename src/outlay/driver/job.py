"""What a run is told, where it stands, and how it ended: the values that the driver takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from outlay.engines.base import Engine
from outlay.flow import Start
from outlay.types import NOTHING, Arm, Budget, Cost, Prompt

NO_LIMIT = Budget()


@dataclass(frozen=True, slots=True)
class Job:
    """One run.

    Attributes:
        strategy: A name, as in `outlay strategies`, or a flow of one's own.
        policy: A name, as in `outlay policies`.
        directory: Where the run lives; None keeps it in memory.
        abstain: Answers believed less than this are left out.
        input_digest: Of the input, so that another input refuses to resume.
        check_files: A digest of the files that the checks are in, so that other checks refuse to resume.
        checks: For each prompt id the check arms that exist for it; None where all exist for all.
        price: A fixed price in worth per output token, instead of one that meets the budget.
        known: Sensitivity and specificity of verdict arms, where they are known.
        open_points: Most prompts open at once.
        at_once: For engines that are not in lockstep, the calls that each may have under way; others wait unsent.
        on_crash: `charge`: calls of an endpoint that were under way when the run was killed are charged at what was
            held for them; `release`: they cost nothing, which only the owner of the endpoint can know.
        holdout: The share of prompts on which the run is compared with always asking the dearest model.
        endpoints: Their addresses, without a login: noted where the run is begun, so that one that goes on elsewhere
            can say so.
    """

    prompts: tuple[Prompt, ...]
    arms: tuple[Arm, ...]
    engines: Mapping[str, Engine]
    strategy: str | Start = "auto"
    policy: str = "priced"
    budget: Budget = NO_LIMIT
    directory: Path | None = None
    seed: int = 0
    abstain: float = 0.0
    input_digest: str = ""
    check_files: str = ""
    checks: Mapping[str, frozenset[str]] | None = None
    price: float | None = None
    same: Callable[[str, str], bool] | None = None
    known: Mapping[str, tuple[float, float]] = field(default_factory=lambda: NOTHING)
    open_points: int = 10_000
    at_once: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    on_crash: str = "charge"
    holdout: float = 0.0
    endpoints: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToppedUp:
    """A run that goes on with a larger budget.

    Attributes:
        before: What the budget was.
        prompts: How many had ended for want of it, and go on.
        others: How many were open or not begun.
    """

    before: Budget
    prompts: int
    others: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands; `topped_up` where this sitting was given a larger budget."""

    prompts: int
    settled: int
    answered: int
    open: int
    in_flight: int
    calls: int
    spent: Cost
    held: Cost
    budget: Budget
    elapsed_ms: int
    replayed: int
    topped_up: ToppedUp | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """What was spent on one kind of purchase."""

    kind: str
    arm: str
    purchases: int
    copies: int
    cost: Cost


@dataclass(frozen=True, slots=True)
class Compared:
    """The held-out prompts beside one answer each of the dearest model, as they stood before that answer was used.

    Attributes:
        arm: Who was asked.
        prompts: On how many prompts they were compared.
        same: On how many of them the answers agree.
        unanswered: On how many of them the run had no answer of its own; these do not agree.
        unit: That of the two costs, the first of `usd`, `tok` and `outtok` that is budgeted, or else `tok`.
        spent: What the run spent on these prompts, in the ledger's integers.
        dearest: What the answers of the dearest model cost.
        held: How many prompts were held out.
        missing: How many of those were not compared, by reason: `incomparable`, `unaffordable`, `failed`, `open`.
        most: The share of the budget that may go there at most.
        before: How many were compared before the budget grew: what they had then is compared.
    """

    arm: str
    prompts: int
    same: int
    unanswered: int
    unit: str
    spent: int
    dearest: int
    held: int
    missing: Mapping[str, int]
    most: float
    before: int = 0


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended. `end` is `spent`, `no_gain`, `rule_done`, `too_little_left`, `deadline`, `interrupted` or
    `overdrawn`; `checked` whether any check looked at the answers, without which the mean confidence is unchecked;
    `compared` how the held-out share fared beside the dearest model, None without one; `troubles` who failed, how
    often, and what the first failure said; `topped_up` where this sitting was given a larger budget.
    """

    prompts: int
    outcomes: Mapping[str, int]
    spent: Cost
    budget: Budget
    elapsed_ms: int
    end: str
    end_sentence: str
    lines: tuple[Line, ...]
    mean_confidence: float
    checked: bool
    overdraft: Cost
    gave_up: int
    duplicates: int
    resumed: bool
    directory: Path | None
    troubles: tuple[str, ...] = ()
    compared: Compared | None = None
    topped_up: ToppedUp | None = None
