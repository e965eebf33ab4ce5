"""Lists of problems of chosen difficulty, from the test side of the split or from the training side."""

from typing import Final

import numpy as np

from outlay.pocket import draws, problems
from outlay.pocket.problems import Problem

_PATIENCE: Final = 500
"""Draws in a row that may bring nothing new before a kind of problem counts as used up."""


def chain_problems(
    k: int, hi: int, count: int, rng: np.random.Generator, *, test: bool = True
) -> list[Problem]:
    """Draw distinct chained problems.

    Args:
        k: Operations, 1..10.
        hi: Values stay in 1..hi; one of 9, 20, 50, 99.
        count: At `k = 1` and `hi = 9` only a handful of problems are held out, so they come in several
            wordings.
        rng: Decides everything.
        test: Held-out problems, or only those a model may train on.
    """
    found: dict[str, Problem] = {}
    verbs = (problems.GAINS, problems.LOSSES, *((verb,) for verb in problems.SCALES))
    while len(found) < count:
        drawn = draws.draw_chains(np.full(256, k), np.full(256, hi), rng)
        for row in np.flatnonzero(draws.held_out_chains(drawn) == test).tolist():
            steps = list(zip(drawn.operation_RK[row].tolist(), drawn.number_RK[row].tolist(), strict=True))
            question = problems.chain_question(
                name=problems.NAMES[rng.integers(len(problems.NAMES))],
                thing=problems.THINGS[rng.integers(len(problems.THINGS))],
                start=int(drawn.start_R[row]),
                clauses=[(verbs[code][rng.integers(len(verbs[code]))], number) for code, number in steps],
            )
            gold = str(drawn.value_RK[row, k - 1])
            found.setdefault(
                question,
                Problem(f"chain-k{k}-hi{hi}-{len(found)}", "chain", question, gold, {"k": k, "hi": hi}),
            )
    return list(found.values())[:count]


def countdown_problems(
    m: int, hi: int, count: int, rng: np.random.Generator, *, test: bool = True
) -> list[Problem]:
    """Draw distinct Countdown problems; the target is uniform over what the numbers can reach on that side.

    Args:
        m: Numbers, 2..5.
        hi: Numbers are in 1..hi; one of 9, 20, 50.
        count: At most so many: only a handful with `m = 2` and `hi = 9` are held out.
        rng: Decides everything.
        test: Held-out problems, or only those a model may train on.
    """
    found: dict[str, Problem] = {}
    idle = 0
    while len(found) < count and idle < _PATIENCE:
        numbers = rng.integers(1, hi + 1, m).tolist()
        targets = [
            target
            for target in sorted(problems.reached(tuple(sorted(numbers))))
            if target >= problems.MIN_TARGET
            and problems.held_out(problems.countdown_key(numbers, target)) == test
        ]
        idle += 1
        if targets:
            question = problems.countdown_question(numbers, targets[rng.integers(len(targets))])
            idle = idle if question in found else 0
            knobs = {"m": m, "hi": hi}
            found.setdefault(
                question, Problem(f"countdown-m{m}-hi{hi}-{len(found)}", "countdown", question, "", knobs)
            )
    return list(found.values())
