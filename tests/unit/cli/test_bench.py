import json
from pathlib import Path

import pytest

from outlay.cli import main
from outlay.cli.console import WIDTH


@pytest.fixture
def log(tmp_path: Path) -> Path:
    rows = [
        {"prompt": f"p{p}", "arm": arm, "draw": 0, "answer": "AB"[(p + 1) // wrong % 2], "output": output}
        for p in range(24)
        for arm, wrong, output in (("small", 2, 10), ("Some/Longer-Name-Of-A-Model-70B", 9, 60))
    ]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def labelled(log: Path) -> Path:
    labels = ({"prompt": f"p{p}", "gold": "A"} for p in range(24))
    log.with_name("mine_labels.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels))
    return log


def shown(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert main(["bench", *args]) == 0
    return capsys.readouterr().out


def test_the_table_shows_every_rule_and_budget_in_a_hundred_columns(labelled: Path, capsys):
    text = shown(capsys, str(labelled), "--budget", "500tok", "--budget", "1ktok")
    for word in (
        "uniform:1@small",
        "uniform:1@Some",
        "priced, 500 tok",
        "priced, 1.00 ktok",
        "labels for 24",
    ):
        assert word in text
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "v always-big" in text
    assert "cost, tok" in text
    assert "No check recorded" in text


def test_without_labels_it_says_so_and_shows_the_same_answers(log: Path, capsys):
    text = shown(capsys, str(log), "--budget", "500tok")
    assert "no labels" in text
    assert "same answers as always-big" in text
    assert "No labels: how many answers are right is not known" in text
    assert "v mixing" not in text


def test_models_are_taken_cheap_to_dear_where_none_is_named(labelled: Path, capsys):
    made = json.loads(shown(capsys, str(labelled), "--json"))
    assert made["always_big"] == "uniform:1@Some/Longer-Name-Of-A-Model-70B"
    assert [line["budget"] for line in made["lines"] if line["rule"] == "priced"] == [360, 720, 1440]
    assert made["lines"][0]["right"] == [0.5, *made["lines"][0]["right"][1:]]


def test_policies_of_the_user_replace_the_usual_ones(labelled: Path, capsys):
    made = json.loads(
        shown(capsys, str(labelled), "--policy", "uniform:1@small", "--budget", "1ktok", "--json")
    )
    assert [line["rule"] for line in made["lines"]] == ["uniform:1@small", "priced"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--models", "small,huge"], "unknown model 'huge'"),
        (["--budget", "1"], "has no unit"),
        (["--budget", "10s"], "seconds"),
        (["--orders", "0"], "orders is 0"),
        (["--policy", "greedy"], "unknown policy 'greedy'"),
    ],
)
def test_a_mistake_is_one_line_with_a_remedy(log: Path, capsys, args: list[str], says: str):
    assert main(["bench", str(log), *args]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert error.startswith("outlay: ")
    assert error.count("\n") == 1


def test_a_log_that_is_not_there_is_named(tmp_path: Path, capsys):
    assert main(["bench", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl" in capsys.readouterr().err
