"""Tables of recorded answers: a set is recognized by its columns (`sets.py` has one entry for each set)."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

import msgspec

from outlay.engines.recorded import decoded
from outlay.errors import OutlayError, UsageError
from outlay.study.recording import SUFFIXES
from outlay.study.recordings.base import Imported, Marked, Options, assembled
from outlay.types import Confidence

Cells = Mapping[str, Any]
"""One row of a table; cells that are null may be missing."""
Others = Callable[..., Iterator[Cells]]
"""The rows of the table beside this one that has all columns named; none where there is no such table."""

LEAST: Final = 1e-6
"""A probability below this one is taken to be it: a logarithm must be a number."""


@final
@dataclass(frozen=True, slots=True)
class Shape:
    """How one set is written.

    Attributes:
        name: Of the set.
        columns: By which its table of draws is recognized: all must be there.
        draws: Makes draws of its rows, with a look at the tables beside it where need be.
        prompts: Makes input rows, with `gold`, of the tables beside it.
        note: What a reader must know of it.
    """

    name: str
    columns: tuple[str, ...]
    draws: Callable[[Iterator[Cells], Others], Iterable[Marked]]
    prompts: Callable[[Others], Iterable[dict[str, Any]]] = lambda others: ()
    note: str = ""


def read(table: Path, shape: Shape, options: Options) -> Imported:
    """A recording from a table and those beside it in its folder."""
    beside = [path for path in tables_in(table.parent) if path != table]

    def others(*columns: str) -> Iterator[Cells]:
        found = [path for path in beside if set(columns) <= set(columns_of(path))]
        return decoded(found[0], dict[str, Any]) if found else iter(())

    if options.confidence or options.where:
        known = columns_of(table)
        for name in (options.confidence, *options.where):
            if name and name not in known:
                raise UsageError(f"{table.name} has no column {name!r}; its columns: {', '.join(known)}")
    cells = _chosen(decoded(table, dict[str, Any]), options.where)
    sure: list[Confidence | None] = []
    if options.confidence:
        cells = _watched(cells, options.confidence, sure)
    draws = shape.draws(cells, others)
    if options.confidence:
        draws = _resured(draws, sure)
    try:
        prompts = {ask["id"]: ask for ask in shape.prompts(others)}
        made = assembled(shape.name, draws, prompts, [shape.note] if shape.note else [], options)
    except OutlayError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise UsageError(
            f"{table.name} has the columns of {shape.name}, but a row cannot be read ({error!r}); "
            "mend it, or write rows of `docs/recordings.md`"
        ) from None
    if not made.rows:
        chosen = " and ".join(f"{name}={value}" for name, value in options.where.items())
        raise UsageError(
            f"{table.name} has no row{f' with {chosen}' if chosen else ''}; {_values(table, options.where)}"
        )
    return made


def _chosen(cells: Iterator[Cells], where: Mapping[str, str]) -> Iterator[Cells]:
    wanted = tuple(where.items())
    return (row for row in cells if all(_cell(row.get(name)) == value for name, value in wanted))


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _values(table: Path, where: Mapping[str, str]) -> str:
    said = []
    for name in where:
        values = Counter(_cell(row.get(name)) for row in decoded(table, dict[str, Any]))
        said.append(f"{name} is one of {', '.join(value for value, _ in values.most_common(12))}")
    return "; ".join(said) or "is it the right file?"


def _watched(cells: Iterator[Cells], column: str, sure: list[Confidence | None]) -> Iterator[Cells]:
    """Keeps the confidence of the row that is being read; a shape reads one row for each draw."""
    for row in cells:
        sure[:] = [certain(row.get(column))]
        yield row


def _resured(draws: Iterable[Marked], sure: list[Confidence | None]) -> Iterator[Marked]:
    for draw in draws:
        yield draw._replace(row=msgspec.structs.replace(draw.row, confidence=sure[0]))


def certain(probability: float | None) -> Confidence | None:
    """A confidence of which only one figure is known: its logarithm stands in all three places."""
    if probability is None or not 0 <= probability <= 1:
        return None
    log = round(math.log(max(probability, LEAST)), 5)
    return Confidence(log, log, log)


# ── files ──────────────────────────────────────────────────────────────────────────────────────────────────


def tables_in(folder: Path) -> list[Path]:
    """The tables of a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIXES))


def columns_of(table: Path) -> tuple[str, ...]:
    """Names of its columns; of JSON lines those of the first 100 rows.

    Raises:
        UsageError: It cannot be read, or needs an extra.
    """
    if table.suffix == ".parquet":
        return _parquet_columns(table)
    rows = (row for row, _ in zip(decoded(table, dict[str, Any]), range(100), strict=False))
    return tuple(dict.fromkeys(name for row in rows for name in row))


def _parquet_columns(table: Path) -> tuple[str, ...]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise UsageError(
            f"{table.name} is parquet; pip install 'outlay[parquet]', or give JSON lines"
        ) from None
    try:
        return tuple(parquet.read_schema(table).names)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise UsageError(f"{table} cannot be read as parquet: {error}") from None


def find(sources: Sequence[Path], shapes: Iterable[Shape]) -> tuple[Path, Shape]:
    """The one table of draws among files and folders.

    Raises:
        UsageError: There is none, and what columns there are; or there are several.
    """
    tables = [path for source in sources for path in (tables_in(source) if source.is_dir() else [source])]
    columns = {table: columns_of(table) for table in tables}
    known = list(shapes)
    found = [
        (table, shape)
        for table, names in columns.items()
        for shape in known
        if set(shape.columns) <= set(names)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(table) for table, _ in found)
        raise UsageError(f"there are several sets of draws; give one of {names}")
    seen = "; ".join(f"{table.name} has {', '.join(names)}" for table, names in columns.items())
    shown = "; ".join(f"{shape.name}: {', '.join(shape.columns)}" for shape in known)
    raise UsageError(
        f"no known shape: {seen or 'no table is there'}. Known are, by their columns, {shown}. "
        "Or write rows of `docs/recordings.md`: prompt, arm, draw, answer, output"
    )
