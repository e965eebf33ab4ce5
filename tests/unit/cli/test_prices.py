import json
from pathlib import Path

import pytest

from outlay.cli import exits, main
from outlay.cli.prices import SHOWN
from outlay.config.price_table import read_table, shipped

INSPECT = {"openai/gpt-4o": {"input": 1, "output": 2, "input_cache_write": 1, "input_cache_read": 0.5}}
LITELLM = {
    "gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
    "embed": {"mode": "embedding", "input_cost_per_token": 1e-06},
}


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)


def outlay(capsys: pytest.CaptureFixture[str], *args: str, code: int = exits.DONE) -> str:
    assert main(args) == code
    out, err = capsys.readouterr()
    return err if code else out


def test_a_search_gives_the_exact_name_first_with_source_and_day(capsys: pytest.CaptureFixture[str]):
    text = outlay(capsys, "prices", "gpt-4o")
    first = text.splitlines()[2].split()
    assert first == ["gpt-4o", "openai", "2.5", "1.25", "10"]
    assert f"of {shipped().date}, LiteLLM" in " ".join(text.split())


def test_every_word_must_be_in_the_name(capsys: pytest.CaptureFixture[str]):
    rows = json.loads(outlay(capsys, "prices", "Mistral", "small", "--json"))
    assert rows
    assert all("mistral" in row["name"].lower() and "small" in row["name"].lower() for row in rows)


def test_a_long_list_is_cut_and_says_so(capsys: pytest.CaptureFixture[str]):
    text = outlay(capsys, "prices")
    assert f"and {len(shipped().rows) - SHOWN:,} more" in text
    assert len(json.loads(outlay(capsys, "prices", "--json"))) == len(shipped().rows)


def test_a_name_that_no_table_holds_is_an_error(capsys: pytest.CaptureFixture[str]):
    assert "no price of 'my-own'" in outlay(capsys, "prices", "my-own", code=exits.USAGE)


@pytest.mark.parametrize("raw", [INSPECT, LITELLM])
def test_imported_prices_are_asked_before_those_that_ship(raw: object, capsys: pytest.CaptureFixture[str]):
    Path("p.json").write_text(json.dumps(raw))
    assert "1 prices in" in outlay(capsys, "prices", "import", "p.json")
    assert read_table(Path("config/outlay/prices.json")).source == "p.json"
    rows = json.loads(outlay(capsys, "prices", "gpt-4o", "--json"))
    mine = [row for row in rows if row["from"] == "your price table"]
    assert [(row["provider"], row["price_in"]) for row in mine] == [("openai", 1)]
    assert "yours" in outlay(capsys, "prices", "gpt-4o")
    Path("c.toml").write_text(
        '[[endpoint]]\nname = "o"\nurl = "https://api.openai.com/v1"\n[[model]]\nname = "gpt-4o"\nendpoint = "o"\n'
    )
    shown = json.loads(outlay(capsys, "models", "--config", "c.toml", "--json"))
    assert {row["price_in"] for row in shown} == {1}


def test_prices_can_be_imported_to_a_file_that_a_config_names(capsys: pytest.CaptureFixture[str]):
    Path("p.json").write_text(json.dumps(LITELLM))
    text = outlay(capsys, "prices", "import", "p.json", "--to", "team.json")
    assert "1 not for chat" in text
    assert 'prices = "team.json"' in text
    Path("c.toml").write_text('prices = "team.json"\n[[model]]\nname = "gpt-4o"\nmax_tokens = 1000\n')
    Path("t.jsonl").write_text('{"prompt": "a"}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        plan = outlay(capsys, "plan", "t.jsonl", "--config", "c.toml", "--budget", "1usd", "--json")
    said = json.loads(plan)
    assert said["prices_from"][0].startswith("team.json of 20")
    assert said["one_answer_each"][0]["worst"]["usd"] == pytest.approx(0.002, rel=0.05)


def test_an_import_says_as_data_what_it_did(capsys: pytest.CaptureFixture[str]):
    Path("p.json").write_text(json.dumps(LITELLM))
    assert json.loads(outlay(capsys, "prices", "import", "p.json", "--to", "q.json", "--json")) == {
        "prices": 1,
        "left_out": {"not for chat": 1},
        "to": "q.json",
    }


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("import",), "import reads one file"),
        (("import", "a", "b"), "import reads one file"),
        (("import", "none.json"), "none.json' cannot be read: no such file"),
        (("import", "odd.json"), "no known shape"),
        (("import", "odd.yaml"), "yq -o json"),
        (("import", "p.json", "--to", "x.yaml"), "x.yaml.json"),
        (("gpt", "--to", "x"), "--to is where import writes"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    args: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
):
    Path("odd.json").write_text('{"gpt": 3}')
    Path("odd.yaml").write_text("openai/gpt-4o:\n  input: 1\n")
    Path("p.json").write_text(json.dumps(LITELLM))
    err = outlay(capsys, "prices", *args, code=exits.USAGE)
    assert problem in err
    assert err.count("\n") == 1
