"""A check that is a function of the caller's, called in this process: `checker` for the Python API.

The contract of the function is that of `checker`: it takes any of `prompt`, `answer` and `text` by name and
returns True, False, or None where it does not apply, or (False, "why"); its attribute `applies`, if there is one,
says for which prompts the check exists at all. Nothing protects the run from a function that hangs; a check named as
`module:function` runs in a process of its own, with limits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, final

from outlay.engines.checker.inside.loaded import said, takes_of
from outlay.engines.checker.inside.told import Refused, told
from outlay.errors import CheckError
from outlay.types import Call, Completion, Cost, Delivery, Prompt, Test


@final
class Function:
    """Verdicts cost no tokens. One that raises or returns something else is an error, never a verdict."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.lockstep, self.chunk = True, 256
        self._function, self._takes, self._name = function, _takes(function), _name(function)

    def applies(self, prompts: Sequence[Prompt]) -> list[bool]:
        """For each prompt, whether the check exists there."""
        applies = getattr(self._function, "applies", None)
        return [applies is None or bool(applies(prompt)) for prompt in prompts]

    def worst(self, call: Call) -> Cost:
        return Cost()  # no limit is put on its time, so none is promised

    def expected(self, call: Call) -> Cost:
        return Cost(ms=1)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        return await asyncio.to_thread(lambda: [self._deliver(call) for call in calls])

    async def close(self) -> None:
        """Nothing is held."""

    def _deliver(self, call: Call) -> Delivery:
        test = call.payload
        if not isinstance(test, Test):
            return self._error("was given a prompt to answer; give it to a model")
        given = {"prompt": test.prompt, "answer": test.answer, "text": test.text}
        began = time.perf_counter()
        try:
            verdict = said(self._function(**{name: given[name] for name in self._takes}))
        except Exception as error:  # noqa: BLE001  what the check raises is told, whatever it is
            return self._error(f"raised {told(error)}")
        if "error" in verdict:
            return self._error(verdict["error"].removeprefix("the check "))
        ms = round(1000 * (time.perf_counter() - began))
        return Delivery((Completion(verdict["message"], passed=verdict["passed"]),) * call.n, ms=ms)

    def _error(self, what: str) -> Delivery:
        return Delivery((), error=f"check {self._name} {what}")


def _takes(function: Callable[..., Any]) -> Sequence[str]:
    """Which of `prompt`, `answer` and `text` the function wants.

    Raises:
        CheckError: It wants something else, or is no plain function.
    """
    try:
        return takes_of(function)
    except Refused as refused:
        raise CheckError(f"check {_name(function)}: {refused}") from None


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
