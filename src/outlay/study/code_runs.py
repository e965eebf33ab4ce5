"""The market itself on the recorded code: whole runs on recorded answers, graded afterwards.

A run gets what any run gets: prompts, arms with prices, a check, a dollar budget. Labels are read here, and
grades are given only after the run has ended.
"""

import asyncio
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from outlay.answers import kind
from outlay.driver import Job, run_job
from outlay.engines.recorded import Recorded
from outlay.inputs import read
from outlay.study.code_bed import ANSWERS, BILLIONS, CHECK, LABELS, ORDERS, PROMPTS, Market
from outlay.study.grade import Grader
from outlay.study.replay import Outcome, lines_of
from outlay.types import MILLION, NANO, Answer, Arm, Budget, Price, Prompt

ENGINE = "recorded"
MAX_TOKENS = 384
YARD_ARM = "big:greedy"


def arms(models: Sequence[str] = tuple(BILLIONS)) -> tuple[Arm, ...]:
    """The recorded arms from cheap to dear, and the check, which is free.

    A model costs a dollar per billion of its parameters and million output tokens.
    """
    drawn = [
        Arm(
            name=model + (":greedy" if greedy else ""),
            engine=ENGINE,
            model=model,
            temperature=0.0 if greedy else 0.8,
            deterministic=greedy,
            max_tokens=MAX_TOKENS,
            price=Price(input=0, output=round(BILLIONS[model] * NANO)),
        )
        for model in models
        for greedy in (True, False)
    ]
    return (*drawn, Arm(CHECK, ENGINE, price=Price(0, 0), role="check"))


def yardstick(directory: Path) -> int:
    """What always-big costs on all tasks, in nano-dollars."""
    tokens = sum(int(row["output"]) for row in lines_of(directory / ANSWERS) if row["arm"] == YARD_ARM)
    return tokens * round(BILLIONS["big"] * NANO) // MILLION


def job_of(
    directory: Path,
    *,
    budget: float,
    seed: int,
    policy: str = "priced",
    models: Sequence[str] = tuple(BILLIONS),
) -> Job:
    """A run on the recording, `budget` as a share of what always-big costs. No label is read."""
    prompts = read(directory / PROMPTS).prompts
    engine = Recorded.load(directory / ANSWERS, seed=seed)
    checks = {p.id: frozenset({CHECK} if engine.has_check(p.id, CHECK) else ()) for p in prompts}
    limit = int(yardstick(directory) * budget)
    return Job(
        prompts,
        arms(models),
        {ENGINE: engine},
        policy=policy,
        budget=Budget(usd=limit),
        seed=seed,
        checks=checks,
    )


@functools.cache
def by_recording(directory: Path) -> Grader:
    """Grades an answer by the hidden tests' word on the recorded program that it equals.

    A program that was not recorded in this form (cut by a small budget) is taken to be wrong.
    """
    right = {
        (row["prompt"], row["arm"], row["draw"]): bool(row["correct"]) for row in lines_of(directory / LABELS)
    }
    form = kind("code")
    known = {
        (row["prompt"], form.canonical(form.extract(row["text"]) or "")): right[
            row["prompt"], row["arm"], row["draw"]
        ]
        for row in lines_of(directory / ANSWERS)
    }

    def grader(prompt: Prompt, answer: Answer) -> bool:
        if answer.answer is None:
            return False
        return known.get((prompt.id, form.canonical(answer.answer)), False)

    return grader


def runs(
    directory: Path,
    *,
    budget: float,
    seeds: Sequence[int] = range(ORDERS),
    policy: str = "priced",
    models: Sequence[str] = tuple(BILLIONS),
) -> Market:
    """One run a seed at one budget, graded; score and cost of each task are means over the seeds."""
    grader = by_recording(directory)
    scores, costs, spent, limit = [], [], [], 0
    for seed in seeds:
        job = job_of(directory, budget=budget, seed=seed, policy=policy, models=models)
        summary, answers = asyncio.run(run_job(job))
        found = {answer.id: answer for answer in answers}
        scores.append([bool(grader(prompt, found[prompt.id])) for prompt in job.prompts])
        costs.append([found[prompt.id].cost.usd / 1000 for prompt in job.prompts])
        spent.append(summary.spent.usd)
        limit = job.budget.usd or 0
    # a nano-dollar is a thousandth of a btok: .49 USD for a million tokens is 490 nano-dollars for one
    outcome = Outcome(np.mean(scores, axis=0), np.mean(costs, axis=0))
    return Market(outcome, limit, tuple(spent))


def market(
    directory: Path, *, budgets: Sequence[float], seeds: Sequence[int] = range(ORDERS)
) -> Mapping[float, Market]:
    """The runs of outlay at every budget."""
    return {budget: runs(directory, budget=budget, seeds=seeds) for budget in budgets}
