import asyncio
import json
import signal
from pathlib import Path

import pytest

from outlay.cli.conduct import stopping, write_errors
from outlay.cli.prepare import directory_beside, prepare
from outlay.cli.tour import FINISHED, start_anew
from outlay.config import Settings, parse_budget
from outlay.errors import CheckError, InputError, UsageError

CHECK = """
def applies(prompt):
    return prompt.id == "a"

def passes(answer):
    return answer == "4"

def other(answer):
    return True
"""


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text('{"id": "a", "prompt": "2+2?"}\n{"id": "b", "prompt": "3+3?"}\nbad\n')
    Path("tests.py").write_text(CHECK)
    return "rows.jsonl"


def settings(**changes: object) -> Settings:
    return Settings(budget=parse_budget("1ktok"), **changes)  # type: ignore[arg-type]


def test_a_run_on_the_model_in_the_package_needs_nothing_but_rows_and_a_budget(file: str):
    prepared = prepare(file, settings())
    assert list(prepared.job.engines) == ["pocket"]
    assert prepared.directory == Path("rows.outlay")
    assert [prompt.id for prompt in prepared.rows.prompts] == ["a", "b"]
    assert prepared.job.checks == {"a": frozenset(), "b": frozenset()}


def test_a_check_exists_where_it_applies(file: str):
    prepared = prepare(file, settings(check=("tests.py:passes",)))
    assert prepared.job.checks == {"a": {"passes"}, "b": frozenset()}
    arm = prepared.job.arms[-1]
    assert (arm.name, arm.role, arm.deterministic) == ("passes", "check", True)
    assert arm.engine in prepared.job.engines
    asyncio.run(prepared.close())


def test_two_checks_of_one_name_are_called_by_their_full_one(file: str):
    Path("more.py").write_text("def passes(answer): return True\n")
    prepared = prepare(file, settings(check=("tests.py:passes", "more.py:passes")))
    assert [arm.name for arm in prepared.job.arms[-2:]] == ["tests.py:passes", "more.py:passes"]
    asyncio.run(prepared.close())


def test_a_check_named_twice_or_not_there_is_refused(file: str):
    with pytest.raises(UsageError, match="named twice"):
        prepare(file, settings(check=("tests.py:passes", "tests.py:passes")))
    with pytest.raises(CheckError):
        prepare(file, settings(check=("tests.py:none",)))


def test_models_of_an_endpoint_share_its_engine(file: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert list(prepare(file, settings(pick=("small", "big"))).job.engines) == ["http"]


@pytest.mark.parametrize(
    ("file", "directory"),
    [
        ("tasks.jsonl", "tasks.outlay"),
        ("a/b.c.jsonl", "a/b.c.outlay"),
        ("-", "stdin.outlay"),
        ("x", "x.outlay"),
    ],
)
def test_a_run_lives_beside_its_input(file: str, directory: str):
    assert directory_beside(file) == Path(directory)


def test_rows_that_cannot_be_used_have_a_file(tmp_path: Path):
    run = tmp_path / "run"
    write_errors(run, [InputError(3, "prompt", "it is café", "mend it")])
    (row,) = (run / "errors.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(row) == {"line": 3, "field": "prompt", "problem": "it is café", "remedy": "mend it"}
    write_errors(run, [])
    assert not (run / "errors.jsonl").exists()


def test_without_bad_rows_nothing_is_made(tmp_path: Path):
    write_errors(tmp_path / "run", [])
    assert not (tmp_path / "run").exists()


def test_the_first_interrupt_drains_the_second_stops_the_third_raises(capfd: pytest.CaptureFixture[str]):
    before = signal.getsignal(signal.SIGINT)
    with stopping() as stop:
        assert stop() == 0
        signal.raise_signal(signal.SIGINT)
        assert stop() == 1
        signal.raise_signal(signal.SIGTERM)
        assert stop() == 2
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before
    assert "finishing the calls under way" in capfd.readouterr().err


def test_a_finished_demo_is_taken_away_and_an_unfinished_one_kept(tmp_path: Path):
    for name in ("answers.jsonl", "journal.db", "mine.txt"):
        (tmp_path / name).touch()
    start_anew(tmp_path)
    assert (tmp_path / "journal.db").exists()
    (tmp_path / FINISHED).touch()
    start_anew(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
