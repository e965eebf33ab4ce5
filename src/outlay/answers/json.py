"""A JSON value: the whole text, a fenced block, or an object or array in prose.

The same when the values are: order of keys, white space, escapes and the form of numbers (`1.0`, `1e0`) do
not matter.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, final

from outlay.answers import code, number
from outlay.answers.cues import after_thought

_DEEP: Final = 100  # levels; deeper values are compared as text, since the stack is not ours alone
_FAILURES: Final = 5000  # brackets that open no JSON; bounds the time spent on text full of them
_BRACKET: Final = re.compile(r"[\[{]")
_CITATION: Final = re.compile(r"\[\s*\d+\s*\]")


@final
@dataclass(frozen=True, slots=True)
class _Number:
    """A number by its canonical form, so that no digit is lost to a float."""

    form: str


class _TooDeep(ValueError):
    pass


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _number(literal: str) -> _Number:
    return _Number(number.decimal(literal))


_READER: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse)
_COMPARER: Final = json.JSONDecoder(parse_int=_number, parse_float=_number, parse_constant=_refuse)


def extract(text: str) -> str | None:
    """The last fenced block that is JSON; else the whole text; else the last object or array in the prose."""
    text = after_thought(text)
    if _is_json(text):
        return text.strip()
    for block in reversed(code.blocks(text)):
        if _is_json(block):
            return block.strip()
    found = list(_embedded(text))
    # `as shown in [1]` is a list to JSON, and no answer to anybody.
    return next((v for v in reversed(found) if not _CITATION.fullmatch(v)), found[-1] if found else None)


def canonical(answer: str) -> str:
    """Sorted keys, no white space, ASCII, canonical numbers; what is not JSON stays as it is."""
    try:
        return _dump(_COMPARER.decode(answer.strip()), _DEEP)
    except (ValueError, RecursionError):
        return answer.strip()


def _is_json(text: str) -> bool:
    try:
        _READER.decode(text.strip())
    except (ValueError, RecursionError):
        return False
    return True


def _embedded(text: str) -> Iterator[str]:
    """The outermost objects and arrays in prose, from the left."""
    at, failures, patience = 0, 0, 4 * len(text) + 100_000
    while (bracket := _BRACKET.search(text, at)) and failures < _FAILURES and patience > 0:
        start = bracket.start()
        try:
            _, at = _READER.raw_decode(text, start)
            yield text[start:at]
        except json.JSONDecodeError as wrong:
            at, failures, patience = start + 1, failures + 1, patience - (wrong.pos - start)
        except (ValueError, RecursionError):  # a constant, a nesting: how far it read is not told
            at, failures, patience = start + 1, failures + 1, patience - len(text) // 8


def _dump(value: Any, levels: int) -> str:
    if levels == 0:
        raise _TooDeep
    if isinstance(value, _Number):
        return value.form
    if isinstance(value, dict):
        items = (f"{json.dumps(key)}:{_dump(item, levels - 1)}" for key, item in sorted(value.items()))
        return "{" + ",".join(items) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_dump(item, levels - 1) for item in value) + "]"
    return json.dumps(value)
