"""Score and cost of one strategy beside `best_of` on the recorded code, at the budgets of `PROTOCOL.md`.

    python benchmarks/code/strategies.py cascade [--runs N]

The same recorded answers in the same orders; 20 runs at 7 budgets take about four minutes. `revise` cannot be measured
here: what a model writes when it is told what a check said was not recorded. See `benchmarks/live`.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from outlay.driver import run_job
from outlay.strategies import STRATEGIES
from outlay.study.code_bed import BUDGETS, ORDERS
from outlay.study.code_runs import by_recording, job_of, yardstick
from outlay.study.statistics import Floats

EXAMPLES = Path(__file__).parents[2] / "examples"
RESAMPLES = 4000


def measured(strategy: str, budget: float, seeds: Sequence[int]) -> tuple[Floats, float]:
    """Mean score of each task over the seeds, and the mean cost as a share of always-big's."""
    grader = by_recording(EXAMPLES)
    scores, spent = [], []
    for seed in seeds:
        job = replace(job_of(EXAMPLES, budget=budget, seed=seed), strategy=strategy)
        summary, answers = asyncio.run(run_job(job))
        found = {answer.id: answer for answer in answers}
        scores.append([bool(grader(prompt, found[prompt.id])) for prompt in job.prompts])
        spent.append(summary.spent.usd / yardstick(EXAMPLES))
    return np.mean(scores, axis=0), float(np.mean(spent))


def interval(difference_P: Floats) -> tuple[float, float]:
    """95 % of the mean difference, by resampling tasks."""
    dice = np.random.default_rng(0)
    rows = dice.integers(0, len(difference_P), (RESAMPLES, len(difference_P)))
    low, high = np.quantile(difference_P[rows].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("strategy", choices=sorted(STRATEGIES))
    parser.add_argument("--runs", type=int, default=ORDERS, help=f"runs at each budget ({ORDERS})")
    args = parser.parse_args()
    seeds = range(args.runs)
    print(f"| budget | {args.strategy} | cost | best_of | cost | difference, points |")
    print("|---|---|---|---|---|---|")
    for budget in BUDGETS:
        own_P, own_cost = measured(args.strategy, budget, seeds)
        plain_P, plain_cost = measured("best_of", budget, seeds)
        low, high = (100 * each for each in interval(own_P - plain_P))
        print(
            f"| {budget:.2f} | {own_P.mean():.3f} | {own_cost:.2f} | {plain_P.mean():.3f} | {plain_cost:.2f} "
            f"| {100 * (own_P - plain_P).mean():+.1f} [{low:+.1f}, {high:+.1f}] |",
            flush=True,
        )


if __name__ == "__main__":
    main()
