"""From what models honour to a config: ways to ask them, cheap to dear, and the file that says so."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, final
from urllib.parse import urlsplit

from outlay.cli.checkup import Seen
from outlay.config.prices import per_million
from outlay.config.settings import SAMPLED
from outlay.engines.http.chat import LLAMA_PLAIN
from outlay.engines.http.probe import Report, thinking
from outlay.engines.http.roster import Listed
from outlay.types import Price

PLAIN, LONG = 1024, 4096
"""Most tokens of an answer: without thought, and with it."""
SHORT: Final = "short"
THINK: Final = "think"

_SIZE: Final = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])", re.IGNORECASE)


class Way(NamedTuple):
    """One way to ask a model: an entry of the config.

    Attributes:
        name: What receipts will call it.
        mode: An effort, `short`, `think`, or empty.
        temperatures: 0 is greedy.
        max_tokens: Most output tokens.
    """

    name: str
    mode: str
    temperatures: tuple[float, ...]
    max_tokens: int


@final
@dataclass(frozen=True, slots=True)
class Tier:
    """A model and the ways to ask it.

    Attributes:
        report: What it honours.
        size: Parameters, as told or as its name says; 0 where neither.
        price: In nano-dollars per million tokens.
        source: Where the price is from.
        ways: From short to long.
    """

    report: Report
    size: float
    price: Price
    source: str
    ways: tuple[Way, ...]


def size_of(listed: Listed) -> float:
    """Parameters of a model, as its endpoint tells or its name says; 0 where neither does.

    >>> [size_of(Listed(name)) for name in ("qwen2.5-coder:0.5b", "Mixtral-8x7B", "SmolLM2-135M", "gpt-4o")]
    [500000000.0, 56000000000.0, 135000000.0, 0.0]
    """
    if listed.parameters:
        return float(listed.parameters)
    found = _SIZE.search(listed.name)
    if not found:
        return 0.0
    times, number, letter = found.groups()
    return float(times or 1) * float(number) * (1e9 if letter in "bB" else 1e6)


def tiers(seen: Seen) -> tuple[tuple[Tier, ...], str]:
    """The models that can be used, cheap to dear, and by what they are ordered."""
    known = {one.name: one for one in seen.listed}
    usable = [report for report in seen.reports if not report.stopped]
    names = _short_names([report.model for report in usable])
    made = [
        Tier(
            report,
            size_of(known.get(report.model) or Listed(report.model)),
            seen.prices[report.model],
            seen.sources[report.model],
            _ways(names[report.model], report),
        )
        for report in usable
    ]
    if all(tier.price.known() for tier in made):
        return tuple(sorted(made, key=_dear)), "by price"
    if all(tier.size for tier in made):
        return tuple(sorted(made, key=lambda tier: tier.size)), "by size"
    return tuple(made), "in the order given: neither all prices nor all sizes are known"


def _dear(tier: Tier) -> tuple[int, int]:
    return (tier.price.output or 0, tier.price.input or 0)


def _ways(name: str, report: Report) -> tuple[Way, ...]:
    """The modes that were seen to matter, short before long."""
    switch = report.status("think mode") == "honoured"
    efforts = ("low", "high") if report.status("effort") == "honoured" else ()
    longer = efforts or ((THINK,) if switch else ())
    modes = ((SHORT,) if switch else ()) + longer
    if not modes:
        return (_way(name, "", report, long=report.thinks),)
    return tuple(_way(f"{name}-{mode}", mode, report, long=mode != SHORT) for mode in modes)


def _way(name: str, mode: str, report: Report, *, long: bool) -> Way:
    most = LONG if long else PLAIN
    most = min(most, report.context // 2) if report.context else most
    if report.status("greedy") == "refused":
        return Way(name, mode, (1.0,), most)
    # Greedy thoughts are known to run in circles: makers of such models advise to sample them.
    return Way(name, mode, (SAMPLED,) if long and report.thinks else (0.0, SAMPLED), most)


def _short_names(models: Sequence[str]) -> dict[str, str]:
    """Names for receipts: a file without its folders, unless two would be called alike."""
    made: dict[str, str] = {}
    for model in models:
        short = re.sub(r"\.gguf$", "", model.rpartition("/")[2]) or model
        name = next(
            name for name in (short, model, f"{short}-{len(made)}") if _clean(name) not in made.values()
        )
        made[model] = _clean(name)
    return made


def _clean(name: str) -> str:
    """A comma separates names in --models, and @ a price; a config wants what can be printed, and no novel."""
    return "".join("-" if letter in ",@ " or not letter.isprintable() else letter for letter in name)[:150]


def config_text(seen: Seen, chosen: Sequence[Tier], order: str) -> str:
    """The config file."""
    name = endpoint_name(seen.endpoint.url)
    lines = [
        "# What to ask, and how. Written by `outlay init` from what the endpoint showed; edit it as you like.",
        "#   outlay run FILE --config THIS --budget 40ktok",
        "",
        '# budget = ["40ktok", "10min"]   # --budget goes before it; dollars need prices',
        "",
        "[[endpoint]]",
        f"name = {_text(name)}",
        f"url = {_text(seen.endpoint.url)}",
        f"key_env = {_text(seen.endpoint.key_env)}   # the variable that holds the key; never the key itself",
        *_extra(chosen),
        *_modes(chosen),
        "# rpm = 60                      # requests and tokens a minute, where the endpoint limits them unsaid",
        "# tpm = 100_000",
        "",
        f"# Models, cheap to dear, {order}. The order matters: change it if you know better.",
    ]
    for tier in chosen:
        lines += ["", *_about(tier)]
        for way in tier.ways:
            lines += [*_entry(tier, way, name), ""]
        lines.pop()
    for model, why in _left_out(seen):
        lines += ["", f"# {_plain(model)} is left out: {_plain(why)}"]
    return "\n".join(lines) + "\n"


def _left_out(seen: Seen) -> list[tuple[str, str]]:
    """Models that no run can use, and why."""
    made = list(seen.failed.items())
    for report in seen.reports:
        if report.stopped:
            cap = next(one for one in report.findings if one.capability == "max_tokens")
            why = f"max_tokens is ignored. {cap.evidence}" if cap.status == "ignored" else report.stopped
            made.append((report.model, why))
    return made


def _extra(chosen: Sequence[Tier]) -> list[str]:
    if not any(tier.report.status("plain samples") == "ignored" for tier in chosen):
        return []
    return [
        "# llama.cpp cuts its samples unless told otherwise; votes need samples from the whole distribution.",
        f"extra = {_inline(LLAMA_PLAIN)}",
    ]


def _modes(chosen: Sequence[Tier]) -> list[str]:
    used = {way.mode for tier in chosen for way in tier.ways}
    if SHORT not in used:
        return []
    said = {SHORT: thinking(False), **({THINK: thinking(True)} if THINK in used else {})}
    return ["# What a request says to switch thinking.", f"modes = {_inline(said)}"]


def _about(tier: Tier) -> list[str]:
    """What was found out about a model that bears on its entries."""
    report = tier.report
    lines = [f"# ── {_plain(report.model)}"]
    lines += [
        f"# {found.capability}: {found.status}. {_plain(found.evidence)}"
        for found in report.findings
        if found.capability in ("n", "seed", "logprobs", "usage with n", "greedy", "effort", "think mode")
        and found.status in ("ignored", "refused")
    ]
    return lines


def _entry(tier: Tier, way: Way, endpoint: str) -> list[str]:
    heats = [f"{heat:g}" for heat in way.temperatures]
    heat, both = (f"[{', '.join(heats)}]", True) if len(heats) > 1 else (heats[0], False)
    lines = ["[[model]]", f"name = {_text(way.name)}"]
    if tier.report.model != way.name:
        lines.append(f"model = {_text(tier.report.model)}")
    lines.append(f"endpoint = {_text(endpoint)}")
    if way.mode:
        lines.append(f"mode = {_text(way.mode)}")
    lines += [
        f"temperature = {heat}{'   # greedy, bought once at most, and samples' if both else ''}",
        f"max_tokens = {way.max_tokens}",
    ]
    if tier.price.known() and not tier.source.startswith("by "):
        lines += [f"price_in = {per_million(tier.price.input)}   # dollars per million tokens, {tier.source}"]
        lines += [f"price_out = {per_million(tier.price.output)}"]
    elif tier.price.known():
        prices = f"{per_million(tier.price.input)} in, {per_million(tier.price.output)} out"
        lines.append(
            f"# price: {prices}, dollars per million tokens, {tier.source}; price_in, price_out go before"
        )
    else:
        lines.append("# price_in = 0.15   # dollars per million tokens; unknown, and never read as free")
        lines.append("# price_out = 0.60")
    return lines


def endpoint_name(url: str) -> str:
    """A short name for an endpoint.

    >>> [endpoint_name(f"http://{host}/v1") for host in ("localhost:8000", "127.0.0.1", "api.openai.com")]
    ['local', 'local', 'openai']
    """
    host = urlsplit(url).hostname or ""
    parts = host.split(".")
    if host == "localhost" or ":" in host or parts[-1].isdigit():
        return "local"
    name = parts[-2] if len(parts) > 1 else parts[0]
    return name if name not in ("http", "pocket") else f"{name}-endpoint"


def _plain(words: str) -> str:
    """A server's words on one line of a comment."""
    return "".join(letter for letter in " ".join(words.split()) if letter.isprintable())


def _text(value: str) -> str:
    # JSON's form of a text is TOML's, but for this one letter.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _inline(value: object) -> str:
    """A value in TOML, tables on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {_inline(one)}" for key, one in value.items()) + "}"
    return json.dumps(value)


def way_rows(chosen: Sequence[Tier]) -> list[dict[str, Any]]:
    """The ways as JSON."""
    return [
        {
            "name": way.name,
            "model": tier.report.model,
            "mode": way.mode,
            "temperature": list(way.temperatures),
        }
        | {"max_tokens": way.max_tokens}
        for tier in chosen
        for way in tier.ways
    ]
