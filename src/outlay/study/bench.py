"""Rules on a log: what each would have answered and cost, on the same draws in the same orders.

Every rule, ours included, runs through the real market (`driver.run_job`) on the `recorded` engine, so that none is
written twice. The rules of today run without a limit and cost what they cost; `priced` runs at each budget. Labels
join after a run has ended.

Axes in names: O orders of the draws, P prompts, R resamples, U units (`types.ACCOUNTS`).
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, final

import numpy as np
import numpy.typing as npt

from outlay.driver import run_job
from outlay.engines.recorded import Recorded
from outlay.errors import BudgetError
from outlay.study.bench_bed import Bed, notes_of, rules_of
from outlay.study.statistics import Floats, Interval, Resamples, interval
from outlay.types import ACCOUNTS, Budget

ORDERS = 5
RESAMPLES = 2_000
SHARES = (0.25, 0.5, 1.0)
"""Budgets where none is given, as shares of what always-big costs."""


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
        blank: Share of prompts left without an answer.
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
    blank: float
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
        BudgetError: Budgets in several units, in seconds, or in dollars without prices or with none but zeros.
    """
    unit = _unit(bed, budgets)
    yard = f"uniform:1@{bed.names[-1]}"
    cheap = f"uniform:1@{bed.names[0]}"
    wanted = tuple(rule for rule in rules or rules_of(bed) if rule != "priced")
    names = tuple(dict.fromkeys((*wanted, cheap, yard)))
    # without a second draw of anything every order is the same
    often = orders if bed.repeats else 1
    runs = often * (len(names) + (len(budgets) or len(SHARES)))
    done = iter(range(1, runs + 1))

    def play(rule: str, budget: Budget) -> Replay:
        return replay(bed, rule, budget=budget, orders=often, told=lambda: told(next(done), runs))

    got = {rule: play(rule, Budget()) for rule in names}
    scale = _Scale(got[yard], got[cheap], ACCOUNTS.index(unit))
    if not scale.whole:
        raise BudgetError(
            f"{bed.names[-1]} costs nothing in {unit}, so nothing can be compared; give budgets in tok"
        )
    limits = [budget.limits()[unit] for budget in budgets]
    limits = limits or [max(round(scale.whole * share), 1) for share in SHARES]
    lines = [scale.line(rule, None, got[rule]) for rule in wanted]
    lines += [scale.line("priced", limit, play("priced", Budget(**{unit: limit}))) for limit in limits]
    return Report(
        unit,
        len(bed.log.prompts),
        len(bed.log.right),
        len(bed.log.rows),
        often,
        yard,
        tuple(lines),
        tuple(notes_of(bed, unit)),
    )


@final
class _Scale:
    """What all lines are held against: always-big, and mixing it with always-cheap."""

    def __init__(self, big: Replay, cheap: Replay, unit: int) -> None:
        self._unit, self._big, self._cheap = unit, big, cheap
        self._labelled_P = ~np.isnan(big.score_OP[0])
        self._all = Resamples(big.score_OP.shape[1], RESAMPLES)
        self._some = Resamples(max(int(self._labelled_P.sum()), 1), RESAMPLES)

    @property
    def whole(self) -> float:
        """What a run of always-big costs."""
        return float(self._cost(self._big).sum())

    def line(self, rule: str, budget: int | None, ours: Replay) -> Line:
        cost_P, big_P = self._cost(ours), self._cost(self._big)
        # where nothing has a second draw, one order stands for all
        mine_OP, theirs_OP = np.broadcast_arrays(ours.said_OP, self._big.said_OP)
        blank = float((ours.said_OP == "").mean())
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
            rule,
            budget,
            float(cost_P.sum()),
            self._all.ratio(cost_P, big_P),
            blank,
            same,
            right,
            points,
            over,
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
