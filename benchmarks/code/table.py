"""Print the code table of `PROTOCOL.md`: rivals by cross-validation, outlay's runs, a cross-check.

    python benchmarks/code/table.py [--runs N] [--rivals]

All 20 runs at 7 budgets take about two minutes; `--runs` takes fewer, `--rivals` none.
"""

import argparse
from pathlib import Path

from outlay.study import code_runs, rivals
from outlay.study.code_bed import BUDGETS, ORDERS, bed_of, render, table

EXAMPLES = Path(__file__).parents[2] / "examples"
CROSS = (  # the same rule in the market and in the replay: policy, model, rule
    ("uniform:1", "small", rivals.Always("small")),
    ("uniform:1", "big", rivals.Always("big")),
    ("until_pass:2", "small", rivals.UntilPass("small", True, 2)),
    ("until_pass:3", "small", rivals.UntilPass("small", True, 3)),
    ("until_pass:5", "small", rivals.UntilPass("small", True, 5)),
    ("until_pass:2", "big", rivals.UntilPass("big", True, 2)),
    ("until_pass:3", "big", rivals.UntilPass("big", True, 3)),
)
AMPLE = 3.0
"""A budget at which no rule of the cross-check is short of money."""


def cross_check(seeds: range) -> None:
    bed = bed_of(EXAMPLES)
    yard = bed.grade(rivals.YARDSTICK(bed.seen)).cost_P.mean()
    print(f"{'the same rule':<24}{'in the market':>18}{'in the replay':>18}")
    for policy, model, rule in CROSS:
        ran = code_runs.runs(EXAMPLES, budget=AMPLE, seeds=seeds, policy=policy, models=(model,)).outcome
        cells = [
            f"{o.score_P.mean():.3f} at {o.cost_P.mean() / yard:.2f}"
            for o in (ran, bed.grade(rule(bed.seen)))
        ]
        print(f"  {policy + ', ' + model:<22}" + "".join(f"{cell:>18}" for cell in cells))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=ORDERS, help=f"runs at each budget ({ORDERS})")
    parser.add_argument("--rivals", action="store_true", help="no runs: the rivals alone")
    args = parser.parse_args()
    seeds = range(args.runs)
    market = None if args.rivals else code_runs.market(EXAMPLES, budgets=BUDGETS, seeds=seeds)
    print(render(table(EXAMPLES, market=market)))
    if not args.rivals:
        cross_check(seeds)


if __name__ == "__main__":
    main()
