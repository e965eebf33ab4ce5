"""The config file: TOML, one schema. A key that it does not know is an error that names the nearest one."""

import difflib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from outlay.config.amounts import dollars, parse_budget, share_of, shown
from outlay.config.settings import SAMPLED, Endpoint, Model, Settings, checked, is_address
from outlay.errors import BudgetError, UsageError
from outlay.types import Price

MOST_TOKENS: Final = 10**9
MOST_NAME: Final = 200
DECIDED: Final = ("model", "messages", "max_tokens", "max_completion_tokens", "n", "stream", "seed", "stop")
"""Fields of a request that the run sets itself."""


class Key(NamedTuple):
    """One key of the file: what its value must be, in words, and the types that hold it."""

    says: str
    types: tuple[type, ...]


_TEXT: Final = Key("a text", (str,))
_COUNT: Final = Key("a whole number", (int,))
_NUMBER: Final = Key("a number", (int, float))
_TEXTS: Final = Key("a text or a list of texts", (str, list))
_NUMBERS: Final = Key("a number or a list of numbers", (int, float, list))
_TABLES: Final = Key("tables, as in [[{key}]]", (list,))
_FIELDS: Final = Key('a table of fields, such as {{reasoning_effort = "low"}}', (dict,))

_RUN: Final = {
    "model": _TABLES,
    "judge": _TABLES,
    "endpoint": _TABLES,
    "models": _TEXTS,
    "budget": _TEXTS,
    "check": _TEXTS,
    "policy": _TEXT,
    "strategy": _TEXT,
    "answer": _TEXT,
    "seed": _COUNT,
    "abstain": _NUMBER,
    "concurrency": _COUNT,
    "limit": _COUNT,
    "grade": Key("true or false", (bool,)),
    "directory": _TEXT,
    "prices": _TEXT,
    "holdout": Key('a share, such as "5%"', (str, int, float)),
    "on_crash": _TEXT,
}
_MODEL: Final = {
    "name": _TEXT,
    "model": _TEXT,
    "endpoint": _TEXT,
    "mode": _TEXT,
    "temperature": _NUMBERS,
    "max_tokens": _COUNT,
    "fields": _FIELDS,
    "price_in": _NUMBER,
    "price_out": _NUMBER,
    "price_cached": _NUMBER,
}
_ENDPOINT: Final = {
    "name": _TEXT,
    "url": _TEXT,
    "key_env": _TEXT,
    "extra": _FIELDS,
    "modes": Key('a table for each mode, such as {{think = {{reasoning_effort = "high"}}}}', (dict,)),
    "concurrency": _COUNT,
    "rpm": _COUNT,
    "tpm": _COUNT,
}
_JUDGE_SAYS: Final = 64
"""Most output tokens of a judge that is not told otherwise: it answers in a word."""


