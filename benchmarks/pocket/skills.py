"""What the pocket model can do, by difficulty: `python benchmarks/pocket/skills.py --prompts 30`.

Held-out problems. Greedy, one sample at temperature 1, pass@4 and pass@8 (unbiased, from 8 samples), tokens
per sample; for Countdown also the blind baseline, a random plan behind the checker.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from math import comb
from typing import NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from outlay.pocket import (
    Problem,
    Request,
    Sample,
    answer_of,
    chain_problems,
    check,
    countdown_problems,
    generate,
    hit_rate,
    load,
)
from outlay.pocket.problems import CHAIN_HIS, CHAIN_KS, COUNTDOWN_HIS, COUNTDOWN_MS, parse_countdown

SAMPLES = 8
MAX_TOKENS = {"short": 32, "think": 96}


class Graded(NamedTuple):
    """One problem in one mode.

    Attributes:
        greedy: Whether the greedy answer is right.
        hits: Right ones among `SAMPLES`.
        tokens: Mean output tokens of a sample.
        blind: Chance that a random plan hits; 0 for chained problems.
    """

    problem: Problem
    greedy: bool
    hits: int
    tokens: float
    blind: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=30, help="prompts per cell: k, or (m, hi)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=1.0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    each = -(-options.prompts // len(CHAIN_HIS))
    chains = [p for k in CHAIN_KS for hi in CHAIN_HIS for p in chain_problems(k, hi, each, rng)]
    countdowns = [
        p
        for m in COUNTDOWN_MS
        for hi in COUNTDOWN_HIS
        for p in countdown_problems(m, hi, options.prompts, rng)
    ]
    for mode in ("think", "short"):
        graded = grade(chains, mode, options.temperature)
        print_table(f"chained, {mode}", "k", graded)
        print_table(f"chained, {mode}", "hi", graded)
    graded = grade(countdowns, "short", options.temperature)
    print_table("countdown, direct", "m", graded)
    print_table("countdown, direct", "hi", graded)


def grade(problems: Sequence[Problem], mode: str, temperature: float) -> list[Graded]:
    """Sample every problem and check the answers."""
    requests = [
        Request(p.question, mode, heat, seed=at, n=n, max_tokens=MAX_TOKENS[mode])
        for at, p in enumerate(problems)
        for heat, n in ((0.0, 1), (temperature, SAMPLES))
    ]
    results = generate(load(), requests, batch=128)
    graded = []
    for problem, greedy, drawn in zip(problems, results[::2], results[1::2], strict=True):
        hits = sum(right(problem, sample, mode) for sample in drawn)
        tokens = float(np.mean([sample.output_tokens for sample in drawn]))
        blind = hit_rate(*parse_countdown(problem.question)) if problem.kind == "countdown" else 0.0
        graded.append(Graded(problem, right(problem, greedy[0], mode), hits, tokens, blind))
    return graded


def right(problem: Problem, sample: Sample, mode: str) -> bool:
    """Tell whether a sample is right; one that was cut is wrong."""
    return sample.finish == "stop" and check(problem, answer_of(sample.text, mode))


def print_table(title: str, knob: str, graded: Sequence[Graded]) -> None:
    """Print one row per value of a knob, and one for all."""
    is_countdown = graded[0].problem.kind == "countdown"
    blind_head = f" {'blind 1':>8} {'blind 8':>8}" if is_countdown else ""
    heads = f"{'prompts':>8} {'greedy':>8} {'one':>8} {'pass@4':>8} {'pass@8':>8}{blind_head} {'tokens':>8}"
    print(f"\n{title}\n{knob:>4} {heads}")
    for name, rows in groups(knob, graded):
        figures = [np.mean([row.greedy for row in rows]), np.mean([row.hits / SAMPLES for row in rows])]
        figures += [np.mean([pass_at(row.hits, count) for row in rows]) for count in (4, 8)]
        if is_countdown:
            figures += [np.mean([1 - (1 - row.blind) ** count for row in rows]) for count in (1, 8)]
        cells = " ".join(f"{figure:8.3f}" for figure in figures)
        print(f"{name:>4} {len(rows):8d} {cells} {np.mean([row.tokens for row in rows]):8.1f}")


def groups(knob: str, graded: Sequence[Graded]) -> Iterator[tuple[str, list[Graded]]]:
    """Yield the rows of each value of a knob, then all of them."""
    for value in sorted({row.problem.knobs[knob] for row in graded}):
        yield str(value), [row for row in graded if row.problem.knobs[knob] == value]
    yield "all", list(graded)


def pass_at(hits: int, count: int) -> float:
    """Return the unbiased chance that one of `count` draws without replacement is right."""
    return 1 - comb(SAMPLES - hits, count) / comb(SAMPLES, count)


if __name__ == "__main__":
    main()
