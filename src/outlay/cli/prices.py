"""`outlay prices`: what models cost by the price tables, and how to bring in your own."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from outlay.cli import options as shared

if TYPE_CHECKING:
    from outlay.config.price_table import Listed, Table

HELP = "list what models cost, or import prices"
USAGE = "[WORD …] [options]\n       outlay prices import FILE [--to FILE]"
ABOUT = """\
List what models cost, in dollars per million tokens: the rows of the price table that ships, and of
your own, whose names hold every WORD. A price counts for the host of the provider that bills it;
elsewhere only what you write: small@0.15/0.60 on the command line, price_in and price_out in a
config file, or prices = "table" there, which makes the tables count for every endpoint.

Import reads LiteLLM's map of prices, Inspect's file of model costs, or outlay's own shape (JSON,
perhaps with gzip) into your own table, which is asked before the one that ships. With --to it
writes another file, whose prices count for every endpoint where a config says prices = "FILE"."""
EXAMPLES = """\
examples:
  outlay prices gpt-4o
  outlay prices mistral small
  outlay prices import model_prices_and_context_window.json
  outlay prices import costs.json --to team.json
"""
SHOWN = 40
"""Rows that are shown; --json gives all."""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    group = parser.add_argument_group("which ones")
    group.add_argument(
        "words", nargs="*", metavar="WORD", help="part of a name; or import FILE, to read prices in"
    )
    group.add_argument("--to", type=Path, metavar="FILE", help="where import writes (your own table)")
    shared.end(shared.output(parser), "the list")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    from outlay.errors import UsageError

    if args.words[:1] == ["import"]:
        if len(args.words) != 2:
            raise UsageError("import reads one file: outlay prices import FILE [--to FILE]")
        return _import(Path(args.words[1]), args.to, as_json=args.json)
    if args.to is not None:
        raise UsageError("--to is where import writes: outlay prices import FILE --to FILE")
    return _list([word.lower() for word in args.words], as_json=args.json)


def _import(path: Path, to: Path | None, *, as_json: bool) -> int:
    import json
    from datetime import date
    from os import environ

    from outlay.config.price_shapes import imported
    from outlay.config.price_table import read_json, write_table
    from outlay.config.prices import user_file

    made = imported(read_json(path), source=path.name, date=date.today().isoformat())
    where = to or user_file(environ)
    if where.suffix not in (".json", ".gz"):
        from outlay.errors import UsageError

        raise UsageError(f"--to {where}: prices are written as JSON; name it {where}.json")
    write_table(where, made.table)
    if as_json:
        print(json.dumps({"prices": len(made.table.rows), "left_out": made.left_out, "to": str(where)}))
        return 0

    from outlay.cli.console import escape, out

    console = out()
    console.print(f"[bold]{len(made.table.rows):,}[/] prices in {escape(str(where))}", soft_wrap=True)
    if made.left_out:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in made.left_out.items())
        console.print(f"left out: {escape(reasons)}", soft_wrap=True)
    if to is not None:
        console.print(
            f"[dim]to use it, in a config file: prices = {escape(json.dumps(str(to)))}[/]", soft_wrap=True
        )
    return 0


def _list(words: list[str], *, as_json: bool) -> int:
    import json
    from os import environ

    from outlay.config import Settings
    from outlay.config.prices import open_book
    from outlay.errors import UsageError

    tables = open_book(Settings(), environ).tables
    found = _found(tables, words)
    if as_json:
        print(json.dumps([_row(row, name, table) for name, table, row in found]))
        return 0
    if not found:
        raise UsageError(
            f"no price of {' '.join(words)!r}; names are exact, so try less of it, or write it yourself: "
            "--models NAME@IN/OUT"
        )
    _show(found, tables)
    return 0


def _found(tables: "tuple[tuple[str, Table], ...]", words: list[str]) -> "list[tuple[str, Table, Listed]]":
    """Rows that hold every word: a whole name first, then short names before long ones."""
    found: dict[str, tuple[str, Table, Listed]] = {}
    for name, table in tables:
        for key in table.rows:
            if key not in found and all(word in key.lower() for word in words):
                row = table.named(key)
                assert row is not None
                found[key] = (name, table, row)
    asked = " ".join(words)
    return sorted(
        found.values(), key=lambda one: (one[2].name.lower() != asked, len(one[2].name), one[2].name)
    )


def _show(found: "list[tuple[str, Table, Listed]]", tables: "tuple[tuple[str, Table], ...]") -> None:

    from outlay.cli.console import escape, out, table
    from outlay.config.prices import per_million

    made = table("name", "billed by", "in", "cached", "written", "out", "more past", "", right="cdefg")
    for name, _, row in found[:SHOWN]:
        amounts = (row.input, row.cached, row.written, row.output)
        made.add_row(
            escape(row.name),
            escape(row.provider),
            *("" if amount is None else per_million(amount) for amount in amounts),
            f"{row.up_to:,}" if row.up_to else "",
            "yours" if len(tables) > 1 and name != tables[-1][0] else "",
        )
    console = out()
    console.print(made)
    if len(found) > SHOWN:
        console.print(f"and {len(found) - SHOWN:,} more: say more of the name, or --json")
    console.print(
        "[dim]Dollars per million tokens: fresh input, read from a cache, written to one, output; and the length of "
        "a prompt past which the provider bills more.[/]"
    )
    for name, of in tables:
        console.print(
            f"[dim]{escape(name)}: {len(of.rows):,} models, of {escape(of.date)}, {escape(of.source)}[/]"
        )


def _row(row: "Listed", name: str, table: "Table") -> dict[str, object]:
    from outlay.types import NANO

    amounts = {
        "price_in": row.input,
        "price_out": row.output,
        "price_cached": row.cached,
        "price_written": row.written,
    }
    return {
        "name": row.name,
        "provider": row.provider,
        **{key: None if nano is None else nano / NANO for key, nano in amounts.items()},
        "up_to": row.up_to,
        "from": name,
        "date": table.date,
    }
