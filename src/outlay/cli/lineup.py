"""Who would answer in a run, and at what price: the lines of `outlay models`."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from outlay.cli.console import escape, out, table
from outlay.config import Settings
from outlay.config.prices import BASE_URL, Quote, per_million, quotes
from outlay.types import NANO, Arm, Price

NUMBERS: Final = ("temp.", "most tok", "$/Mtok in", "out", "price from")


def show(arms: Sequence[Arm], settings: Settings, environ: Mapping[str, str], *, as_json: bool) -> int:
    """Print each way in which a model would be asked."""
    found = quotes(arms, settings, environ)
    if as_json:
        print(json.dumps([_row(arm, found.get(arm.name)) for arm in arms]))
        return 0
    columns: dict[str, Callable[[Arm], str]] = {
        "name": lambda arm: f"{arm.name} (a judge)" if arm.role == "judge" else arm.name,
        "model": lambda arm: "" if arm.name.startswith(arm.model) or arm.engine == "pocket" else arm.model,
        "at": lambda arm: "the package" if arm.engine == "pocket" else arm.engine,
        "mode": lambda arm: arm.mode,
        "temp.": lambda arm: f"{arm.temperature:g}",
        "most tok": lambda arm: f"{arm.max_tokens:,}",
        "$/Mtok in": lambda arm: per_million(_price(arm, found.get(arm.name)).input),
        "out": lambda arm: per_million(_price(arm, found.get(arm.name)).output),
        "price from": lambda arm: _source(arm, found.get(arm.name)),
    }
    cells = {title: [cell(arm) for arm in arms] for title, cell in columns.items()}
    told = [title for title in cells if any(cells[title])]
    numbers = "".join(chr(ord("a") + at) for at, title in enumerate(told) if title in NUMBERS)
    made = table(*told, right=numbers)
    for row in zip(*(cells[title] for title in told), strict=True):
        made.add_row(*map(escape, row))
    console = out()
    console.print(made)
    for line in _remarks(arms, settings, environ, found):
        console.print(f"[dim]{escape(line)}[/]", soft_wrap=True)
    return 0


def _price(arm: Arm, quote: Quote | None) -> Price:
    return quote.price if quote is not None and quote.counts else arm.price


def _source(arm: Arm, quote: Quote | None) -> str:
    if arm.engine == "pocket":
        return "runs here"
    if arm.price.known():
        return "you"
    return quote.source.replace("the price ", "").replace(" of ", " ") if quote and quote.counts else ""


def _remarks(
    arms: Sequence[Arm], settings: Settings, environ: Mapping[str, str], found: Mapping[str, Quote]
) -> Iterator[str]:
    urls = {endpoint.name: endpoint.url for endpoint in settings.endpoints}
    for name in dict.fromkeys(arm.engine for arm in arms if arm.engine != "pocket"):
        yield f"{name} is {urls.get(name) or environ.get(BASE_URL) or 'not set: set OPENAI_BASE_URL'}"
    for model, quote in {arm.model: found[arm.name] for arm in arms if arm.name in found}.items():
        if not quote.counts:
            row = quote.row
            yield (
                f"{quote.source} lists {row.name} at {per_million(row.input)}/{per_million(row.output)} for "
                f"{row.provider or 'its provider'}; it counts for that host alone, unless you write "
                f'{model}@{per_million(row.input)}/{per_million(row.output)}, or prices = "table" in a config file'
            )
    yield "Cheap to dear, as --models takes them. A price that is not known is never read as free."


def _row(arm: Arm, quote: Quote | None) -> dict[str, object]:
    price = _price(arm, quote)
    return {
        "name": arm.name,
        "role": arm.role,
        "model": arm.model,
        "engine": arm.engine,
        "mode": arm.mode,
        "temperature": arm.temperature,
        "max_tokens": arm.max_tokens,
        "price_in": _dollars(price.input),
        "price_out": _dollars(price.output),
        "price_cached": _dollars(price.cached),
        "price_from": _source(arm, quote) or None,
    }


def _dollars(nano: int | None) -> float | None:
    return None if nano is None else nano / NANO
