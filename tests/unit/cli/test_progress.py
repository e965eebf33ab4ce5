import pytest

from outlay.cli.progress import EVERY_S, Lines, left, pace, sentence, share, watching
from outlay.driver import Progress, ToppedUp
from outlay.types import FREE, Budget, Cost


def progress(**changes: object) -> Progress:
    values: dict[str, object] = {
        "prompts": 300,
        "settled": 120,
        "answered": 110,
        "open": 180,
        "in_flight": 8,
        "calls": 400,
        "spent": Cost(tok=21_300),
        "held": FREE,
        "budget": Budget(tok=40_000),
        "elapsed_ms": 4_000,
        "replayed": 0,
    }
    return Progress(**(values | changes))  # type: ignore[arg-type]


def test_a_line_says_done_spent_pace_and_time_left():
    assert sentence(progress()) == (
        "120 of 300 prompts done, 400 calls, spent 21.3 ktok of 40.0 ktok, 100 calls/s, at most 4 s left"
    )


def test_every_budgeted_unit_is_shown():
    text = sentence(progress(budget=Budget(usd=2 * 10**9, ms=600_000), spent=Cost(usd=10**9)))
    assert "spent $1.00 of $2.00 and 4 s of 10 min" in text


@pytest.mark.parametrize(
    ("prompts", "others", "said"),
    [
        (40, 3, "40 prompts that had stopped for want of budget go on"),
        (1, 0, "1 prompt that had stopped for want of budget goes on"),
        (0, 3, "no prompt had stopped for want of budget yet"),
        (0, 0, "no prompt had stopped for want of budget, so nothing more was bought"),
    ],
)
def test_a_top_up_is_told_once_before_anything_else(
    prompts: int, others: int, said: str, capsys: pytest.CaptureFixture[str]
):
    now, before = Budget(usd=4 * 10**9, ms=600_000), Budget(usd=2 * 10**9, ms=600_000)
    lines = Lines(lambda: 0.0)
    for _ in range(3):
        lines(progress(budget=now, topped_up=ToppedUp(before, prompts, others)))
    assert capsys.readouterr().err == f"topped up from $2.00 to $4.00; {said}\n"


def test_calls_from_before_are_told_apart_and_have_no_pace():
    text = sentence(progress(replayed=400))
    assert "400 calls from before" in text
    assert "calls/s" not in text


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"spent": FREE, "settled": 0}, 0),
        ({"spent": FREE}, 0.4),
        ({}, 0.5325),
        ({"spent": Cost(tok=50_000)}, 1),
        ({"prompts": 0, "settled": 0, "spent": FREE}, 0),
    ],
)
def test_a_run_has_come_as_far_as_its_prompts_or_its_budget(changes: dict[str, object], expected: float):
    assert share(progress(**changes)) == pytest.approx(expected)


@pytest.mark.parametrize("changes", [{"elapsed_ms": 0}, {"spent": FREE, "settled": 0}, {"settled": 300}])
def test_time_left_is_not_told_where_nothing_is_known(changes: dict[str, object]):
    assert left(progress(**changes)) == ""


def test_a_run_that_settles_at_the_end_is_seen_to_move():
    half = progress(settled=0, answered=0)
    assert share(half) == pytest.approx(0.5325)
    assert sentence(half).startswith("180 of 300 prompts under way, 400 calls, spent 21.3 ktok")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "at most 4 s left"),  # the budget may not be spent at all
        ({"spent": Cost(tok=1_000)}, "about 6 s left"),  # a guess from the prompts that are done
        ({"settled": 0}, "at most 4 s left"),
        ({"settled": 0, "spent": FREE, "budget": Budget(tok=9, ms=60_000)}, "at most 56 s left"),
        ({"budget": Budget(tok=40_000, ms=5_000)}, "at most 1 s left"),
        ({"settled": 240, "budget": Budget(ms=60_000)}, "about 1 s left"),
    ],
)
def test_time_left_is_a_bound_by_the_budget_or_a_guess_by_the_prompts(changes: dict[str, object], said: str):
    assert left(progress(**changes)) == said


def test_pace_needs_time():
    assert pace(progress(elapsed_ms=0)) == ""


def test_plain_lines_come_seconds_apart(capsys: pytest.CaptureFixture[str]):
    now = 0.0
    lines = Lines(lambda: now)
    for now in (0.0, 1.0, EVERY_S, EVERY_S + 1, 3 * EVERY_S):  # noqa: B007  read by the clock
        lines(progress())
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 2


def test_a_quiet_run_watches_nothing():
    with watching(quiet=True) as watch:
        assert watch is None


def test_without_a_terminal_lines_are_plain(capsys: pytest.CaptureFixture[str]):
    with watching(quiet=False) as watch:
        assert isinstance(watch, Lines)
