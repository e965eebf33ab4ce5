"""Rivals and outlay on recorded answers to HumanEval, as `benchmarks/code/PROTOCOL.md` lays down.

Costs are shares of the cost of always-big, the greedy answer of the big model for every task. Points are
hundredths of the share of tasks solved.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, final

import numpy as np

from outlay.study import rivals
from outlay.study.replay import (
    Bed,
    Bools,
    Outcome,
    Pick,
    Rule,
    Settings,
    at_cost,
    at_score,
    folds_of,
    load,
    mixed_at_cost,
    mixed_at_score,
    tune,
)
from outlay.study.statistics import Floats, Interval, Ints, Resamples, wilson

PROMPTS, ANSWERS, LABELS = "code_prompts.jsonl", "code.jsonl.gz", "code_labels.jsonl.gz"
BILLIONS = {"small": 0.49, "big": 1.54}
RATES = {arm + greedy: size for arm, size in BILLIONS.items() for greedy in (":greedy", "")}
CHECK = "visible"
ORDERS = 20
BUDGETS = (0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.2)
"""Budgets of outlay's runs, as shares of the cost of always-big."""
CURVE = tuple(np.linspace(0.30, 1.50, 25).tolist())
"""Costs at which mixing is tuned, for the comparison at equal cost."""
NOISE = 6.0
"""Differences below this many points show nothing on 164 tasks."""
MARGIN = 3.0
"""Points that a saving may lose at most, by the lower end of its interval."""


@final
@dataclass(frozen=True, eq=False)
class Market:
    """outlay's own runs at one budget.

    Attributes:
        outcome: Score and cost of each task, means over the runs.
        limit: The budget of a run.
        spent: What each run spent, in the same unit.
    """

    outcome: Outcome
    limit: int
    spent: tuple[int, ...]


class Line(NamedTuple):
    """One rule at one target: its score, its cost, and both beside always-big."""

    name: str
    score: float
    cost: Interval
    points: Interval
    setting: str


class Step(NamedTuple):
    """outlay at one budget: beside always-big, and beside the rivals' mixing curve at its own cost.

    Below the cost of the cheapest rival there is no such curve (`on_curve`); beyond its end it is level.
    """

    budget: float
    score: float
    cost: float
    most: float
    points: Interval
    over_curve: Interval
    on_curve: bool


class Part(NamedTuple):
    """One rule on tasks with and without a check: share solved, and cost beside always-big's there."""

    name: str
    with_check: tuple[float, float]
    without: tuple[float, float]


class Table(NamedTuple):
    """All figures of the protocol."""

    tasks: int
    checked: int
    yard: Interval
    at_cost: tuple[Line, ...]
    at_score: tuple[Line, ...]
    curve: tuple[tuple[float, float], ...]
    steps: tuple[Step, ...]
    parts: tuple[Part, ...]


def bed_of(directory: Path, *, orders: int = ORDERS) -> Bed:
    """The recording in `directory`, with costs in btok: output tokens times billions of parameters."""
    return load(
        directory / PROMPTS,
        directory / ANSWERS,
        directory / LABELS,
        rates=RATES,
        check=CHECK,
        orders=orders,
    )


def settings(bed: Bed, rules: Sequence[Rule]) -> Settings:
    """Replay every setting of a family."""
    outcomes = [bed.grade(rule(bed.seen)) for rule in rules]
    return Settings(
        np.array([o.score_P for o in outcomes]),
        np.array([o.cost_P for o in outcomes]),
        tuple(map(str, rules)),
    )


def joined(families: Sequence[Settings]) -> Settings:
    """All settings of several families as one."""
    return Settings(
        np.concatenate([f.score_KP for f in families]),
        np.concatenate([f.cost_KP for f in families]),
        tuple(label for f in families for label in f.labels),
    )


