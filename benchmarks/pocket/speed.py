"""How fast the pocket model generates on one thread: `python benchmarks/pocket/speed.py --prompts 256`.

Held-out problems of every difficulty, one sample each at temperature 1, at batch 1, 64 and 256.
"""

import argparse
import os
from time import perf_counter

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from outlay.pocket import Request, chain_problems, countdown_problems, generate, load
from outlay.pocket.problems import CHAIN_HIS, CHAIN_KS, COUNTDOWN_HIS, COUNTDOWN_MS

ROWS_AT_BATCH_1 = 24
REPEATS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=256, help="prompts per family")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    each = -(-options.prompts // (len(CHAIN_KS) * len(CHAIN_HIS)))
    chains = [p for k in CHAIN_KS for hi in CHAIN_HIS for p in chain_problems(k, hi, each, rng)]
    each = -(-options.prompts // (len(COUNTDOWN_MS) * len(COUNTDOWN_HIS)))
    countdowns = [
        p for m in COUNTDOWN_MS for hi in COUNTDOWN_HIS for p in countdown_problems(m, hi, each, rng)
    ]
    print(f"{'family':>20} {'batch':>6} {'prompts':>8} {'tokens':>8} {'tok/s':>8} {'completions/s':>14}")
    for name, problems, mode in (
        ("chained, think", chains, "think"),
        ("countdown, direct", countdowns, "short"),
    ):
        order = rng.permutation(len(problems)).tolist()
        for batch in (1, 64, 256):
            kept = order[: ROWS_AT_BATCH_1 if batch == 1 else options.prompts]
            requests = [Request(problems[at].question, mode, 1.0, seed=at) for at in kept]
            seconds, tokens = best_of(requests, batch)
            print(
                f"{name:>20} {batch:6d} {len(requests):8d} {tokens:8d} {tokens / seconds:8.0f} "
                f"{len(requests) / seconds:14.1f}"
            )


def best_of(requests: list[Request], batch: int) -> tuple[float, int]:
    """Return the shortest time of a few runs, and the output tokens of each."""
    model, times, tokens = load(), [], 0
    for _ in range(REPEATS):
        began = perf_counter()
        samples = generate(model, requests, batch)
        times.append(perf_counter() - began)
        tokens = sum(sample.output_tokens for rows in samples for sample in rows)
    return min(times), tokens


if __name__ == "__main__":
    main()
