"""Rules on a log: what each would have answered and cost, on the same draws in the same orders.

Every rule, ours included, runs through the real market (`driver.run_job`) on the `recorded` engine, so that none is
written twice. The rules of today run without a limit and cost what they cost; `priced` runs at each budget. Labels
join after a run has ended.

Axes in names: O orders of the draws, P prompts, R resamples, U units (`types.ACCOUNTS`).
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt

from outlay.answers import kind
from outlay.config import Settings, arms_for
from outlay.driver import Job, run_job
from outlay.engines.recorded import Recorded
from outlay.errors import BudgetError, UnknownName
from outlay.study.bench_log import Log
from outlay.study.statistics import Floats, Interval, Resamples, interval
from outlay.types import ACCOUNTS, Arm, Budget, Price

ENGINE = "recorded"
ORDERS = 5
RESAMPLES = 2_000
NUMBERS = (2, 4, 8, 16)
LEADS = (2, 3)


@final
@dataclass(frozen=True, eq=False)
class Bed:
    """A log and the arms that rules may buy from it, cheap to dear; checks come last and are free."""

    log: Log
    arms: tuple[Arm, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The models, cheap to dear."""
        return tuple(dict.fromkeys(arm.model for arm in self.arms if arm.role == "model"))

    @property
    def repeats(self) -> bool:
        """Whether any arm has more than one draw for a prompt, so that orders differ."""
        return any(not arm.deterministic for arm in self.arms if arm.role == "model")

    @property
    def votes(self) -> bool:
        """Whether any prompt's answers exclude each other, so that equal ones are votes."""
        return any(kind(prompt.answer).exclusive for prompt in self.log.prompts)

    def depth(self, model: str) -> int:
        """Draws of a model that every prompt with any has."""
        count: dict[str, int] = defaultdict(int)
        own = {arm.name for arm in self.arms if arm.model == model}
        for row in self.log.rows:
            if row.arm in own:
                count[row.prompt] += 1
        return min(count.values(), default=0)

    def job(self, engine: Recorded, policy: str, budget: Budget, seed: int) -> Job:
        """A run on the log. No label is within its reach."""
        names = [arm.name for arm in self.arms if arm.role == "check"]
        checks = {p.id: frozenset(n for n in names if engine.has_check(p.id, n)) for p in self.log.prompts}
        return Job(
            self.log.prompts,
            self.arms,
            {ENGINE: engine},
            policy=policy,
            budget=budget,
            seed=seed,
            checks=checks,
        )


def bed_of(log: Log, models: Sequence[str] = ()) -> Bed:
    """The arms of a log that the models name.

    Args:
        log: The recording.
        models: Cheap to dear; `small` stands for the arms `small:greedy` and `small`, and `small@0.15/0.60` adds
            dollars per million input and output tokens. Empty: every arm, in the order of the log.

    Raises:
        UsageError: A model of which the log holds nothing.
    """
    rows: dict[str, int] = defaultdict(int)
    deep: dict[tuple[str, str], int] = defaultdict(int)
    longest: dict[str, int] = defaultdict(int)
    for row in log.rows:
        rows[row.arm] += 1
        deep[row.arm, row.prompt] += 1
        longest[row.arm] = max(longest[row.arm], row.output)
    many = {arm for (arm, _), count in deep.items() if count > 1}
    picked = tuple(models) or tuple(dict.fromkeys(name.removesuffix(":greedy") for name in rows))
    wanted = arms_for(Settings(pick=picked), endpoint=True)
    there = [arm for arm in wanted if arm.name in rows]
    for name in dict.fromkeys(arm.model for arm in wanted):
        if not any(arm.model == name for arm in there):
            raise UnknownName("model", name, rows)
    drawn = tuple(
        replace(
            arm,
            engine=ENGINE,
            # what was drawn once can be bought once
            deterministic=arm.name not in many,
            max_tokens=max(longest[arm.name], 1),
        )
        for arm in there
    )
    own = {arm.name for arm in drawn}
    checks = dict.fromkeys(name for row in log.rows if row.arm in own for name in row.verdicts)
    free = tuple(Arm(name, ENGINE, price=Price(0, 0), role="check") for name in checks)
    return Bed(log, (*drawn, *free))


def rules_of(bed: Bed) -> tuple[str, ...]:
    """The rules of this package that the log can show: those that need more draws than it holds are left out."""
    names = bed.names
    depth = {name: bed.depth(name) for name in names}
    checked = any(arm.role == "check" for arm in bed.arms)
    rules = [f"uniform:1@{name}" for name in names]
    if checked or bed.votes:
        rules += [f"uniform:{n}@{name}" for name in names for n in NUMBERS if n <= depth[name]]
    if bed.votes:
        rules += [f"lead:{k}@{name}" for name in names for k in LEADS if 2 * k - 1 <= depth[name]]
    if checked:
        rules += [f"until_pass:{n}@{name}" for name in names for n in NUMBERS if n <= depth[name]]
    # with one cheap model there is nobody to agree with
    return (*rules, *(("agree",) if len(names) > 2 else ()))


