import contextlib
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.config import (
    Settings,
    amount_of,
    arms_for,
    checked,
    dollars,
    load,
    parse_budget,
    pocket_arms,
    settings_of,
    show_amount,
    show_cost,
)
from outlay.config.amounts import MOST
from outlay.errors import BudgetError, UsageError
from outlay.types import NANO, Budget, Cost, Price


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("40ktok", Budget(tok=40_000)),
        ("40Ktok", Budget(tok=40_000)),
        ("10Mtok", Budget(tok=10_000_000)),
        ("1.5Gtok", Budget(tok=1_500_000_000)),
        ("7tok", Budget(tok=7)),
        ("500kouttok", Budget(outtok=500_000)),
        ("500outtok", Budget(outtok=500)),
        ("2usd", Budget(usd=2 * NANO)),
        ("0.50usd", Budget(usd=NANO // 2)),
        (".000000001usd", Budget(usd=1)),
        ("90s", Budget(ms=90_000)),
        ("0.25s", Budget(ms=250)),
        ("10min", Budget(ms=600_000)),
        ("1h", Budget(ms=3_600_000)),
        (" 10 min ", Budget(ms=600_000)),
    ],
)
def test_a_written_budget_is_read(text: str, budget: Budget):
    assert parse_budget(text) == budget


def test_several_limits_make_one_budget():
    assert parse_budget("2usd", "10min", "1Mtok") == Budget(tok=1_000_000, usd=2 * NANO, ms=600_000)
    assert parse_budget() == Budget()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10",
        "10m",
        "tok",
        "-3tok",
        "1e6tok",
        "0tok",
        "0.5tok",
        "0.0000000001usd",
        "$2",
        "10 000tok",
        "10,000tok",
        "2usd 10min",
        "nanusd",
        "infs",
        "10ms",
        "10mtok",
        "500koutok",
        "2USD",
        "٣tok",
        f"{MOST + 1}tok",
        "9" * 400,
    ],
)
def test_what_cannot_be_read_is_refused_with_the_accepted_forms(text: str):
    with pytest.raises(BudgetError, match=r"40ktok.*2usd.*10min"):
        parse_budget(text)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("10m", "10min or 10Mtok"),
        ("10mtok", "10Mtok"),
        ("500koutok", "500kouttok"),
        ("2USD", "2usd"),
        ("10", "no unit"),
    ],
)
def test_a_refusal_names_what_was_probably_meant(text: str, hint: str):
    with pytest.raises(BudgetError, match=hint):
        parse_budget(text)


@pytest.mark.parametrize("texts", [("90s", "2min"), ("1usd", "2usd"), ("1ktok", "1Mtok")])
def test_a_unit_is_limited_once(texts: tuple[str, ...]):
    with pytest.raises(BudgetError, match="each unit once"):
        parse_budget(*texts)


@given(st.integers(1, MOST), st.sampled_from(["tok", "outtok"]))
def test_any_count_of_tokens_is_read_exactly(count: int, unit: str):
    assert parse_budget(f"{count}{unit}").limits() == {unit: count}


@given(st.integers(1, MOST))
def test_dollars_are_read_to_the_last_nano(nano: int):
    assert parse_budget(f"{nano // NANO}.{nano % NANO:09}usd").usd == nano


@given(st.text(max_size=12))
def test_any_text_is_read_or_refused(text: str):
    with contextlib.suppress(BudgetError):
        assert len(parse_budget(text).limits()) == 1


