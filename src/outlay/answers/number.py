r"""A number, whatever dress it wears: `1,000`, `1 000`, `1e3`, `10^3`, `\frac{1}{2}`, `$5`, `50%`, `12 km`.

Two numbers are the same when their exact values are. Units are dropped: `$1,000` is 1000, `50%` is 50 (and
not 0.5: a question that asks for percent is answered both with and without the sign), `1 km` is 1 (and not
1000 m). A decimal is exact, `0.33` is not 1/3, except that one of 15 digits and more is
a printed float: `0.30000000000000004` is 0.3. A number beside a root or π is no plain number.

The scan finds *runs* of digits and separators in one pass and reads each by itself, because one pattern for
all ways to group digits would go back over long lists again and again.
"""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

from outlay.answers.cues import after_thought, marked, phrased

_ZEROS: Final = 30  # written out on either side; beyond that in scientific form
_EXPONENT: Final = 999_999  # the largest of a scientific form
_FLOAT_NOISE: Final = 15  # significant digits that only a float prints
_FLOAT_KEPT: Final = 12
_EXACT: Final = 200  # digits of a number that takes part in a fraction or power
_TAIL: Final = 2000  # characters that nearly always hold the last number

_SIGNS: Final = str.maketrans(
    dict.fromkeys("−﹣－", "-")
    | {"＋": "+", "⁄": "/", "∕": "/", "×": "*", "·": "*", "⋅": "*", "’": "'", "，": ",", "．": ".", "％": "%"}
    | {chr(0xFF10 + d): str(d) for d in range(10)}
    | {"½": " 1/2", "⅓": " 1/3", "⅔": " 2/3", "¼": " 1/4", "¾": " 3/4", "⅛": " 1/8", "⅜": " 3/8", "⅝": " 5/8"}
    | {"⅞": " 7/8", "⅕": " 1/5", "⅖": " 2/5", "⅗": " 3/5", "⅘": " 4/5", "⅙": " 1/6", "⅚": " 5/6"}
    | {"⁰": "^0", "²": "^2", "³": "^3"}
)
_LATEX: Final = (
    (re.compile(r"(?<=[0-9])[ ]?(?=\\[dtc]?frac)"), " "),  # a mixed number: 2\frac{1}{2}
    (
        re.compile(r"\\[dtc]?frac[ ]?\{[ ]?([-+]?[0-9.,]{1,40})[ ]?\}[ ]?\{[ ]?([0-9.,]{1,40})[ ]?\}"),
        r"\1/\2",
    ),
    (re.compile(r"\\[dtc]?frac[ ]?([0-9])[ ]?([0-9])"), r"\1/\2"),
    (re.compile(r"\\(?:times|cdot)(?![A-Za-z])"), "*"),
    (re.compile(r"(?<=[0-9])(?:\\[,!:; ]|\{,\}|,\\!)(?=[0-9]{3})"), ","),
    (re.compile(r"\\([$%#&])"), r"\1"),
    (re.compile(r"\^\{([-+]?[0-9]{1,7})\}"), r"^\1"),
)
_MONEY: Final = re.compile(r"\b(?:USD|EUR|GBP|INR|Rs\.?)[ ]?(?=[0-9])")
_RUN: Final = r"(?:[0-9](?:[.,'_\u00a0\u2009\u202f]?[0-9])*+|\.[0-9]++)"
_NUMBER: Final = re.compile(
    rf"""
    (?P<head>[-+–]?[$€£¥₹]?[-+]?)
    (?P<run>{_RUN})
    (?: (?P<e>[eE][-+]?[0-9]{{1,7}}) (?![0-9A-Za-z])
      | [ ]?[*x][ ]?10\^(?P<ten>[-+]?[0-9]{{1,7}}) (?![0-9])
      | \^(?P<power>[-+]?[0-9]{{1,4}}) (?![0-9])
      | [ ]{{1,2}}(?P<num>[0-9]{{1,9}}) [ ]?/[ ]? (?P<den>[0-9]{{1,9}}) (?![0-9/.,])
      | [ ]?/[ ]? (?P<over>{_RUN}) (?![0-9]|/)
    )?
    """,
    re.VERBOSE,
)
_GROUPED: Final = (
    (re.compile(r"[0-9]{1,3}(?:,[0-9]{2,3})*,[0-9]{3}(?:\.[0-9]+)?"), ",", "."),
    (re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]+"), ".", ","),
    (re.compile(r"[0-9]{1,3}(?:\.[0-9]{3}){2,}"), ".", ","),
    (re.compile(r"[0-9]{1,3}(?:['\u00a0\u2009\u202f][0-9]{3})+(?:\.[0-9]+)?"), "'\u00a0\u2009\u202f", "."),
    (re.compile(r"[0-9]+(?:_[0-9]+)+(?:\.[0-9]+)?"), "_", "."),
)
_PLAIN: Final = re.compile(r"[0-9]*\.?[0-9]+")
_SEPARATOR: Final = re.compile(r"[,'_\u00a0\u2009\u202f]")
_SIGN: Final = ("-", "+", "–")
_CLOSED: Final = (")", "]", "}")
_SPACED: Final = re.compile(r"[-+]?[0-9]{1,3}(?:[ ][0-9]{3})+(?:[.,][0-9]+)?")
_COMMA: Final = re.compile(r"[-+]?[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})")
_PARTED: Final = re.compile(r"[-+][ ][0-9.,]+")
_SENTENCE: Final = re.compile(r"[.!?;](?=\s|\Z)|\n")
_EQUAL: Final = re.compile("[=≈]")
_LITERAL: Final = re.compile(r"(-?)([0-9]*)\.?([0-9]*)(?:[eE]([-+]?[0-9]+))?")
_ROOTS: Final = ("sqrt(", "\\sqrt{", "\\sqrt", "\\sqrt[", "√", "\\pi", "π")
_TIMES_ROOT: Final = re.compile(r"[ ]?\*?[ ]?(?:\\?sqrt|√|\\pi(?![a-z])|π)")
_BOLD: Final = re.compile(r"\*\*([^*\n]{1,60})\*\*")
_QUANTITY: Final = re.compile(r"[-+$€£¥₹ ]{0,4}[0-9.,]+[%°]?(?:[ ][^\W\d_]+){0,3}\.?")
_DIRECT: Final = re.compile(
    r"[\s*_`\"'($\[{:=≈~\\]*(?:(?:about|approximately|roughly|around|exactly|therefore|thus|simply|just|then|clearly|"
    r"still|is|text|boxed|the number|equal to)\b[\s*_`\"'($\[{:=≈~\\]*)*[-+–]?[$€£¥₹]?[ ]?[-+]?\.?[0-9]"
)


