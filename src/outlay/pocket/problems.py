"""Two families of generated problems with exact checkers: chained word problems and small Countdown.

*Chained*: `k` operations on a running value that stays in 1..hi. Mode `think` writes the running trace and
the answer after a `;`, mode `short` the answer alone. *Countdown* (direct form): join `m` numbers, each used
once, by `+ - *` to a target in 10..99, every intermediate result in 1..99; the answer is the expression.

Both families are split by a hash of the problem itself, never of its wording: what a test asks was not
trained on, whatever the names and nouns around it.

Source:
    Countdown as a test bed for search: "Stream of Search", arXiv 2404.03683. The chained family is our own.
"""

import re
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Final, Literal, final

import numpy as np

NAMES: Final = ("Ana", "Ben", "Eva", "Leo", "Mia", "Sam", "Tom", "Zoe")
THINGS: Final = ("cups", "eggs", "keys", "nuts", "pens", "pins")
GAINS: Final = ("buys", "finds", "gets", "wins")
LOSSES: Final = ("eats", "gives", "loses", "sells")
SCALES: Final = ("doubles", "triples", "halves")

PLUS, MINUS, DOUBLE, TRIPLE, HALVE = range(5)
SYMBOLS: Final = ("+", "-", "*", "*", "/")

CHAIN_HIS: Final = (9, 20, 50, 99)
CHAIN_KS: Final = tuple(range(1, 11))
COUNTDOWN_HIS: Final = (9, 20, 50)
COUNTDOWN_MS: Final = (2, 3, 4, 5)
MIN_TARGET: Final = 10
MAX_VALUE: Final = 99
TEST_SHARE: Final = 16
"""One problem in so many is held out for tests."""

Kind = Literal["chain", "countdown"]


@final
@dataclass(frozen=True, slots=True)
class Problem:
    """One problem.

    Attributes:
        id: Unique within a generated set.
        kind: The family.
        question: The prompt text.
        gold: The answer; empty for Countdown, where many answers are right and the checker decides.
        knobs: What makes it hard: `k` and `hi`, or `m` and `hi`.
    """

    id: str
    kind: Kind
    question: str
    gold: str
    knobs: Mapping[str, int]


def held_out(canonical: bytes) -> bool:
    """Tell whether a problem belongs to the test side.

    Args:
        canonical: Chained: start, then operation code and operand of each step. Countdown: the sorted
            numbers, then the target. One byte each.
    """
    return zlib.crc32(canonical) % TEST_SHARE == 0


def chain_key(start: int, steps: Sequence[tuple[int, int]]) -> bytes:
    """Return the canonical bytes of a chained problem; wording and `hi` are left out on purpose."""
    return bytes([start, *(byte for step in steps for byte in step)])


def countdown_key(numbers: Sequence[int], target: int) -> bytes:
    """Return the canonical bytes of a Countdown problem, the same for every order of its numbers."""
    return bytes([*sorted(numbers), target])


def chain_question(name: str, thing: str, start: int, clauses: Sequence[tuple[str, int]]) -> str:
    """Word a chained problem.

    >>> chain_question("Ana", "pens", 14, [("finds", 23), ("doubles", 2)])
    'Ana has 14 pens, finds 23, doubles them. How many?'
    """
    parts = [f"{name} has {start} {thing}"]
    parts += [f"{verb} them" if verb in SCALES else f"{verb} {number}" for verb, number in clauses]
    return ", ".join(parts) + ". How many?"


def chain_trace(start: int, steps: Sequence[tuple[int, int]]) -> str:
    """Write the running trace and, after the `;`, the answer.

    >>> chain_trace(14, [(PLUS, 23), (MINUS, 8), (DOUBLE, 2)])
    '14+23=37-8=29*2=58;58'
    """
    value, text = start, str(start)
    for operation, number in steps:
        value = apply(operation, value, number)
        text += f"{SYMBOLS[operation]}{number}={value}"
    return f"{text};{value}"


def apply(operation: int, value: int, number: int) -> int:
    """Return the running value after one operation."""
    symbol = SYMBOLS[operation]
    if symbol == "+":
        return value + number
    if symbol == "-":
        return value - number
    return value * number if symbol == "*" else value // number


def answer_of(text: str, mode: str) -> str:
    """Return the answer in a completion: in mode `think` what follows the last `;`, else the whole text.

    >>> answer_of("14+23=37;37", "think")
    '37'
    """
    return text.rsplit(";", 1)[-1].strip() if mode == "think" else text.strip()


def check_chain(problem: Problem, answer: str) -> bool:
    """Tell whether an answer (see `answer_of`) equals the gold one, as a string."""
    return answer == problem.gold


def countdown_question(numbers: Sequence[int], target: int) -> str:
    """Write a Countdown prompt.

    >>> countdown_question([4, 7, 3], 25)
    '4,7,3:25'
    """
    return f"{','.join(map(str, numbers))}:{target}"


def parse_countdown(question: str) -> tuple[tuple[int, ...], int]:
    """Return numbers and target of a Countdown prompt.

    Raises:
        ValueError: The text is not of the form `4,7,3:25`.
    """
    left, colon, right = question.strip().partition(":")
    fields = [*left.split(","), right]
    if not colon or not all(field.isascii() and field.isdigit() for field in fields):
        raise ValueError(f"not a Countdown prompt: {question!r}; write numbers and target as in 4,7,3:25")
    return tuple(map(int, fields[:-1])), int(right)


