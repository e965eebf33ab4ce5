import json
from pathlib import Path

import pytest

from outlay.cli import main
from outlay.cli.models import EXAMPLES
from outlay.config.price_table import shipped


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(args) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["strategies", "policies"])
def test_every_name_of_a_registry_is_listed_with_what_it_is(command: str, capsys: pytest.CaptureFixture[str]):
    rows = json.loads(shown(capsys, command, "--json"))
    text = shown(capsys, command)
    assert rows
    for row in rows:
        assert row["name"] in text
        assert row["about"][:30] in text


def test_the_default_is_named(capsys: pytest.CaptureFixture[str]):
    assert "priced is used where none is named" in shown(capsys, "policies")
    assert "auto is used where none is named" in shown(capsys, "strategies")


def test_without_endpoint_the_models_are_those_of_the_package(capsys: pytest.CaptureFixture[str]):
    names = [row["name"] for row in json.loads(shown(capsys, "models", "--json"))]
    assert names == ["short:greedy", "short", "think:greedy", "think"]
    assert "the package" in shown(capsys, "models")


def test_models_of_a_config_file_are_shown_with_their_prices(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    (tmp_path / "c.toml").write_text(
        "[[model]]\nname = 'small'\ntemperature = 0\nprice_in = 0.15\nprice_out = 0.6\n"
        "[[model]]\nname = '[big]'\n"
    )
    text = shown(capsys, "models", "--config", "c.toml")
    assert "0.15" in text
    assert "[big]:greedy" in text
    assert "unknown" in text
    rows = json.loads(shown(capsys, "models", "--config", "c.toml", "--json"))
    assert [(row["name"], row["price_out"]) for row in rows] == [
        ("small", 0.6),
        ("[big]:greedy", None),
        ("[big]", None),
    ]


def test_the_config_file_of_the_help_is_one(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    text = EXAMPLES.partition("flags go before it:\n")[2]
    (tmp_path / "c.toml").write_text(text)
    rows = json.loads(shown(capsys, "models", "--config", "c.toml", "--json"))
    assert [(row["name"], row["role"], row["engine"]) for row in rows] == [
        ("small:greedy", "model", "http"),
        ("small", "model", "http"),
        ("big:greedy", "model", "other"),
        ("big:t0.5", "model", "other"),
        ("big:t1", "model", "other"),
        ("big-judge", "judge", "other"),
    ]


HERE = """
[[endpoint]]
name = "openai"
url = "https://api.openai.com/v1"
[[endpoint]]
name = "here"
url = "http://a-host-with-a-long-name.of.a-company.example:8443/a/long/path/to/the/deployment/of/it/v1"
[[model]]
name = "mini"
model = "gpt-4o-mini"
endpoint = "openai"
temperature = 1
[[model]]
name = "gpt-4o"
endpoint = "here"
temperature = 1
[[judge]]
name = "look"
model = "own"
price_in = 1
price_out = 2
"""


def test_a_price_of_the_table_is_shown_as_one_with_its_day(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
):
    (tmp_path / "c.toml").write_text(HERE)
    rows = json.loads(shown(capsys, "models", "--config", "c.toml", "--json"))
    assert [(row["name"], row["price_in"], row["price_cached"]) for row in rows] == [
        ("mini", 0.15, 0.075),
        ("gpt-4o", None, None),
        ("look", 1, None),
    ]
    day = shipped().date
    assert [row["price_from"] for row in rows] == [f"table {day}", None, "you"]
    text = shown(capsys, "models", "--config", "c.toml")
    assert f"table {day}" in text
    assert f"the price table of {day} lists gpt-4o at 2.5/10 for openai" in text
    assert "look (a judge)" in text


def test_no_address_is_cut(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "c.toml").write_text(HERE)
    text = shown(capsys, "models", "--config", "c.toml")
    assert (
        "http://a-host-with-a-long-name.of.a-company.example:8443/a/long/path/to/the/deployment/of/it/v1"
        in text
    )
    assert "…" not in text
