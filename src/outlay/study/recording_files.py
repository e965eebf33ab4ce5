"""Writes a recording and its siblings: JSON lines, compressed or not, or parquet."""

import gzip
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from outlay.engines.recorded import Row
from outlay.errors import UsageError
from outlay.study.recording import Label, sibling, stem, text_of


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
    suffix = path.name.removeprefix(stem(path))
    if not _put(path, rows):
        raise UsageError(f"there is no draw to write to {path.name}")
    marked, asked = sibling(path, "labels", suffix), sibling(path, "prompts", ".jsonl")
    return (path, *([marked] * _put(marked, labels)), *([asked] * _put(asked, prompts)))


def _put(path: Path, rows: Iterable[Any]) -> bool:
    """Write a file; without any row there is none, and an older one goes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
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
