"""`outlay forget`: delete what a run has kept."""

import argparse
from pathlib import Path

from outlay.cli import options as shared

HELP = "delete a run: its prompts, answers and receipts"
USAGE = "DIR"
ABOUT = """\
Delete what a run has kept in its directory: the journal, the answers and the errors, and the
directory itself if nothing else is in it. What was bought is gone; a later run buys it again.
Other files in the directory are left alone. A run that is under way is not touched."""
EXAMPLES = """\
examples:
  outlay forget tasks.outlay
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    group = parser.add_argument_group("what is deleted")
    group.add_argument("directory", metavar="DIR", type=Path, help="the directory of a run")
    shared.end(shared.output(parser), "the names of the deleted files")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    import json

    from outlay.journal import forget

    gone = forget(args.directory)
    if args.json:
        print(json.dumps([str(path) for path in gone]))
    else:
        print(f"deleted {', '.join(path.name for path in gone)} in {args.directory}")
    return 0
