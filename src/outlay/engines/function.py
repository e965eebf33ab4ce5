"""A check that is a function of the caller's, called in this process: `checker` for the Python API.

The contract of the function is that of `checker`: it takes any of `prompt`, `answer` and `text` by name and
returns True, False, or None where it does not apply; its attribute `applies`, if there is one, says for which
prompts the check exists at all. Nothing protects the run from a function that hangs; a check named as
`module:function` runs in a process of its own, with limits.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, final

from outlay.errors import CheckError
from outlay.types import Call, Completion, Cost, Delivery, Prompt, Test

KNOWN: Final = ("prompt", "answer", "text")


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
            said = self._function(**{name: given[name] for name in self._takes})
        except Exception as error:  # noqa: BLE001  what the check raises is told, whatever it is
            return self._error(f"raised {type(error).__name__}: {error}")
        ms = round(1000 * (time.perf_counter() - began))
        if type(said).__name__ in ("bool", "bool_"):  # Python's or numpy's
            return Delivery((Completion("", passed=bool(said)),) * call.n, ms=ms)
        if said is None:
            return Delivery((Completion(""),) * call.n, ms=ms)
        return self._error(f"returned {type(said).__name__}; return True, False or None")

    def _error(self, what: str) -> Delivery:
        return Delivery((), error=f"check {self._name} {what}")


def _takes(function: Callable[..., Any]) -> tuple[str, ...]:
    """Which of `KNOWN` the function wants.

    Raises:
        CheckError: It wants something else, or is no plain function.
    """
    if inspect.iscoroutinefunction(function):
        raise CheckError(f"check {_name(function)} is an async function; make it a plain one")
    shape = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in shape):
        return KNOWN
    takes = []
    for parameter in shape:
        if parameter.name in KNOWN and parameter.kind is not parameter.POSITIONAL_ONLY:
            takes.append(parameter.name)
        elif parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL:
            raise CheckError(
                f"check {_name(function)} wants {parameter.name!r}; "
                f"a check takes any of {', '.join(KNOWN)} by name"
            )
    return tuple(takes)


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
