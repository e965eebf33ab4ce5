"""The closing summary of a run, for people and as JSON."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType

from outlay.api.result import beside
from outlay.cli.console import count, escape, facts, table
from outlay.cli.progress import topped_up
from outlay.config import amount_of, show_amount
from outlay.types import NANO, Budget, Cost

if TYPE_CHECKING:
    from outlay.driver import Compared, Line, Summary, ToppedUp
    from outlay.errors import InputError
    from outlay.study.grade import Grades

OUTCOMES = {
    "answered": "answered",
    "provisional": "open, with an answer so far",
    "abstained": "left unanswered, not sure enough",
    "out_of_budget": "without an answer, the budget was spent",
    "no_answer_found": "without an answer in the text",
    "failed": "failed",
}
STYLES = {"answered": "green", "failed": "red", "out_of_budget": "yellow"}


def render(
    summary: "Summary", *, refused: "Sequence[InputError]" = (), grades: "Grades | None" = None
) -> RenderableType:
    """All that a person wants to know at the end."""
    parts: list[RenderableType] = ["", facts(_facts(summary, refused, grades))]
    if summary.lines:
        parts += ["", where(summary)]
    if grades:
        parts += ["", graded(grades)]
    return Group(*parts)


def _facts(
    summary: "Summary", refused: "Sequence[InputError]", grades: "Grades | None"
) -> list[tuple[str, str]]:
    rows = [("prompts", _outcomes(summary))]
    if refused:
        first = escape(refused[0])
        rows.append(
            ("refused", f"[red]{count(len(refused), 'row')}[/], see errors.jsonl; the first: {first}")
        )
    if summary.duplicates:
        rows.append(
            ("same", f"{count(summary.duplicates, 'prompt')} asked before in this run, answered once")
        )
    rows += [("spent" if at == 0 else "", text) for at, text in enumerate(_spent(summary.spent, summary))]
    if summary.overdraft != Cost():
        over = ", ".join(_amounts(summary.overdraft))
        rows.append(
            ("overdraft", f"[red]{over}[/]: an endpoint used more than it may; nothing was bought after that")
        )
    if summary.resumed:
        rows.append(("resumed", "went on from where it was; nothing was bought twice"))
    if summary.topped_up is not None:
        rows.append(("", topped_up(summary.topped_up, summary.budget)))
    if summary.compared is not None:
        rows.append(("held out", escape(beside(summary.compared))))
    rows.append(("ended", escape(summary.end_sentence)))
    rows.extend(("trouble", escape(trouble)) for trouble in summary.troubles)
    if summary.gave_up:
        rows.append(
            (
                "gave up",
                f"{count(summary.gave_up, 'chain')} half-way: what was still needed did not fit any more",
            )
        )
    if summary.outcomes.get("answered"):
        rows.append(("confidence", _confidence(summary, labeled=grades is not None)))
    if summary.directory is not None:
        rows.append(("answers", escape(_answers(summary.directory))))
    return rows


def _outcomes(summary: "Summary") -> str:
    counts = {name: summary.outcomes.get(name, 0) for name in OUTCOMES}
    said = [
        _styled(f"{count:,} {OUTCOMES[name]}", STYLES.get(name, ""))
        for name, count in counts.items()
        if count
    ]
    if not_yet := summary.prompts - sum(counts.values()):
        said.append(f"{not_yet:,} open, without an answer so far")
    return (
        f"[bold]{summary.prompts:,}[/] in {show_amount('s', summary.elapsed_ms)}: {', '.join(said) or 'none'}"
    )


def _styled(text: str, style: str) -> str:
    return f"[{style}]{text}[/]" if style else text


def _spent(spent: Cost, summary: "Summary") -> Iterator[str]:
    for unit, limit in summary.budget.limits().items():
        used = summary.elapsed_ms if unit == "s" else amount_of(spent, unit)
        rest = max(limit - used, 0)
        yield (
            f"[bold]{show_amount(unit, used)}[/] of {show_amount(unit, limit)} "
            f"({used / limit:.1%}), {show_amount(unit, rest)} left"
        )


def _amounts(cost: Cost) -> Iterator[str]:
    return (show_amount(u, amount_of(cost, u)) for u in ("tok", "outtok", "usd", "s") if amount_of(cost, u))


def _confidence(summary: "Summary", *, labeled: bool) -> str:
    mean = f"[bold]{summary.mean_confidence:.2f}[/] on average"
    if summary.checked or labeled:
        return mean
    return (
        f"{mean}, [yellow]unchecked[/]: with neither checks nor right answers, a favorite mistake looks right"
    )


def where(summary: "Summary") -> RenderableType:
    """Where the tokens went."""
    total = sum(line.cost.tok for line in summary.lines)
    dollars = any(line.cost.usd for line in summary.lines)
    columns = ["bought", "from", "times", "copies", "tokens", "share", *(["dollars"] if dollars else [])]
    made = table(*columns, right="cdefg")
    for line in sorted(summary.lines, key=lambda line: -line.cost.tok):
        made.add_row(*_line(line, total), *([show_amount("usd", line.cost.usd)] if dollars else []))
    return made


def _line(line: "Line", total: int) -> tuple[str, ...]:
    share = f"{line.cost.tok / total:.0%}" if total else ""
    return (
        escape(line.kind),
        escape(line.arm),
        f"{line.purchases:,}",
        f"{line.copies:,}",
        f"{line.cost.tok:,}",
        share,
    )


def graded(grades: "Grades") -> RenderableType:
    """Accuracy beside confidence."""
    made = table("accuracy", "prompts", "right", "share", "95 % interval", "mean confidence", right="bcdef")
    for one in (grades.all, *(grades.groups if len(grades.groups) > 1 else ())):
        value, low, high = one.accuracy
        cells = (
            f"{one.graded:,}",
            f"{one.right:,}",
            f"{value:.1%}",
            f"{low:.1%} – {high:.1%}",
            f"{one.confidence:.2f}",
        )
        made.add_row(escape(one.group), *cells, style="bold" if one is grades.all else None)
    return made


def as_json(
    summary: "Summary", *, refused: "Sequence[InputError]" = (), grades: "Grades | None" = None
) -> dict[str, Any]:
    """The same as data, in the user's units: tokens, dollars, seconds."""
    return {
        "prompts": summary.prompts,
        "outcomes": dict(summary.outcomes),
        "refused_rows": len(refused),
        "duplicates": summary.duplicates,
        "spent": summary.spent.row(),
        "budget": _budget(summary.budget),
        "overdraft": summary.overdraft.row(),
        "elapsed_s": summary.elapsed_ms / 1000,
        "end": summary.end,
        "end_sentence": summary.end_sentence,
        "gave_up": summary.gave_up,
        "troubles": list(summary.troubles),
        "resumed": summary.resumed,
        "topped_up": None if summary.topped_up is None else _top_up_row(summary.topped_up),
        "bought": [
            {"kind": x.kind, "from": x.arm, "times": x.purchases, "copies": x.copies, "cost": x.cost.row()}
            for x in summary.lines
        ],
        "mean_confidence": summary.mean_confidence,
        "checked": summary.checked,
        "held_out": None if summary.compared is None else _beside_row(summary.compared),
        "accuracy": None if grades is None else [_grade_row(one) for one in (grades.all, *grades.groups)],
        "answers": str(_answers(summary.directory)) if summary.directory else None,
    }


