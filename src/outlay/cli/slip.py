"""A receipt for people: one row of `answers.jsonl`."""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.markup import escape

from outlay.cli.console import facts, table
from outlay.cli.summary import OUTCOMES
from outlay.config import show_amount
from outlay.types import NANO

LONGEST: Final = 600
"""Characters of the text that are shown."""
_SCALE: Final = {"tok": 1, "outtok": 1, "usd": NANO, "s": 1000}


def render(row: Mapping[str, Any]) -> RenderableType:
    """The answer, what was bought for it, and why buying stopped."""
    receipt = row.get("receipt") or {}
    outcome = str(row.get("outcome", ""))
    said = [
        ("prompt", f"[bold]{escape(str(row.get('id')))}[/]"),
        ("answer", _answer(row)),
        ("outcome", f"{OUTCOMES.get(outcome, escape(outcome))}, confidence {row.get('confidence', 0):.2f}"),
        ("cost", _cost(row.get("cost") or {})),
    ]
    if receipt.get("reason"):
        said.append(("ended", escape(str(receipt["reason"]))))
    parts: list[RenderableType] = [facts(said)]
    if purchases := receipt.get("purchases"):
        parts += ["", _purchases(purchases)]
    return Group(*parts)


def _answer(row: Mapping[str, Any]) -> str:
    answer, text = row.get("answer"), str(row.get("text") or "")
    shown = text if answer is None else str(answer)
    shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
    return escape(shown) if shown else "[yellow]none[/]"


def _cost(cost: Mapping[str, float]) -> str:
    amounts = {unit: round(cost.get(unit, 0) * scale) for unit, scale in _SCALE.items()}
    shown = [show_amount(unit, amount) for unit, amount in amounts.items() if amount or unit == "tok"]
    return ", ".join(shown)


def _purchases(purchases: list[Mapping[str, Any]]) -> RenderableType:
    dollars = any((one.get("cost") or {}).get("usd") for one in purchases)
    columns = [
        "bought",
        "from",
        "copies",
        "tokens",
        "seconds",
        *(["dollars"] if dollars else []),
        "sure before",
        "after",
    ]
    made = table(*columns, right="cdefgh")
    for one in purchases:
        cost = one.get("cost") or {}
        cells = [
            escape(str(one.get("kind", ""))),
            escape(str(one.get("arm", ""))),
            f"{one.get('copies', 1):,}",
        ]
        cells += [f"{cost.get('tok', 0):,}", f"{cost.get('s', 0):.3f}"]
        cells += [show_amount("usd", round(cost.get("usd", 0) * NANO))] if dollars else []
        made.add_row(*cells, _sure(one.get("before")), _sure(one.get("after")))
    return made


def _sure(belief: object) -> str:
    return f"{belief:.2f}" if isinstance(belief, int | float) else ""
