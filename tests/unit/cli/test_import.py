"""`outlay import`: what is printed, what is refused, and how."""

import json
from pathlib import Path

import pytest

from outlay.cli import main
from outlay.study.recording import load


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rows = [
        {"dataset": "math", "model": model, "prompt": p, "sample": 0, "answer": str(p), "output_tokens": 9 * len(model),
         "correct": p > 0}
        for p in range(3)
        for model in ("dearest", "cheap")
    ]  # fmt: skip
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_it_says_what_was_found_and_where_it_lies(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "made" / "mine.jsonl.gz"
    assert main(["import", str(source), "-o", str(out)]) == 0
    said = "".join(capsys.readouterr().out.split())  # long paths are wrapped
    for words in (
        "boinf",
        "cheap, dearest (cheap to dear)",
        "6: 1 an arm",
        "marks of 6 draws",
        "mine_prompts.jsonl",
    ):
        assert "".join(words.split()) in said
    made = load(out)
    assert [arm.name for arm in made.arms] == ["cheap", "dearest"]
    assert made.complete


def test_the_same_as_data(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "mine.jsonl"
    assert (
        main(["import", str(source), "-o", str(out), "--json", "--where", "prompt=2", "--answer", "number"])
        == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert (told["read as"], told["prompts"], told["draws"], told["marks"]) == ("boinf", 1, 2, 2)
    assert told["files"] == [
        str(out),
        str(tmp_path / "mine_labels.jsonl"),
        str(tmp_path / "mine_prompts.jsonl"),
    ]
    assert load(out).prompts[0].answer == "number"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-o", "mine.csv"], "mine.csv is no name of a recording; end it with .jsonl.gz, .jsonl, .parquet"),
        (["-o", "mine.jsonl", "--where", "prompt"], "--where prompt names no value"),
        (["-o", "mine.jsonl", "--answer", "nombre"], "unknown kind of answer 'nombre'"),
        (["-o", "mine.jsonl", "--scorer", "match"], "a table of answers has no use for --scorer"),
        (["-o", "mine.jsonl", "--input", "x.jsonl"], "a table of answers has no use for --input"),
        (["-o", "mine.jsonl", "--confidence", "sure"], "no column 'sure'"),
    ],
)
def test_what_means_nothing_is_refused_in_one_line(
    source: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(source.parent)
    assert main(["import", str(source), *options]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert list(source.parent.iterdir()) == [source], "nothing was written"


def test_without_a_name_it_is_not_begun(source: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        main(["import", str(source)])
    assert "required: -o" in capsys.readouterr().err


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize("name", ["answers.jsonl", "folder/../answers.jsonl"])
def test_it_never_writes_onto_what_it_reads(
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    force: list[str],
):
    monkeypatch.chdir(source.parent)
    Path("folder").mkdir()
    held = source.read_bytes()
    assert main(["import", "answers.jsonl", "-o", name, *force]) == 2
    assert f"would write onto {Path(name)}, which is read" in capsys.readouterr().err
    assert source.read_bytes() == held


def test_a_file_that_is_there_is_replaced_only_by_force(source: Path, capsys: pytest.CaptureFixture[str]):
    keep, prompts = source.with_name("keep.jsonl"), source.with_name("keep_prompts.jsonl")
    for there in (keep, prompts):
        there.write_text("kept")
        assert main(["import", str(source), "-o", str(keep)]) == 2
        assert f"would replace {there}, which is there already" in capsys.readouterr().err
        assert there.read_text() == "kept"
        there.unlink()
    keep.write_text("old")
    assert main(["import", str(source), "-o", str(keep), "--force"]) == 0
    assert load(keep).complete


def test_a_folder_that_is_read_keeps_its_files(source: Path, capsys: pytest.CaptureFixture[str]):
    held = source.read_bytes()
    assert main(["import", str(source.parent), "-o", str(source), "--force"]) == 2
    assert "give -o another name" in capsys.readouterr().err
    assert source.read_bytes() == held


def test_prompts_beside_a_source_stay_as_they_are(source: Path, capsys: pytest.CaptureFixture[str]):
    prompts = source.with_name("answers_prompts.jsonl")
    prompts.write_text("kept")
    assert main(["import", str(source), "-o", f"{source}.gz", "--force"]) == 2
    assert f"would write onto {prompts}" in capsys.readouterr().err
    assert prompts.read_text() == "kept"