class _Found(NamedTuple):
    text: str  # as written, without currency and unit
    minus: str
    piece: str  # the digits
    tail: re.Match[str] | None  # exponent, power and fraction behind them

    @property
    def value(self) -> str:
        """Its canonical form; it takes longer than to find the number, and is not always wanted."""
        tail = self.tail.groupdict() if self.tail is not None else {}
        return _value(self.minus, self.piece, tail) or "".join(self.text.casefold().split())


def extract(text: str) -> str | None:
    """The number in the last box or mark; else behind `the answer is`; else in bold; else the last of all.

    A box that holds something else than a number means that the answer is none.
    """
    text = _normal(after_thought(text))
    if whole := _tight(text):
        return whole
    if mark := next(marked(text), None):
        found = _in_region(mark)
        return found.text if found else None
    indirect = None
    for region in phrased(text):
        if found := _in_region(region):
            if "=" in region or _DIRECT.match(region):
                return found.text
            indirect = indirect or found.text
    if indirect is not None:
        return indirect
    for bold in reversed(_BOLD.findall(text)):
        if _QUANTITY.fullmatch(bold.strip()) and (found := _in_region(bold)):
            return found.text
    return _last(text)


@lru_cache(maxsize=4096)  # votes say the same again and again
def canonical(answer: str) -> str:
    """The exact value: a decimal without needless zeros, `p/q` where there is none, `1.5e40` for long."""
    text = _normal(answer)
    joined = _normal("".join(text.casefold().split()))  # may be a number where the spaced text was none
    found = _in_region(text) or _in_region(joined)
    return found.value if found else joined


def decimal(literal: str) -> str:
    """The canonical form of a plain literal, `-12.50e3`; the literal itself where its exponent is too big."""
    match = _LITERAL.fullmatch(literal)
    if match is None or len(match[4] or "") > 8:
        return literal
    return _decimal(match[1], match[2] + match[3], int(match[4] or 0) - len(match[3])) or literal


def _normal(text: str) -> str:
    if not text.isascii():
        text = text.translate(_SIGNS)
    if "\\" in text or "{" in text:  # most texts are plain, which is quick to see
        for pattern, plain in _LATEX:
            text = pattern.sub(plain, text)
    return _MONEY.sub("$", text)


def _tight(text: str) -> str:
    """The text as one number, in the forms that are safe to join only where nothing else stands."""
    bare = text.strip(" \t\r\n$*_`.")
    if len(bare) > _EXACT:
        return ""
    if _SPACED.fullmatch(bare) or _PARTED.fullmatch(bare):
        return bare.replace(" ", "").replace(",", ".")
    return bare.replace(",", ".") if _COMMA.fullmatch(bare) else ""


def _in_region(region: str) -> _Found | None:
    """The number that a short text states: the side of an equation that is one number, else the first."""
    region = _tight(region) or region
    for part in (_SENTENCE.split(region, maxsplit=1)[0], region):
        first, *_, last = sides if len(sides := _EQUAL.split(part)) > 1 else (part, part)
        for side in (last, first):
            if len(found := list(islice(_scan(side), 2))) == 1:
                return found[0]
        if found := list(islice(_scan(last), 1)) or list(islice(_scan(part), 1)):
            return found[0]
    return None


