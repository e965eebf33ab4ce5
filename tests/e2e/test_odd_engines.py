"""Engines and checks that return what they may not: named, booked soundly, and never a run that cannot go on."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import outlay
from outlay.driver import Job, run_job
from outlay.errors import EngineError, ResumeError
from outlay.types import Answer, Arm, Budget, Call, Completion, Cost, Delivery, Message, Prompt, Usage

PROMPTS = tuple(Prompt(f"p{i}", (Message("user", f"What is 40 + {i}?"),), "number") for i in range(20))


class Odd:
    """Returns what it was built with."""

    lockstep, chunk = False, 1

    def __init__(self, said: Any, usage: Usage | None = None) -> None:
        self.said, self.usage = said, usage or Usage(10, 5)

    def worst(self, call: Call) -> Cost:
        return Cost(30, 20)

    def expected(self, call: Call) -> Cost:
        return Cost(15, 5)

    async def complete(self, calls: Sequence[Call]) -> Any:
        if not isinstance(self.said, str):
            return self.said
        return [Delivery((Completion(self.said, output_tokens=5),) * call.n, self.usage) for call in calls]

    async def close(self) -> None:
        """Nothing is held."""


def run(engine: Odd, directory: Path | None = None, **other: Any) -> tuple[Any, tuple[Answer, ...]]:
    job = Job(PROMPTS, (Arm("odd", "odd", max_tokens=20),), {"odd": engine}, policy="uniform:1",
              budget=Budget(tok=2000), directory=directory, **other)  # fmt: skip
    return asyncio.run(run_job(job))


@pytest.mark.parametrize("said", [[], None, ["42"], [Delivery(()), Delivery(())], 7])
def test_what_is_no_delivery_is_the_engines_fault_and_says_so(said: Any):
    with pytest.raises(
        EngineError, match=r"engine 'odd' returned .*(return one Delivery|a Delivery was due)"
    ):
        run(Odd(said))


def test_half_a_surrogate_pair_is_written_down_and_the_run_goes_on(tmp_path: Path):
    summary, answers = run(Odd("It is 42 \ud800."), tmp_path)
    assert summary.outcomes == {"answered": 20}
    assert {answer.text for answer in answers} == {"It is 42 ?."}
    again, same = run(Odd("not asked"), tmp_path)
    assert (again.outcomes, same) == (summary.outcomes, answers)


def test_negative_use_gives_no_budget_back():
    summary, _ = run(Odd("42", Usage(-1000, -1000)))
    assert summary.spent == Cost()


def broken(answer: str) -> bool:
    raise ValueError("\udc80 never works")


def silent(answer: str) -> None:
    """Does not apply to anything."""


def answered(check: Any, prompts: int = 30) -> outlay.Result:
    return outlay.run(
        [{"prompt": f"40 + {i} = ?", "answer": "number"} for i in range(prompts)], budget="60ktok", check=check,
        models=[Arm("odd", "odd", max_tokens=20)], engines={"odd": Odd("It is 42.")},
    )  # fmt: skip


def test_a_check_that_only_fails_is_soon_asked_no_more():
    """What is bought for its sake would be bought for nothing."""
    result = answered(broken, 200)
    asked = [line for answer in result for line in answer.receipt["purchases"] if line["arm"] == "broken"]
    assert 6 <= len(asked) <= 60, "those that were under way when it had failed six times; not all 200"
    assert not result.checked


def test_a_check_that_says_nothing_has_checked_nothing():
    assert not answered(silent).checked
    assert answered(lambda answer: True).checked


def test_another_version_of_a_check_does_not_go_on_with_the_verdicts_of_the_first(tmp_path: Path):
    check = tmp_path / "check.py"
    check.write_text("def passes(answer):\n    return True\n")

    def go() -> outlay.Result:
        return outlay.run(
            ["1 + 1 = ?"],
            answer="number",
            budget="2ktok",
            check=f"{check}:passes",
            directory=tmp_path / "run",
        )

    assert go().checked
    check.write_text("def passes(answer):\n    return False\n")
    with pytest.raises(ResumeError, match="files of checks was"):
        go()


def test_nothing_more_is_bought_once_the_check_passed():
    """However much is left: what passed the user's own check and is believed is done."""
    result = answered(lambda answer: answer == "42")
    assert result.spent.tok <= 30 * 15 * 3
    assert {answer.receipt["stopped"] for answer in result} == {"your check passed"}
