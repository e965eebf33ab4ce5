"""Write `docs/cli/*.txt`: the `--help` of outlay and of every command, as a terminal of 100 columns shows it.

Run by `make docs`. `tests/house/test_cli_help.py` compares these files with the program: a flag changes on
purpose, in a diff, or not at all.
"""

import os
import subprocess
import sys
from pathlib import Path

from outlay.cli.commands import COMMANDS

PROGRAM = Path(sys.executable).parent / "outlay"
FOLDER = Path(__file__).parent / "cli"


def help_texts() -> dict[str, str]:
    """The help of `outlay` and of each of its commands, by the name of the file that freezes it."""
    return {"outlay.txt": _help()} | {f"{name}.txt": _help(name) for name in COMMANDS}


def _help(*command: str) -> str:
    terminal = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [PROGRAM, *command, "--help"], env=terminal, capture_output=True, text=True, check=True
    )
    return done.stdout


if __name__ == "__main__":
    texts = help_texts()
    FOLDER.mkdir(exist_ok=True)
    for stale in set(FOLDER.glob("*.txt")) - {FOLDER / name for name in texts}:
        stale.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text)
    print(f"docs/cli: {len(texts)} pages")