def load(path: Path) -> Settings:
    """Read a config file.

    Raises:
        UsageError: The file cannot be read, is not TOML, or has a key or value that means nothing.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(f"config {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"config {path} is not TOML: {error}") from None
    try:
        return settings_of(raw)
    except BudgetError as error:
        raise BudgetError(f"config {path}: {error}") from None
    except UsageError as error:
        raise UsageError(f"config {path}: {error}") from None


def settings_of(raw: Mapping[str, Any]) -> Settings:
    """Settings from the tables of a config file."""
    _validate(raw, _RUN, "")
    endpoints = tuple(_endpoint(table, at) for at, table in enumerate(_tables(raw, "endpoint"), 1))
    names = {endpoint.name for endpoint in endpoints}
    if len(names) < len(endpoints):
        raise UsageError("two [[endpoint]] tables have one name; give each its own")
    models = tuple(_model(table, at, names) for at, table in enumerate(_tables(raw, "model"), 1))
    judges = tuple(_judge(table, at, names) for at, table in enumerate(_tables(raw, "judge"), 1))
    given: dict[str, Any] = {key: raw[key] for key in raw if key in {f.name for f in fields(Settings)}}
    given |= {
        "models": models,
        "judges": judges,
        "endpoints": _with_modes(endpoints, (*models, *judges)),
        "pick": _texts(raw, "models"),
        "budget": parse_budget(*_texts(raw, "budget")),
        "check": _texts(raw, "check"),
    }
    if "holdout" in raw:
        given["holdout"] = share_of(raw["holdout"])
    if "directory" in raw:
        given["directory"] = Path(raw["directory"])
    return checked(Settings(**given))


def _judge(table: Mapping[str, Any], at: int, endpoints: set[str]) -> Model:
    return _model({"temperature": 0, "max_tokens": _JUDGE_SAYS, **table}, at, endpoints, "judge")


def _model(table: Mapping[str, Any], at: int, endpoints: set[str], role: str = "model") -> Model:
    where = f"{role} {_name(table, at)}"
    _validate(table, _MODEL, where)
    name = str(table.get("name") or table.get("model") or "")
    if not name.strip():
        raise UsageError(f'{where}: it has no name; add name = "small"')
    _sound_name(name, where)
    if ("price_in" in table) != ("price_out" in table):
        raise UsageError(f"{where}: price_in and price_out go together, in dollars per million tokens")
    engine = table.get("endpoint", "http")
    if engine not in endpoints | {"http", "pocket"}:
        known = ", ".join(sorted(endpoints)) or "none"
        raise UsageError(f"{where}: unknown endpoint {shown(engine)}; [[endpoint]] tables define: {known}")
    if "fields" in table and not table.get("mode"):
        raise UsageError(f'{where}: fields say how to ask for a mode; name it: mode = "think"')
    most = table.get("max_tokens", 1024)
    if not 1 <= most <= MOST_TOKENS:
        raise UsageError(f"{where}: max_tokens is {most}; it must be 1 or more, and {MOST_TOKENS:,} at most")
    price = Price(
        *(dollars(table[k]) if k in table else None for k in ("price_in", "price_out", "price_cached"))
    )
    if price.cached is not None and (price.input is None or price.cached > price.input):
        raise UsageError(f"{where}: price_cached is what input costs that was cached, at most price_in")
    return Model(
        name,
        table.get("model", ""),
        engine,
        table.get("mode", ""),
        _temperatures(table, where),
        most,
        price,
        _told(table.get("fields", {}), f"{where}: fields"),
        role,
    )


def _name(table: Mapping[str, Any], at: int) -> str:
    """What errors call a table: its name if it has a sound one, else its place."""
    name = table.get("name") or table.get("model")
    return name if isinstance(name, str) and name.isprintable() and len(name) <= 80 else str(at)


def _sound_name(name: str, where: str) -> None:
    if len(name) > MOST_NAME or not name.isprintable():
        raise UsageError(f"{where}: name is {shown(name)}; use 1 to {MOST_NAME} printable characters")


def _temperatures(table: Mapping[str, Any], where: str) -> tuple[float, ...]:
    """Greedy and one sampled where none is named."""
    heat = table.get("temperature", [0, SAMPLED])
    heats = heat if isinstance(heat, list) else [heat]
    for one in heats:
        if isinstance(one, bool) or not isinstance(one, int | float) or not 0 <= one <= 2:
            raise UsageError(
                f"{where}: temperature is {shown(one)}; it must lie between 0 and 2, and 0 is greedy"
            )
    if not heats or len({f"{one:g}" for one in heats}) < len(heats):
        raise UsageError(f"{where}: temperature is {shown(heats)}; name one or more, each once")
    return tuple(float(one) for one in heats)


def _endpoint(table: Mapping[str, Any], at: int) -> Endpoint:
    where = f"endpoint {_name(table, at)}"
    _validate(table, _ENDPOINT, where)
    if missing := [key for key in ("name", "url") if not table.get(key)]:
        raise UsageError(f'{where}: it has no {missing[0]}; add {missing[0]} = "…"')
    _sound_name(table["name"], where)
    if table["name"] in ("http", "pocket"):
        raise UsageError(f"{where}: the name is taken; choose another")
    if not is_address(table["url"]):
        raise UsageError(f"{where}: url is {shown(table['url'])}; write http://localhost:8000/v1")
    for key, high in (("concurrency", 4096), ("rpm", MOST_TOKENS), ("tpm", MOST_TOKENS)):
        if not 1 <= table.get(key, 1) <= high:
            raise UsageError(f"{where}: {key} is {table[key]}; it must lie between 1 and {high:,}")
    modes = table.get("modes", {})
    for mode, sent in modes.items():
        if not isinstance(sent, dict):
            raise UsageError(
                f'{where}: mode {shown(mode)} is {shown(sent)}; write {{reasoning_effort = "high"}}'
            )
        _told(sent, f"{where}: mode {shown(mode)}")
    return Endpoint(**{**table, "extra": _told(table.get("extra", {}), f"{where}: extra")})


def _told(sent: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """Fields of a request, if a request may hold them."""
    if taken := sorted(set(sent) & set(DECIDED)):
        raise UsageError(f"{where} may not set {', '.join(taken)}: the run decides that")
    try:
        json.dumps(sent, allow_nan=False)
    except (TypeError, ValueError):  # dates, and numbers that JSON does not know
        raise UsageError(f"{where} holds a value that JSON cannot say; write texts and numbers") from None
    return sent


def _with_modes(endpoints: Sequence[Endpoint], models: Sequence[Model]) -> tuple[Endpoint, ...]:
    """The endpoints, each with what its models say for their modes."""
    by_name = {endpoint.name: endpoint for endpoint in endpoints}
    for model in models:
        if not model.fields:
            continue
        if model.engine == "pocket":
            raise UsageError(f"model {model.name}: the model in the package has no fields")
        endpoint = by_name.get(model.engine) or Endpoint("http", "")
        if endpoint.modes.get(model.mode, model.fields) != model.fields:
            raise UsageError(
                f"model {model.name}: mode {shown(model.mode)} is asked for otherwise at this endpoint already; give "
                f'the mode a name of its own: mode = "{model.mode}-{model.name}"'
            )
        by_name[endpoint.name] = replace(endpoint, modes={**endpoint.modes, model.mode: model.fields})
    return tuple(by_name.values())


def _validate(table: Mapping[str, Any], schema: Mapping[str, Key], where: str) -> None:
    prefix = f"{where}: " if where else ""
    for key, value in table.items():
        if key not in schema:
            near = difflib.get_close_matches(key, schema, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(schema)}"
            raise UsageError(f"{prefix}unknown key {shown(key)}; {hint}")
        says, types = schema[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise UsageError(f"{prefix}{key} is {shown(value)}; it must be {says.format(key=key)}")


def _tables(raw: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    tables = raw.get(key, [])
    if not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{key} must be tables, as in [[{key}]]")
    return list(tables)


def _texts(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = raw.get(key, [])
    texts = [value] if isinstance(value, str) else value
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(f"{key} is {shown(value)}; it must be a text or a list of texts")
    return tuple(texts)
