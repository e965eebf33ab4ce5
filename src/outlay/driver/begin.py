"""From a job to what runs it: the prompts that differ, the parts of the market, and what makes two runs the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from outlay.beliefs import Prior
from outlay.config import model_name
from outlay.driver.job import Job
from outlay.driver.topup import BUDGET, written
from outlay.errors import BudgetError, UnknownName
from outlay.flow import Start
from outlay.journal import ENDPOINTS, noted
from outlay.market import Setting
from outlay.market.identity import places
from outlay.policies import policy as named_policy
from outlay.pricing import Clearing, Fixed, Pricing
from outlay.strategies import STRATEGIES
from outlay.types import Prompt

VERSION = "2"
"""Of what the journal means; a change of it refuses to resume older runs."""


def _identity(prompt: Prompt) -> tuple[Any, ...]:
    return (prompt.messages, prompt.answer, str(prompt.metadata.get("group")), prompt.worth)


def distinct(
    prompts: Sequence[Prompt], checks: Mapping[str, frozenset[str]] | None
) -> tuple[list[Prompt], dict[str, list[Prompt]]]:
    """Prompts that differ, and for each the later ones that are the same: those are bought once."""
    first: dict[tuple[Any, ...], str] = {}
    differ, twins = [], dict[str, list[Prompt]]()
    for prompt in prompts:
        identity = (*_identity(prompt), checks.get(prompt.id) if checks is not None else None)
        known = first.setdefault(identity, prompt.id)
        if known == prompt.id:
            differ.append(prompt)
        else:
            twins.setdefault(known, []).append(prompt)
    return differ, twins


def _short(thing: object) -> str:
    return hashlib.sha256(repr(thing).encode()).hexdigest()[:16]


def fingerprint(job: Job) -> dict[str, str]:
    """What makes two runs the same run."""
    rows = [(p.id, p.messages, p.answer, sorted(p.metadata.items()), p.worth) for p in job.prompts]
    checks = None if job.checks is None else sorted((at, sorted(names)) for at, names in job.checks.items())
    return {
        "version": VERSION,
        "input": job.input_digest or _short(rows),
        "models": ", ".join(arm.name for arm in job.arms) + f" ({_short(job.arms)})",
        "strategy": job.strategy
        if isinstance(job.strategy, str)
        else f"{getattr(job.strategy, '__name__', 'a strategy')} (own)",
        "policy": job.policy,
        BUDGET: written(job.budget),
        "seed": str(job.seed),
        "price": str(job.price),
        "files of checks": job.check_files,
        "checks": _short((checks, sorted(job.known.items()))),
        "abstain": str(job.abstain),
        "open": str(job.open_points),
        "holdout": str(job.holdout),
        "same": "given" if job.same is not None else "none",
        ENDPOINTS: ", ".join(job.endpoints),
    }


def moved(job: Job) -> str:
    """What to say where a run that was begun at one endpoint would go on at another; empty where it does not."""
    if job.directory is None or not job.endpoints:
        return ""
    then, now = noted(job.directory, ENDPOINTS), ", ".join(job.endpoints)
    if not then or then == now:
        return ""
    return (
        f"the run in {job.directory} was begun at {then} and goes on at {now}; if other models answer there, stop it "
        "and give another directory"
    )


def _start(strategy: str | Start) -> Start:
    """The flow of a strategy, by its name or as it is."""
    if not isinstance(strategy, str):
        return strategy
    if strategy not in STRATEGIES:
        raise UnknownName("strategy", strategy, STRATEGIES)
    return STRATEGIES[strategy][0]


def setting(job: Job) -> Setting:
    """The parts of the market of a job."""
    place = places(job.arms)
    # One greedy answer is usually right more often than one sampled answer of the same model.
    greedy = {arm.name for arm in job.arms if arm.deterministic}
    rank = {name: at + (0.5 if name in greedy else 0.0) for name, at in place.items()}
    named: dict[int, str] = {}
    for arm, at in place.items():
        named.setdefault(at, model_name(arm))
    names = list(named.values())
    if job.budget.usd is not None:
        unknown = [arm.name for arm in job.arms if arm.role != "check" and not arm.price.known()]
        if unknown:
            raise BudgetError(
                f"a dollar budget needs a price for {', '.join(unknown)}; give price_in and price_out in the config, "
                "or a budget in tok"
            )
    pricing: Pricing = Clearing(job.budget) if job.price is None else Fixed(job.price)
    return Setting(
        job.arms, job.engines, _start(job.strategy), named_policy(job.policy, names), Prior(rank, job.known),
        pricing, job.budget, job.seed, job.checks, job.same, job.open_points, job.holdout, job.at_once,
    )  # fmt: skip
