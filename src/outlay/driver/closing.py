"""How a run ended: which end was reached, where the tokens went, who failed."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from outlay.config import show_amount
from outlay.driver.job import Compared, Job, Line
from outlay.market import DEADLINE, Market
from outlay.market.beside import BUDGET, dearest, missing
from outlay.types import FREE, Cost


def checked(market: Market, job: Job) -> bool:
    """Whether a check spoke at all: one that only fails has checked nothing."""
    checks = {arm.name for arm in job.arms if arm.role == "check"}
    lines = (line for settled in market.settled for line in settled.lines)
    return any(line["arm"] in checks and line.get("verdict") is not None for line in lines)


def compared(market: Market, job: Job) -> Compared | None:
    """How the held-out share fared beside the dearest model; None where none was asked for."""
    arm = dearest(market.setting)
    if not job.holdout or arm is None:
        return None
    rows = market.compared
    why = missing(market.setting, market.prompts, rows, market.settled)
    limits = job.budget.limits()
    unit = next((unit for unit in ("usd", "tok", "outtok") if unit in limits), "tok")
    return Compared(
        arm.name, len(rows), sum(row.same for row in rows), sum(not row.answered for row in rows), unit,
        sum(getattr(row.spent, unit) for row in rows), sum(getattr(row.dearest, unit) for row in rows),
        len(rows) + sum(why.values()), why, min(BUDGET * job.holdout, 1.0), market.compared_before,
    )  # fmt: skip


def troubles(market: Market) -> tuple[str, ...]:
    """Who failed, how often, and what the first failure said; the most frequent first, at most five. Then likewise the
    attempts that failed and were made again: they cost time, and some of them money.
    """
    failed: dict[str, list[Any]] = {}
    repeated: dict[str, list[Any]] = {}
    for settled in market.settled:
        for line in settled.lines:
            if "error" in line:
                _count(failed, line["arm"], 1, line["error"])
            if "repeated" in line:
                _count(repeated, line["arm"], line["repeated"]["times"], line["repeated"]["why"])
    return (
        *(f"{arm} failed {_times(n)}: {why[:200]}" for arm, (n, why) in _often(failed)),
        *(f"{arm} was asked again {_times(n)}: {why[:200]}" for arm, (n, why) in _often(repeated)),
    )


def _count(seen: dict[str, list[Any]], arm: str, times: int, why: str) -> None:
    seen.setdefault(arm, [0, why])[0] += times


def _often(seen: dict[str, list[Any]]) -> list[tuple[str, list[Any]]]:
    return sorted(seen.items(), key=lambda item: -item[1][0])[:5]


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times, first"


def totals(market: Market) -> tuple[Line, ...]:
    """Where the tokens went: calls only, so that flows are not counted twice."""
    sums: dict[tuple[str, str], list[Any]] = {}
    for settled in market.settled:
        for line in settled.lines:
            row = sums.setdefault((line["kind"], line["arm"]), [0, 0, FREE])
            row[0] += 1
            row[1] += line["copies"]
            row[2] = row[2] + Cost(line["tok"], line["outtok"], line["usd"], round(line["s"] * 1000))
    lines = [Line(kind, arm, *row) for (kind, arm), row in sums.items()]
    return tuple(sorted(lines, key=lambda line: -line.cost.tok))


def _under_way(market: Market, sent: Collection[str]) -> str:
    """What calls that were sent and given up may still cost."""
    if not sent:
        return ""
    holds = [market.held_for(key) for key in sent]
    held = ", ".join(
        show_amount(unit, amount)
        for unit in market.ledger.budget.limits()
        if unit != "s" and (amount := sum(getattr(hold, unit) for hold in holds))
    )
    most = f", up to {held}" if held else ""
    calls = "1 call was" if len(sent) == 1 else f"{len(sent)} calls were"
    return f"; {calls} under way and may be billed: charged then{most}"


def ending(
    market: Market, job: Job, finished: bool, elapsed_ms: int, sent: Collection[str] = ()
) -> tuple[str, str]:
    """Which end was reached, and the sentence that says so; `sent` are calls that were sent and are not back."""
    limits = job.budget.limits()
    shares = {
        unit: getattr(market.ledger.spent, unit) / max(limit, 1)
        for unit, limit in limits.items()
        if unit != "s"
    }
    unit = max(shares, key=lambda u: shares[u], default="")
    share = shares.get(unit, 0.0)
    if market.overdrawn_by:
        return "overdrawn", (
            f"{market.overdrawn_by} used more than the most it said it could, so nothing more was bought; the "
            "excess is booked"
        )
    if not finished:
        return "interrupted", f"interrupted; give the same command again to go on{_under_way(market, sent)}"
    late = job.budget.ms is not None and elapsed_ms >= job.budget.ms
    if late or any(settled.reason == DEADLINE for settled in market.settled):
        waited = late and elapsed_ms > 1.01 * limits["s"]
        return "deadline", "the time was up" + (
            "; what was under way was waited for a little longer" if waited else ""
        )
    if share >= 0.98:
        return "spent", f"{share:.1%} of the budget in {unit} is spent"
    if not market.setting.policy.priced and not market.ran_into_budget:
        left = f"; {1 - share:.1%} of the budget in {unit} is left" if unit else ""
        return "rule_done", f"{job.policy} was carried out for every prompt{left}"
    if market.ran_into_budget:
        return "too_little_left", (
            f"{share:.1%} of the budget in {unit} is spent; what is left is less than the most that any purchase still "
            "wanted could cost"
        )
    return "no_gain", "nothing more that could be bought was expected to make an answer more likely right"