def _last(text: str) -> str | None:
    cut = max(text.rfind(" ", 0, -_TAIL), text.rfind("\n", 0, -_TAIL), 0)
    for part in (text[cut:], text):
        if found := deque(_scan(part), maxlen=1):
            return found[0].text
    return None


def _scan(text: str) -> Iterator[_Found]:
    """Every number of a text, from the left."""
    for m in _NUMBER.finditer(text):
        start, head, run = m.start(), m["head"], m["run"]
        before = text[start - 1 : start]
        if head[:1] in _SIGN and (before.isalnum() or before in _CLOSED):  # `14-23`: an operator
            head, start, before = "", m.start("run"), ""
        if _belongs_to_something(text, start, before, head, m.end()):
            continue
        minus = "-" if "-" in head or "–" in head else ""
        if run[0] == before == ".":  # an ellipsis
            run = run[1:]
        *pieces, last = _pieces(run)
        for piece in pieces:
            yield _Found(minus + piece, minus, piece, None)
            minus = ""
        yield _Found(minus + last + text[m.end("run") : m.end()], minus, last, m)


def _belongs_to_something(text: str, start: int, before: str, head: str, end: int) -> bool:
    """Whether the digits are part of a name, index, exponent or formula, or a multiple of a root or π."""
    two = text[max(start - 2, 0) : start]
    if before == "^" or two in ("^{", "_{", "}{"):
        return True
    # A numeral may follow a Chinese character directly, as no word does in scripts with spaces.
    word = before.isalpha() and before < "\u2e80"
    if not head and (word or (before in ("_", ".") and two[0].isalnum())):
        return True
    return text.endswith(_ROOTS, 0, start) or _TIMES_ROOT.match(text, end) is not None


def _pieces(run: str) -> list[str]:
    """One number where the separators group its digits, else the numbers of a list without spaces."""
    if _PLAIN.fullmatch(run) or any(form.fullmatch(run) for form, _, _ in _GROUPED):
        return [run]
    parts = (_PLAIN.match(part) for part in _SEPARATOR.split(run))
    return [part.group() for part in parts if part]


def _plain(piece: str) -> str:
    """The digits of a piece with at most one period."""
    for form, separators, point in _GROUPED:
        if form.fullmatch(piece):
            return piece.translate(dict.fromkeys(map(ord, separators))).replace(point, ".")
    return piece


def _value(minus: str, piece: str, tail: Mapping[str, str | None]) -> str | None:
    """The canonical form; none where the number is out of reach, or is none (`1/0`)."""
    whole, _, part = (plain := _plain(piece)).partition(".")
    exponent = tail.get("e") or tail.get("ten")
    power, over = tail.get("power"), tail.get("over")
    if power and plain == "10":
        whole, exponent, power = "1", power, None
    if power or over or tail.get("num"):
        if len(plain) + len(over or "") > _EXACT:
            return None
        exact = Fraction(plain)
        try:
            if power:
                if len(plain) * abs(int(power)) > 10 * _EXACT:
                    return None
                exact = exact ** int(power)
            elif over:
                if len(_pieces(over)) > 1:
                    return None
                exact /= Fraction(_plain(over))
            else:
                exact += Fraction(int(tail["num"] or 0), int(tail["den"] or 0))
        except ZeroDivisionError:
            return None
        return _fraction(minus, exact)
    return _decimal(minus, whole + part, int((exponent or "0").lstrip("eE")) - len(part))


def _fraction(minus: str, exact: Fraction) -> str | None:
    twos = (exact.denominator & -exact.denominator).bit_length() - 1
    rest, fives = exact.denominator >> twos, 0
    while rest % 5 == 0:
        rest, fives = rest // 5, fives + 1
    if rest > 1:
        return f"{minus}{exact.numerator}/{exact.denominator}"
    places = max(twos, fives)
    return _decimal(minus, str(int(exact * 10**places)), -places)


def _decimal(minus: str, digits: str, exponent: int) -> str | None:
    """`digits` · 10^`exponent` in its shortest usual form."""
    significant = digits.lstrip("0").rstrip("0")
    if not significant:
        return "0"
    exponent += len(digits) - len(digits.rstrip("0"))
    point = len(significant) + exponent  # where the decimal point stands, from the first digit
    kept = max(point, _FLOAT_KEPT)
    if exponent < 0 and kept < len(significant) >= _FLOAT_NOISE and kept <= _EXACT:
        rounded = int(significant[:kept]) + (significant[kept] >= "5")
        return _decimal(minus, str(rounded), exponent + len(significant) - kept)
    if abs(point - 1) > _EXPONENT:
        return None
    if 0 <= exponent <= _ZEROS:
        return minus + significant + "0" * exponent
    if exponent < 0 < point:
        return f"{minus}{significant[:point]}.{significant[point:]}"
    if -_ZEROS <= point <= 0:
        return f"{minus}0.{'0' * -point}{significant}"
    mantissa = significant[0] + ("." + significant[1:] if len(significant) > 1 else "")
    return f"{minus}{mantissa}e{point - 1}"
