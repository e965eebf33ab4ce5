"""What `doctor` and `init` look at: which models at which endpoints, and what probing them showed."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

from outlay.api import BASE_URL
from outlay.cli.console import count
from outlay.config import Endpoint, Settings, arms_for, parse_budget, show_amount
from outlay.config.prices import quotes, with_prices
from outlay.config.settings import UNKNOWN
from outlay.engines.http.asking import Line, Purse, shown
from outlay.engines.http.probe import Report, at_most, probe
from outlay.engines.http.roster import Listed, served
from outlay.errors import BudgetError, UpstreamError
from outlay.types import Arm, Budget, Cost, Price

FEW = 4
"""An endpoint that lists more models is not probed before some are named."""

Say = Callable[[str], None]


class Target(NamedTuple):
    """An endpoint, and the models of it that would be used; none where none is named."""

    endpoint: Endpoint
    models: tuple[str, ...]
    from_env: bool


@final
@dataclass(frozen=True, slots=True)
class Seen:
    """One endpoint as it was found.

    Attributes:
        endpoint: As it is configured.
        shown: Its address, without what may be secret.
        key_set: Whether its key's variable holds something.
        listed: The models that it lists.
        unlisted: Why it lists none.
        reports: What the probed models honour.
        failed: By model, why it could not be probed.
        prices: By model, its price; unknown where nobody says it.
        sources: By model, where the price is from, for people.
    """

    endpoint: Endpoint
    shown: str
    key_set: bool
    listed: tuple[Listed, ...]
    unlisted: str
    reports: tuple[Report, ...]
    failed: Mapping[str, str]
    prices: Mapping[str, Price]
    sources: Mapping[str, str]


def targets(settings: Settings, environ: Mapping[str, str]) -> list[Target]:
    """The endpoints of a run; none where the model in the package answers.

    Raises:
        UsageError: A model means nothing.
    """
    if not settings.models and BASE_URL not in environ:
        if settings.pick:
            arms_for(settings, endpoint=False)
        return []
    named = settings.models or settings.pick
    arms = arms_for(settings, endpoint=BASE_URL in environ) if named else ()
    endpoints = {endpoint.name: endpoint for endpoint in settings.endpoints}
    engines = [name for name in dict.fromkeys(arm.engine for arm in arms) if name != "pocket"] or ["http"]
    if arms and all(arm.engine == "pocket" for arm in arms):
        return []
    made = []
    for name in engines:
        endpoint = endpoints.get(name) or Endpoint(name, "")
        from_env = not endpoint.url
        endpoint = replace(endpoint, url=endpoint.url or environ.get(BASE_URL, ""))
        models = tuple(dict.fromkeys(arm.model for arm in arms if arm.engine == name))
        made.append(Target(endpoint, models, from_env))
    return made


def look(
    found: Sequence[Target], settings: Settings, environ: Mapping[str, str], budget: Budget, say: Say
) -> tuple[Seen, ...]:
    """Ask the endpoints, one model after the other: small machines hold one at a time.

    Raises:
        BudgetError: The budget is in dollars and a price is unknown.
        UsageError: An address is none.
    """

    async def run() -> tuple[Seen, ...]:
        purse = Purse(budget)
        return tuple([await _endpoint(target, settings, environ, purse, say) for target in found])

    return asyncio.run(run())


async def _endpoint(
    target: Target, settings: Settings, environ: Mapping[str, str], purse: Purse, say: Say
) -> Seen:
    endpoint = target.endpoint
    where = BASE_URL if target.from_env else f"url in [[endpoint]] {endpoint.name}"
    key = environ.get(endpoint.key_env, "")
    line = Line(endpoint.url, key, url_env=where, key_env=endpoint.key_env)
    try:
        listed, unlisted = await _listed(line)
        names = target.models or (tuple(one.name for one in listed) if len(listed) <= FEW else ())
        known = {one.name: one for one in listed}
        prices, sources = _prices(names, known, target, settings, environ)
        _announce(names, prices, purse, say)
        reports, failed = [], {}
        for name in names:
            say(f"  {name}")
            one = known.get(name) or Listed(name, listed[0].server if listed else "")
            try:
                reports.append(await probe(line, one, purse=purse, price=prices[name], extra=endpoint.extra))
            except UpstreamError as error:
                failed[name] = str(error)
        address = shown(endpoint.url)
        return Seen(endpoint, address, bool(key), listed, unlisted, tuple(reports), failed, prices, sources)
    finally:
        await line.close()


async def _listed(line: Line) -> tuple[tuple[Listed, ...], str]:
    try:
        return tuple(await served(line)), ""
    except UpstreamError as error:
        return (), str(error)


def _prices(
    names: Sequence[str],
    known: Mapping[str, Listed],
    target: Target,
    settings: Settings,
    environ: Mapping[str, str],
) -> tuple[dict[str, Price], dict[str, str]]:
    """A price that was written goes before that of a table, and this before what the endpoint lists."""
    arms = arms_for(settings, endpoint=True) if target.models else ()
    written = {
        arm.model: arm.price for arm in arms if arm.engine == target.endpoint.name and arm.price.known()
    }
    bare = [Arm(name, target.endpoint.name, model=name) for name in names if name not in written]
    told = {arm.model: arm.price for arm in with_prices(bare, settings, environ) if arm.price.known()}
    tables = {name: quote.source for name, quote in quotes(bare, settings, environ).items() if quote.counts}
    prices, sources = {}, {}
    for name in names:
        listed = known[name].price if name in known else UNKNOWN
        if name in written:
            prices[name], sources[name] = written[name], "as written"
        elif name in told:
            prices[name], sources[name] = told[name], f"by {tables[name]}"
        else:
            prices[name], sources[name] = listed, "as the endpoint lists it" if listed.known() else ""
    return prices, sources


def _announce(names: Sequence[str], prices: Mapping[str, Price], purse: Purse, say: Say) -> None:
    """Say what it may cost before it costs anything."""
    if not names:
        return
    unknown = [name for name in names if not prices[name].known()]
    if purse.budget.usd is not None and unknown:
        raise BudgetError(
            f"a budget in dollars needs the price of {', '.join(unknown)}; write --models "
            f"{unknown[0]}@0.15/0.60 (dollars per million tokens in and out), or --budget in tokens"
        )
    worst, calls = Cost(), 0
    for name in names:
        each, cost = at_most(prices[name])
        worst, calls = worst + cost, calls + each
    limits = " and ".join(show_amount(unit, limit) for unit, limit in purse.budget.limits().items())
    dollars = f" ({show_amount('usd', worst.usd)})" if worst.usd else ""
    say(
        f"asking {count(len(names), 'model')} what {'it honours' if len(names) == 1 else 'they honour'}: "
        f"at most {calls} calls and {show_amount('tok', worst.tok)}{dollars}"
        f"{f', and no more than {limits}' if limits else ''}"
    )


def show_worst() -> str:
    """What one model may take at most, for people."""
    return show_amount("tok", at_most()[1].tok)


def budget_of(texts: Sequence[str] | None) -> Budget:
    """What finding out may cost; by default what it takes."""
    return parse_budget(*texts) if texts else Budget()


def to_stderr(text: str) -> None:
    """Progress, where results go to standard output."""
    from outlay.cli.console import harmless

    print(harmless(text), file=sys.stderr)
