"""`outlay record` with the model in the package: what is there, what is told, what is refused."""

import json
from collections import Counter
from pathlib import Path

import pytest

from outlay.cli import main
from outlay.study.recording import load

ROWS = [
    {"id": f"n{k}", "prompt": f"Tom has {k} nuts, buys 8. How many?", "answer": "number", "gold": k + 8}
    for k in range(4)
]


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    (tmp_path / "look.py").write_text("def even(answer):\n    return int(answer) % 2 == 0\n")
    return path


def record(*options: str, budget: str = "9ktok") -> int:
    return main(["record", "tasks.jsonl", "--budget", budget, "-o", "mine.jsonl.gz", *options])


def test_every_model_is_on_every_prompt_with_every_check(tasks: Path, capsys: pytest.CaptureFixture[str]):
    assert record("--draws", "3", "--check", "look.py:even") == 0
    made = load("mine.jsonl.gz")
    count = Counter((row.prompt, row.arm) for row in made.rows)
    greedy = {"short:greedy", "think:greedy"}
    assert count == {
        (f"n{k}", arm): 1 if arm in greedy else 3 for k in range(4) for arm in {*greedy, "short", "think"}
    }
    assert made.complete
    assert made.asked
    assert made.confidence
    assert made.labels is not None
    assert made.labels.gold == {f"n{k}": (str(k + 8),) for k in range(4)}
    for row in made.rows:
        assert row.verdicts == ({"even": int(row.answer) % 2 == 0} if row.answer else {})
        assert row.input > 0
        assert row.output > 0
    assert "4 of 4 prompts, every model on each" in capsys.readouterr().out


def test_a_budget_that_pays_for_some_prompts_gives_these_whole(
    tasks: Path, capsys: pytest.CaptureFixture[str]
):
    assert record("--draws", "2", "--json", budget="500tok") == 3
    told = json.loads(capsys.readouterr().out)
    made = load("mine.jsonl.gz")
    assert 0 < len(made.prompts) < 4
    assert made.complete
    assert [prompt.id for prompt in made.prompts] == [f"n{k}" for k in range(len(made.prompts))]
    assert told["recorded"] == f"{len(made.prompts)} of 4 prompts, every model on each"
    assert told["ended"] == "what is left does not pay for another prompt at its worst"


def test_a_budget_that_pays_for_none_writes_nothing(tasks: Path, capsys: pytest.CaptureFixture[str]):
    assert record(budget="20tok") == 3
    assert "no prompt could be recorded whole" in capsys.readouterr().err
    assert not Path("mine.jsonl.gz").exists()


def test_the_same_command_again_buys_nothing_and_writes_the_same(
    tasks: Path, capsys: pytest.CaptureFixture[str]
):
    assert record("--draws", "2", "--json") == 0
    first, bytes_ = json.loads(capsys.readouterr().out), Path("mine.jsonl.gz").read_bytes()
    Path("mine.jsonl.gz").unlink()
    assert record("--draws", "2", "--json") == 0
    assert json.loads(capsys.readouterr().out) == first
    assert Path("mine.jsonl.gz").read_bytes() == bytes_


def test_another_number_of_draws_is_another_run(tasks: Path, capsys: pytest.CaptureFixture[str]):
    assert record("--draws", "1", "--quiet") == 0
    assert capsys.readouterr().out == ""
    assert record("--draws", "2") == 2
    assert "policy was every:1, now every:2" in capsys.readouterr().err


def test_limit_and_duplicates(tasks: Path, capsys: pytest.CaptureFixture[str]):
    tasks.write_text(
        "".join(json.dumps(ROWS[k] | {"id": name}) + "\n" for name, k in (("a", 0), ("b", 0), ("c", 1)))
    )
    assert record("--draws", "1", "--limit", "2") == 0
    assert [prompt.id for prompt in load("mine.jsonl.gz").prompts] == ["a"]
    assert "1 prompts are the same as others and were not asked again" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--draws", "0"], "--draws 0: give a number of at least 1"),
        (["-o", "mine.txt"], "mine.txt is no name of a recording"),
        (["--models", "gpt"], "gpt"),
    ],
)
def test_what_means_nothing_is_refused(
    tasks: Path, capsys: pytest.CaptureFixture[str], options: list[str], words: str
):
    assert record(*options) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("tasks.jsonl", "tasks.jsonl"),
        ("mine_prompts.jsonl", "mine.jsonl"),
        ("mine_labels.jsonl.gz", "mine.jsonl.gz"),
        ("mine.jsonl.part", "mine.jsonl"),
        ("mine.jsonl", "../{folder}/mine.jsonl"),
    ],
)
def test_it_never_writes_onto_what_it_reads(
    tasks: Path, capsys: pytest.CaptureFixture[str], given: str, name: str
):
    tasks.rename(given)
    held = Path(given).read_bytes()
    name = name.format(folder=tasks.parent.name)
    assert main(["record", given, "--budget", "9ktok", "-o", name]) == 2
    said = capsys.readouterr().err
    assert given in said
    assert "give -o another name" in said
    assert Path(given).read_bytes() == held
    assert not list(Path().glob("*.outlay"))


def test_a_recording_is_replaced_only_by_the_run_that_wrote_it(
    tasks: Path, capsys: pytest.CaptureFixture[str]
):
    Path("mine_labels.jsonl.gz").write_text("kept")
    assert record("--draws", "1") == 2
    assert "would replace mine_labels.jsonl.gz, which is there already" in capsys.readouterr().err
    assert Path("mine_labels.jsonl.gz").read_text() == "kept"
    Path("mine_labels.jsonl.gz").unlink()
    assert record("--draws", "1", "--quiet") == 0
    first = Path("mine.jsonl.gz").read_bytes()
    assert record("--draws", "1", "--quiet") == 0
    assert Path("mine.jsonl.gz").read_bytes() == first


def test_a_recording_may_have_the_name_of_its_input_with_another_ending(tasks: Path):
    for _ in range(2):
        assert (
            main(["record", "tasks.jsonl", "--budget", "9ktok", "--draws", "1", "-o", "tasks.jsonl.gz"]) == 0
        )
    assert len(load("tasks.jsonl.gz").prompts) == 4
