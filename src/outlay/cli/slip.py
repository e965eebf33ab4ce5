"""A receipt for people: one row of `answers.jsonl`."""

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Group, RenderableType

from outlay.cli.console import escape, facts, table
from outlay.cli.summary import OUTCOMES
from outlay.config import show_amount
from outlay.types import NANO

LONGEST: Final = 600
"""Characters of the text that are shown."""
MOST: Final = 16
"""Purchases that are shown one by one; of more, those in the middle are summed up."""
BESIDE: Final = 28
"""Characters of a remark that stand in its row; longer ones stand below the table."""
TOLD: Final = 300
"""Characters of one remark."""
REASONS: Final = {
    "no offer is worth its price": "nothing more that could be bought was worth its cost",
    "nothing offered": "there was nothing more to buy",
    "the budget": "the budget was spent",
    "the deadline": "the time was up",
}
"""What the market says, in the words of users."""
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
    if receipt.get("stopped"):
        reason = str(receipt["stopped"])
        said.append(("stopped", escape(REASONS.get(reason, reason))))
    parts: list[RenderableType] = [facts(said)]
    if purchases := receipt.get("purchases"):
        parts += ["", *_purchases(purchases)]
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


def _purchases(purchases: list[Mapping[str, Any]]) -> list[RenderableType]:
    """The table, and below it the remarks that are too long for a cell, by number."""
    notes: list[str] = []
    dollars = any(one.get("usd") for one in purchases)
    columns = ["bought", "from", "copies", "tokens", "seconds", *(["dollars"] if dollars else [])]
    made = table(*columns, "sure before", "after", "", right="cdefgh"[: len(columns)])
    shown = purchases if len(purchases) <= MOST else [*purchases[: MOST // 2], *purchases[-MOST // 4 :]]
    for at, one in enumerate(shown):
        if shown is not purchases and at == MOST // 2:
            rest = purchases[at : -MOST // 4]
            tokens, seconds = sum(one.get("tok", 0) for one in rest), sum(one.get("s", 0) for one in rest)
            made.add_row(f"… {len(rest)} more", "", "", f"{tokens:,}", f"{seconds:.3f}", style="dim")
        cells = [
            escape(str(one.get("kind", ""))),
            escape(str(one.get("arm", ""))),
            f"{one.get('copies', 1):,}",
        ]
        cells += [f"{one.get('tok', 0):,}", f"{one.get('s', 0):.3f}"]
        cells += [show_amount("usd", round(one.get("usd", 0) * NANO))] if dollars else []
        before, after = one.get("belief") or (None, None)
        made.add_row(*cells, _sure(before), _sure(after), _beside(_remark(one), notes))
    if not notes:
        return [made]
    return [made, "", facts([(f"({at})", escape(note)) for at, note in enumerate(notes, 1)])]


def _beside(remark: str, notes: list[str]) -> str:
    """What stands in the row: the remark, or the number of its note."""
    if len(remark) <= BESIDE:
        return escape(remark)
    if remark not in notes:
        notes.append(remark)
    return f"({notes.index(remark) + 1})"


def _sure(belief: object) -> str:
    return f"{belief:.2f}" if isinstance(belief, int | float) else ""


def _remark(purchase: Mapping[str, Any]) -> str:
    """What was out of the ordinary."""
    said = [
        f"cut to {purchase['capped']} tokens: the budget paid for no more" if "capped" in purchase else "",
        "to compare" if purchase.get("even") else "",
        f"in part {purchase['part']}" if "part" in purchase else "",
        _again(purchase.get("repeated")),
        _told(purchase.get("message")),
        _told(purchase.get("error")),
    ]
    return "; ".join(filter(None, said))


def _again(repeated: Mapping[str, Any] | None) -> str:
    """What went wrong before it went well."""
    if not repeated:
        return ""
    times = int(repeated.get("times", 0))
    return f"after {'an attempt' if times == 1 else f'{times} attempts'} that failed: {_told(repeated.get('why'))}"


def _told(words: object) -> str:
    """What an endpoint or a check said, on one line."""
    flat = " ".join(str(words or "").split())
    return flat if len(flat) <= TOLD else f"{flat[: TOLD - 1]}…"
