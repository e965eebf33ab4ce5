"""`outlay strategies`: what may be bought for a prompt."""

import argparse

from outlay.cli import options as shared

HELP = "list what may be bought for a prompt, for --strategy"
USAGE = "[options]"
ABOUT = "A strategy says what may be bought for a prompt: another answer, a check, a second opinion."
EXAMPLES = "example:\n  outlay run tasks.jsonl --strategy vote --budget 40ktok"


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    shared.end(shared.output(parser), "the list")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    from outlay.cli.registry import listed
    from outlay.config import Settings
    from outlay.strategies import STRATEGIES

    known = {name: about for name, (_, about) in STRATEGIES.items()}
    return listed(known, as_json=args.json, note=f"{Settings().strategy} is used where none is named.")