@final
@dataclass(frozen=True, eq=False)
class Replay:
    """What a rule answered and cost on each prompt, in each order.

    Attributes:
        score_OP: 0 to 1; not a number where no label speaks about the prompt.
        said_OP: Numbers of classes, empty for none.
        cost_OPU: In ledger integers.
    """

    score_OP: Floats
    said_OP: npt.NDArray[np.str_]
    cost_OPU: Floats


def replay(
    bed: Bed,
    policy: str,
    *,
    budget: Budget,
    orders: int,
    told: Callable[[], None] = lambda: None,
) -> Replay:
    """Run a rule once an order, and grade it afterwards."""
    scores, said, costs = [], [], []
    for seed in range(orders):
        engine = Recorded(bed.log.rows, seed)
        _, answers = asyncio.run(run_job(bed.job(engine, policy, budget, seed)))
        found = {answer.id: answer for answer in answers}
        mine = [found[prompt.id] for prompt in bed.log.prompts]
        marks = [bed.log.score(answer.id, answer.answer) for answer in mine]
        scores.append([np.nan if mark is None else mark for mark in marks])
        said.append([answer.answer or "" for answer in mine])
        costs.append([[getattr(answer.cost, unit) for unit in ACCOUNTS] for answer in mine])
        told()
    return Replay(np.array(scores), np.array(said, dtype=np.str_), np.array(costs, dtype=np.float64))


class Line(NamedTuple):
    """One rule beside always-big, means over prompts and orders with intervals over prompts.

    Attributes:
        rule: Its spec, as `--policy` takes it.
        budget: What it was given, in the unit of the table; None for no limit.
        cost: What a run cost, in the unit of the table.
        share: That cost over always-big's.
        same: Share of prompts with the answer of always-big, where that has one.
        right: Share of right answers, on labelled prompts; None without labels.
        points: Right answers minus always-big's, in points.
        over_mix: The same against asking the cheapest or the dearest model at random, at the rule's own cost; None
            where its cost does not lie between theirs.
    """

    rule: str
    budget: int | None
    cost: float
    share: Interval
    same: Interval
    right: Interval | None
    points: Interval | None
    over_mix: Interval | None


@final
@dataclass(frozen=True, eq=False)
class Report:
    """All lines, in the unit of the budgets.

    Attributes:
        yard: The rule that is always-big.
        lines: The rules without a limit, then `priced` by budget.
        labelled: Prompts that a label speaks about.
        notes: What the log cannot tell, a sentence each.
    """

    unit: str
    prompts: int
    labelled: int
    draws: int
    orders: int
    yard: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...]


def report(
    bed: Bed,
    budgets: Sequence[Budget],
    *,
    rules: Sequence[str] = (),
    orders: int = ORDERS,
    told: Callable[[int, int], None] = lambda done, all: None,
) -> Report:
    """Replay the rules of today, and `priced` at each budget.

    Args:
        bed: The log and its arms.
        budgets: Each one limit, all in the same unit; empty for a quarter, a half and all of what always-big costs.
        rules: Specs of policies; empty for all that the log can show.
        orders: Orders of the draws of each rule.
        told: Told how many runs are done, and of how many.

    Raises:
        BudgetError: Budgets in several units, in seconds, or in dollars without prices.
    """
    unit = _unit(bed, budgets)
    yard = f"uniform:1@{bed.names[-1]}"
    cheap = f"uniform:1@{bed.names[0]}"
    names = tuple(dict.fromkeys((*(rules or rules_of(bed)), cheap, yard)))
    tries = [(rule, None) for rule in names if rule != "priced"]
    limits: list[int] = [budget.limits()[unit] for budget in budgets]
    done, runs = 0, orders * (len(tries) + (len(limits) or 3))

    def step() -> None:
        nonlocal done
        done += 1
        told(done, runs)

    free = Budget()
    # without a second draw of anything every order is the same
    often = orders if bed.repeats else 1
    got = {rule: replay(bed, rule, budget=free, orders=often, told=step) for rule, _ in tries}
    runs = often * len(tries) + orders * (len(limits) or 3)
    big = got[yard]
    if not limits:
        whole = float(big.cost_OPU[:, :, ACCOUNTS.index(unit)].sum(axis=1).mean())
        limits = [max(round(whole * share), 1) for share in (0.25, 0.5, 1.0)]
    scale = _Scale(big, got[cheap], ACCOUNTS.index(unit))
    lines = [scale.line(rule, None, got[rule]) for rule, _ in tries if rule in (rules or names)]
    for limit in limits:
        ours = replay(bed, "priced", budget=Budget(**{unit: limit}), orders=orders, told=step)
        lines.append(scale.line("priced", limit, ours))
    labelled = int((~np.isnan(big.score_OP[0])).sum())
    return Report(
        unit,
        len(bed.log.prompts),
        labelled,
        sum(row.arm in {arm.name for arm in bed.arms} for row in bed.log.rows),
        orders,
        yard,
        tuple(lines),
        tuple(notes(bed, unit, labelled)),
    )


