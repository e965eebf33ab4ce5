"""The config file: TOML, one schema. A key that it does not know is an error that names the nearest one."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final, NamedTuple

from outlay.config.amounts import dollars, parse_budget
from outlay.config.settings import Endpoint, Model, Settings, checked
from outlay.errors import BudgetError, UsageError
from outlay.types import Price


class Key(NamedTuple):
    """One key of the file: what its value must be, in words, and the types that hold it."""

    says: str
    types: tuple[type, ...]


_TEXT: Final = Key("a text", (str,))
_COUNT: Final = Key("a whole number", (int,))
_NUMBER: Final = Key("a number", (int, float))
_TEXTS: Final = Key("a text or a list of texts", (str, list))
_TABLES: Final = Key("tables, as in [[{key}]]", (list,))

_RUN: Final = {
    "model": _TABLES,
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
}
_MODEL: Final = {
    "name": _TEXT,
    "model": _TEXT,
    "endpoint": _TEXT,
    "mode": _TEXT,
    "temperature": _NUMBER,
    "max_tokens": _COUNT,
    "price_in": _NUMBER,
    "price_out": _NUMBER,
    "price_cached": _NUMBER,
}
_ENDPOINT: Final = {"name": _TEXT, "url": _TEXT, "key_env": _TEXT}


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
    given: dict[str, Any] = {key: raw[key] for key in raw if key in {f.name for f in fields(Settings)}}
    given |= {
        "models": tuple(_model(table, at, names) for at, table in enumerate(_tables(raw, "model"), 1)),
        "endpoints": endpoints,
        "pick": _texts(raw, "models"),
        "budget": parse_budget(*_texts(raw, "budget")),
        "check": _texts(raw, "check"),
    }
    if "directory" in raw:
        given["directory"] = Path(raw["directory"])
    return checked(Settings(**given))


def _model(table: Mapping[str, Any], at: int, endpoints: set[str]) -> Model:
    where = f"model {table.get('name') or table.get('model') or at}"
    _validate(table, _MODEL, where)
    name = str(table.get("name") or table.get("model") or "")
    if not name:
        raise UsageError(f'{where}: it has no name; add name = "small"')
    if ("price_in" in table) != ("price_out" in table):
        raise UsageError(f"{where}: price_in and price_out go together, in dollars per million tokens")
    engine = table.get("endpoint", "http")
    if engine not in endpoints | {"http", "pocket"}:
        known = ", ".join(sorted(endpoints)) or "none"
        raise UsageError(f"{where}: unknown endpoint {engine!r}; [[endpoint]] tables define: {known}")
    heat, most = table.get("temperature"), table.get("max_tokens", 1024)
    if heat is not None and not 0 <= heat <= 2:
        raise UsageError(f"{where}: temperature is {heat}; it must lie between 0 and 2")
    if most < 1:
        raise UsageError(f"{where}: max_tokens is {most}; it must be 1 or more")
    price = Price(
        *(dollars(table[k]) if k in table else None for k in ("price_in", "price_out", "price_cached"))
    )
    return Model(name, table.get("model", ""), engine, table.get("mode", ""), heat, most, price)


def _endpoint(table: Mapping[str, Any], at: int) -> Endpoint:
    where = f"endpoint {table.get('name') or at}"
    _validate(table, _ENDPOINT, where)
    if missing := [key for key in ("name", "url") if not table.get(key)]:
        raise UsageError(f'{where}: it has no {missing[0]}; add {missing[0]} = "…"')
    if table["name"] in ("http", "pocket"):
        raise UsageError(f"{where}: the name is taken; choose another")
    if not str(table["url"]).startswith(("http://", "https://")):
        raise UsageError(f"{where}: url is {table['url']!r}; write http://localhost:8000/v1")
    return Endpoint(**table)


def _validate(table: Mapping[str, Any], schema: Mapping[str, Key], where: str) -> None:
    prefix = f"{where}: " if where else ""
    for key, value in table.items():
        if key not in schema:
            near = difflib.get_close_matches(key, schema, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(schema)}"
            raise UsageError(f"{prefix}unknown key {key!r}; {hint}")
        says, types = schema[key]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise UsageError(f"{prefix}{key} is {value!r}; it must be {says.format(key=key)}")


def _tables(raw: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    tables = raw.get(key, [])
    if not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{key} must be tables, as in [[{key}]]")
    return list(tables)


def _texts(raw: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = raw.get(key, [])
    texts = [value] if isinstance(value, str) else value
    if not all(isinstance(text, str) for text in texts):
        raise UsageError(f"{key} is {value!r}; it must be a text or a list of texts")
    return tuple(texts)
