"""Prices in the shapes of other projects, brought into outlay's own.

LiteLLM's map: `{NAME: {"litellm_provider", "mode", "input_cost_per_token", "output_cost_per_token", …}}`, dollars per
token. Inspect's file for `--model-cost-config`: `{"openai/gpt-4o": {"input", "output", "input_cache_read",
"input_cache_write"}}`, dollars per million tokens. What one number a token cannot say is left out, with the reason.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

from outlay.config.amounts import dollars
from outlay.config.price_table import VERSION, Table
from outlay.errors import UsageError
from outlay.types import MILLION

SHAPES: Final = (
    'LiteLLM\'s {"gpt-4o": {"input_cost_per_token": 2.5e-06, "output_cost_per_token": 1e-05, …}}, '
    'Inspect\'s {"openai/gpt-4o": {"input": 2.5, "output": 10, …}}, and outlay\'s own'
)
_TIER: Final = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
_PER_ANYTHING_ELSE: Final = ("input_cost_per_request", "output_cost_per_audio_token", "output_cost_per_image")
_INSPECT: Final = {"google": "gemini", "together": "together_ai", "grok": "xai", "fireworks": "fireworks_ai"}
"""Providers that Inspect names otherwise than LiteLLM."""


class Imported(NamedTuple):
    """What was read, and how many rows were left out for which reason."""

    table: Table
    left_out: Mapping[str, int]


class _LeftOut(Exception):
    """A row that cannot be used, and why."""


def imported(raw: object, *, source: str, date: str) -> Imported:
    """Prices of a file in one of the known shapes.

    Args:
        raw: The file as JSON.
        source: Said where a price is shown, unless the file is outlay's own.
        date: The day they are of, likewise.

    Raises:
        UsageError: No shape fits, or no row can be used.
    """
    if isinstance(raw, dict) and raw.get("outlay_prices") == VERSION and isinstance(raw.get("prices"), dict):
        return Imported(Table(str(raw.get("source", "")), str(raw.get("date", "")), raw["prices"]), {})
    rows = {name: row for name, row in raw.items() if isinstance(row, dict)} if isinstance(raw, dict) else {}
    if any("input_cost_per_token" in row for row in rows.values()):
        read = _litellm
    elif any("input" in row and "output" in row for row in rows.values()):
        read = _inspect
    else:
        raise UsageError(f"{source} holds prices in no known shape; known are {SHAPES}")
    kept: dict[str, list[Any]] = {}
    left_out: Counter[str] = Counter()
    for name, row in rows.items():
        try:
            key, values = read(name, row)
            kept[key] = list(_trimmed(values))
        except _LeftOut as reason:
            left_out[str(reason)] += 1
    if not kept:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.most_common(5))
        raise UsageError(f"{source} holds no price that can be used: {reasons}; known are {SHAPES}")
    return Imported(Table(source, date, kept), left_out)


def _trimmed(values: list[Any]) -> Iterator[Any]:
    most = max((at for at, value in enumerate(values) if value is not None), default=-1)
    yield from values[: most + 1]


def _litellm(name: str, row: Mapping[str, Any]) -> tuple[str, list[Any]]:
    if row.get("mode", "chat") != "chat" or name == "sample_spec":
        raise _LeftOut("not for chat")
    searches = "search_context_cost_per_query" in row and ("search" in name or "sonar" in name)
    if searches or "tiered_pricing" in row or any(row.get(key) for key in _PER_ANYTHING_ELSE):
        raise _LeftOut("not billed by the token alone")
    fresh, output = _number(row, "input_cost_per_token"), _number(row, "output_cost_per_token")
    if fresh is None or output is None:
        raise _LeftOut("without a price a token")
    # In this map nought mostly means that nobody knows: it is never read as free.
    if fresh <= 0 or output <= 0:
        raise _LeftOut("at nought")
    if (_number(row, "output_cost_per_reasoning_token") or 0) > output:
        raise _LeftOut("with thoughts dearer than output")
    cached = _number(row, "cache_read_input_token_cost") or _number(row, "input_cost_per_token_cache_hit")
    written = _number(row, "cache_creation_input_token_cost")
    # Claude writes to a cache only when asked to, and a run does not ask.
    written = written if written is not None and written > fresh and "claude" not in name else None
    tiers = [int(found[1]) * 1000 for key in row if (found := _TIER.fullmatch(key))]
    amounts = [None if one is None else _plain(one * MILLION) for one in (fresh, output, cached, written)]
    return name, [str(row.get("litellm_provider", "")), *amounts, min(tiers, default=None)]


def _inspect(name: str, row: Mapping[str, Any]) -> tuple[str, list[Any]]:
    fresh, output = _number(row, "input"), _number(row, "output")
    if fresh is None or output is None:
        raise _LeftOut("without a price in and out")
    cached, written = _number(row, "input_cache_read"), _number(row, "input_cache_write")
    written = written if written is not None and written > fresh and "claude" not in name else None
    provider, _, model = name.removeprefix("openai-api/").partition("/")
    provider = _INSPECT.get(provider, provider) if model else ""
    key = f"{provider}/{model}" if provider else name
    return key, [
        provider,
        *(None if one is None else _plain(one) for one in (fresh, output, cached, written)),
    ]


def _number(row: Mapping[str, Any], key: str) -> Decimal | None:
    """A price, exactly as it is written."""
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _LeftOut(f"with {key} that is no number")
    try:
        dollars(value)  # also bounds it
    except UsageError:
        raise _LeftOut(f"with {key} that is no price") from None
    return Decimal(str(value))


def _plain(value: Decimal) -> int | float:
    return int(value) if value == int(value) else float(value)
