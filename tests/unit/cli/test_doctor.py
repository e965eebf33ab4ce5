"""`outlay doctor` against a real server process."""

import json
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlay.cli import exits, main

SERVER = Path(__file__).parents[2] / "servers" / "picky_server.py"
serving = runpy.run_path(str(SERVER), run_name="picky_server")["serving"]
KEY = "sk-canary-4711"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    with serving(models=["sound", "n-ignored+usage-one"]) as url:
        yield url


@pytest.fixture
def endpoint(served: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_BASE_URL", served)
    return served


def test_without_an_endpoint_it_says_who_answers_and_how_to_set_one(capsys: pytest.CaptureFixture[str]):
    assert main(["doctor"]) == exits.DONE
    out, err = capsys.readouterr()
    flat = " ".join(out.split())
    assert "the model in the package answers" in flat
    assert "set OPENAI_BASE_URL, such as http://localhost:8000/v1" in flat
    assert "a run would work: outlay run FILE --budget 40ktok" in flat
    assert err == ""


def test_a_key_without_an_address_is_pointed_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert main(["doctor"]) == exits.DONE
    out = " ".join(capsys.readouterr().out.split())
    assert "OPENAI_API_KEY is set but OPENAI_BASE_URL is not" in out
    assert KEY not in out


def test_models_of_a_short_list_are_asked_and_the_cost_is_said_before_and_after(
    endpoint: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["doctor"]) == exits.DONE
    out, err = capsys.readouterr()
    assert err.startswith("asking 2 models what they honour: at most 38 calls and ")
    assert "were used to find this out" in out
    assert "2 copies were asked for, 1 came back." in out
    assert "→ Copies are asked for one by one; each pays its prompt." in out
    assert "a run would work: outlay run FILE --models sound,n-ignored+usage-one --budget 40ktok" in out
    assert "No budget in dollars can be kept." in out


def test_json_holds_every_finding_and_nothing_else_is_on_standard_output(
    endpoint: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["doctor", "--models", "sound@1/2", "--json"]) == exits.DONE
    said = json.loads(capsys.readouterr().out)
    [model] = said["endpoints"][0]["models"]
    statuses = {one["capability"]: one["status"] for one in model["findings"]}
    assert said["works"]
    assert said["environment"] == {"OPENAI_BASE_URL": "set", "OPENAI_API_KEY": "not set"}
    assert (statuses["n"], statuses["effort"]) == ("honoured", "ignored")
    assert model["price"] == "$1 in and $2 out a million tokens, as written."
    assert model["spent"]["usd"] == pytest.approx(1e-6 * (model["spent"]["tok"] + model["spent"]["outtok"]))


def test_a_budget_bounds_the_questions(endpoint: str, capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", "--models", "sound", "--budget", "700tok", "--json"]) == exits.DONE
    out, err = capsys.readouterr()
    [model] = json.loads(out)["endpoints"][0]["models"]
    assert model["spent"]["tok"] <= 700
    assert "and no more than 700 tok" in err
    assert any("--budget" in one["evidence"] for one in model["findings"])


def test_a_dollar_budget_needs_a_price(endpoint: str, capsys: pytest.CaptureFixture[str]):
    assert main(["doctor", "--models", "sound", "--budget", "1usd"]) == exits.USAGE
    assert "needs the price of sound; write --models sound@0.15/0.60" in capsys.readouterr().err


def test_a_refused_key_is_a_problem_and_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with serving(key="right") as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        for args in ([], ["--models", "sound"], ["--json"]):
            assert main(["doctor", *args]) == exits.UPSTREAM
            out, err = capsys.readouterr()
            assert KEY not in out + err
            assert "OPENAI_API_KEY" in out
        monkeypatch.setenv("OPENAI_API_KEY", "right")
        assert main(["doctor"]) == exits.DONE
        assert "sent, and not refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("models", "says"),
    [
        ("gone", "no such model; mend OPENAI_BASE_URL"),
        ("broken", "500 out of memory; look at the log of the server"),
        ("max-ignored", "it ignores max_tokens, so no budget can be kept"),
    ],
)
def test_a_model_that_cannot_be_used_is_a_problem(
    endpoint: str, models: str, says: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["doctor", "--models", models]) == exits.UPSTREAM
    out = " ".join(capsys.readouterr().out.split())
    assert says in out
    assert out.count("a run would not work") == 1


def test_a_model_that_is_not_listed_is_named_with_the_nearest(
    endpoint: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["doctor", "--models", "soundd"]) == exits.DONE
    assert "does not list soundd; did you mean sound?" in " ".join(capsys.readouterr().out.split())


def test_an_endpoint_that_is_not_there_ends_with_its_own_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert main(["doctor"]) == exits.UPSTREAM
    assert "cannot be reached: Connection refused; is OPENAI_BASE_URL right?" in capsys.readouterr().out


def test_a_long_list_is_not_asked_before_models_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with serving(models=[f"m{at}" for at in range(40)]) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert main(["doctor"]) == exits.DONE
        out, err = capsys.readouterr()
    assert err == ""
    assert "and 28 more" in out
    assert "none was asked: name those to use, cheap to dear: --models A,B" in out


def test_an_endpoint_that_lists_nothing_is_asked_by_name(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with serving(no_list=True) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert main(["doctor"]) == exits.UPSTREAM
        assert "name models with --models" in capsys.readouterr().out
        assert main(["doctor", "--models", "sound"]) == exits.DONE


CONFIG = """\
{budget}
[[endpoint]]
name = "here"
url = "{url}"
key_env = "HERE_KEY"
[[model]]
name = "small-high"
model = "sound"
endpoint = "here"
mode = "{mode}"
"""


def test_a_config_is_looked_at_with_its_endpoints_and_modes(
    served: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "c.toml").write_text(CONFIG.format(url=served, mode="high", budget=""))
    assert main(["doctor", "--config", "c.toml"]) == exits.DONE
    out = " ".join(capsys.readouterr().out.split())
    assert "HERE_KEY not set" in out
    assert "small-high asks for the effort high, which is not honoured" in out
    assert "outlay run FILE --config c.toml" in out


@pytest.mark.parametrize(
    ("mode", "budget", "says"),
    [
        ("thnk", "", "mode 'thnk'"),
        ("high", 'budget = "1usd"', "a budget in dollars needs the price of small-high"),
    ],
)
def test_a_config_that_a_run_would_refuse_is_a_problem_of_settings(
    served: str, tmp_path: Path, mode: str, budget: str, says: str, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "c.toml").write_text(CONFIG.format(url=served, mode=mode, budget=budget))
    assert main(["doctor", "--config", "c.toml"]) == exits.USAGE
    assert says in " ".join(capsys.readouterr().out.split())


def test_a_price_of_the_table_is_known_where_the_config_says_so(
    served: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = 'prices = "table"\n' + CONFIG.format(url=served, mode="high", budget="")
    (tmp_path / "c.toml").write_text(text.replace('"sound"', '"gpt-4o-mini"'))
    assert main(["doctor", "--config", "c.toml", "--json"]) == exits.DONE
    [model] = json.loads(capsys.readouterr().out)["endpoints"][0]["models"]
    assert "by the price table of 20" in model["price"]
    assert model["spent"]["usd"] > 0
