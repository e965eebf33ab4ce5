"""The letter of an option: `(B)`, `B.`, `**B**`, `Answer: B`, `the correct option is b`."""

import re
from collections.abc import Iterable
from itertools import chain
from typing import Final

from outlay.answers.cues import after_thought, marked, phrased

TEN: Final = frozenset("ABCDEFGHIJ")

_DRESS: Final = r"[\s*_`\"'“‘$(\[{:\\]{0,12}"
_MACRO: Final = r"(?:(?:text|textbf|mathrm|mathbf|boxed)\{[\s(*]{0,4})?"
_LETTER: Final = r"(?P<letter>[A-Za-z])(?![^\W_]|['’][A-Za-z])"
_FILLER: Final = (
    r"(?:(?:the|option|choice|letter|answer|is|therefore|thus|likely|most|probably|clearly|definitely)\b"
    r"[\s:*_]{0,6}){0,6}"
)
_FIRST: Final = re.compile(_DRESS + _FILLER + _DRESS + _MACRO + _LETTER, re.IGNORECASE)
_ENDS: Final = re.compile(r"\s*(?:[.,;:)\]}*\"'”’`$_\n]|\Z)")
_WORD_FOLLOWS: Final = re.compile(r"\s+[a-z]")

_ALONE: Final = re.compile(
    _DRESS + _MACRO + r"(?:option\s+|choice\s+)?[(*]{0,3}" + _LETTER + r"[\s).\]}*_`\"'”’:$\\]{0,12}", re.I
)
_LEADING: Final = re.compile(r"[\s*_#>-]{0,8}(?:\((?P<a>[A-Za-z])\)|(?P<b>[A-Z])[.):](?=\W|$))")
_CHOSEN: Final = re.compile(
    r"\b(?:choose|select|pick|go(?:ing)? with|option|choice)\b[\s:*_]{0,4}\(?\**(?P<letter>[A-Za-z])\b"
    r"(?!['’])\**\)?(?P<verdict>\s+(?:is|seems|appears)\s+(?:the\s+)?(?:correct|right|best|true|answer))?",
    re.IGNORECASE,
)
_SET_OFF: Final = re.compile(r"\((?P<a>[A-Za-z])\)|\*\*\(?(?P<b>[A-Za-z])[.):]{0,2}\*\*")
_BARE: Final = re.compile(r"(?<![^\W_])(?<!['’])(?P<letter>[A-Z])(?![^\W_]|['’][A-Za-z])")


def letters(options: str) -> frozenset[str]:
    """Read `A-J` or `A,B,E`.

    Raises:
        ValueError: It is neither.
    """
    if match := re.fullmatch(r"([A-Za-z])-([A-Za-z])", options.strip()):
        first, last = match[1].upper(), match[2].upper()
        if first <= last:
            return frozenset(map(chr, range(ord(first), ord(last) + 1)))
    elif re.fullmatch(r"[A-Za-z](\s*,\s*[A-Za-z])*", options.strip()):
        return frozenset(part.strip().upper() for part in options.split(","))
    raise ValueError("options are letters. Write a range as in choice:A-D, or a list as in choice:A,B,E.")


def extract(text: str, *, letters: frozenset[str] = TEN) -> str | None:
    """The letter that the text settles on: marked, else said to be the answer, else set off, else any."""
    text = after_thought(text)
    if (whole := _alone(text)) in letters:
        return whole
    for region in chain(marked(text), phrased(text)):
        if (found := _first(region)) in letters:
            return found
    return next((found for found in _weaker(text) if found in letters), None)


def canonical(answer: str) -> str:
    """The capital letter; other answers in one case without outer punctuation."""
    if found := _alone(answer) or _led(answer):
        return found
    bare = " ".join(answer.casefold().split()).strip(" .,;:!?()[]{}*_`\"'“”‘’$")
    return _alone(bare) or bare or answer.strip()


def _alone(text: str) -> str | None:
    """The letter, where the text holds nothing else."""
    match = _ALONE.fullmatch(text.strip()) if len(text) < 200 else None
    return match["letter"].upper() if match else None


def _led(line: str) -> str | None:
    """The letter of a line `B. Paris` or `(B) Paris`."""
    match = _LEADING.match(line)
    return (match["a"] or match["b"]).upper() if match else None


def _first(region: str) -> str | None:
    """The letter that a region begins with, unless it is a word: `a number`, `I think`."""
    match = _FIRST.match(region)
    if match is None:
        return None
    letter, end = match["letter"], match.end()
    if letter == "I" and _WORD_FOLLOWS.match(region, end):
        return None
    if letter in "ai" and not _ENDS.match(region, end):
        return None
    return letter.upper()


def _weaker(text: str) -> Iterable[str]:
    chosen = list(_CHOSEN.finditer(text))
    yield from (m["letter"].upper() for m in reversed(chosen) if m["verdict"])
    lines = [line for line in text.split("\n") if line.strip()]
    yield from (letter for line in reversed(lines) if (letter := _alone(line)))
    led = [letter for line in lines if (letter := _led(line))]
    if len(set(led)) == 1:
        yield led[0]
    elif led:  # the options told over again: their letters say nothing
        text = "\n".join(line for line in lines if not _led(line))
    yield from ((m["a"] or m["b"]).upper() for m in reversed(list(_SET_OFF.finditer(text))))
    yield from (m["letter"].upper() for m in reversed(chosen) if m["letter"].isupper())
    for m in reversed(list(_BARE.finditer(text))):
        if m["letter"] not in "AI" or not _WORD_FOLLOWS.match(text, m.end()):
            yield m["letter"]