@pytest.mark.parametrize(
    ("unit", "amount", "shown"),
    [
        ("tok", 0, "0 tok"),
        ("tok", 999, "999 tok"),
        ("tok", 1_280, "1.28 ktok"),
        ("tok", 40_000, "40.0 ktok"),
        ("tok", 9_999_999, "10.0 Mtok"),
        ("outtok", 5_000_000, "5.00 Mouttok"),
        ("tok", -40_000, "-40.0 ktok"),
        ("usd", 0, "$0"),
        ("usd", 12_300_000, "$0.0123"),
        ("usd", 1_234, "$0.00000123"),
        ("usd", 1, "$0.000000001"),
        ("usd", NANO - 1, "$1.0000"),
        ("usd", 1234 * NANO, "$1,234.00"),
        ("s", 5, "0.005 s"),
        ("s", 450, "0.45 s"),
        ("s", 12_000, "12 s"),
        ("s", 200_000, "3 min 20 s"),
        ("s", 600_000, "10 min"),
        ("s", 4_000_000, "1 h 06 min"),
    ],
)
def test_amounts_are_shown_for_people(unit: str, amount: int, shown: str):
    assert show_amount(unit, amount) == shown


@given(st.sampled_from(["tok", "outtok", "usd", "s"]), st.integers(-MOST, MOST))
def test_every_amount_has_a_short_form(unit: str, amount: int):
    assert 0 < len(show_amount(unit, amount)) < 24


def test_a_cost_is_shown_in_the_units_asked_for():
    cost = Cost(1_280, 320, 12_300_000, 450)
    assert show_cost(cost) == "1.28 ktok, 320 outtok, $0.0123, 0.45 s"
    assert show_cost(cost, ["usd"]) == "$0.0123"
    assert [amount_of(cost, unit) for unit in ("tok", "outtok", "usd", "s")] == [1_280, 320, 12_300_000, 450]


def test_a_price_is_read_exactly():
    assert dollars(0.15) == dollars("0.15") == 150_000_000


@pytest.mark.parametrize("text", ["x", "-1", "nan", "inf", "1e30"])
def test_a_price_that_is_none_is_refused(text: str):
    with pytest.raises(UsageError, match="price"):
        dollars(text)


# arms


def test_without_endpoint_the_model_in_the_package_serves():
    arms = arms_for(Settings(), endpoint=False)
    assert arms == pocket_arms()
    assert [(a.name, a.mode, a.temperature, a.deterministic, a.max_tokens) for a in arms] == [
        ("short:greedy", "short", 0.0, True, 32),
        ("short", "short", 1.0, False, 32),
        ("think:greedy", "think", 0.0, True, 96),
        ("think", "think", 0.8, False, 96),
    ]
    assert all(arm.engine == "pocket" and arm.price == Price(0, 0, 0) for arm in arms)


def test_each_model_of_an_endpoint_has_a_greedy_and_a_sampled_arm_in_the_order_given():
    arms = arms_for(Settings(pick=("small", "org/big")), endpoint=True)
    assert [arm.name for arm in arms] == ["small:greedy", "small", "org/big:greedy", "org/big"]
    assert [arm.model for arm in arms] == ["small", "small", "org/big", "org/big"]
    assert [(arm.temperature, arm.deterministic) for arm in arms[:2]] == [(0.0, True), (0.8, False)]
    assert not any(arm.price.known() for arm in arms)


def test_a_model_may_carry_its_price():
    greedy, sampled = arms_for(Settings(pick=("small@0.15/0.60",)), endpoint=True)
    assert greedy.price == sampled.price == Price(150_000_000, 600_000_000)
    assert sampled.model == "small"
    (dated, _) = arms_for(Settings(pick=("claude@20240620",)), endpoint=True)
    assert dated.model == "claude@20240620"


def test_one_arm_alone_can_be_picked():
    assert [a.name for a in arms_for(Settings(pick=("small:greedy",)), endpoint=True)] == ["small:greedy"]
    assert [a.name for a in arms_for(Settings(pick=("think", "short:greedy")), endpoint=False)] == [
        "think:greedy",
        "think",
        "short:greedy",
    ]


def test_an_endpoint_needs_the_names_of_models():
    with pytest.raises(UsageError, match="--models"):
        arms_for(Settings(), endpoint=True)


def test_an_unknown_model_without_endpoint_says_how_to_get_one():
    with pytest.raises(UsageError, match=r"short, think.*OPENAI_BASE_URL"):
        arms_for(Settings(pick=("gpt",)), endpoint=False)


