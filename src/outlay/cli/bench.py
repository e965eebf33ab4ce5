"""`outlay bench`: what the rules of this package would have done on a log."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from outlay.cli import options as shared

if TYPE_CHECKING:
    from outlay.study.bench import Line, Report
    from outlay.study.statistics import Interval

HELP = "replay rules on a log that you have, at equal cost"
USAGE = "LOG [--budget AMOUNT] [options]"
ABOUT = """\
Replay what people do today (always one model, votes, until a check passes, agreement) and outlay
itself on recorded answers: the same draws in the same orders for all. Shows what each would have
answered and cost. With labels beside the log it shows how many answers are right; without, how
many are the same as those of the dearest model. Asks no model and spends nothing."""
EXAMPLES = """\
examples:
  outlay bench mine.jsonl.gz --models small,big              a quarter, half, all of always-big
  outlay bench mine.jsonl.gz --models small,big --budget 40ktok --budget 80ktok
  outlay bench mine.jsonl.gz --models small@0.15/0.60,big@2/8 --budget 0.05usd
  outlay bench mine.jsonl.gz --models small,big --policy lead:3@small --policy uniform:8@small

A log is one row a draw: {"prompt", "arm", "draw", "answer", "output", …}, as outlay record and
outlay import write it. Right answers lie beside it, in mine_labels.jsonl.gz.
"""
LEAST = 0.01
"""A smaller share of prompts without an answer is not worth a line."""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    group = parser.add_argument_group("what is replayed")
    group.add_argument(
        "log", metavar="LOG", type=Path, help="recorded answers: .jsonl, .jsonl.gz or .parquet"
    )
    group.add_argument(
        "--models",
        metavar="A,B",
        help="models of the log, cheap to dear (all, by cost); small@0.15/0.60 adds dollars per million tokens",
    )
    group.add_argument(
        "--answer",
        metavar="KIND",
        help="how answers are read, where the log has whole texts: number, choice:A-D, …",
    )
    group = parser.add_argument_group("how it is compared")
    group.add_argument(
        "--budget",
        action="append",
        metavar="AMOUNT",
        help=f"{shared.FORMS.partition(', 90s')[0]}; give it again to compare several",
    )
    group.add_argument(
        "--policy",
        action="append",
        metavar="NAME",
        help="a rule to replay beside priced (all that the log can show); may be given again",
    )
    group.add_argument("--orders", type=int, default=5, metavar="N", help="orders of the draws (5)")
    shared.end(shared.output(parser), "the table")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    from outlay.cli.console import err
    from outlay.config import model_name, parse_budget
    from outlay.errors import UsageError
    from outlay.study import recording
    from outlay.study.bench import report
    from outlay.study.bench_bed import bed_of, picked
    from outlay.study.bench_log import log_of

    if args.orders < 1:
        raise UsageError(f"orders is {args.orders}; it must be 1 or more")
    budgets = [parse_budget(text) for text in args.budget or ()]
    read = recording.load(args.log)
    models = [name.strip() for name in (args.models or "").split(",") if name.strip()]
    models = models or list(dict.fromkeys(model_name(arm.name) for arm in read.arms))
    bed = bed_of(log_of(picked(read, models), answer=args.answer or ""), models)
    console = err()
    with console.status("replaying") as status:
        made = report(
            bed,
            budgets,
            rules=tuple(args.policy or ()),
            orders=args.orders,
            told=lambda done, runs: status.update(f"replaying: {done} of {runs} runs"),
        )
    show(made, as_json=args.json)
    return 0


def show(made: "Report", *, as_json: bool) -> None:
    """Print a report."""
    import json

    if as_json:
        print(json.dumps(row_of(made)))
        return
    _print(made)


def row_of(made: "Report") -> dict[str, object]:
    """A report as JSON; intervals are value, low, high; amounts are in the unit's ledger integers."""
    return {
        "unit": made.unit,
        "prompts": made.prompts,
        "labelled": made.labelled,
        "draws": made.draws,
        "orders": made.orders,
        "always_big": made.yard,
        "lines": [line._asdict() for line in made.lines],
        "notes": list(made.notes),
    }


def _print(made: "Report") -> None:
    from outlay.cli.console import count, escape, out, table

    console = out()
    unit = "" if made.unit == "usd" else f", {made.unit}"
    labels = f"labels for {made.labelled:,}" if made.labelled else "no labels"
    console.print(
        f"{count(made.prompts, 'prompt')}, {count(made.draws, 'draw')}, {count(made.orders, 'order')}; {labels}. "
        f"Always-big is {escape(made.yard)}."
    )
    if made.labelled:
        shown = table(
            "rule", "right", "v always-big", f"cost{unit}", "of big", "v mixing", "same", right="bcdefg"
        )
    else:
        shown = table("rule", "same answers as always-big", f"cost{unit}", "of its cost", right="bcd")
    shown.padding = (0, 1, 0, 0)  # names of arms are long
    for line in made.lines:
        shown.add_row(*(_labelled(made, line) if made.labelled else _unlabelled(made, line)))
    console.print(shown)
    for text in _legend(made):
        console.print(f"[dim]{escape(text)}[/]")


def _name(made: "Report", line: "Line") -> str:
    from outlay.config import show_amount

    return line.rule if line.budget is None else f"{line.rule}, {show_amount(made.unit, line.budget)}"


def _labelled(made: "Report", line: "Line") -> tuple[str, ...]:
    from outlay.cli.console import escape

    assert line.right is not None
    assert line.points is not None
    return (
        escape(_name(made, line)),
        f"{line.right.value:.3f}",
        "" if line.rule == made.yard else _points(line.points),
        _amount(made, line.cost),
        f"{line.share.value:.2f}",
        "" if line.over_mix is None else _points(line.over_mix),
        f"{line.same.value:.0%}",
    )


def _unlabelled(made: "Report", line: "Line") -> tuple[str, ...]:
    from outlay.cli.console import escape

    low, high = (f"{x:.0%}" for x in (line.same.low, line.same.high))
    return (
        escape(_name(made, line)),
        f"{line.same.value:.0%} [{low}, {high}]",
        _amount(made, line.cost),
        f"{line.share.value:.0%}",
    )


def _amount(made: "Report", cost: float) -> str:
    """A cost without its unit, which the head of the column says."""
    from outlay.config import show_amount

    return show_amount(made.unit, round(cost)).removesuffix(made.unit).strip()


def _points(figure: "Interval") -> str:
    return f"{figure.value:+.1f} \\[{figure.low:+.1f}, {figure.high:+.1f}]"


def _legend(made: "Report") -> list[str]:
    said = [
        "Rules of today run without a limit, priced at each budget. Intervals of 95 %, paired over prompts."
    ]
    if made.labelled:
        said.append(
            "v: points of right answers more. Mixing: the first or last model at random, at equal cost."
        )
    blank = [f"{_name(made, line)} {line.blank:.0%}" for line in made.lines if line.blank >= LEAST]
    if blank:
        said.append(f"Prompts left without an answer: {', '.join(blank)}.")
    return [*said, *made.notes]
