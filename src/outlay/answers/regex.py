"""An answer by a pattern of the user's own."""

import re

from outlay.answers.cues import after_thought


def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern, with `^` and `$` at lines.

    Raises:
        ValueError: It is empty or not a regular expression of Python's `re`.
    """
    if not pattern:
        raise ValueError("the pattern is empty. Write one after the colon, as in regex:Result = (\\d+).")
    try:
        return re.compile(pattern, re.MULTILINE)
    except (re.error, OverflowError, RecursionError) as reason:
        raise ValueError(f"{reason}. Write a regular expression as Python's re takes it.") from None


def extract(text: str, *, pattern: re.Pattern[str]) -> str | None:
    """The last match: group `answer`, else the first group, else all of it."""
    group: str | int = "answer" if "answer" in pattern.groupindex else min(pattern.groups, 1)
    found = None
    for match in pattern.finditer(after_thought(text)):
        found = (match[group] or "").strip() or found
    return found


def canonical(answer: str) -> str:
    """White space is not meaning. Case is: who wants less writes a pattern that takes less."""
    return " ".join(answer.split())
