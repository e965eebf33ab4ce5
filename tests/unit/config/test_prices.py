import gzip
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from outlay.config import Settings, arms_for, parse_budget, settings_of
from outlay.config.price_shapes import imported
from outlay.config.price_table import SHIPPED, Table, read_json, read_table, shipped, write_table
from outlay.config.prices import HOSTS, no_longer, open_book, priced, provider_of, quotes, user_file
from outlay.errors import BudgetError, UsageError
from outlay.types import NANO, Arm, Message, Price, Prompt

ROOT = Path(__file__).parents[3]
OPENAI = {"OPENAI_BASE_URL": "https://api.openai.com/v1"}
LOCAL = {"OPENAI_BASE_URL": "http://localhost:8000/v1"}
GPT = Price(2_500_000_000, 10 * NANO, 1_250_000_000)
USD = parse_budget("2usd")

LITELLM = {
    "sample_spec": {"mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0},
    "gpt-4o": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1e-05,
        "cache_read_input_token_cost": 1.25e-06,
    },
    "gpt-6": {
        "litellm_provider": "openai",
        "mode": "chat",
        "input_cost_per_token": 1e-07,
        "output_cost_per_token": 5e-07,
        "cache_creation_input_token_cost": 1.25e-07,
        "input_cost_per_token_above_272k_tokens": 2e-07,
    },
    "claude-x": {
        "litellm_provider": "anthropic",
        "mode": "chat",
        "input_cost_per_token": 3e-06,
        "output_cost_per_token": 1.5e-05,
        "cache_creation_input_token_cost": 3.75e-06,
    },
    "mistral/small": {
        "litellm_provider": "mistral",
        "mode": "chat",
        "input_cost_per_token": 1.5e-07,
        "output_cost_per_token": 6e-07,
    },
    "embed": {"mode": "embedding", "input_cost_per_token": 1e-07, "output_cost_per_token": 0},
    "free": {"mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0},
    "tiers": {"mode": "chat", "tiered_pricing": []},
    "odd": {"mode": "chat", "input_cost_per_token": "much", "output_cost_per_token": 1},
}
INSPECT = {
    "openai/gpt-4o": {"input": 2.5, "output": 10, "input_cache_write": 2.5, "input_cache_read": 1.25},
    "google/gemini-x": {"input": 0.3, "output": 2.5, "input_cache_write": 0.3, "input_cache_read": 0.03},
    "openai-api/here/own": {"input": 0, "output": 0, "input_cache_write": 0, "input_cache_read": 0},
}


def table(raw: object) -> Table:
    return imported(raw, source="a file", date="2026-01-02").table


def arms(*names: str) -> tuple[Arm, ...]:
    return arms_for(Settings(pick=names), endpoint=True)


# shapes


def test_litellm_s_map_is_read_exactly_and_what_it_cannot_say_is_left_out():
    made = imported(LITELLM, source="a file", date="2026-01-02")
    assert dict(made.table.rows) == {
        "gpt-4o": ["openai", 2.5, 10, 1.25],
        "gpt-6": ["openai", 0.1, 0.5, None, 0.125, 272_000],
        "claude-x": ["anthropic", 3, 15],
        "mistral/small": ["mistral", 0.15, 0.6],
    }
    assert dict(made.left_out) == {
        "not for chat": 2,
        "at nought": 1,
        "not billed by the token alone": 1,
        "with input_cost_per_token that is no price": 1,
    }


def test_inspect_s_file_is_read_and_nought_is_the_user_s_word():
    rows = table(INSPECT).rows
    assert rows["openai/gpt-4o"] == ["openai", 2.5, 10, 1.25]
    assert rows["gemini/gemini-x"] == ["gemini", 0.3, 2.5, 0.03]
    assert rows["here/own"] == ["here", 0, 0, 0]


def test_the_own_shape_is_copied_with_its_source_and_day():
    raw = {"outlay_prices": 1, "source": "there", "date": "2025-05-05", "prices": {"a": ["p", 1, 2]}}
    assert table(raw) == Table("there", "2025-05-05", {"a": ["p", 1, 2]})


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        3,
        {},
        {"a": 1},
        {"a": {"price": 1}},
        {"gpt": {"prompt": 1, "completion": 2}},
        {"outlay_prices": 2},
    ],
)
def test_an_unknown_shape_is_refused_with_those_that_are_known(raw: object):
    with pytest.raises(UsageError, match=r"no known shape.*LiteLLM.*Inspect"):
        table(raw)


def test_a_file_without_a_usable_price_says_why():
    with pytest.raises(UsageError, match="1 at nought"):
        table({"free": LITELLM["free"]})


