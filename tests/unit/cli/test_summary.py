import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from outlay.cli import exits
from outlay.cli.conduct import exit_code
from outlay.cli.summary import as_json, render
from outlay.driver import Line, Summary, ToppedUp
from outlay.errors import InputError
from outlay.study.grade import Grade, Grades
from outlay.types import FREE, Budget, Cost


def summary(**changes: object) -> Summary:
    values: dict[str, object] = {
        "prompts": 300,
        "outcomes": {"answered": 288, "abstained": 9, "failed": 3},
        "spent": Cost(39_400, 9_000, 0, 41_000),
        "budget": Budget(tok=40_000),
        "elapsed_ms": 41_000,
        "end": "spent",
        "end_sentence": "98 % of the budget is spent.",
        "lines": (
            Line("sample", "short:greedy", 300, 300, Cost(10_000, 1_000, 0, 9)),
            Line("sample", "think", 200, 420, Cost(29_400, 8_000, 0, 9)),
        ),
        "mean_confidence": 0.712,
        "checked": False,
        "overdraft": FREE,
        "gave_up": 0,
        "duplicates": 0,
        "resumed": False,
        "directory": Path("tasks.outlay"),
    }
    return Summary(**(values | changes))  # type: ignore[arg-type]


def shown(*args: object, **keywords: object) -> str:
    stream = io.StringIO()
    Console(file=stream, width=110).print(render(*args, **keywords))  # type: ignore[arg-type]
    return " ".join(stream.getvalue().split())


GRADES = Grades(Grade("all", 200, 150, 0.72), (Grade("[x]", 100, 90, 0.9), Grade("y", 100, 60, 0.54)))


def test_the_summary_says_what_came_of_the_prompts():
    text = shown(summary())
    assert "300 in 41 s: 288 answered, 9 left unanswered, not sure enough, 3 failed" in text
    assert "39.4 ktok of 40.0 ktok (98.5%), 600 tok left" in text
    assert "98 % of the budget is spent." in text
    assert "tasks.outlay/answers.jsonl" in text


def test_the_table_says_where_the_tokens_went_largest_first():
    text = shown(summary())
    assert "sample think 200 420 29,400 75% sample short:greedy 300 300 10,000 25%" in text
    assert "dollars" not in text


def test_dollars_are_shown_where_there_are_any():
    lines = (Line("sample", "big", 1, 1, Cost(10, 5, 12_300_000, 9)),)
    text = shown(summary(budget=Budget(usd=2 * 10**9, ms=60_000), spent=Cost(usd=10**9), lines=lines))
    assert "dollars" in text
    assert "$0.0123" in text
    assert "$1.00 of $2.00 (50.0%), $1.00 left" in text
    assert "41 s of 60 s (68.3%), 19 s left" in text


def test_confidence_without_checks_or_labels_is_called_unchecked():
    assert "0.71 on average, unchecked" in shown(summary())
    assert "unchecked" not in shown(summary(checked=True))
    assert "unchecked" not in shown(summary(), grades=GRADES)


def test_refused_rows_duplicates_and_what_was_given_up_are_told():
    text = shown(summary(gave_up=2, duplicates=5), refused=[InputError(3, "prompt", "it is [empty]", "ask")])
    assert "1 row, see errors.jsonl; the first: line 3, field 'prompt': it is [empty]; ask" in text
    assert "5 prompts asked before" in text
    assert "2 chains half-way" in text


def test_prompts_that_a_stopped_run_had_not_come_to_are_counted():
    assert "12 open, with an answer so far, 288 open, without an answer so far" in shown(
        summary(outcomes={"provisional": 12})
    )
    assert "without an answer so far" not in shown(summary())


def test_a_resumed_run_says_so():
    assert "nothing was bought twice" in shown(summary(resumed=True))
    assert "bought twice" not in shown(summary())


def test_a_top_up_is_told_with_what_goes_on():
    top_up = ToppedUp(Budget(tok=20_000), 40, 3)
    said = "topped up from 20.0 ktok to 40.0 ktok; 40 prompts that had stopped for want of budget go on"
    assert said in shown(summary(resumed=True, topped_up=top_up))
    assert as_json(summary(topped_up=top_up))["topped_up"] == {"from": {"tok": 20_000}, "went_on": 40}
    assert as_json(summary())["topped_up"] is None


def test_an_overdraft_is_named():
    assert "overdraft 120 tok" in shown(summary(overdraft=Cost(tok=120)))
    assert "overdraft" not in shown(summary())


def test_accuracy_stands_beside_confidence_by_group_with_its_interval():
    text = shown(summary(), grades=GRADES)
    assert "all 200 150 75.0% 68.6% – 80.5% 0.72" in text
    assert "[x] 100 90 90.0% 82.6% – 94.5% 0.90" in text


def test_a_run_of_nothing_can_be_summed_up():
    assert "0 in 0 s: none" in shown(summary(prompts=0, outcomes={}, lines=(), elapsed_ms=0, spent=FREE))


def test_the_summary_as_json_is_in_units_of_the_user():
    row = as_json(summary(budget=Budget(tok=40_000, usd=2 * 10**9, ms=600_000)), grades=GRADES)
    assert row["budget"] == {"tok": 40_000, "usd": 2, "s": 600}
    assert row["spent"] == {"tok": 39_400, "outtok": 9_000, "usd": 0, "s": 41}
    assert row["accuracy"][0]["share"] == 0.75
    assert json.loads(json.dumps(row, allow_nan=False)) == row


@pytest.mark.parametrize(
    ("end", "outcomes", "refused", "code"),
    [
        ("spent", {"answered": 3}, 0, exits.DONE),
        ("no_gain", {"answered": 3, "abstained": 1}, 0, exits.DONE),
        ("no_gain", {"answered": 3, "no_answer_found": 1}, 0, exits.ROWS_FAILED),
        ("spent", {"answered": 3, "out_of_budget": 1}, 1, exits.SPENT),
        ("no_gain", {"answered": 3, "failed": 1}, 0, exits.ROWS_FAILED),
        ("no_gain", {"answered": 3}, 1, exits.ROWS_FAILED),
        ("overdrawn", {"answered": 3}, 0, exits.SPENT),
        ("interrupted", {"out_of_budget": 3, "failed": 1}, 1, exits.INTERRUPTED),
    ],
)
def test_exit_codes(end: str, outcomes: dict[str, int], refused: int, code: int):
    assert exit_code(summary(end=end, outcomes=outcomes), refused=refused) == code


def test_a_summary_gives_no_orders_to_the_terminal():
    hostile = "a\x1b[2J\x9b0m\x07"
    line = Line("sample", hostile, 1, 1, Cost(1, 1, 0, 9))
    refused = [InputError(1, hostile, hostile, hostile)]
    text = shown(summary(end_sentence=hostile, troubles=(hostile,), lines=(line,)), refused=refused)
    assert "a␛[2J\N{REPLACEMENT CHARACTER}0m␇" in text
    assert not {"\x1b", "\x9b", "\x07"} & set(text)
