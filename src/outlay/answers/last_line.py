"""The last line as the answer: short answers in words, expressions, names."""

import re
from typing import Final

from outlay.answers.cues import after_thought, marked

_LONG: Final = 2000  # nobody compares such a line; cleaning it again and again would not be linear
_OPENING: Final = re.compile(
    r"(?:(?:so|thus|hence|therefore)\b,?\s*)?(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|ans)\s*[*_]*\s*"
    r"(?:is\b\s*:?|:|=)\s*",
    re.IGNORECASE,
)
_QUOTES: Final = " \t*_`\"'“”‘’«»"
_HEADING: Final = re.compile(r"\A(?:#{1,6}\s+|#{4}(?!#))")
# An exclamation mark after a numeral is a factorial.
_CLOSING: Final = re.compile(r"(?:[.,;:\s]|(?<=[^\W\d_])[!?])+\Z")


def extract(text: str) -> str | None:
    """The last line with a letter or numeral in it, without `Answer:`, quotes, emphasis, closing period."""
    lines = [line for line in after_thought(text).splitlines() if line.strip()]
    if not lines:
        return None
    line = next((line for line in reversed(lines) if any(map(str.isalnum, line))), lines[-1])
    line = next(marked(line), line)
    return _bare(line) or line.strip()


def canonical(answer: str) -> str:
    """The line without dress, in one case, with single spaces."""
    return " ".join((_bare(answer) or answer).casefold().split())


def _bare(line: str) -> str:
    before = None
    while line != before and len(line) <= _LONG:
        before = line
        line = _CLOSING.sub("", _HEADING.sub("", line.strip().strip(_QUOTES)))
        opening = _OPENING.match(line)
        line = line[opening.end() :] if opening and opening.end() < len(line) else line
    return line.strip()