@pytest.mark.parametrize("pick", [("short", "short"), ("short", "short:greedy")])
def test_a_model_is_named_once(pick: tuple[str, ...]):
    with pytest.raises(UsageError, match="twice"):
        arms_for(Settings(pick=pick), endpoint=False)


# the file

FILE = """
budget = ["2usd", "10min"]
strategy = "vote"
answer = "number"
check = "tests.py:passes"
abstain = 0.3
directory = "runs/one"

[[endpoint]]
name = "local"
url = "http://localhost:8000/v1"
key_env = "LOCAL_KEY"

[[model]]
name = "small"
price_in = 0.15
price_out = 0.60

[[model]]
name = "deep"
model = "org/big"
endpoint = "local"
mode = "think"
temperature = 0.6
max_tokens = 4096
price_in = 2
price_out = 8
price_cached = 0.5
"""


def test_a_config_file_is_read(tmp_path: Path):
    path = tmp_path / "outlay.toml"
    path.write_text("\ufeff" + FILE)
    settings = load(path)
    assert settings.budget == Budget(usd=2 * NANO, ms=600_000)
    assert (settings.strategy, settings.answer, settings.check) == ("vote", "number", ("tests.py:passes",))
    assert settings.directory == Path("runs/one")
    assert settings.policy == Settings().policy
    assert settings.endpoints[0].key_env == "LOCAL_KEY"
    assert [arm.name for arm in arms_for(settings, endpoint=False)] == ["small:greedy", "small", "deep"]
    deep = arms_for(settings, endpoint=True)[2]
    assert (deep.model, deep.engine, deep.mode, deep.max_tokens) == ("org/big", "local", "think", 4096)
    assert deep.price == Price(2 * NANO, 8 * NANO, NANO // 2)
    assert not deep.deterministic


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("stratgy = 'vote'", "unknown key 'stratgy'; did you mean 'strategy'"),
        ("zzzzzz = 1", "known keys: model"),
        ("seed = 'one'", "seed is 'one'; it must be a whole number"),
        ("seed = true", "seed is True"),
        ("seed = -1", "seed is -1"),
        ("abstain = 2", "between 0 and 1"),
        ("concurrency = 0", "concurrency"),
        ("limit = 0", "limit"),
        ("budget = '10m'", "10min or 10Mtok"),
        ("budget = [1]", "list of texts"),
        ("model = [1]", r"\[\[model\]\]"),
        ("model = 'small'", r"\[\[model\]\]"),
        ("[[model]]\nprice_in = 1", "no name"),
        ("[[model]]\nname = 'a'\nprice_in = 1", "price_in and price_out go together"),
        ("[[model]]\nname = 'a'\nprice_in = -1\nprice_out = 1", "price"),
        (
            "[[model]]\nname = 'a'\ntemprature = 1",
            "model a: unknown key 'temprature'; did you mean 'temperature'",
        ),
        ("[[model]]\nname = 'a'\ntemperature = 9", "temperature"),
        ("[[model]]\nname = 'a'\nmax_tokens = 0", "max_tokens"),
        ("[[model]]\nname = 'a'\nendpoint = 'there'", "unknown endpoint 'there'"),
        ("[[endpoint]]\nname = 'a'", "no url"),
        ("[[endpoint]]\nname = 'http'\nurl = 'http://x'", "taken"),
        ("[[endpoint]]\nname = 'a'\nurl = 'localhost'", "http://localhost"),
        ("[[endpoint]]\nname = 'a'\nurl = 'http://x'\nkey = 'secret'", "key_env"),
        ("a = = 1", "not TOML"),
    ],
)
def test_a_config_file_that_means_nothing_is_refused(tmp_path: Path, text: str, problem: str):
    path = tmp_path / "outlay.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=problem) as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_config_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"none\.toml cannot be read"):
        load(tmp_path / "none.toml")


def test_an_empty_config_changes_nothing():
    assert settings_of(tomllib.loads("")) == checked(Settings()) == Settings()