def test_input_that_is_written_to_a_cache_is_booked_at_the_dearer_price():
    row = table(LITELLM).named("gpt-6")
    assert row is not None
    assert row.price() == Price(125_000_000, 500_000_000, None)


# files


@pytest.mark.parametrize("name", ["p.json", "p.json.gz"])
def test_a_table_is_written_and_read_again(tmp_path: Path, name: str):
    write_table(tmp_path / "new" / name, table(LITELLM))
    assert read_table(tmp_path / "new" / name) == table(LITELLM)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"openai/gpt-4o:\n  input: 2.5\n", "is not JSON; YAML is not read"),
        (b"\xff\xfe", "is not JSON"),
        (b"\x1f\x8bnothing", "cannot be read"),
        (gzip.compress(b"{}", mtime=0)[:-4], "cannot be read"),
        (b"[" * 100_000, "is not JSON"),
        (b"{}", "in outlay's shape"),
        (b'{"outlay_prices": 1, "prices": []}', "in outlay's shape"),
        (b'{"gpt-4o": {"input": 1, "output": 2}}', "outlay prices import"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, raw: bytes, problem: str):
    (tmp_path / "p").write_bytes(raw)
    with pytest.raises(UsageError, match=problem):
        read_table(tmp_path / "p")


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match="none' cannot be read"):
        read_json(tmp_path / "none")


@pytest.mark.parametrize(
    "row",
    [3, [], ["p"], ["p", 1], ["p", "x", 1], [1, 1, 1], ["p", None, 1], ["p", -1, 1], ["p", 1, 2, 3, 4, "x"]],
)
def test_a_row_that_is_none_is_refused_when_it_is_asked_for(row: Any):
    with pytest.raises(UsageError, match="the price of 'a' cannot be read"):
        Table("", "", {"a": row}).named("a")


# the table that ships


def test_the_table_that_ships_says_its_source_license_and_day():
    made = shipped()
    assert re.fullmatch(r"LiteLLM [\d.]+, .*MIT license.*see NOTICE", made.source)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", made.date)
    notice = " ".join((ROOT / "NOTICE").read_text().split())
    assert f"{made.source.partition(',')[0]} ({made.date})" in notice
    assert "Copyright (c) 2023 Berri AI" in notice


def test_every_price_that_ships_can_be_read_and_none_is_nought():
    rows = [shipped().named(name) for name in shipped().rows]
    assert len(rows) > 2_000
    assert all(row is not None and row.input > 0 and row.output > 0 for row in rows)


def test_the_table_that_ships_is_small():
    assert (ROOT / "src" / "outlay" / "config" / SHIPPED).stat().st_size < 200_000


def test_every_own_host_bills_for_a_provider_of_the_table():
    assert set(HOSTS.values()) <= {row[0] for row in shipped().rows.values()}


# who is believed where


def test_a_model_at_its_provider_s_own_host_has_the_price_of_the_table():
    (_, sampled) = priced(arms("gpt-4o"), Settings(budget=USD), OPENAI)
    assert sampled.price == GPT


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1",
        "https://api.openai.com.example/v1",
        "https://eu.api.openai.com/v1",
        "http://[",
        "",
    ],
)
def test_elsewhere_the_same_name_is_refused_and_the_table_s_price_told(url: str):
    with pytest.raises(BudgetError, match=r"needs the price of gpt-4o.*lists gpt-4o at 2\.5/10 for openai"):
        priced(arms("gpt-4o"), Settings(budget=USD), {"OPENAI_BASE_URL": url})


def test_the_config_can_make_the_table_count_for_every_endpoint():
    settings = Settings(budget=USD, prices="table")
    assert [arm.price for arm in priced(arms("gpt-4o", "mistral/mistral-small-latest"), settings, LOCAL)][
        1::2
    ] == [
        GPT,
        Price(150_000_000, 600_000_000, 15_000_000),
    ]


@pytest.mark.parametrize("name", ["gpt-4o-my-own", "GPT-4o", "gpt-4", "mistral-small-latest"])
def test_names_are_exact(name: str):
    found = quotes(arms(name), Settings(prices="table"), LOCAL)
    assert {quote.row.name for quote in found.values()} <= {name}


def test_a_bare_name_at_a_host_is_that_provider_s():
    found = quotes(arms("mistral-small-latest"), Settings(), {"OPENAI_BASE_URL": "https://api.mistral.ai/v1"})
    assert {quote.row.name for quote in found.values()} == {"mistral/mistral-small-latest"}
    assert all(quote.counts for quote in found.values())


def test_a_written_price_wins():
    assert priced(arms("gpt-4o@1/2"), Settings(budget=USD), OPENAI) == arms("gpt-4o@1/2")