@final
@dataclass(frozen=True, eq=False)
class _Study:
    """What all comparisons share: the yardstick, the folds, the resamples."""

    yard: Outcome
    fold_P: Ints
    resamples: Resamples

    def line(self, name: str, outcome: Outcome, setting: str) -> Line:
        points = self.resamples.difference(outcome.score_P * 100, self.yard.score_P * 100)
        cost = self.resamples.ratio(outcome.cost_P, self.yard.cost_P)
        return Line(name, float(outcome.score_P.mean()), cost, points, setting)

    def tuned(self, name: str, family: Settings, pick: Pick) -> tuple[Line, Outcome]:
        got = tune(family.score_KP, family.cost_KP, self.yard, self.fold_P, pick)
        return self.line(name, got.outcome, family.chosen(got.weight_FK)), got.outcome

    def curve(self, family: Settings) -> tuple[Floats, Floats]:
        """Held-out cost and score per task of mixing, tuned for each cost of `CURVE`."""
        outcomes = [
            tune(family.score_KP, family.cost_KP, self.yard, self.fold_P, mixed_at_cost(share)).outcome
            for share in CURVE
        ]
        return np.array([o.cost_P for o in outcomes]).T, np.array([o.score_P for o in outcomes]).T

    def step(self, budget: float, market: Market, cost_PK: Floats, score_PK: Floats) -> Step:
        ours = market.outcome
        over = self.resamples.over_curve(ours.score_P * 100, ours.cost_P, score_PK * 100, cost_PK)
        line = self.line("outlay", ours, "")
        return Step(
            budget,
            line.score,
            line.cost.value,
            max(market.spent) / market.limit,
            line.points,
            over,
            bool(cost_PK.mean(axis=0).min() <= ours.cost_P.mean()),
        )


def table(directory: Path, *, orders: int = ORDERS, market: Mapping[float, Market] | None = None) -> Table:
    """Evaluate the rivals by cross-validation, and outlay's runs beside them.

    Args:
        directory: Where the recording lies.
        orders: Orders of the sampled draws per task.
        market: outlay's runs by budget (`study.code_runs`); without them, the rivals alone.
    """
    bed = bed_of(directory, orders=orders)
    families = {name: settings(bed, rules) for name, rules in rivals.FAMILIES.items()}
    everything = joined(list(families.values()))
    yard = bed.grade(rivals.YARDSTICK(bed.seen))
    study = _Study(yard, folds_of(bed.ids), Resamples(len(bed.ids)))
    runs = dict(market or {})

    cost_lines = [study.tuned(name, family, at_cost) for name, family in families.items()]
    cost_lines.append(study.tuned("mixing two rules", everything, mixed_at_cost(1.0)))
    score_lines = [study.tuned(name, family, at_score) for name, family in families.items()]
    score_lines.append(study.tuned("mixing two rules", everything, mixed_at_score))
    cost_PK, score_PK = study.curve(everything)
    if runs:
        if 1.0 in runs:
            ours = runs[1.0].outcome
            cost_lines.append((study.line("outlay", ours, "budget 1.0, set beforehand"), ours))
        own = Settings(
            np.array([run.outcome.score_P for run in runs.values()]),
            np.array([run.outcome.cost_P for run in runs.values()]),
            tuple(f"budget {budget}" for budget in runs),
        )
        score_lines.append(study.tuned("outlay", own, at_score))
    cost_K = cost_PK.mean(axis=0) / yard.cost_P.mean()
    return Table(
        tasks=len(bed.ids),
        checked=int(bed.seen.checked_P.sum()),
        yard=wilson(round(yard.score_P.sum()), len(bed.ids)),
        at_cost=tuple(line for line, _ in cost_lines),
        at_score=tuple(line for line, _ in score_lines),
        curve=tuple(zip(cost_K.tolist(), score_PK.mean(axis=0).tolist(), strict=True)),
        steps=tuple(study.step(budget, run, cost_PK, score_PK) for budget, run in sorted(runs.items())),
        parts=tuple(_part(bed, yard, line.name, outcome) for line, outcome in cost_lines),
    )


def _part(bed: Bed, yard: Outcome, name: str, outcome: Outcome) -> Part:
    def on(which_P: Bools) -> tuple[float, float]:
        cost = outcome.cost_P[which_P].mean() / yard.cost_P[which_P].mean()
        return float(outcome.score_P[which_P].mean()), float(cost)

    return Part(name, on(bed.seen.checked_P), on(~bed.seen.checked_P))


