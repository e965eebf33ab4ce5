"""What the models of a run cost where nobody wrote a price: who may be believed, and for which endpoint.

A table says what a *provider* bills. So it counts for the provider's own host, and elsewhere only if the user says
so: a local server that calls its model `gpt-4o` sends no bill of OpenAI's. Names are exact. See decision 0009.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, final
from urllib.parse import urlsplit

from outlay.config.price_table import Listed, Table, read_table, shipped
from outlay.config.settings import Settings, model_name
from outlay.errors import BudgetError
from outlay.types import NANO, Arm, Price, Prompt

BASE_URL: Final = "OPENAI_BASE_URL"
TABLE: Final = "table"
"""The value of `prices` that makes the table count for every endpoint."""

HOSTS: Final[Mapping[str, str]] = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "gemini",
    "api.mistral.ai": "mistral",
    "api.deepseek.com": "deepseek",
    "api.groq.com": "groq",
    "api.together.xyz": "together_ai",
    "api.together.ai": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "api.x.ai": "xai",
    "api.deepinfra.com": "deepinfra",
    "api.perplexity.ai": "perplexity",
    "api.moonshot.ai": "moonshot",
    "api.cerebras.ai": "cerebras",
    "api.novita.ai": "novita",
    "api.hyperbolic.xyz": "hyperbolic",
    "api.sambanova.ai": "sambanova",
    "api.z.ai": "zai",
}
"""Hosts that bill what the table lists for a provider. Hosts of a region may bill more, so only these."""

TIER: Final = "service_tier"
"""A field of a request with which a provider bills otherwise."""


class Quote(NamedTuple):
    """A price that nobody wrote for this run, and where it is from.

    Attributes:
        row: What was found.
        source: The file and its date, for people.
        counts: Whether it is what this endpoint bills.
    """

    row: Listed
    source: str
    counts: bool

    @property
    def price(self) -> Price:
        """Nano-dollars per million tokens."""
        return self.row.price()


@final
@dataclass(frozen=True, slots=True)
class Book:
    """The tables of a run.

    Attributes:
        tables: The user's own before the one that ships; each with its name for people.
        named: The file that the config names; its prices count for every endpoint.
        anywhere: Whether those of `tables` do too.
    """

    tables: tuple[tuple[str, Table], ...]
    named: tuple[str, Table] | None = None
    anywhere: bool = False

    def quote(self, model: str, url: str, *, plain: bool = True) -> Quote | None:
        """The price of a model at an endpoint.

        Args:
            model: The endpoint's name for it.
            url: The endpoint.
            plain: Whether requests say nothing that changes the bill.
        """
        provider = provider_of(url)
        if self.named is not None:
            name, table = self.named
            row = (
                table.named(model) or (table.at(provider, model) if provider else None) or table.alone(model)
            )
            if row is not None:
                return Quote(row, f"{name}{_of(table)}", plain)
        for name, table in self.tables:
            if provider and (row := table.at(provider, model)):
                return Quote(row, f"{name}{_of(table)}", plain)
            if not provider and (row := table.named(model)):
                return Quote(row, f"{name}{_of(table)}", plain and self.anywhere)
        return None


def open_book(settings: Settings, environ: Mapping[str, str]) -> Book:
    """Read the tables.

    Raises:
        UsageError: A file of prices cannot be read.
    """
    own = user_file(environ)
    tables = [("your price table", read_table(own))] if own.is_file() else []
    tables.append(("the price table", shipped()))
    named = None
    if settings.prices is not None and settings.prices != TABLE:
        named = (settings.prices, read_table(Path(settings.prices)))
    return Book(tuple(tables), named, settings.prices == TABLE)


def user_file(environ: Mapping[str, str]) -> Path:
    """Where the user's own prices are, by the XDG rules."""
    home = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "~").expanduser() / ".config"
    return Path(home) / "outlay" / "prices.json"


def provider_of(url: str) -> str:
    """Whose own host this is; empty for every other."""
    try:
        return HOSTS.get(urlsplit(url).hostname or "", "")
    except ValueError:  # half an IPv6 address
        return ""