def test_without_a_dollar_budget_no_table_is_read():
    unread = Settings(budget=parse_budget("1ktok"), prices="none.json")
    assert priced(arms("gpt-4o"), unread, OPENAI) == arms("gpt-4o")


def test_the_table_that_ships_is_read_only_where_a_price_is_missing():
    shipped.cache_clear()
    priced(arms("gpt-4o@1/2"), Settings(budget=USD), OPENAI)
    priced(arms_for(Settings(), endpoint=False), Settings(budget=USD), OPENAI)
    quotes(arms_for(Settings(), endpoint=False), Settings(), OPENAI)
    assert shipped.cache_info().currsize == 0
    priced(arms("gpt-4o"), Settings(budget=USD), OPENAI)
    assert shipped.cache_info().currsize == 1


def test_an_unknown_price_is_refused_and_never_nought():
    with pytest.raises(BudgetError, match=r"needs the price of mine; write --models mine@0\.15/0\.60"):
        priced(arms("mine", "gpt-4o"), Settings(budget=USD), OPENAI)


CONFIG = """
[[endpoint]]
name = "o"
url = "https://api.openai.com/v1"
{extra}
[[model]]
name = "m"
model = "gpt-4o"
endpoint = "o"
"""


@pytest.mark.parametrize(("extra", "counts"), [("", True), ('extra = {service_tier = "flex"}', False)])
def test_another_tier_of_service_has_another_bill(extra: str, counts: bool):
    settings = settings_of(tomllib.loads(CONFIG.format(extra=extra)))
    found = quotes(arms_for(settings, endpoint=False), settings, LOCAL)
    assert [quote.counts for quote in found.values()] == [counts, counts]


def test_a_file_that_the_config_names_counts_everywhere_and_before_the_table(tmp_path: Path):
    write_table(
        tmp_path / "p.json", table({"gpt-4o": {"input": 1, "output": 2}, "x/own": {"input": 3, "output": 4}})
    )
    settings = Settings(budget=USD, prices=str(tmp_path / "p.json"))
    assert {arm.price for arm in priced(arms("gpt-4o", "own"), settings, LOCAL)} == {
        Price(NANO, 2 * NANO),
        Price(3 * NANO, 4 * NANO),
    }


def test_a_name_that_two_providers_share_is_not_guessed(tmp_path: Path):
    write_table(
        tmp_path / "p.json", table({"x/a": {"input": 1, "output": 2}, "y/a": {"input": 3, "output": 4}})
    )
    assert quotes(arms("a"), Settings(prices=str(tmp_path / "p.json")), LOCAL) == {}


def test_the_user_s_own_table_is_asked_before_the_one_that_ships(tmp_path: Path):
    environ = {**OPENAI, "XDG_CONFIG_HOME": str(tmp_path)}
    newer = {"gpt-4o": {**LITELLM["gpt-4o"], "input_cost_per_token": 1e-06}}
    write_table(user_file(environ), imported(newer, source="there", date="2027-01-01").table)
    (quote, _) = quotes(arms("gpt-4o"), Settings(), environ).values()
    assert (quote.price.input, quote.source) == (NANO, "your price table of 2027-01-01")
    assert len(open_book(Settings(), environ).tables) == 2


def test_the_user_s_file_is_where_xdg_says():
    assert user_file({"XDG_CONFIG_HOME": "/x"}) == Path("/x/outlay/prices.json")
    assert user_file({"HOME": "/h"}) == Path("/h/.config/outlay/prices.json")


def test_a_prompt_past_a_provider_s_tier_is_refused_under_a_dollar_budget(tmp_path: Path):
    write_table(tmp_path / "p.json", table(LITELLM))
    settings = Settings(budget=USD, prices=str(tmp_path / "p.json"))
    models = priced(arms("gpt-6"), settings, LOCAL)
    long, short = (
        Prompt(at, (Message("user", "x" * size),)) for at, size in (("long", 272_001), ("short", 9))
    )
    no_longer([short], models, settings, LOCAL)
    with pytest.raises(BudgetError, match=r"'long' may be longer than 272,000 tokens.*gpt-6"):
        no_longer([short, long], models, settings, LOCAL)
    no_longer([long], arms("gpt-6@9/9"), settings, LOCAL)


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.mistral.ai/v1", "mistral"),
        ("http://api.mistral.ai:1", "mistral"),
        ("x", ""),
        ("http://[", ""),
    ],
)
def test_a_provider_is_known_by_its_host(url: str, provider: str):
    assert provider_of(url) == provider


def test_what_is_written_is_json_that_others_read(tmp_path: Path):
    write_table(tmp_path / "p.json", table(LITELLM))
    assert json.loads((tmp_path / "p.json").read_text())["prices"]["gpt-4o"] == ["openai", 2.5, 10, 1.25]
