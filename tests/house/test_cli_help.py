"""`--help` is frozen in docs/cli, written by `make docs`: a flag changes in a diff that somebody reads."""

import runpy
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="argparse lays help out differently from Python 3.13 on"
)
def test_help_is_the_frozen_one():
    frozen = {page.name: page.read_text() for page in (DOCS / "cli").glob("*.txt")}
    assert {"outlay.txt", "run.txt", "import.txt"} < frozen.keys(), "a page for every command"
    assert runpy.run_path(str(DOCS / "freeze_cli.py"))["help_texts"]() == frozen