def check_countdown(question: str, expression: str) -> bool:
    """Tell whether an expression solves a Countdown prompt.

    It may hold numbers, `+ - *` and parentheses; it must use each number of the prompt exactly once, keep
    every intermediate result in 1..99, and reach the target. Anything else, malformed text included, is
    wrong.

    >>> check_countdown("4,7,3:25", "4*7-3"), check_countdown("4,7,3:25", "4+7+3")
    (True, False)
    """
    numbers, target = parse_countdown(question)
    if len(expression) > 16 * len(numbers):
        return False  # no solution is that long; bounds the depth of the recursion below
    parser = _Parser(expression)
    try:
        value = parser.sum()
    except _Malformed:
        return False
    return parser.done() and value == target and sorted(parser.used) == sorted(numbers)


def check(problem: Problem, answer: str) -> bool:
    """Tell whether an answer (see `answer_of`) to a problem of either family is right."""
    return (
        check_countdown(problem.question, answer)
        if problem.kind == "countdown"
        else check_chain(problem, answer)
    )


def hit_rate(numbers: Sequence[int], target: int) -> float:
    """Return the chance that one `blind_plan` reaches a target, exactly."""
    return reached(tuple(sorted(numbers))).get(target, 0.0)


@lru_cache(maxsize=65_536)
def reached(numbers: tuple[int, ...]) -> Mapping[int, float]:
    """Return how likely a random plan ends at each value.

    A plan joins two of the numbers then left, the larger one first, until one remains. Every step is drawn
    evenly from the pairs and operations that stay in 1..99; a plan with no such step ends nowhere.

    Args:
        numbers: In ascending order, so that equal sets share one cache entry.
    """
    if len(numbers) == 1:
        return {numbers[0]: 1.0}
    chance: defaultdict[int, float] = defaultdict(float)
    steps = _steps(numbers)
    for i, j, _, value in steps:
        rest = numbers[:i] + numbers[i + 1 : j] + numbers[j + 1 :]
        for end, share in reached(tuple(sorted((*rest, value)))).items():
            chance[end] += share / len(steps)
    return dict(chance)


def blind_plan(numbers: Sequence[int], rng: np.random.Generator) -> str:
    """Draw a random plan as an expression: the baseline that any model has to beat.

    It knows the rules, but does not look at the target; with the checker behind it this is blind enumeration.
    A plan with no way to go on comes back as an empty text.
    """
    left = [_Term(number, str(number)) for number in numbers]
    while len(left) > 1:
        steps = _steps([term.value for term in left])
        if not steps:
            return ""
        i, j, sign, _ = steps[rng.integers(len(steps))]
        second, first = left.pop(j), left.pop(i)
        if first.value < second.value:
            first, second = second, first
        left.append(_joined(first, sign, second))
    return left[0].text


def _steps(values: Sequence[int]) -> list[tuple[int, int, str, int]]:
    """List the merges that stay in 1..99: places of the two values, operation, result."""
    return [
        (i, j, sign, value)
        for i, j in combinations(range(len(values)), 2)
        for sign, value in (
            ("+", values[i] + values[j]),
            ("-", abs(values[i] - values[j])),
            ("*", values[i] * values[j]),
        )
        if 1 <= value <= MAX_VALUE
    ]


@final
@dataclass(frozen=True, slots=True)
class _Term:
    """Part of an expression; `top` is its last operation, `falls` tells of a bare minus in a sum."""

    value: int
    text: str
    top: str = ""
    falls: bool = False


def _joined(first: _Term, sign: str, second: _Term) -> _Term:
    """Join two terms with the fewest parentheses that keep the order of the plan."""
    value = {
        "+": first.value + second.value,
        "-": first.value - second.value,
        "*": first.value * second.value,
    }[sign]
    is_sum = second.top in ("+", "-")
    left = f"({first.text})" if sign == "*" and first.top in ("+", "-") else first.text
    right = f"({second.text})" if (is_sum and sign != "+") or (sign == "+" and second.falls) else second.text
    return _Term(value, left + sign + right, sign, sign == "-" or (sign == "+" and first.falls))


class _Malformed(Exception):
    """The text is not an expression, or leaves 1..99. Never leaves this module."""


_NUMBER: Final = re.compile("[1-9][0-9]?(?![0-9])")


class _Parser:
    """Recursive descent over `sum := product (+- product)*`, `product := atom (* atom)*`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self.used: list[int] = []

    def done(self) -> bool:
        return self._peek() == ""

    def sum(self) -> int:
        value = self._product()
        while (sign := self._peek()) in ("+", "-"):
            self._at += 1
            right = self._product()
            value = _bounded(value + right if sign == "+" else value - right)
        return value

    def _product(self) -> int:
        value = self._atom()
        while self._peek() == "*":
            self._at += 1
            value = _bounded(value * self._atom())
        return value

    def _atom(self) -> int:
        if self._peek() == "(":
            self._at += 1
            value = self.sum()
            if self._peek() != ")":
                raise _Malformed
            self._at += 1
            return value
        number = _NUMBER.match(self._text, self._at)
        if not number:
            raise _Malformed
        self._at = number.end()
        self.used.append(int(number[0]))
        return int(number[0])

    def _peek(self) -> str:
        """Return the next character that is not a space, and move there."""
        while self._text[self._at : self._at + 1] == " ":
            self._at += 1
        return self._text[self._at : self._at + 1]


def _bounded(value: int) -> int:
    if not 1 <= value <= MAX_VALUE:
        raise _Malformed
    return value
