r"""Where in a completion the answer stands: after the thought, in a box, behind a phrase.

Regions come latest first, because a model that corrects itself does so later. Their number and length are
bounded, so that a text full of cues costs no more than a text without.
"""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Final

TRIES: Final = 40  # cues looked at, from the end
REACH: Final = 400  # characters of a region

_THOUGHT: Final = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
_MARK: Final = re.compile(r"\\(?:boxed|fbox)|^[ \t]*####(?!#)|<answer>", re.IGNORECASE | re.MULTILINE)
_PHRASE: Final = re.compile(
    r"""
    \b(?: (?:answer|ans) (?:[ ](?:to|for|of)[ ][^\n.:]{1,80}?)?
        | (?:correct|right|best|final)[ ](?:option|choice|one|statement|result)
      )
    [*_`"”)]{0,4} [ \t]{0,3}
    (?: (?:is|was|equals|(?:would|should|must|will)[ ]be)\b | [:=] | (?=\([A-Za-z]\)) )
    [*_`"]{0,4} [ \t]{0,3} :?
    """,
    re.IGNORECASE | re.VERBOSE,
)


def after_thought(text: str) -> str:
    """What follows the last closed thought; the whole text where nothing does."""
    end = max((m.end() for m in _THOUGHT.finditer(text)), default=0) if "</" in text else 0
    return text[end:] if text[end:].strip() else text


def marked(text: str) -> Iterator[str]:
    r"""What `\boxed{…}`, `<answer>…</answer>` and lines `#### …` hold, if they hold anything."""
    if not ("\\" in text or "####" in text or "<" in text):  # far quicker than to look at every character
        return
    for m in islice(reversed(list(_MARK.finditer(text))), TRIES):
        ahead = text[m.end() : m.end() + REACH]
        match m.group().strip().lower():
            case "####":
                region = ahead.partition("\n")[0]
            case "<answer>":
                region = re.split("</answer>", ahead, maxsplit=1, flags=re.IGNORECASE)[0]
            case _:
                region = _braced(ahead)
        if region.strip():
            yield region.strip()


def phrased(text: str) -> Iterator[str]:
    """What follows `the answer is`, `Answer:`, `the correct option is`, up to the end of its line."""
    for m in islice(reversed(list(_PHRASE.finditer(text))), TRIES):
        region = text[m.end() : m.end() + REACH].lstrip("\n\r\t *_").partition("\n")[0]
        if region.strip():
            yield region.strip()


def _braced(ahead: str) -> str:
    """The inside of the group that opens here, or the word after a macro without braces; empty if cut."""
    ahead = ahead.lstrip()
    if not ahead.startswith("{"):
        return ahead.split(maxsplit=1)[0].strip("$.") if ahead else ""
    depth = 0
    for at, char in enumerate(ahead):
        depth += (char == "{") - (char == "}")
        if depth == 0:
            return ahead[1:at]
    return ""
