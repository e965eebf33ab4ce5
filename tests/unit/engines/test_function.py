import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from outlay.engines.function import Function
from outlay.errors import CheckError
from outlay.types import Arm, Call, Delivery, Prompt, Test


def said_by(function: Callable[..., Any]) -> Delivery:
    call = Call(Arm("check", "function", role="check"), Test(Prompt("p", ()), "So it is 5.", "5"))
    return asyncio.run(Function(function).complete([call]))[0]


@pytest.mark.parametrize(
    ("returned", "passed", "message"),
    [
        (True, True, ""),
        (None, None, ""),
        ((False, "5 is odd"), False, "5 is odd"),
        ((None, "no rule"), None, "no rule"),
    ],
)
def test_a_function_says_whether_and_may_say_why(returned: object, passed: bool | None, message: str):
    [completion] = said_by(lambda answer: returned).completions
    assert (completion.passed, completion.text) == (passed, message)


@pytest.mark.parametrize("returned", ["no", (False, 3), 1, {"passed": True}])
def test_what_is_no_verdict_is_an_error_that_shows_it(returned: object):
    done = said_by(lambda answer: returned)
    assert not done.completions
    assert f"returned {type(returned).__name__} {returned!r}; return True, False or None" in done.error


def test_what_a_function_raises_is_told_with_its_place():
    def breaks(answer: str) -> bool:
        return answer[7] == "x"

    assert (
        "check breaks raised IndexError: string index out of range (test_function.py" in said_by(breaks).error
    )


def test_a_function_that_wants_something_else_is_refused():
    with pytest.raises(CheckError, match=r"wants 'gold'; a check takes any of prompt, answer, text by name"):
        Function(lambda gold: True)
