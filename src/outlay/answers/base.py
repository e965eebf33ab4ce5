"""What a kind of answer is, and the kinds there are."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, final

from outlay.answers import choice, code, json, last_line, number, regex, text
from outlay.errors import UnknownName, UsageError


@final
@dataclass(frozen=True, slots=True)
class Kind:
    """One way to read answers out of completions. Two kinds are equal when their specs are.

    Attributes:
        name: The spec that `kind` reads: `number`, `choice:A-D`, `regex:…`.
        exclusive: Whether at most one class of equal answers can be right (numbers, choices), so that votes
            compete. Code and text stand alone: two programs that pass do not halve each other.
        extract: The best answer in a text as it is written there, or none. Raises on no text; takes time
            linear in its length (a `regex:` is as fast as its pattern).
        canonical: Two answers are the same if and only if their canonical forms are equal. A canonical form
            is its own canonical form and, where it was extracted, its own extract (a `regex:` need not
            match it).
    """

    name: str
    exclusive: bool
    extract: Callable[[str], str | None] = field(compare=False, repr=False)
    canonical: Callable[[str], str] = field(compare=False, repr=False)


KINDS: Final[dict[str, Kind]] = {
    "number": Kind("number", exclusive=True, extract=number.extract, canonical=number.canonical),
    "choice": Kind("choice", exclusive=True, extract=choice.extract, canonical=choice.canonical),
    "json": Kind("json", exclusive=True, extract=json.extract, canonical=json.canonical),
    "code": Kind("code", exclusive=False, extract=code.extract, canonical=code.canonical),
    "last_line": Kind("last_line", exclusive=True, extract=last_line.extract, canonical=last_line.canonical),
    "text": Kind("text", exclusive=False, extract=text.extract, canonical=text.canonical),
}


def _choice_of(options: str) -> Kind:
    extract = functools.partial(choice.extract, letters=choice.letters(options))
    return Kind(f"choice:{options}", exclusive=True, extract=extract, canonical=choice.canonical)


def _regex(pattern: str) -> Kind:
    extract = functools.partial(regex.extract, pattern=regex.compiled(pattern))
    return Kind(f"regex:{pattern}", exclusive=True, extract=extract, canonical=regex.canonical)


_WITH_ARGUMENT: Final[dict[str, Callable[[str], Kind]]] = {"choice": _choice_of, "regex": _regex}


def kind(spec: str) -> Kind:
    """Read a spec: a name of `KINDS`, `choice:A-D` or `choice:A,B,E`, or `regex:PATTERN`.

    A pattern's last match is the answer: its group `answer`, else its first group, else all of it; `^` and
    `$` match at lines.

    Raises:
        UnknownName: No kind has this name; lists those that have.
        UsageError: The part after the colon cannot be read; says what to write instead.
    """
    name, colon, argument = spec.partition(":")
    try:
        if not colon:
            return KINDS[name]
        return _WITH_ARGUMENT[name](argument)
    except KeyError:
        raise UnknownName("kind of answer", spec, [*KINDS, "choice:A-D", "regex:PATTERN"]) from None
    except ValueError as reason:
        raise UsageError(f"the kind of answer {spec!r} cannot be read: {reason}") from None
