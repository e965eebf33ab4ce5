"""`outlay policies`: how the next purchase is chosen."""

import argparse

from outlay.cli import options as shared

HELP = "list how purchases are chosen, for --policy"
USAGE = "[options]"
ABOUT = "A policy chooses among what may be bought, or stops. All of them keep to the budget."
EXAMPLES = "example:\n  outlay run tasks.jsonl --policy uniform:8 --budget 40ktok     to compare with"


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    shared.end(shared.output(parser), "the list")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    from outlay.cli.registry import listed
    from outlay.config import Settings
    from outlay.policies import POLICIES

    known = {name: about for name, (_, about) in POLICIES.items()}
    return listed(known, as_json=args.json, note=f"{Settings().policy} is used where none is named.")
