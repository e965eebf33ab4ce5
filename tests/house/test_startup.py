"""What a user waits for before the first word: heavy modules are imported when they are used, not before."""

import subprocess
import sys

HEAVY = ("numpy", "aiohttp", "msgspec", "rich", "torch", "pyarrow")
HELP = """
import sys
sys.argv = ["outlay", "--help"]
from outlay.cli import main
try:
    main()
except SystemExit:
    pass
"""


def heavy_after(code: str) -> set[str]:
    """The heavy modules that a fresh interpreter holds after `code`."""
    ask = f"\nimport sys\nprint('LOADED', *[m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code + ask], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split()[1:])


def test_import_outlay_loads_nothing_heavy():
    assert heavy_after("import outlay") == set()


def test_help_loads_nothing_heavy():
    assert heavy_after(HELP) == set()


def test_the_check_sees_a_heavy_module():
    assert heavy_after("import numpy") == {"numpy"}
