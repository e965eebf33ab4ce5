import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from outlay.engines.recorded import Row
from outlay.errors import InputError, UsageError
from outlay.study.recording import ANY, Draw, Label, answer_of, arms_of, load, scorer, sibling, stem
from outlay.study.recording_files import write
from outlay.types import Message, Prompt

EXAMPLES = Path(__file__).parents[3] / "examples"
ROWS = (
    Row("p1", "small", 0, answer="42", text="so 42", input=9, cached=3, output=7, reasoning=2, usd=1e-6, ms=5,
        confidence=(-0.5, -1.0, -0.25), finish="length", verdicts={"visible": True, "lint": None}, estimated=True),
    Row("p1", "small", 1, answer="41", input=9, output=5, usd=1e-6),
    Row("p1", "big", 0, text="forty\ntwo", input=9, output=4, usd=9e-6, verdicts={"visible": False}),
    Row("p2", "big", 0),
)  # fmt: skip
LABELS = (
    Label("p1", gold=["42", 42.0, True]),
    Label("p1", arm="small", draw=1, right=0.25),
    Label("p2", arm="big", draw=0, right=True),
)
PROMPTS = (
    {"id": "p1", "prompt": "6 x 7?", "answer": "number", "metadata": {"group": "sums"}},
    {"id": "p2", "prompt": "Sing.", "answer": "text"},
    {"id": "p3", "prompt": "Never asked."},
)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_what_is_written_is_what_is_read_in_every_form(tmp_path: Path, suffix: str):
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / "some" / f"mine{suffix}"
    files = write(path, ROWS, labels=LABELS, prompts=PROMPTS)
    assert [one.name for one in files] == [f"mine{suffix}", f"mine_labels{suffix}", "mine_prompts.jsonl"]
    assert sorted(path.parent.iterdir()) == sorted(files), "nothing half-written is left"
    found = load(path)
    plain = [(row.verdicts if suffix != ".parquet" else {**row.verdicts}) for row in found.rows]
    assert found.rows == ROWS
    assert plain[0] == {"visible": True, "lint": None}
    assert found.labels is not None
    assert found.labels.gold == {"p1": ("42", "42", "true")}
    assert found.labels.right == {Draw("p1", "small", 1): 0.25, Draw("p2", "big", 0): 1.0}
    assert [prompt.id for prompt in found.prompts] == ["p1", "p2"]
    assert found.prompts[0] == Prompt("p1", (Message("user", "6 x 7?"),), "number", {"group": "sums"})
    assert found.asked
    assert found.checks == ("visible",)


def test_the_same_rows_give_the_same_bytes(tmp_path: Path):
    first, second = tmp_path / "a.jsonl.gz", tmp_path / "b.jsonl.gz"
    write(first, ROWS)
    write(second, iter(ROWS))
    assert first.read_bytes() == second.read_bytes()


