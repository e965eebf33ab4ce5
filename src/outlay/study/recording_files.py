"""Writes a recording and its siblings: JSON lines, compressed or not, or parquet."""

import gzip
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from outlay.engines.recorded import Row
from outlay.errors import UsageError
from outlay.study.recording import SUFFIXES, Label, sibling, stem, text_of


def write(
    path: Path,
    rows: Iterable[Row],
    *,
    labels: Iterable[Label] = (),
    prompts: Iterable[Mapping[str, Any]] = (),
) -> tuple[Path, ...]:
    """Write a recording and the siblings that hold anything; each file appears whole or not at all.

    Args:
        path: `NAME.jsonl.gz`, `NAME.jsonl` or `NAME.parquet`; labels get the same suffix.
        rows: The draws.
        labels: What is right.
        prompts: Input rows of outlay.

    Returns:
        The files that were written.

    Raises:
        UsageError: The name ends otherwise, there is no draw, or `outlay[parquet]` is not installed.
    """
    _, marked, asked = places(path)
    if not _put(path, rows):
        raise UsageError(f"there is no draw to write to {path.name}")
    return (path, *([marked] * _put(marked, labels)), *([asked] * _put(asked, prompts)))


def places(path: Path) -> tuple[Path, Path, Path]:
    """Where a recording, its labels and its prompts go.

    Raises:
        UsageError: The name ends otherwise than a recording's.
    """
    suffix = path.name.removeprefix(stem(path))
    return path, sibling(path, "labels", suffix), sibling(path, "prompts", ".jsonl")


def spare(path: Path, inputs: Iterable[Path], *, replace: bool, remedy: str) -> None:
    """Refuse a recording that would destroy what is read, or what was there before.

    Args:
        path: The recording that is to be written.
        inputs: Files and folders that are read.
        replace: Whether files of the recording that are there already may be replaced.
        remedy: What to do where they may not.

    Raises:
        UsageError: A file would be lost; names it.
    """
    read = tuple(inputs)
    for place in places(path):
        for file in (place, _part(place)):
            if any(_same(one, file) or (one.is_dir() and _within(file, one)) for one in read):
                raise UsageError(
                    f"-o {path} would write onto {file}, which is read or belongs to what is read; "
                    "give -o another name"
                )
        if place.exists() and not replace:
            raise UsageError(f"-o {path} would replace {place}, which is there already; {remedy}")


def with_siblings(inputs: Iterable[Path]) -> tuple[Path, ...]:
    """Files and folders, with the labels and prompts that are there beside recordings among them."""
    given = tuple(inputs)
    named = (one for one in given if one.name.endswith(SUFFIXES) and one.name not in SUFFIXES)
    beside = (sibling(one, what, end) for one in named for what in ("labels", "prompts") for end in SUFFIXES)
    return (*given, *filter(Path.exists, beside))


def _same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))


def _within(file: Path, folder: Path) -> bool:
    return file.exists() and file.resolve().is_relative_to(folder.resolve())


def _part(path: Path) -> Path:
    return path.with_name(path.name + ".part")


def _put(path: Path, rows: Iterable[Any]) -> bool:
    """Write a file; without any row there is none, and an older one goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    try:
        made = _PUT.get(path.suffix, _lines)(part, rows)
        if made:
            part.replace(path)
        else:
            path.unlink(missing_ok=True)
    finally:
        part.unlink(missing_ok=True)
    return made


def _lines(part: Path, rows: Iterable[Any]) -> bool:
    with part.open("wb") as file:
        return _encode(file, rows)


def _packed(part: Path, rows: Iterable[Any]) -> bool:
    # no name and no time in the header: the same rows give the same bytes
    with part.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as file:
        return _encode(file, rows)


def _encode(file: Any, rows: Iterable[Any]) -> bool:
    encode = msgspec.json.Encoder().encode
    block, made = bytearray(), False
    for row in rows:
        block += encode(row) + b"\n"
        made = True
        if len(block) > 1 << 20:
            file.write(block)
            block.clear()
    file.write(block)
    return made


def _parquet(part: Path, rows: Iterable[Any]) -> bool:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise UsageError(
            f"{part.stem} is parquet; pip install 'outlay[parquet]', or write JSON lines"
        ) from None
    shapes = {
        "text": pyarrow.string(),
        "whole": pyarrow.int64(),
        "number": pyarrow.float64(),
        "bool": pyarrow.bool_(),
        "numbers": pyarrow.list_(pyarrow.float64()),
        "texts": pyarrow.list_(pyarrow.string()),
        "words": pyarrow.map_(pyarrow.string(), pyarrow.bool_()),
    }
    writer: Any = None
    block: list[dict[str, Any]] = []

    def flush() -> None:
        nonlocal writer
        table = pyarrow.Table.from_pylist(block, schema=schema)
        if writer is None:
            writer = parquet.ParquetWriter(part, schema, compression="zstd")
        writer.write_table(table)
        block.clear()

    schema: Any = None
    for row in rows:
        columns = ROW_COLUMNS if isinstance(row, Row) else LABEL_COLUMNS
        if schema is None:
            schema = pyarrow.schema([(name, shapes[shape]) for name, shape in columns.items()])
        block.append(_flat(row))
        if len(block) == 1 << 16:
            flush()
    if block:
        flush()
    if writer is not None:
        writer.close()
    return writer is not None


def _flat(row: Row | Label) -> dict[str, Any]:
    flat = msgspec.structs.asdict(row)
    if isinstance(row, Row):
        return flat | {"verdicts": list(row.verdicts.items())}
    values = row.gold if isinstance(row.gold, list) else [row.gold]
    mark = row.correct if row.right is None else row.right
    return flat | {
        "gold": None if row.gold is None else [text_of(value) for value in values if value is not None],
        "right": None if mark is None else float(mark),
    }


ROW_COLUMNS: Final = {
    "prompt": "text", "arm": "text", "draw": "whole", "answer": "text", "text": "text",
    "input": "whole", "cached": "whole", "output": "whole", "reasoning": "whole", "usd": "number",
    "ms": "whole", "confidence": "numbers", "finish": "text", "verdicts": "words", "estimated": "bool",
}  # fmt: skip
LABEL_COLUMNS: Final = {"prompt": "text", "gold": "texts", "arm": "text", "draw": "whole", "right": "number"}
_PUT: Final[Mapping[str, Callable[[Path, Iterable[Any]], bool]]] = {".gz": _packed, ".parquet": _parquet}
