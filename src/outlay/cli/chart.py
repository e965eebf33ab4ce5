"""What `doctor` found, for people and for programs."""

import importlib.util
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table

from outlay.cli import exits
from outlay.cli.checkup import FEW, Seen
from outlay.cli.console import count, escape, facts
from outlay.config import show_amount
from outlay.config.prices import per_million
from outlay.engines.http.asking import BUDGET_SPENT
from outlay.engines.http.probe import Report
from outlay.types import Cost, Price

LABELS: Final[Mapping[str, str]] = {
    "n": "copies (n)",
    "usage": "token counts",
    "usage with n": "counts with n",
    "greedy": "greedy answers",
    "stop": "stop strings",
    "prefix": "continuing",
    "json schema": "JSON schema",
}
"""What findings are called where their own name would not be understood."""
STYLES: Final = {"honoured": "green", "ignored": "yellow", "refused": "yellow", "unknown": "dim"}
EXTRAS: Final = {"parquet": "pyarrow", "train": "torch"}
PRICELESS: Final = "Write NAME@IN/OUT after --models, or price_in, price_out."
"""What to do about an unknown price."""
SHOWN: Final = 12
"""Models of a long list that are named."""


@final
@dataclass(frozen=True, slots=True)
class Problem:
    """What keeps a run from working.

    Attributes:
        exit: The exit code that says so.
        says: What is wrong and what to do, in a sentence.
    """

    exit: int
    says: str


@final
@dataclass(frozen=True, slots=True)
class Chart:
    """What was found.

    Attributes:
        variables: By name, whether it is set.
        seen: The endpoints; none where the model in the package answers.
        notes: What a user should know, one sentence each.
        problems: What keeps a run from working.
        command: What to run next.
    """

    variables: Mapping[str, bool]
    seen: tuple[Seen, ...]
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]
    command: str

    @property
    def exit(self) -> int:
        """The exit code: the gravest problem's, an endpoint's above a setting's."""
        return max((problem.exit for problem in self.problems), default=exits.DONE)


def machine() -> dict[str, str]:
    """Versions, and which extras are there."""
    there = {extra: importlib.util.find_spec(module) is not None for extra, module in EXTRAS.items()}
    extras = ", ".join(f"{extra} {'installed' if has else 'not installed'}" for extra, has in there.items())
    return {"outlay": version("outlay"), "python": platform.python_version(), "extras": extras}


def as_rows(chart: Chart) -> dict[str, Any]:
    """The chart as JSON."""
    return {
        "works": not chart.problems,
        "problems": [problem.says for problem in chart.problems],
        "notes": list(chart.notes),
        "environment": {name: "set" if there else "not set" for name, there in chart.variables.items()},
        **machine(),
        "endpoints": [seen_row(seen) for seen in chart.seen],
    }


def seen_row(seen: Seen) -> dict[str, Any]:
    """One endpoint as JSON."""
    return {
        "name": seen.endpoint.name,
        "url": seen.shown,
        "key_env": seen.endpoint.key_env,
        "listed": [one.name for one in seen.listed],
        "unlisted": seen.unlisted,
        "models": [_model_row(seen, report) for report in seen.reports],
        "failed": dict(seen.failed),
    }


def _model_row(seen: Seen, report: Report) -> dict[str, Any]:
    price = seen.prices[report.model]
    findings = [
        {"capability": f.capability, "status": f.status, "evidence": f.evidence, "remedy": f.remedy}
        for f in report.findings
    ]
    return {
        "name": report.model,
        "server": report.server,
        "context": report.context,
        "thinks": report.thinks,
        "price": _price(price, seen.sources[report.model]),
        "calls": report.calls,
        "spent": report.spent.row(),
        "findings": findings,
    }


