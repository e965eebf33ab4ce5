"""`outlay plan`: what a run would cost. Spends nothing."""

import argparse

from outlay.cli import options as shared

HELP = "show what a run would cost; spends nothing"
USAGE = "FILE [options]"
ABOUT = """\
Read the prompts and show what they would cost at each model: at least, as expected, and at most.
Spends nothing and asks nobody."""
EXAMPLES = """\
examples:
  outlay plan tasks.jsonl                                            the model in the package
  outlay plan tasks.jsonl --models small@0.15/0.60,big@2/8 --budget 2usd
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    shared.add_input(parser)
    shared.add_budget(parser)
    shared.add_models(parser)
    shared.add_answers(parser)
    shared.end(shared.output(parser), "the plan")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    from outlay.cli.estimate import estimate, show
    from outlay.cli.options import settings_from

    show(estimate(args.file, settings_from(args)), as_json=args.json)
    return 0
