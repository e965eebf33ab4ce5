"""`outlay receipt`: what one answer cost, and why."""

import argparse
from pathlib import Path

from outlay.cli import options as shared

HELP = "show what one answer cost, and why"
USAGE = "ID [options]"
ABOUT = """\
Show the receipt of one answer of a run: every purchase with its cost, how sure the run was before
and after, and why buying stopped."""
EXAMPLES = """\
examples:
  outlay receipt line-12                       of the newest run in this directory
  outlay receipt line-12 -o tasks.outlay
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    group = parser.add_argument_group("which one")
    group.add_argument("id", metavar="ID", help="id of the prompt")
    group.add_argument(
        "-o", dest="output", type=shared.directory, metavar="DIR", help="the run (the newest *.outlay here)"
    )
    shared.end(shared.output(parser), "the row of the answer")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    import json

    from outlay.cli.answers import find, newest
    from outlay.cli.console import harmless_json, out

    row = find(args.output or newest(Path()), args.id)
    if args.json:
        print(harmless_json(json.dumps(row, ensure_ascii=False)))
        return 0
    from outlay.cli.slip import render

    out().print(render(row))
    return 0