def test_a_file_appears_whole_or_the_old_one_stays(tmp_path: Path):
    path = tmp_path / "mine.jsonl"
    write(path, ROWS, labels=LABELS)
    before = path.read_bytes()

    def broken() -> Iterator[Row]:
        yield ROWS[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(path, broken())
    assert path.read_bytes() == before
    assert [one.name for one in sorted(tmp_path.iterdir())] == ["mine.jsonl", "mine_labels.jsonl"]


def test_siblings_of_an_earlier_recording_do_not_outlive_it(tmp_path: Path):
    path = tmp_path / "mine.jsonl"
    write(path, ROWS, labels=LABELS, prompts=PROMPTS)
    write(path, ROWS)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(UsageError, match=r"no draw to write to mine\.jsonl"):
        write(path, [])


def test_the_example_of_today_loads_with_its_older_labels():
    found = load(EXAMPLES / "code.jsonl.gz")
    assert (len(found.rows), len(found.prompts), found.asked) == (1496, 164, True)
    assert found.labels is not None
    with gzip.open(EXAMPLES / "code_labels.jsonl.gz") as lines:
        right = sum(json.loads(line)["correct"] for line in lines)
    assert sum(mark or 0 for mark in found.labels.right.values()) == right
    assert found.checks == ("visible",)
    assert found.confidence
    assert found.counted
    assert not found.dollars
    assert not found.complete
    few = replace(found, rows=found.rows[:100])
    score = scorer(few)
    assert score is not None
    prompts = {prompt.id: prompt for prompt in few.prompts}
    for row in few.rows:  # the same program is right or not, whoever wrote it
        mark = found.labels.right[Draw(row.prompt, row.arm, row.draw)]
        assert score(prompts[row.prompt], answer_of(row, prompts[row.prompt])) == mark


def test_without_prompts_the_id_stands_for_the_text_and_whole_answers_exclude_each_other(tmp_path: Path):
    path = tmp_path / "mine.jsonl"
    write(path, ROWS)
    found = load(path)
    assert not found.asked
    assert found.labels is None
    assert scorer(found) is None
    assert found.prompts[0] == Prompt("p1", (Message("user", "p1"),), ANY)
    assert [answer_of(row, found.prompts[0]) for row in ROWS] == ["42", "41", "forty two", None]


def test_arms_stand_from_cheap_to_dear_by_dollars_where_all_have_them_else_by_tokens():
    assert [arm.name for arm in arms_of(ROWS[:3])] == ["small", "big"]
    assert [arm.usd for arm in arms_of(ROWS[:3])] == [1e-6, 9e-6]
    by_tokens = arms_of(ROWS)
    assert [(arm.name, arm.tok, arm.usd) for arm in by_tokens] == [("big", 6.5, None), ("small", 15.0, 1e-6)]
    assert (by_tokens[1].prompts, by_tokens[1].draws, by_tokens[1].fewest, by_tokens[1].most) == (1, 2, 2, 2)


def test_an_arm_that_nobody_counted_is_not_the_cheapest():
    arms = arms_of([Row("p", "hidden", 0), Row("p", "counted", 0, output=900)])
    assert [(arm.name, arm.counted) for arm in arms] == [("counted", True), ("hidden", False)]


def test_marks_of_one_class_are_averaged_and_go_before_gold(tmp_path: Path):
    path = tmp_path / "mine.jsonl"
    rows = [Row("p1", "a", k, answer=answer) for k, answer in enumerate(["7", "7.0", "8"])]
    labels = [
        Label("p1", gold=9),
        Label("p1", arm="a", draw=0, right=True),
        Label("p1", arm="a", draw=1, right=False),
        Label("p1", arm="a", draw=2, right=None),
    ]
    write(path, rows, labels=labels, prompts=PROMPTS)
    found = load(path)
    score = scorer(found)
    assert score is not None
    p1 = found.prompts[0]
    assert [score(p1, said) for said in ("7", "9.0", "8", None)] == [0.5, 1.0, 0.0, 0.0]


def test_what_nobody_marked_has_no_score(tmp_path: Path):
    path = tmp_path / "mine.jsonl"
    write(path, ROWS, labels=LABELS[2:], prompts=PROMPTS)
    found = load(path)
    score = scorer(found)
    assert score is not None
    assert score(found.prompts[0], "42") is None
    assert score(found.prompts[1], "la la") is None, "the text was never marked"


def test_facts_say_what_is_there_and_what_is_not(tmp_path: Path):
    path = tmp_path / "mine.jsonl"
    write(path, ROWS, labels=LABELS)
    facts = dict(load(path).facts())
    assert facts["prompts"] == "2, without their text"
    assert facts["draws"] == "4: 1 to 2 an arm, not of every arm for every prompt"
    assert facts["dollars"] == "of 1 of 2 arms"
    assert facts["labels"] == "right answers of 1 prompts and marks of 2 draws"
    write(path, [Row("p", "a", 0), Row("q", "a", 0)])
    assert load(path).complete
    assert dict(load(path).facts())["tokens"] == "none"


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ({"prompt": "p1", "arm": "small", "draw": 0, "right": 3}, ["line 2", "right", "0 to 1"]),
        ({"prompt": "p1", "arm": "small", "right": True}, ["line 2", "draw"]),
        ({"prompt": "p1", "gold": {"a": 1}}, ["line 2", "gold"]),
        ({"gold": "7"}, ["line 2", "prompt"]),
    ],
)
def test_a_label_that_means_nothing_names_its_line(tmp_path: Path, label: object, words: list[str]):
    path = tmp_path / "mine.jsonl"
    write(path, ROWS)
    sibling(path, "labels", ".jsonl").write_text('{"prompt":"p2","gold":"x"}\n' + json.dumps(label) + "\n")
    with pytest.raises(InputError) as caught:
        load(path)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ["mine.json", "mine", ".jsonl", "mine.csv"])
def test_a_name_that_is_none_says_how_it_must_end(name: str):
    with pytest.raises(UsageError, match="no name of a recording"):
        stem(Path(name))


def test_an_empty_recording_is_refused(tmp_path: Path):
    path = tmp_path / "mine.jsonl"
    path.write_text("\n")
    with pytest.raises(UsageError, match="holds no draws"):
        load(path)
