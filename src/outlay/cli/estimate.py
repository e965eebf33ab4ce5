"""What a run would cost, before it: rows, and for each model the cost of one answer to every prompt."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from os import environ
from typing import NamedTuple, final

from rich.console import Group, RenderableType

from outlay.api.parts import BASE_URL, engines_for, priced
from outlay.cli.console import count, escape, facts, out, table
from outlay.config import Settings, amount_of, arms_for, model_name, show_amount
from outlay.config.prices import no_longer, quotes, with_prices
from outlay.engines.base import Engine
from outlay.errors import UsageError
from outlay.inputs import Rows, read
from outlay.types import ACCOUNTS, FREE, Arm, Ask, Budget, Call, Cost, Prompt


class Range(NamedTuple):
    """At least (an answer of one token), as expected, and at most."""

    low: Cost
    expected: Cost
    worst: Cost


class Offer(NamedTuple):
    """One answer to every prompt from one model; greedy and sampled answers cost alike."""

    model: str
    all: Range


@final
@dataclass(frozen=True, slots=True)
class Plan:
    """What was read, and what it would cost.

    Attributes:
        rows: The input.
        offers: Models, cheap to dear.
        budget: What might be spent; perhaps nothing was said.
        priced_by: The tables, with their days, from which prices were taken that nobody wrote.
    """

    rows: Rows
    offers: tuple[Offer, ...]
    budget: Budget
    priced_by: tuple[str, ...] = ()


def estimate(file: str, settings: Settings) -> Plan:
    """Ask the engines what the calls would cost; nothing is sent.

    Raises:
        UsageError: The file cannot be read, or the models mean nothing.
    """
    bare = priced(arms_for(settings, endpoint=BASE_URL in environ), settings)
    arms = with_prices(bare, settings, environ)
    rows = read(file, default_answer=settings.answer, limit=settings.limit)
    if not rows.prompts and not rows.errors:
        raise UsageError(f'{file} holds no rows; write one object a line: {{"prompt": "…"}}')
    no_longer(rows.prompts, arms, settings, environ)
    engines = engines_for(arms, settings)
    offers = [_offer(arm, engines[arm.engine], rows.prompts) for arm in arms if arm.role == "model"]
    return Plan(rows, tuple(dict.fromkeys(offers)), settings.budget, _tables(settings))


def _tables(settings: Settings) -> tuple[str, ...]:
    """Where the prices are from that nobody wrote."""
    arms = arms_for(settings, endpoint=BASE_URL in environ)
    found = quotes(arms, settings, environ).values()
    return tuple(dict.fromkeys(quote.source for quote in found if quote.counts))


def _offer(arm: Arm, engine: Engine, prompts: Sequence[Prompt]) -> Offer:
    def sum_of(cost: Callable[[Call], Cost], most: int) -> Cost:
        return _sum(cost(Call(arm, Ask(prompt.messages), max_tokens=most)) for prompt in prompts)

    low = sum_of(engine.expected, 1)
    expected, worst = sum_of(engine.expected, arm.max_tokens), sum_of(engine.worst, arm.max_tokens)
    return Offer(model_name(arm.name), Range(low, expected, worst))


def _sum(costs: Iterable[Cost]) -> Cost:
    return reduce(add, costs, FREE)


def show(plan: Plan, *, as_json: bool = False) -> None:
    """Print the plan."""
    if as_json:
        print(json.dumps(data(plan)))
    else:
        out().print(render(plan))


def data(plan: Plan) -> dict[str, object]:
    """The plan in the user's units."""
    return {
        "prompts": len(plan.rows.prompts),
        "refused_rows": len(plan.rows.errors),
        "one_answer_each": [
            {"model": offer.model}
            | {name: cost.row() for name, cost in zip(Range._fields, offer.all, strict=True)}
            for offer in plan.offers
        ],
        "answers_each": {
            offer.model: {
                unit: answers_each(plan, offer, unit) for unit in plan.budget.limits() if unit in ACCOUNTS
            }
            for offer in plan.offers
        },
        "estimated": True,
        "prices_from": list(plan.priced_by),
    }


def answers_each(plan: Plan, offer: Offer, unit: str) -> float | None:
    """How many answers a prompt the budget buys in a unit, as expected; None where they cost nothing."""
    cost = amount_of(offer.all.expected, unit)
    return plan.budget.limits()[unit] / cost if cost else None


def render(plan: Plan) -> RenderableType:
    """The plan for people."""
    rows = plan.rows
    said = [("prompts", f"[bold]{len(rows.prompts):,}[/] read, {count(len(rows.errors), 'row')} refused")]
    said += [("", escape(str(error))) for error in rows.errors[:3]]
    said += [("", f"and {len(rows.errors) - 3:,} more")] if len(rows.errors) > 3 else []
    said += [("warning", escape(warning)) for warning in rows.warnings]
    parts: list[RenderableType] = [facts(said), "", "[bold]one answer to every prompt[/]  (estimates)", ""]
    parts += [_costs(plan), ""]
    accounts = {unit: limit for unit, limit in plan.budget.limits().items() if unit in ACCOUNTS}
    if accounts and rows.prompts:
        limits = " and ".join(show_amount(unit, limit) for unit, limit in accounts.items())
        parts += [f"[bold]{limits}[/] buys, as expected, of one model alone", "", _buys(plan), ""]
    if plan.priced_by:
        parts += [f"Dollars by {escape(' and '.join(plan.priced_by))}; see outlay prices.", ""]
    parts.append(
        "How many answers will be right is unknown without a fit or a paid pilot. Nothing was spent."
    )
    return Group(*parts)


def _costs(plan: Plan) -> RenderableType:
    unit_of = _units(plan)
    made = table("model", "unit", "a prompt", "all: at least", "expected", "at most", right="cdef")
    for offer in plan.offers:
        for unit in unit_of:
            low, expected, worst = (amount_of(cost, unit) for cost in offer.all)
            each = round(expected / max(len(plan.rows.prompts), 1))
            amounts = (show_amount(unit, amount) for amount in (each, low, expected, worst))
            made.add_row(escape(offer.model) if unit == unit_of[0] else "", unit, *amounts)
    return made


def _units(plan: Plan) -> list[str]:
    """Tokens always, dollars where there are prices. Time is not told: it hangs on how many run at once."""
    dollars = any(offer.all.worst.usd for offer in plan.offers)
    return [u for u in ACCOUNTS if u == "tok" or u in plan.budget.limits() or (u == "usd" and dollars)]


def _buys(plan: Plan) -> RenderableType:
    limits = [unit for unit in plan.budget.limits() if unit in ACCOUNTS]
    made = table("model", *(f"answers a prompt, by {unit}" for unit in limits), right="bcdef")
    for offer in plan.offers:
        counts = (answers_each(plan, offer, unit) for unit in limits)
        cells = ("no limit" if count is None else _plainly(count) for count in counts)
        made.add_row(escape(offer.model), *cells)
    return made


def _plainly(number: float) -> str:
    """Two digits below ten and whole above, without an exponent."""
    if number >= 10:
        return f"{number:,.0f}"
    return f"{number:.2g}" if number >= 0.01 else "under 0.01"
