"""A user's check as an engine: a function, a schema, a pattern, unit tests or a command, in a process of its own.

A function takes any of `prompt`, `answer` and `text` by name, and returns True, False, or None where it does not
apply; `(False, "why")` says why. `passes.applies = lambda prompt: …`, or a function `applies` of its module, says
for which prompts the check exists at all. `passes.confined = True` has each call made in a fresh process behind
the walls of `tests` and `command`: for a function that runs the answer. Otherwise the process protects the run
from a check that hangs, eats memory or dies; it is no wall against code that means harm.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, final

from outlay.engines.checker.kinds import Limits, spec_of
from outlay.engines.checker.process import Said, Worker
from outlay.errors import CheckError
from outlay.types import Call, Completion, Cost, Delivery, Prompt, Test

USUAL: Final = Limits()


@final
class Checker:
    """Verdicts cost no tokens.

    A check that passes a limit has failed, with a message; a check that raises, or whose process dies for
    another reason, is an error and never a verdict.
    """

    def __init__(self, spec: str, limits: Limits = USUAL, *, without: Sequence[str] = ()) -> None:
        """Nothing is started yet.

        Args:
            spec: One of `kinds.FORMS`, perhaps behind a time limit: `30s:tests:unit`.
            limits: What one check may use.
            without: Walls that are left out, of `namespaces`, `landlock` and `user`.

        Raises:
            CheckError: The spec means nothing; lists the forms.
        """
        self.lockstep, self.chunk = True, 256
        self._spec = spec_of(spec)
        self._limits = self._spec.limits(limits)
        self._worker = Worker(self._spec, self._limits, without)

    def start(self) -> None:
        """Load the function now rather than at the first call.

        Raises:
            CheckError: It cannot be loaded; names function, reason and remedy.
        """
        with self._worker:
            self._worker.started()

    def applies(self, prompts: Sequence[Prompt]) -> list[bool]:
        """For each prompt, whether the check exists there.

        Raises:
            CheckError: The check cannot be loaded, or its `applies` failed.
        """
        with self._worker as worker:
            if not worker.started().applies:
                return [True] * len(prompts)
            said = worker.ask([{"applies": _row(prompt)} for prompt in prompts])
        for prompt, one in zip(prompts, said, strict=True):
            if one.passed is None or one.message:
                raise CheckError(
                    f"check {worker.spec.text!r}, prompt {prompt.id!r}: {one.error or one.message}"
                )
        if self._spec.rows and not any(one.passed for one in said):
            raise CheckError(f"check {self._spec.text!r}: {self._spec.rows}")
        return [bool(one.passed) for one in said]

    def worst(self, call: Call) -> Cost:
        return Cost(ms=round(1000 * self._limits.timeout_s))

    def expected(self, call: Call) -> Cost:
        return Cost(ms=1)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        return await asyncio.to_thread(self._serve, calls)

    async def close(self) -> None:
        """End the process; a later call would start another."""
        self._worker.stop()

    def _serve(self, calls: Sequence[Call]) -> list[Delivery]:
        tests = [call.payload for call in calls if isinstance(call.payload, Test)]
        with self._worker as worker:
            takes = worker.started().takes
            said = iter(worker.ask([_request(test, takes) for test in tests]))
        misplaced = Said(error=f"check {worker.spec.text!r} was given a prompt to answer; give it to a model")
        longest = self.worst(calls[0]).ms if calls else 0
        return [
            _delivery(next(said) if isinstance(call.payload, Test) else misplaced, call.n, longest)
            for call in calls
        ]


def _delivery(said: Said, copies: int, longest: int) -> Delivery:
    if said.error:
        return Delivery((), ms=min(said.ms, longest), error=said.error)
    # Asked n times, a check would say the same n times.
    return Delivery((Completion(said.message, passed=said.passed),) * copies, ms=min(said.ms, longest))


def _request(test: Test, takes: Sequence[str]) -> dict[str, Any]:
    """Only what the function takes: a prompt is long, and most checks want the answer alone."""
    request: dict[str, Any] = {"answer": test.answer, "text": test.text}
    if "prompt" in takes:
        request["prompt"] = _row(test.prompt)
    return {name: request[name] for name in takes}


def _row(prompt: Prompt) -> dict[str, Any]:
    row = {"id": prompt.id, "messages": prompt.messages, "answer": prompt.answer, "worth": prompt.worth}
    return {**row, "metadata": dict(prompt.metadata)}
