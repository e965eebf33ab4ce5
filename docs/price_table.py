"""Write the price table that ships, `src/outlay/config/prices.json.gz`, from a wheel of LiteLLM.

    pip download litellm --no-deps && python docs/price_table.py litellm-*.whl 2026-11-20

The day is that of the wheel. The map of prices in it is under the MIT license, see `NOTICE`.
"""

import json
import sys
import zipfile
from email.parser import HeaderParser
from pathlib import Path

from outlay.config.price_shapes import imported
from outlay.config.price_table import SHIPPED, Table, write_table

MAP = "litellm/model_prices_and_context_window_backup.json"
SHIPS = Path(__file__).parents[1] / "src" / "outlay" / "config" / SHIPPED


def source_of(wheel: zipfile.ZipFile) -> str:
    """Who made it, in which version, under which license."""
    metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    version = HeaderParser().parsestr(wheel.read(metadata).decode())["Version"]
    return f"LiteLLM {version}, model_prices_and_context_window; MIT license, Copyright (c) 2023 Berri AI; see NOTICE"


def main(path: str, date: str) -> None:
    """Read the wheel, write the table, say what was left out."""
    with zipfile.ZipFile(path) as wheel:
        source, raw = source_of(wheel), json.loads(wheel.read(MAP))
    made = imported(raw, source=source, date=date)
    write_table(SHIPS, Table(source, date, made.table.rows))
    left_out = ", ".join(f"{count:,} {reason}" for reason, count in made.left_out.items())
    print(
        f"{SHIPS.name}: {len(made.table.rows):,} prices, {SHIPS.stat().st_size:,} bytes; left out: {left_out}"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
