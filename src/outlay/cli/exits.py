"""Exit codes. Scripts rely on them: a change is a breaking change."""

from typing import Final

DONE: Final = 0
FAILURE: Final = 1
USAGE: Final = 2
SPENT: Final = 3
"""The budget was spent before every prompt had an answer; what is there is valid."""
ROWS_FAILED: Final = 4
UPSTREAM: Final = 5
INTERRUPTED: Final = 130
"""Run the same command again to go on."""
