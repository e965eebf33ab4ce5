"""`outlay forget` deletes a run and nothing else."""

from pathlib import Path

import pytest

from outlay.cli import main
from outlay.journal import Journal, JournalLine


def run_directory(path: Path) -> Path:
    path.mkdir()
    journal = Journal(path / "journal.db")
    journal.identify({"version": "x"})
    journal.append([JournalLine("done", "k", b"{}")])
    journal.close()
    (path / "answers.jsonl").write_text("{}\n")
    return path


def test_a_run_is_deleted_with_its_directory(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["forget", str(run_directory(tmp_path / "run"))]) == 0
    assert not (tmp_path / "run").exists()
    assert "answers.jsonl" in capsys.readouterr().out


def test_files_of_others_stay_and_so_does_the_directory(tmp_path: Path):
    directory = run_directory(tmp_path / "run")
    (directory / "notes.txt").write_text("mine")
    assert main(["forget", str(directory)]) == 0
    assert [each.name for each in directory.iterdir()] == ["notes.txt"]


def test_a_directory_that_is_no_run_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "answers.jsonl").write_text("mine")
    assert main(["forget", str(tmp_path)]) == 2
    assert "no run directory" in capsys.readouterr().err
    assert (tmp_path / "answers.jsonl").read_text() == "mine"


def test_a_run_that_is_under_way_is_not_touched(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    directory = run_directory(tmp_path / "run")
    journal = Journal(directory / "journal.db")
    journal.identify({"version": "x"})
    assert main(["forget", str(directory)]) == 2
    assert "at work" in capsys.readouterr().err
    assert (directory / "answers.jsonl").exists()
    journal.close()
