"""Write the example problems: `python -m outlay.train.problems --out examples/problems.jsonl`.

Held-out problems of every difficulty, in shuffled order; the same seed writes the same file. Countdown rows
carry no gold answer: the checker grades them.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np

from outlay.pocket import Problem, chain_problems, countdown_problems
from outlay.pocket.problems import CHAIN_HIS, CHAIN_KS, COUNTDOWN_HIS, COUNTDOWN_MS

Cell = tuple[Callable[[int, int, int, np.random.Generator], list[Problem]], int, int]
"""How to draw, and the two knobs of the difficulty."""


def example_rows(num_chains: int, num_countdowns: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield input rows of `outlay run`, both families mixed."""
    rng = np.random.default_rng(seed)
    chains = _spread([(chain_problems, k, hi) for k, hi in product(CHAIN_KS, CHAIN_HIS)], num_chains, rng)
    countdowns = _spread(
        [(countdown_problems, m, hi) for m, hi in product(COUNTDOWN_MS, COUNTDOWN_HIS)], num_countdowns, rng
    )
    problems = [*chains, *countdowns]
    seen = {"chain": 0, "countdown": 0}
    for at in rng.permutation(len(problems)).tolist():
        problem = problems[at]
        seen[problem.kind] += 1
        row: dict[str, object] = {
            "id": f"{problem.kind}-{seen[problem.kind]:03d}",
            "prompt": problem.question,
            "answer": "text" if problem.kind == "countdown" else "number",
            "metadata": {"group": problem.kind, **problem.knobs},
        }
        yield row if problem.kind == "countdown" else {**row, "gold": problem.gold}


def _spread(cells: list[Cell], count: int, rng: np.random.Generator) -> list[Problem]:
    """Draw problems evenly over difficulty cells; what a small cell lacks, the others make up."""
    drawn = [draw(size, hi, 2 * count // len(cells) + 1, rng) for draw, size, hi in cells]
    turn = [(place, cell) for cell, found in enumerate(drawn) for place in range(len(found))]
    order = rng.permutation(len(cells))
    turn.sort(key=lambda item: (item[0], order[item[1]]))
    return [drawn[cell][place] for place, cell in turn[:count]]


def main() -> None:
    """Read the options and write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--chains", type=int, default=300)
    parser.add_argument("--countdowns", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lines = [json.dumps(row) for row in example_rows(options.chains, options.countdowns, options.seed)]
    options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
