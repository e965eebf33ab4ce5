"""A small run of `benchmarks/mutate_inputs.py`: what is spoiled is read or refused, and never a traceback."""

import runpy
from pathlib import Path

import pytest

BENCHMARK = runpy.run_path(str(Path(__file__).parents[3] / "benchmarks" / "mutate_inputs.py"))
CASES = {case.name: case for case in BENCHMARK["CASES"]}


@pytest.mark.parametrize(("name", "number"), [("line.jsonl", 250), ("config.toml", 150), ("prices.json", 60)])
def test_a_spoiled_file_is_read_or_refused_in_a_line(
    name: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    counts, crashes = BENCHMARK["mutate"](CASES[name], number, 7, tmp_path)
    assert crashes == []
    assert counts["read"] + counts["refused"] == number
    assert counts["read"] >= number // 50
    assert counts["refused"] >= number // 2


@pytest.mark.parametrize("name", list(CASES))
def test_what_is_not_spoiled_is_read_or_refused_for_what_it_holds(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://api.openai.com/v1")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    case = CASES[name]
    (tmp_path / name).write_text(case.sound[0])
    assert case.use(tmp_path / name) == "read"


def test_a_crash_is_seen(tmp_path: Path):
    def crash(_: Path) -> str:
        raise KeyError("found")

    outcome = BENCHMARK["mutate"](CASES["line.jsonl"]._replace(use=crash), 3, 7, tmp_path)
    assert outcome.counts == {"crashed": 3}
    assert "KeyError: 'found'" in outcome.crashes[0]