def _answers(directory: Path) -> Path:
    return directory / "answers.jsonl"


def _budget(budget: Budget) -> dict[str, float]:
    scale = {"usd": NANO, "s": 1000}
    return {unit: limit / scale[unit] if unit in scale else limit for unit, limit in budget.limits().items()}


def _top_up_row(top_up: "ToppedUp") -> dict[str, Any]:
    return {"from": _budget(top_up.before), "went_on": top_up.prompts}


def _beside_row(compared: "Compared") -> dict[str, Any]:
    from outlay.study.statistics import wilson

    none = (None, None, None)
    share, low, high = wilson(compared.same, compared.prompts) if compared.prompts else none
    scale = NANO if compared.unit == "usd" else 1
    costs = {"spent": compared.spent / scale, "dearest": compared.dearest / scale}
    row = {"beside": compared.arm, "prompts": compared.prompts, "same": compared.same, "share": share}
    row["unanswered"] = compared.unanswered
    others = {"held_out": compared.held, "not_compared": dict(compared.missing), "before": compared.before}
    return row | {"low": low, "high": high, "unit": compared.unit} | costs | others


def _grade_row(one: Any) -> dict[str, Any]:
    value, low, high = one.accuracy
    row = {
        "group": one.group,
        "prompts": one.graded,
        "right": one.right,
        "share": value,
        "low": low,
        "high": high,
    }
    return row | {"mean_confidence": one.confidence}
