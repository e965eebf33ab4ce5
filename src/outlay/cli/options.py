"""Options that several commands share, and the settings that follow from them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outlay.config import Settings

FORMS = "40ktok, 10Mtok, 500outtok, 2usd, 90s, 10min, 1h"


def add_input(parser: argparse.ArgumentParser) -> None:
    """FILE and --limit."""
    group = parser.add_argument_group("what is asked")
    group.add_argument(
        "file", metavar="FILE", help='prompts, one JSON object a line: {"id", "prompt"}; - is standard input'
    )
    group.add_argument("--limit", type=int, metavar="N", help="read only the first N rows")


def add_models(parser: argparse.ArgumentParser) -> None:
    """--models and --config."""
    group = parser.add_argument_group("who answers")
    group.add_argument(
        "--models",
        metavar="A,B",
        help="models, cheap to dear; small@0.15/0.60 adds dollars per million tokens in and out",
    )
    group.add_argument(
        "--config", type=Path, metavar="FILE", help="a TOML file with models, prices and settings"
    )


def add_budget(parser: argparse.ArgumentParser) -> None:
    """--budget."""
    group = parser.add_argument_group("what it may cost")
    group.add_argument(
        "--budget", action="append", metavar="AMOUNT", help=f"{FORMS}; give it again to limit another unit"
    )


def add_answers(parser: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    """--answer, in a group of its own, to which more may be added."""
    group = parser.add_argument_group("what an answer is")
    group.add_argument(
        "--answer",
        metavar="KIND",
        help="of rows that name none: number, choice:A-D, code, json, last_line, text, regex:PATTERN (text)",
    )
    return group


def directory(text: str) -> Path:
    """A directory on the command line; an empty word is a variable that is not set."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; name a directory, such as -o tasks.outlay")
    return Path(text)


def add_check(group: "argparse._ArgumentGroup") -> None:
    """--check."""
    group.add_argument(
        "--check",
        action="append",
        metavar="CHECK",
        help="your own check of an answer: FILE.py:FUNCTION, MODULE:FUNCTION, schema:FILE, regex:PATTERN, "
        "tests:FIELD (of metadata) or command:COMMAND; may be given again",
    )


def output(parser: argparse.ArgumentParser) -> "argparse._ArgumentGroup":
    """The last group of options."""
    return parser.add_argument_group("what comes out")


def end(group: "argparse._ArgumentGroup", json: str = "") -> None:
    """--json and --help, which every command ends with."""
    if json:
        group.add_argument("--json", action="store_true", help=f"{json} as JSON on standard output")
    group.add_argument("-h", "--help", action="help", help="show this and exit")


def settings_from(args: argparse.Namespace) -> "Settings":
    """The config file, if there is one, under the flags that were given.

    Raises:
        UsageError: A flag or the file means nothing.
    """
    from dataclasses import replace

    from outlay.config import Settings, checked, load, parse_budget, share_of

    settings = load(args.config) if getattr(args, "config", None) else Settings()
    given = {
        name: getattr(args, name, None)
        for name in ("answer", "limit", "strategy", "policy", "seed", "abstain")
    }
    flags = {name: value for name, value in given.items() if value is not None}
    if getattr(args, "models", None) is not None:
        flags["pick"] = tuple(name.strip() for name in args.models.split(","))
    if getattr(args, "budget", None):
        flags["budget"] = parse_budget(*args.budget)
    if getattr(args, "check", None):
        flags["check"] = tuple(args.check)
    if getattr(args, "grade", False):
        flags["grade"] = True
    if getattr(args, "holdout", None) is not None:
        flags["holdout"] = share_of(args.holdout)
    if getattr(args, "output", None):
        flags["directory"] = args.output
    return checked(replace(settings, **flags))
