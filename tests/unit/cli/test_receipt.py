import json
import os
import unicodedata
from pathlib import Path

import pytest

from outlay.cli import exits, main
from outlay.cli.answers import newest
from outlay.errors import UsageError

PURCHASE = {
    "kind": "sample",
    "arm": "short",
    "copies": 4,
    "tok": 1_280,
    "outtok": 40,
    "usd": 0.0,
    "s": 0.25,
    "belief": [0.2, 0.93],
    "price": 1.5,
}
ROW = {
    "id": "line-1",
    "answer": "4*7-[3]",
    "text": "4*7-[3]",
    "outcome": "answered",
    "confidence": 0.93,
    "cost": {"tok": 1_280, "outtok": 40, "usd": 0.0, "s": 0.25},
    "receipt": {"purchases": [PURCHASE], "stopped": "nothing more was worth its cost"},
}


def written(directory: Path, *rows: object) -> Path:
    directory.mkdir()
    (directory / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"id": "torn')
    return directory


def test_a_receipt_shows_purchases_confidence_and_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["receipt", "line-1", "-o", str(written(tmp_path / "r", ROW))]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "answer 4*7-[3]" in text
    assert "answered, confidence 0.93" in text
    assert "cost 1.28 ktok, 40 outtok, 0.25 s" in text
    assert "sample short 4 1,280 0.250 0.20 0.93" in text
    assert "nothing more was worth its cost" in text
    assert "dollars" not in text


def test_of_two_rows_of_a_run_that_goes_on_the_last_counts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    later = {**ROW, "answer": "28-3", "confidence": 0.99}
    assert main(["receipt", "line-1", "-o", str(written(tmp_path / "r", ROW, later))]) == 0
    assert "answer 28-3" in " ".join(capsys.readouterr().out.split())


def test_dollars_are_shown_where_there_are_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    bought = {**PURCHASE, "usd": 0.0123}
    row = {**ROW, "cost": {"tok": 10, "usd": 0.0123}, "receipt": {"purchases": [bought]}}
    assert main(["receipt", "line-1", "-o", str(written(tmp_path / "r", row))]) == 0
    assert capsys.readouterr().out.count("$0.0123") == 2


def test_a_prompt_without_an_answer_has_a_receipt(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    row = {"id": "a", "answer": None, "text": "", "outcome": "out_of_budget", "confidence": 0.0, "cost": {}}
    assert main(["receipt", "a", "-o", str(written(tmp_path / "r", row))]) == 0
    text = capsys.readouterr().out
    assert "none" in text
    assert "the budget was spent" in text


def test_a_long_text_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    row = {**ROW, "answer": None, "text": "word " * 10_000}
    assert main(["receipt", "line-1", "-o", str(written(tmp_path / "r", row))]) == 0
    assert len(capsys.readouterr().out) < 4_000


def test_a_receipt_as_json_is_the_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["receipt", "line-1", "--json", "-o", str(written(tmp_path / "r", ROW))]) == 0
    assert json.loads(capsys.readouterr().out) == ROW


def test_an_unknown_id_names_those_that_are_near(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    run = written(tmp_path / "r", ROW, {"id": "other"})
    assert main(["receipt", "line-2", "-o", str(run)]) == exits.USAGE
    assert "ids there: line-1" in capsys.readouterr().err


def test_the_newest_run_of_a_folder_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old, new = written(tmp_path / "b.outlay", ROW), written(tmp_path / "a.outlay", ROW)
    os.utime(old / "answers.jsonl", (1, 1))
    assert newest(tmp_path) == new
    with pytest.raises(UsageError, match="no run here"):
        newest(new)


def test_what_was_out_of_the_ordinary_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    odd = [{"capped": 64}, {"even": True}, {"part": "2.1"}, {"error": "[502]"}, {"belief": [0.2, None]}]
    odd += [{"repeated": {"times": times, "why": why}} for times, why in ((1, "it broke"), (3, "[429]"))]
    row = {**ROW, "receipt": {"purchases": [PURCHASE | one for one in odd]}}
    assert main(["receipt", "line-1", "-o", str(written(tmp_path / "r", row))]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in (
        "cut to 64 tokens",
        "to compare",
        "in part 2.1",
        "[502]",
        "after an attempt that failed: it broke",
        "after 3 attempts that failed: [429]",
    ):
        assert words in text


def test_of_many_purchases_those_in_the_middle_are_summed_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    row = {**ROW, "receipt": {"purchases": [PURCHASE] * 40, "stopped": "no offer is worth its price"}}
    assert main(["receipt", "line-1", "-o", str(written(tmp_path / "r", row))]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "… 28 more 35,840 7.000" in text
    assert text.count("sample short") == 12
    assert "nothing more that could be bought was worth its cost" in text


ERROR = (
    "http://localhost:8000/v1 answered 500 Internal Server Error: the model has crashed while it loaded its "
    "weights; gave up after 4 attempts"
)
LIMIT = "stopped: it ran longer than 10 s"


def test_what_a_row_has_no_room_for_stands_below_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    said = [{"error": ERROR}, {"kind": "check", "message": LIMIT}, {"error": ERROR}, {"even": True}]
    row = {**ROW, "receipt": {"purchases": [PURCHASE | one for one in said]}}
    assert main(["receipt", "line-1", "-o", str(written(tmp_path / "r", row))]) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line.split()[-1] for line in lines if line.startswith(("sample", "check"))]
    assert rows == ["(1)", "(2)", "(1)", "compare"]
    below = " ".join(" ".join(lines).partition("to compare")[2].split())
    assert f"(1) {ERROR}" in below
    assert f"(2) {LIMIT}" in below
    assert max(map(len, lines)) <= 100


def test_an_endless_message_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    row = {**ROW, "receipt": {"purchases": [PURCHASE | {"message": "x\n" * 10_000}]}}
    assert main(["receipt", "line-1", "-o", str(written(tmp_path / "r", row))]) == 0
    assert len(capsys.readouterr().out) < 2_500


HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31mred\x7f\r"


def test_nothing_from_outside_gives_orders_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    said = [{"message": HOSTILE}, {"error": HOSTILE * 3}, {"arm": HOSTILE, "kind": HOSTILE}]
    purchases = [PURCHASE | one for one in said]
    row = {**ROW, "text": f"a{HOSTILE}\r\n\tb", "answer": None, "outcome": HOSTILE}
    row["receipt"] = {"purchases": purchases, "stopped": HOSTILE}
    run = str(written(tmp_path / "r", row))
    for options in ((), ("--json",)):
        assert main(["receipt", "line-1", "-o", run, *options]) == 0
        shown = capsys.readouterr().out
        assert not [char for char in shown if unicodedata.category(char) == "Cc" and char not in "\n\t"]
    assert json.loads(shown) == row
    assert main(["receipt", HOSTILE, "-o", run]) == exits.USAGE
    assert "\x1b" not in capsys.readouterr().err


def test_control_characters_are_shown_as_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    row = {**ROW, "answer": "\x1b[2Jgone", "text": ""}
    assert main(["receipt", "line-1", "-o", str(written(tmp_path / "r", row))]) == 0
    assert "answer   ␛[2Jgone" in capsys.readouterr().out
