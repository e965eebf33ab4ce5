"""Where people read: rich consoles that keep to plain text where nobody looks at a terminal."""

from collections.abc import Mapping
from typing import Final

from rich import box
from rich.console import Console
from rich.markup import escape as without_markup
from rich.table import Table

WIDTH = 100
"""Columns where there is no terminal to ask."""
CONTROL: Final = tuple(code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t")
"""What moves the cursor, clears a terminal or begins an order to it: C0, DEL and C1."""
_SHOWN: Final[Mapping[int, int]] = {
    code: 0x2400 + code if code < 0x20 else 0x2421 if code == 0x7F else 0xFFFD for code in CONTROL
}
"""Their pictures, where Unicode has one."""
_JSON: Final[Mapping[int, str]] = {code: f"\\u{code:04x}" for code in CONTROL}


def out() -> Console:
    """Standard output."""
    return _console(Console(highlight=False))


def err() -> Console:
    """Standard error: progress and what went wrong."""
    return _console(Console(stderr=True, highlight=False))


def _console(console: Console) -> Console:
    if not console.is_terminal:
        console.width = WIDTH
    return console


def harmless(text: object) -> str:
    r"""Text from outside with control characters as pictures; newlines and tabs stay.

    >>> harmless("\x1b[2Jread\r\nme")
    '␛[2Jread\nme'
    """
    return str(text).replace("\r\n", "\n").translate(_SHOWN)


def escape(text: object) -> str:
    """Text from outside for a rich console: harmless, and not read as markup."""
    return without_markup(harmless(text))


def harmless_json(text: str) -> str:
    """JSON with the control characters that JSON allows in strings written as escapes: the same data."""
    return text.translate(_JSON)


def table(*columns: str, right: str = "") -> Table:
    """An empty table; the columns named in `right` (letters of their order, from a) are numbers."""
    made = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for at, column in enumerate(columns):
        number = chr(ord("a") + at) in right
        # Folded and not cut: what is cut, such as the end of an address, cannot be copied.
        made.add_column(column, justify="right" if number else "left", no_wrap=number, overflow="fold")
    return made


def facts(rows: list[tuple[str, str]]) -> Table:
    """Two columns: what, and how it stands."""
    made = Table.grid(padding=(0, 2))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def count(number: int, noun: str) -> str:
    """A number and what it counts.

    >>> count(1, "row"), count(1_200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