def render(chart: Chart) -> RenderableType:
    """The chart for people."""
    parts: list[RenderableType] = ["[bold]environment[/]", _in(facts(_environment(chart))), ""]
    for seen in chart.seen:
        parts += [f"[bold]endpoint[/] {escape(seen.shown)}", _in(facts(_endpoint(seen))), ""]
        for report in seen.reports:
            parts += [f"[bold]{escape(report.model)}[/]", _in(_model(seen, report)), ""]
        for model in seen.failed:
            parts += [f"[bold]{escape(model)}[/]", _in("[red]is not served[/]"), ""]
    for note in chart.notes:
        parts += [_bullet("note", escape(note))]
    for problem in chart.problems:
        parts += [_bullet("[red]problem[/]", escape(problem.says))]
    if chart.notes or chart.problems:
        parts.append("")
    # A run is said to work only where a model has answered.
    answered = not chart.seen or any(not report.stopped for seen in chart.seen for report in seen.reports)
    works = "[green]a run would work[/]" if answered else "nothing speaks against a run"
    works = f"{works}: {escape(chart.command)}"
    parts.append("[red]a run would not work[/]" if chart.problems else works)
    return Group(*parts)


def spent_sentence(seen: Sequence[Seen]) -> str:
    """What finding out used; empty where nothing was asked."""
    reports = [report for one in seen for report in one.reports]
    spent = sum((report.spent for report in reports), Cost())
    if not reports:
        return ""
    dollars = f", {show_amount('usd', spent.usd)}" if spent.usd else ""
    calls = count(sum(report.calls for report in reports), "call")
    return f"{calls}, {show_amount('tok', spent.tok)}{dollars} were used to find this out"


def _environment(chart: Chart) -> list[tuple[str, str]]:
    rows = [(name, "set" if there else "not set") for name, there in chart.variables.items()]
    told = machine()
    return [*rows, ("outlay", told["outlay"]), ("python", told["python"]), ("extras", told["extras"])]


def _endpoint(seen: Seen) -> list[tuple[str, str]]:
    if seen.unlisted and not seen.reports and not seen.failed:
        return [("answers", "[red]no[/]")]
    if seen.unlisted:
        return [("models", f"[yellow]{escape(seen.unlisted)}[/]")]
    names = [one.name for one in seen.listed]
    listed = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
    servers = ", ".join(dict.fromkeys(one.server for one in seen.listed if one.server))
    key = "sent, and not refused" if seen.key_set else "none is asked for"
    rows = [("answers", f"yes{f'; it is {escape(servers)}' if servers else ''}")]
    rows += [("key", key), (count(len(names), "model"), escape(listed) or "none")]
    if len(names) > FEW and not seen.reports and not seen.failed:
        rows.append(("", "[dim]none was asked: name those to use, cheap to dear: --models A,B[/]"))
    return rows


def _model(seen: Seen, report: Report) -> Table:
    """What it honours, and what it costs."""
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    # Where asking was stopped, what was not asked is said once, among the problems.
    asked = [one for one in report.findings if not report.stopped or report.stopped not in one.evidence]
    if not asked:
        made.add_row("[dim]was not asked[/]" if BUDGET_SPENT in report.stopped else "[red]gives no answer[/]")
    for one in asked:
        label = LABELS.get(one.capability, one.capability)
        made.add_row(label, f"[{STYLES[one.status]}]{one.status}[/]", _said(one.evidence, one.remedy))
    price = seen.prices[report.model]
    if report.stopped:
        return made
    if price.known():
        made.add_row("price", "[green]known[/]", _said(_price(price, seen.sources[report.model]), ""))
    else:
        made.add_row("price", "[dim]unknown[/]", _said("No budget in dollars can be kept.", PRICELESS))
    return made


def _said(evidence: str, remedy: str) -> str:
    return f"{escape(evidence)}\n[dim]→ {escape(remedy)}[/]" if remedy else escape(evidence)


def _price(price: Price, source: str) -> str:
    if not price.known():
        return "unknown"
    return f"${per_million(price.input)} in and ${per_million(price.output)} out a million tokens, {source}."


def _in(what: RenderableType) -> RenderableType:
    return Padding(what, (0, 0, 0, 2), expand=False)


def _bullet(label: str, text: str) -> RenderableType:
    made = Table.grid(padding=(0, 2))
    made.add_column(no_wrap=True)
    made.add_column(overflow="fold")
    made.add_row(label, text)
    return made
