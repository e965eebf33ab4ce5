"""A table of prices: what models cost, by whom it is billed, and of what day. Read only when it is asked.

One shape for the table that ships and for a user's own file, in JSON, perhaps with gzip:

    {"outlay_prices": 1, "source": "…", "date": "2026-11-20",
     "prices": {NAME: [PROVIDER, IN, OUT, CACHED, WRITTEN, UP_TO], …}}

Prices are dollars per million tokens: fresh input, output, input read from a cache, input written to one. `UP_TO`
is the number of input tokens past which a provider bills more. What is not known is null, or left out at the end.
"""

import gzip
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from outlay.config.amounts import dollars, shown
from outlay.errors import UsageError
from outlay.types import Price

VERSION: Final = 1
LARGEST: Final = 64 * 2**20
"""Bytes of a file of prices, unpacked."""
SHIPPED: Final = "prices.json.gz"


class Listed(NamedTuple):
    """One row. Amounts are nano-dollars per million tokens, None where unknown.

    Attributes:
        name: The key of the row, `mistral/mistral-small-latest`.
        provider: Who bills it, in LiteLLM's words; empty where the file does not say.
        written: Input that is written to a cache.
        up_to: Input tokens past which more is billed.
    """

    name: str
    provider: str
    input: int
    output: int
    cached: int | None = None
    written: int | None = None
    up_to: int | None = None

    def price(self) -> Price:
        """What a run books: all fresh input may be written to a cache, so the dearer of the two is its price."""
        cached = None if self.cached is None else min(self.cached, self.input)
        return Price(max(self.input, self.written or 0), self.output, cached)

    @property
    def model(self) -> str:
        """The name at the provider's own endpoint."""
        return self.name.removeprefix(f"{self.provider}/") if self.provider else self.name


@final
@dataclass(frozen=True, slots=True)
class Table:
    """Prices of one source.

    Attributes:
        source: Where they come from.
        date: The day they are of, `2026-11-20`.
        rows: As in the file, by name.
    """

    source: str
    date: str
    rows: Mapping[str, list[Any]]

    def named(self, name: str) -> Listed | None:
        """The row of exactly this name."""
        row = self.rows.get(name)
        return None if row is None else listed(name, row)

    def at(self, provider: str, model: str) -> Listed | None:
        """What the provider bills for a model that has this name at its own endpoint."""
        for name in (f"{provider}/{model}", model):
            found = self.named(name)
            if found is not None and found.provider == provider:
                return found
        return None

    def alone(self, model: str) -> Listed | None:
        """The only row whose name at its provider is this; None where there are several."""
        rows = [listed(name, row) for name, row in self.rows.items() if name.endswith(model)]
        fitting = [row for row in rows if row.model == model]
        return fitting[0] if len(fitting) == 1 else None


def listed(name: str, row: object) -> Listed:
    """A row as it stands in a file.

    Raises:
        UsageError: It is none.
    """
    try:
        if not isinstance(row, list) or not isinstance(row[0], str):
            raise ValueError
        amounts = [None if value is None else dollars(value) for value in row[1:5]]
        fresh, output, cached, written = (*amounts, None, None)[:4]
        up_to = row[5] if len(row) > 5 else None
        if fresh is None or output is None or not (up_to is None or isinstance(up_to, int)):
            raise ValueError
        return Listed(name, row[0], fresh, output, cached, written, up_to)
    except (ValueError, LookupError, TypeError):
        raise UsageError(
            f"the price of {shown(name)} cannot be read: {shown(row)}; import the file anew: outlay prices import"
        ) from None


@lru_cache(maxsize=1)
def shipped() -> Table:
    """The table in the package."""
    return _table(json.loads(gzip.decompress(files("outlay.config").joinpath(SHIPPED).read_bytes())), SHIPPED)


def read_table(path: Path) -> Table:
    """A file in the shape above.

    Raises:
        UsageError: It cannot be read, or has another shape.
    """
    return _table(read_json(path), str(path))


def _table(raw: object, where: str) -> Table:
    rows = raw.get("prices") if isinstance(raw, dict) and raw.get("outlay_prices") == VERSION else None
    if not isinstance(raw, dict) or not isinstance(rows, dict):
        raise UsageError(
            f"{where} holds no prices in outlay's shape; bring others into it: outlay prices import FILE --to {where}"
        )
    return Table(str(raw.get("source", "")), str(raw.get("date", "")), rows)


def write_table(path: Path, table: Table) -> None:
    """Write it in the shape above; the same bytes for the same table."""
    head = {"outlay_prices": VERSION, "source": table.source, "date": table.date}
    if path.suffix == ".gz":
        text = json.dumps(head | {"prices": table.rows}, ensure_ascii=False, separators=(",", ":"))
        raw = gzip.compress(text.encode(), mtime=0)
    else:  # a row a line, for eyes and diffs
        rows = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row)}" for name, row in table.rows.items())
        fields = "".join(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in head.items())
        raw = f'{{{fields}"prices": {{\n{rows}\n}}}}\n'.encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(raw)


def read_json(path: Path) -> object:
    """A JSON file, perhaps with gzip.

    Raises:
        UsageError: It cannot be read, is too large, or is not JSON.
    """
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            with gzip.open(file) if packed else file as unpacked:
                raw = unpacked.read(LARGEST + 1)
    except (OSError, EOFError, ValueError, zlib.error) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"prices {shown(str(path))} cannot be read: {reason.lower()}") from None
    if len(raw) > LARGEST:
        raise UsageError(f"{path} is larger than {LARGEST // 2**20} MiB; a file of prices is not")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        yaml = f"; YAML is not read, turn it into JSON: yq -o json {path}" if path.suffix != ".json" else ""
        raise UsageError(f"{path} is not JSON{yaml}") from None