def quotes(arms: Iterable[Arm], settings: Settings, environ: Mapping[str, str]) -> dict[str, Quote]:
    """By name, the price of every arm that has none and is in a table."""
    unknown = [arm for arm in arms if not arm.price.known()]
    if not unknown:
        return {}
    book = open_book(settings, environ)
    endpoints = {endpoint.name: endpoint for endpoint in settings.endpoints}
    fields = {model.name: model.fields for model in (*settings.models, *settings.judges)}
    found = {}
    for arm in unknown:
        endpoint = endpoints.get(arm.engine)
        url = (endpoint and endpoint.url) or environ.get(BASE_URL, "")
        sent = (endpoint.extra if endpoint else {}, *(endpoint.modes.values() if endpoint else ()))
        plain = not any(TIER in one for one in (*sent, fields.get(model_name(arm.name), {})))
        if quote := book.quote(arm.model, url, plain=plain):
            found[arm.name] = quote
    return found


def with_prices(arms: Sequence[Arm], settings: Settings, environ: Mapping[str, str]) -> tuple[Arm, ...]:
    """The arms, those without a price at that of a table which counts for their endpoint."""
    found = quotes(arms, settings, environ)
    return tuple(
        replace(arm, price=quote.price) if (quote := found.get(arm.name)) and quote.counts else arm
        for arm in arms
    )


def priced(arms: Sequence[Arm], settings: Settings, environ: Mapping[str, str]) -> tuple[Arm, ...]:
    """The arms as a run may buy them: under a dollar budget all have a price, written or of a table.

    Raises:
        BudgetError: A price is unknown; it would be read as free. Names the models, and where a price is written.
    """
    if settings.budget.usd is None or all(arm.price.known() for arm in arms):
        return tuple(arms)
    known = with_prices(arms, settings, environ)
    unknown = dict.fromkeys(model_name(arm.name) for arm in known if not arm.price.known())
    if not unknown:
        return known
    first = next(iter(unknown))
    raise BudgetError(
        f"a budget in dollars needs the price of {', '.join(unknown)}; write --models {first}@0.15/0.60 (dollars "
        "per million tokens in and out), or price_in and price_out in a config file"
        + _elsewhere(known, quotes(known, settings, environ))
    )


def _elsewhere(arms: Sequence[Arm], found: Mapping[str, Quote]) -> str:
    """What a table lists for another host than the endpoint's."""
    for arm in arms:
        if quote := found.get(arm.name):
            row = quote.row
            return (
                f"; {quote.source} lists {row.name} at {per_million(row.input)}/{per_million(row.output)} for "
                f"{row.provider or 'it'}, which counts for its own host alone: if your endpoint bills that, "
                'write so, or prices = "table" in a config file'
            )
    return ""


def no_longer(
    prompts: Iterable[Prompt], arms: Sequence[Arm], settings: Settings, environ: Mapping[str, str]
) -> None:
    """Refuse prompts that may be longer than the price of a table holds: past it a provider bills more.

    Raises:
        BudgetError: Names the prompt and the model.
    """
    if settings.budget.usd is None:
        return
    bare = [replace(arm, price=Price()) for arm in arms if arm.engine != "pocket" and arm.role != "check"]
    prices = {arm.name: arm.price for arm in arms}
    tiers = [
        (quote.row.up_to, name)
        for name, quote in quotes(bare, settings, environ).items()
        if quote.row.up_to is not None and quote.price == prices[name]
    ]
    if not tiers:
        return
    most, name = min(tiers)
    for prompt in prompts:
        # A token is a byte at least.
        if sum(len(message.content.encode()) for message in prompt.messages) > most:
            raise BudgetError(
                f"prompt {prompt.id!r} may be longer than {most:,} tokens, from where on {model_name(name)} costs "
                "more than the price table says; write its price: --models NAME@IN/OUT, or shorten the prompt"
            )


def per_million(nano: int | None) -> str:
    """Dollars per million tokens, for people.

    >>> per_million(150_000_000)
    '0.15'
    """
    return "unknown" if nano is None else f"{nano / NANO:.10g}"


def _of(table: Table) -> str:
    return f" of {table.date}" if table.date else ""
