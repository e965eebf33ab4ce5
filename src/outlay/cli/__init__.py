"""The command line: one file per command, each of them parse, call, print.

This module and those that only describe options import nothing heavy: `outlay --help` answers at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, Final, NoReturn

from outlay.cli import commands, exits

DESCRIPTION: Final = """\
Spend a budget for inference well: bring prompts and a budget of tokens, dollars or time, and
outlay decides prompt by prompt what to buy next. It stays inside the budget and shows what each
answer cost, and why."""

EXAMPLES: Final = """\
examples:
  outlay demo                                                a first look; needs nothing
  outlay run tasks.jsonl --budget 40ktok                     the model in the package answers
  outlay run tasks.jsonl --models small,big --budget 1Mtok   your own endpoint and models
  outlay plan tasks.jsonl --models small,big --budget 1Mtok  what that would cost; spends nothing

environment:
  OPENAI_BASE_URL, OPENAI_API_KEY   your endpoint; without one the model in the package answers
  NO_COLOR                          no colors

exit codes:
  0 done   1 failure   2 usage or config   3 budget spent before every prompt had an answer
  4 some rows failed   5 endpoint unavailable   130 interrupted; run again to go on
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # pytest and notebooks put other objects here
            stream.reconfigure(errors="replace")  # a terminal in ASCII gets question marks, not a traceback
    parser = _parser()
    args = parser.parse_args(argv)
    if args.command is None:
        parser.print_help(sys.stderr)
        return exits.USAGE
    try:
        return _run(args)
    except BrokenPipeError:  # `outlay receipt … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return exits.FAILURE
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"outlay: {error.strerror or error}: {error.filename or ''}".rstrip(": "), file=sys.stderr)
        return exits.FAILURE
    except KeyboardInterrupt:
        print("outlay: interrupted; run the same command again to go on", file=sys.stderr)
        return exits.INTERRUPTED


def _run(args: argparse.Namespace) -> int:
    from outlay.errors import CheckError, OutlayError, ResumeError, UpstreamError, UsageError

    try:
        return int(args.call(args))
    except OutlayError as error:
        from outlay.cli.console import harmless

        print(f"outlay: {harmless(error)}", file=sys.stderr)
        if isinstance(error, UsageError | ResumeError | CheckError):
            return exits.USAGE
        return exits.UPSTREAM if isinstance(error, UpstreamError) else exits.FAILURE


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, commands.COMMANDS))
    listed = "\n".join(f"  {name:<{width}}  {command.HELP}" for name, command in commands.COMMANDS.items())
    parser = Parser(
        "outlay",
        usage="outlay COMMAND [options]",
        description=f"{DESCRIPTION}\n\ncommands:\n{listed}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    chosen = parser.add_subparsers(
        dest="command",
        metavar="COMMAND",
        required=False,
        help=argparse.SUPPRESS,
        prog="outlay",
        parser_class=Parser,
    )
    for name, command in commands.COMMANDS.items():
        one = chosen.add_parser(
            name,
            usage=f"outlay {name} {command.USAGE}",
            add_help=False,
            description=command.ABOUT,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.options(one)
        one.set_defaults(call=command.call)
    return parser


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and that takes no abbreviation for a flag."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        argparse.ArgumentParser.__init__(self, *args, **{**keywords, "allow_abbrev": False})

    def error(self, message: str) -> NoReturn:
        self.exit(exits.USAGE, f"outlay: {message}; see {self.prog} --help\n")


class _Version(argparse.Action):
    """Reads the version when it is asked for: metadata is slow to import."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"outlay {version('outlay')}")
        parser.exit()


__all__ = ["main"]