@final
class _Scale:
    """What all lines are held against: always-big, and mixing it with always-cheap."""

    def __init__(self, big: Replay, cheap: Replay, unit: int) -> None:
        self._unit, self._big, self._cheap = unit, big, cheap
        self._labelled_P = ~np.isnan(big.score_OP[0])
        self._all = Resamples(big.score_OP.shape[1], RESAMPLES)
        self._some = Resamples(max(int(self._labelled_P.sum()), 1), RESAMPLES)

    def line(self, rule: str, budget: int | None, ours: Replay) -> Line:
        cost_P, big_P = self._cost(ours), self._cost(self._big)
        # where nothing has a second draw, one order stands for all
        mine_OP, theirs_OP = np.broadcast_arrays(ours.said_OP, self._big.said_OP)
        spoke_P = (theirs_OP != "").mean(axis=0)
        same_P = ((mine_OP == theirs_OP) & (theirs_OP != "")).mean(axis=0)
        same = self._all.ratio(same_P, spoke_P) if spoke_P.any() else Interval(0.0, 0.0, 0.0)
        right = points = over = None
        if self._labelled_P.any():
            score_P = ours.score_OP.mean(axis=0)[self._labelled_P]
            yard_P = self._big.score_OP.mean(axis=0)[self._labelled_P]
            right = interval(float(score_P.mean()), self._some.mean(score_P))
            points = self._some.difference(score_P * 100, yard_P * 100)
            over = self._over_mix(score_P, cost_P[self._labelled_P])
        return Line(
            rule, budget, float(cost_P.sum()), self._all.ratio(cost_P, big_P), same, right, points, over
        )

    def _cost(self, of: Replay) -> Floats:
        return np.asarray(of.cost_OPU[:, :, self._unit].mean(axis=0))

    def _over_mix(self, score_P: Floats, cost_P: Floats) -> Interval | None:
        ends = (self._cheap, self._big)
        score_PK = np.array([end.score_OP.mean(axis=0)[self._labelled_P] for end in ends]).T
        cost_PK = np.array([self._cost(end)[self._labelled_P] for end in ends]).T
        low, high = cost_PK.mean(axis=0)
        if not low < cost_P.mean() < high:
            return None
        return self._some.over_curve(score_P * 100, cost_P, score_PK * 100, cost_PK)


def _unit(bed: Bed, budgets: Sequence[Budget]) -> str:
    units = dict.fromkeys(unit for budget in budgets for unit in budget.limits())
    if len(units) > 1:
        raise BudgetError(
            f"budgets in {' and '.join(units)}; give all of them in one unit, and the other in a second call"
        )
    unknown = [arm.model for arm in bed.arms if arm.role == "model" and not arm.price.known()]
    unit = next(iter(units), "tok" if unknown else "usd")
    if unit == "s":
        raise BudgetError(
            "a replay takes no time, so a budget in seconds says nothing; give it in tok, outtok or usd"
        )
    if unit == "usd" and unknown:
        raise BudgetError(
            f"the log gives no price for {', '.join(dict.fromkeys(unknown))}; write --models "
            f"{unknown[0]}@0.15/0.60 (dollars per million tokens in and out)"
        )
    return unit


def notes(bed: Bed, unit: str, labelled: int) -> list[str]:
    """What the log cannot tell, a sentence each."""
    said = []
    models = [arm for arm in bed.arms if arm.role == "model"]
    prompts = bed.log.prompts
    if not labelled:
        said.append("No labels: how many answers are right is not known, only how many are the same.")
    elif labelled < len(prompts):
        said.append(f"Labels speak about {labelled:,} of {len(prompts):,} prompts; accuracy is of those.")
    once = [arm.name for arm in models if arm.deterministic and not arm.name.endswith(":greedy")]
    if once:
        said.append(
            f"One draw a prompt of {', '.join(once)}: no second answer of it can be bought, so no votes."
        )
    sure = {row.arm for row in bed.log.rows if row.confidence is not None}
    dumb = [arm.name for arm in models if arm.name not in sure]
    if dumb:
        said.append(f"No confidence recorded for {', '.join(dumb)}.")
    if not any(row.input for row in bed.log.rows):
        said.append("No input tokens recorded: cost is that of the output.")
    if not any(arm.role == "check" for arm in bed.arms):
        said.append("No verdict of a check recorded: until_pass cannot be shown.")
    if unit != "usd" and len(bed.names) > 1:
        said.append(
            "A token of every model counts the same here; to weigh them, name prices "
            f"({bed.names[0]}@0.15/0.60) and a budget in usd."
        )
    there = {(row.prompt, row.arm) for row in bed.log.rows}
    for model in bed.names:
        own = [arm.name for arm in models if arm.model == model]
        gaps = sum(not any((p.id, name) in there for name in own) for p in prompts)
        if gaps:
            said.append(f"{gaps:,} of {len(prompts):,} prompts have no draw of {model}.")
    mute = sum(not row.text for row in bed.log.rows)
    if mute:
        said.append(
            f"{mute:,} of {len(bed.log.rows):,} draws hold no answer that can be read; they count as wrong."
        )
    return said
