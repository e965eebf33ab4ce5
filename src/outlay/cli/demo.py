"""`outlay demo`: a first run with the model in the package; what `make run` runs."""

import argparse
from pathlib import Path

from outlay.cli import options as shared

HELP = "a first look with the model in the package; needs nothing"
USAGE = "[options]"
ABOUT = """\
Answer generated problems with the tiny model in the package, within a budget: chained sums, which
it gets right or wrong for good, and Countdown, where a check tells and trying again helps. Then
the same idea on recorded answers of real models to real code, one receipt, and what to do next."""
EXAMPLES = """\
examples:
  outlay demo
  outlay demo --budget 100ktok
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    group = parser.add_argument_group("what it may cost")
    group.add_argument("--budget", default="40ktok", metavar="AMOUNT", help=f"{shared.FORMS} (40ktok)")
    group = shared.output(parser)
    group.add_argument(
        "-o", dest="output", type=Path, metavar="DIR", help="where the run lives (demo.outlay)"
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of every random choice (0)")
    shared.end(group)


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    from outlay.cli.tour import tour

    return tour(args.budget, args.seed, args.output or Path("demo.outlay"))
