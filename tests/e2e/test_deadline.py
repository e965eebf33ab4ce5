"""An endpoint that never answers does not hold a run beyond its deadline."""

import asyncio
from collections.abc import Sequence

from outlay.driver import Job, run_job
from outlay.types import Arm, Budget, Call, Cost, Delivery, Message, Prompt


class Silent:
    """Takes a call and never comes back."""

    lockstep = False
    chunk = 1

    def worst(self, call: Call) -> Cost:
        return Cost(30 * call.n, 20 * call.n)

    def expected(self, call: Call) -> Cost:
        return self.worst(call)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        await asyncio.sleep(600)
        raise AssertionError("never reached")

    async def close(self) -> None:
        """Nothing to release."""


def test_a_silent_engine_is_given_up_after_the_deadline_and_charged_at_its_most():
    prompts = tuple(Prompt(f"p{i}", (Message("user", f"q {i}"),), "number") for i in range(3))
    job = Job(prompts, (Arm("m", "silent", "m"),), {"silent": Silent()}, budget=Budget(tok=1_000, ms=200))
    summary, answers = asyncio.run(run_job(job))
    assert summary.elapsed_ms < 10_000
    assert len(answers) == 3
    assert all(answer.answer is None for answer in answers)
    assert summary.spent.tok == 90
    assert summary.end == "deadline"
    assert summary.end_sentence == "the time was up; what was under way was waited for a little longer"
    assert "not back at the deadline" in summary.troubles[0]
