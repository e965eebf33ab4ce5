"""Print the tables of `PROTOCOL.md` for a recording of MMLU-Pro answers.

    outlay import SET/samples.parquet -o NAME.jsonl.gz
    python benchmarks/mmlu_pro/table.py NAME.jsonl.gz [--part pairs|agree] [--only NAME] [--rivals]

`--rivals` leaves out the runs of the market, which take most of the time.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from outlay.study.agreement import Line, Trio, agree, line
from outlay.study.bench import replay
from outlay.study.bench_bed import bed_of
from outlay.study.bench_log import log_of, only
from outlay.study.recording import Recording, load
from outlay.study.replay import Outcome
from outlay.study.statistics import Interval
from outlay.study.thinking import Table, pair_of, table, with_caps
from outlay.types import ACCOUNTS, NANO, Budget

PAIRS = ("Qwen3-0.6B", "Qwen3-1.7B", "Qwen3-4B", "Qwen3-8B", "Qwen3-32B")
THOUGHT = "-think"
BUDGETS = (0.10, 0.25, 0.50, 1.00)
OFFERED = (1024, 4096)
BILLIONS = {
    "gemma-2-9b-it": 9,
    "gemma-3-12b-it": 12,
    "gemma-3-27b-it": 27,
    "Meta-Llama-3.1-8B-Instruct-Turbo": 8,
    "Meta-Llama-3.1-70B-Instruct-Turbo": 70,
    "Meta-Llama-3.1-405B-Instruct-Turbo": 405,
    "Mistral-Small-24B-Instruct-2501": 24,
    "Qwen2.5-7B-Instruct": 7,
    "Qwen2.5-14B-Instruct": 14,
    "Qwen2.5-32B-Instruct": 32,
}
TRIOS = (
    ("Qwen2.5-7B-Instruct", "Meta-Llama-3.1-8B-Instruct-Turbo", "Qwen2.5-32B-Instruct"),
    ("Qwen2.5-7B-Instruct", "gemma-2-9b-it", "Meta-Llama-3.1-70B-Instruct-Turbo"),
    ("Qwen2.5-14B-Instruct", "gemma-3-12b-it", "Meta-Llama-3.1-405B-Instruct-Turbo"),
    ("Qwen2.5-32B-Instruct", "Meta-Llama-3.1-70B-Instruct-Turbo", "Meta-Llama-3.1-405B-Instruct-Turbo"),
    ("Qwen2.5-14B-Instruct", "Mistral-Small-24B-Instruct-2501", "Qwen2.5-32B-Instruct"),
    ("Qwen2.5-32B-Instruct", "gemma-3-27b-it", "Meta-Llama-3.1-70B-Instruct-Turbo"),
)


def run(recording: Recording, models: list[str], budget: Budget, unit: str) -> Outcome:
    """One run of `priced`, graded; cost in the unit of the budget."""
    got = replay(bed_of(log_of(recording), models), "priced", budget=budget, orders=1)
    return Outcome(got.score_OP[0], got.cost_OPU[0, :, ACCOUNTS.index(unit)])


def pairs(recording: Recording, names: list[str], *, rivals: bool) -> Iterator[tuple[str, Table]]:
    """The table of each pair."""
    for name in names:
        thought = name + THOUGHT
        two = only(recording, (name, thought))
        pair = pair_of(two, name, thought)
        market: dict[tuple[str, float], Outcome] = {}
        kinds = (
            () if rivals else (("priced", two, [name, thought]), ("priced, caps offered", *caps(two, name)))
        )
        for kind, bed, models in kinds:
            for budget in BUDGETS:
                limit = Budget(outtok=int(pair.thought.cost_P.sum() * budget))
                market[kind, budget] = run(bed, models, limit, "outtok")
        yield name, table(pair, market)


def caps(two: Recording, name: str) -> tuple[Recording, list[str]]:
    """The pair with capped thoughts as arms of their own, cheap to dear."""
    thought = name + THOUGHT
    return with_caps(two, thought, OFFERED), [name, *(f"{thought}:{cap}" for cap in OFFERED), thought]


def trios(recording: Recording, *, rivals: bool) -> Iterator[Line]:
    """The line of each trio."""
    for names in TRIOS:
        first, second, dear = (float(BILLIONS[name]) for name in names)
        trio = Trio(*names, (first, second, dear))
        three = only(recording, names)
        ours = None
        if not rivals:
            # a dollar for a billion parameters and a million tokens: a nano-dollar is a thousandth of the unit
            limit = Budget(usd=int(agree(three, trio)[0].cost_P.sum() * NANO / 1e6))
            got = run(three, [f"{name}@0/{BILLIONS[name]}" for name in names], limit, "usd")
            ours = Outcome(got.score_P, got.cost_P / 1000)
        yield line(three, trio, ours)


def show_pair(name: str, made: Table) -> None:
    print(
        f"{name}: {made.plain.score:.3f} at {made.plain.cost.value:.3f}, with thought {made.thought.score:.3f} at 1"
    )
    print(f"  {'rule':<23}{'wanted':>7}{'score':>7}{'cost':>21}{'points v thought':>23}   setting")
    for one in made.lines:
        print(
            f"  {one.name:<23}{one.target:>7.2f}{one.score:>7.3f}{_range(one.cost, 3):>21}"
            f"{_range(one.points):>23}   {one.setting}"
        )
    print(f"  {'points at equal tokens':<23}{'wanted':>7}   {'minus':<24}")
    for gap in made.gaps:
        verdict = gap.points.verdict()
        print(f"  {gap.name:<23}{gap.budget:>7.2f}   {gap.rival:<24}{_range(gap.points):>23}   {verdict}")
    print(flush=True)


def show_trio(made: Line) -> None:
    print(f"{made.trio.first} and {made.trio.second}, else {made.trio.dear}")
    print(f"  agree on {made.agreed:.3f}, right there {made.right:.3f}; always dear {made.dear:.3f}")
    print(f"  agree, else dear: cost {_range(made.cost, 2)}, points v dear {_range(made.points)}")
    print(f"                    points v mixing at its cost {_range(made.over_mix)}")
    if made.ours is not None and made.ours_cost is not None and made.ours_over is not None:
        print(f"  priced:           cost {_range(made.ours_cost, 2)}, points v dear {_range(made.ours)}")
        print(f"                    points v agree {_range(made.ours_over)}")
    print(flush=True)


def _range(figure: Interval, digits: int = 1) -> str:
    sign = "+" if digits == 1 else ""
    value, low, high = (f"{x:{sign}.{digits}f}" for x in figure)
    return f"{value} [{low}, {high}]"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recording", type=Path)
    parser.add_argument("--part", choices=("pairs", "agree"))
    parser.add_argument("--only", action="append", choices=PAIRS, help="one pair; may be given again")
    parser.add_argument("--rivals", action="store_true", help="no runs of the market")
    args = parser.parse_args()
    recording = load(args.recording)
    if args.part != "agree":
        for name, made in pairs(recording, args.only or list(PAIRS), rivals=args.rivals):
            show_pair(name, made)
    if args.part != "pairs":
        for one in trios(recording, rivals=args.rivals):
            show_trio(one)


if __name__ == "__main__":
    main()
