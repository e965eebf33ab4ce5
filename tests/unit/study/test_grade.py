import json
from pathlib import Path

import pytest

from outlay.errors import InputError
from outlay.study.grade import by_gold, grade
from outlay.study.labels import read_gold
from outlay.types import FREE, Answer, Message, Prompt


def written(tmp_path: Path, *rows: object) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def prompt(id: str, answer: str = "number", group: str | None = None) -> Prompt:
    return Prompt(id, (Message("user", "?"),), answer, {"group": group} if group else {})


def said(id: str, answer: str | None, confidence: float = 0.5) -> Answer:
    return Answer(id, answer, answer or "", "answered" if answer else "no_answer_found", confidence, FREE)


def test_gold_is_read_by_the_id_of_its_row(tmp_path: Path):
    path = written(
        tmp_path,
        {"id": "a", "prompt": "?", "gold": "18"},
        {"prompt": "?", "gold": 3},
        "bad row",
        {"id": "b", "prompt": "?"},
        {"custom_id": "c", "body": {}, "gold": ["x", "y"]},
        {"id": "d", "prompt": "?", "gold": True},
    )
    assert read_gold(path) == {"a": ("18",), "line-2": ("3",), "c": ("x", "y"), "d": ("true",)}
    assert read_gold(path, limit=1) == {"a": ("18",)}
    assert "a" not in read_gold(path, refused={1})


@pytest.mark.parametrize("gold", [{}, [], [[1]], [None]])
def test_gold_that_cannot_be_compared_is_refused(tmp_path: Path, gold: object):
    with pytest.raises(InputError, match="line 1, field 'gold'"):
        read_gold(written(tmp_path, {"id": "a", "gold": gold}))


@pytest.mark.parametrize(
    ("kind", "answer", "gold", "right"),
    [
        ("number", "1,000", "1000", True),
        ("number", "1e3", "So he pays $1,000. #### 1000", True),
        ("number", "18", "19", False),
        ("number", None, "19", False),
        ("choice:A-D", "B", "B", True),
        ("text", "to be  or not", "to be or not", True),
    ],
)
def test_answers_are_compared_in_canonical_form(kind: str, answer: str | None, gold: str, right: bool):
    grades = grade([prompt("a", kind)], [said("a", answer)], by_gold({"a": (gold,)}))
    assert grades is not None
    assert grades.all.right == right


def test_any_of_several_gold_answers_is_right():
    grades = grade([prompt("a")], [said("a", "2")], by_gold({"a": ("1", "2")}))
    assert grades is not None
    assert grades.all.right == 1


def test_grades_are_given_by_group_with_mean_confidence_and_interval():
    prompts = [prompt("a", group="x"), prompt("b", group="x"), prompt("c"), prompt("no gold"), prompt("open")]
    answers = [said("a", "1", 0.9), said("b", "1", 0.5), said("c", None, 0.1), said("no gold", "1")]
    grades = grade(prompts, answers, by_gold({"a": ("1",), "b": ("2",), "c": ("3",), "open": ("4",)}))
    assert grades is not None
    assert (grades.all.graded, grades.all.right, grades.all.confidence) == (3, 1, pytest.approx(0.5))
    assert [(g.group, g.graded, g.right) for g in grades.groups] == [("x", 2, 1), ("number", 1, 0)]
    assert grades.groups[0].accuracy.low == pytest.approx(0.0945, abs=1e-3)
    assert grades.groups[0].confidence == pytest.approx(0.7)


def test_nothing_to_grade_is_none():
    assert grade([prompt("a")], [said("a", "1")], by_gold({})) is None
