import subprocess
import sys
from pathlib import Path

import pytest

from outlay.cli import exits, main
from outlay.cli.commands import COMMANDS


def run(*args: str) -> int:
    """The exit code, whichever way it comes."""
    try:
        return main(args)
    except SystemExit as end:
        return int(end.code or 0)


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)


def test_no_command_shows_the_help_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]):
    assert run() == exits.USAGE
    assert "examples:" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]):
    assert run(name, "--help") == exits.DONE
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: outlay {name}")
    assert f"  outlay {name}" in shown or f"--{name.removesuffix('s').replace('ie', 'y')}" in shown
    assert max(map(len, shown.splitlines())) <= 100


@pytest.mark.parametrize("word", ["λ", "belief", "arm", "flow", "offer", "lambda"])
def test_help_speaks_the_words_of_users(word: str, capsys: pytest.CaptureFixture[str]):
    for name in COMMANDS:
        run(name, "--help")
    assert f" {word} " not in capsys.readouterr().out


def test_the_version_is_shown(capsys: pytest.CaptureFixture[str]):
    assert run("--version") == exits.DONE
    assert capsys.readouterr().out.startswith("outlay 0.")


@pytest.mark.parametrize(
    ("args", "problem"),
    [
        (("rn",), "invalid choice: 'rn'"),
        (("run",), "required: FILE; see outlay run --help"),
        (("run", "x", "--bud", "1tok"), "--bud"),
        (("run", "x"), "--budget 40ktok"),
        (("run", "x", "--budget", "10m"), "10min or 10Mtok"),
        (("run", "x", "--budget", "1tok", "--budget", "1Mtok"), "each unit once"),
        (("run", "none.jsonl", "--budget", "1tok"), "no such file"),
        (("run", "x", "--budget", "1tok", "--models", "gpt"), "OPENAI_BASE_URL"),
        (("run", "x", "--budget", "1tok", "--policy", "prced"), "priced"),
        (("run", "x", "--budget", "1tok", "--policy", "lead"), "lead:3"),
        (("run", "x", "--budget", "1tok", "--policy", "agree"), "needs three or more, and there are 2"),
        (
            ("run", "x", "--budget", "1tok", "--policy", "lead:3@shrt"),
            "unknown model 'shrt'; known: short, think",
        ),
        (("run", "x", "--budget", "1tok", "--strategy", "votes"), "vote"),
        (("run", "x", "--budget", "1tok", "--abstain", "2"), "between 0 and 1"),
        (("run", "x", "--budget", "1tok", "--limit", "0"), "limit"),
        (("run", "x", "--budget", "1tok", "--config", "no.toml"), "no.toml"),
        (("run", "x", "--budget", "1tok", "--models", ""), "a model without a name"),
        (("run", "x", "--budget", "1tok", "--models", ","), "a model without a name"),
        (("run", "x", "--budget", "1tok", "-o", ""), "it is empty; name a directory"),
        (("receipt", "x", "-o", ""), "it is empty; name a directory"),
        (("run", "-", "--budget", "1tok", "--grade"), "--grade reads the file twice"),
        (("plan", "none.jsonl"), "no such file"),
        (("receipt", "a"), "no run here"),
        (("receipt", "a", "-o", "none"), "none holds no answers.jsonl"),
    ],
)
def test_a_usage_error_is_one_line_that_says_what_to_do(
    args: tuple[str, ...], problem: str, capsys: pytest.CaptureFixture[str]
):
    assert run(*args) == exits.USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("outlay: ")
    assert err.count("\n") == 1
    assert problem in err


def test_a_dollar_budget_without_a_price_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert run("run", "x", "--budget", "2usd", "--models", "small,big@1/2") == exits.USAGE
    assert "needs the price of small; write --models small@0.15/0.60" in capsys.readouterr().err


@pytest.mark.parametrize("price", ["x/y", "1", "1/2/3"])
def test_a_mistyped_price_is_an_error_and_no_name(
    price: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert run("run", "x", "--budget", "1ktok", "--models", f"a@{price}") == exits.USAGE
    assert "small@0.15/0.60" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["a file", "a file/below/it"])
def test_a_run_cannot_live_in_a_file(place: str, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "a file").touch()
    (tmp_path / "x").write_text('{"prompt": "a"}')
    assert run("run", "x", "--budget", "1ktok", "-o", place) == exits.USAGE
    assert "a file is a file; name a directory, such as -o a file.outlay" in capsys.readouterr().err


def test_an_empty_file_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    (tmp_path / "empty.jsonl").write_text("\n\n")
    assert run("run", "empty.jsonl", "--budget", "1ktok") == exits.USAGE
    assert "holds no rows" in capsys.readouterr().err


@pytest.mark.parametrize(
    "url", ["http://[", "http://[bold]/v1", "localhost:8000", "http://x:99999/v1", "http://"]
)
@pytest.mark.parametrize("args", [("models",), ("run", "t.jsonl", "--models", "a", "--budget", "1ktok")])
def test_an_address_that_is_none_is_a_usage_error(
    url: str, args: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    Path("t.jsonl").write_text('{"prompt": "a"}')
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    assert run(*args) == exits.USAGE
    assert "OPENAI_BASE_URL is no address of an endpoint" in capsys.readouterr().err


def test_an_endpoint_that_is_not_there_has_its_own_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert run("models") == exits.UPSTREAM
    assert "http://127.0.0.1:9/v1 cannot be reached" in capsys.readouterr().err


def test_a_closed_pipe_is_no_traceback():
    code = "import sys; from outlay.cli import main; sys.exit(main(['models', '--json']))"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
