"""The commands by name, in the order of `outlay --help`."""

import argparse
from typing import Final, Protocol

from outlay.cli import (
    bench,
    demo,
    doctor,
    forget,
    import_,
    init,
    models,
    plan,
    policies,
    prices,
    receipt,
    record,
    run,
    strategies,
)


class Command(Protocol):
    """What a module of a command holds. Heavy imports belong inside `call`.

    Attributes:
        HELP: One line for the list of commands.
        USAGE: What follows the name of the command.
        ABOUT: What the command does, for its own help.
        EXAMPLES: The end of its help.
    """

    HELP: str
    USAGE: str
    ABOUT: str
    EXAMPLES: str

    def options(self, parser: argparse.ArgumentParser) -> None:
        """Describe the options."""

    def call(self, args: argparse.Namespace) -> int:
        """Do it, and return the exit code."""


COMMANDS: Final[dict[str, Command]] = {
    "run": run,
    "plan": plan,
    "demo": demo,
    "receipt": receipt,
    "forget": forget,
    "record": record,
    "import": import_,
    "bench": bench,
    "init": init,
    "doctor": doctor,
    "models": models,
    "prices": prices,
    "strategies": strategies,
    "policies": policies,
}
