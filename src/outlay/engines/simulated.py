"""An engine of known truth, for tests, benchmarks and studies: instant, and as good as it is told to be."""

from collections.abc import Callable, Sequence
from typing import final

from outlay.types import Call, Completion, Cost, Delivery, Usage

Rule = Callable[[Call], Cost] | Cost
"""The cost of a call; a plain `Cost` is that of one copy."""


def written(call: Call, copies: tuple[Completion, ...]) -> Usage:
    """The plainest `actual`: nothing for the prompt, and what the copies say they wrote."""
    return Usage(output=sum(copy.output_tokens for copy in copies))


@final
class Simulated:
    """Serves models and checks alike from one function."""

    def __init__(
        self,
        answer: Callable[[Call, int], Completion],
        worst: Rule,
        expected: Rule,
        actual: Callable[[Call, tuple[Completion, ...]], Usage] = written,
        *,
        ms: int = 0,
        lockstep: bool = True,
        chunk: int = 64,
    ) -> None:
        """Tell the truth that is to be found out.

        Args:
            answer: Copy number `ordinal` of a call; a function of its arguments alone, so that a replay is
                the same. A copy whose finish is `error` ends its call there, its text being the reason.
            worst: The most that a call can cost.
            expected: The cost to expect of a call.
            actual: What the copies of a call used.
            ms: How long each call says it took.
            lockstep: As in the contract.
            chunk: As in the contract.
        """
        self._answer, self._worst, self._expected, self._actual, self._ms = (
            answer,
            worst,
            expected,
            actual,
            ms,
        )
        self.lockstep, self.chunk = lockstep, chunk

    def worst(self, call: Call) -> Cost:
        return _of(self._worst, call)

    def expected(self, call: Call) -> Cost:
        return _of(self._expected, call)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        return [self._deliver(call) for call in calls]

    async def close(self) -> None:
        """Nothing is held."""

    def _deliver(self, call: Call) -> Delivery:
        copies: list[Completion] = []
        error = ""
        for ordinal in range(call.ordinal, call.ordinal + call.n):
            copy = self._answer(call, ordinal)
            if copy.finish == "error":
                error = copy.text or "a simulated fault"
                break
            copies.append(copy)
        done = tuple(copies)
        return Delivery(done, self._actual(call, done), self._ms, error)


def _of(rule: Rule, call: Call) -> Cost:
    return rule.times(call.n) if isinstance(rule, Cost) else rule(call)