# ── the table in words


def render(table: Table) -> str:
    """The table as it is printed, losses included, with what a sceptic should conclude."""
    yard = table.yard
    out = [
        f"{table.tasks} tasks of HumanEval, {table.checked} with an example to check against. "
        f"Always-big solves {yard.value:.3f} [{yard.low:.3f}, {yard.high:.3f}] at cost 1.00.",
        "Cost: output tokens x billions of parameters. Intervals of 95 %, paired over tasks; "
        f"differences under about {NOISE:.0f} points show nothing.",
    ]
    out += ["", *_lines("Tuned to the cost of always-big", table.at_cost)]
    out += ["", *_lines("Tuned to the score of always-big", table.at_score)]
    if table.steps:
        out += [
            "",
            f"{'outlay by budget':<20}{'score':>6}{'cost':>7}{'most spent':>12}",
        ]
        out[-1] += f"{'points v always-big':>26}{'points v mixing at its cost':>33}"
        for step in table.steps:
            over = _range(step.over_curve) if step.on_curve else "below the cheapest rival"
            out.append(
                f"  budget {step.budget:<11.2f}{step.score:>6.3f}{step.cost:>7.2f}{step.most:>12.3f}"
                f"{_range(step.points):>26}{over:>33}"
            )
    out += ["", f"{'at the cost of always-big':<28}{'with a check':>18}{'without':>18}"]
    for part in table.parts:
        cells = (f"{score:.3f} at {cost:.2f}" for score, cost in (part.with_check, part.without))
        out.append(f"  {part.name:<26}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join([*out, "", *conclusion(table)]) + "\n"


def conclusion(table: Table) -> list[str]:
    """One sentence a comparison, by the protocol's words for win, loss and nothing."""
    said = []
    ours = next((line for line in table.at_cost if line.name == "outlay"), None)
    if ours is None:
        return ["outlay did not run: the rivals alone."]
    words = {
        "win": "solves more than always-big",
        "loss": "solves less than always-big",
        "nothing": "cannot be told from always-big",
    }
    said.append(
        f"A sceptic should conclude that outlay {words[ours.points.verdict()]} at no more than its cost "
        f"({_range(ours.points)} points)"
    )
    full = next((step for step in table.steps if step.budget == 1.0), None)
    if full is not None and full.on_curve:
        words = {
            "win": "does better than a mixture of two tuned rules at equal cost",
            "loss": "does worse than a mixture of two tuned rules at equal cost",
            "nothing": "has not been shown to differ from a mixture of two tuned rules at equal cost",
        }
        said[-1] += f", and that it {words[full.over_curve.verdict()]} ({_range(full.over_curve)} points)"
    said[-1] += "."
    line = next((line for line in table.at_score if line.name == "outlay"), None)
    if line is not None:
        cheaper = line.cost.verdict(1.0) == "loss"
        kept = line.points.low > -MARGIN
        words_of = {
            (True, True): "A saving at the score of always-big is shown",
            (True, False): "It is cheaper at a score that this bed cannot tell from always-big's",
        }
        what = words_of.get((cheaper, kept), "No saving at the score of always-big is shown")
        said.append(f"{what}: cost {_range(line.cost, 2)}, {_range(line.points)} points.")
    return said


def _lines(title: str, lines: Sequence[Line]) -> list[str]:
    out = [f"{title:<34}{'score':>6}{'cost':>22}{'points v always-big':>24}   setting"]
    out += [
        f"  {line.name:<32}{line.score:>6.3f}{_range(line.cost, 2):>22}{_range(line.points):>24}"
        f"   {line.setting}"
        for line in lines
    ]
    return out


def _range(figure: Interval, digits: int = 1) -> str:
    sign = "+" if digits == 1 else ""
    value, low, high = (f"{x:{sign}.{digits}f}" for x in figure)
    return f"{value} [{low}, {high}]"
