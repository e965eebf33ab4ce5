"""What a budget in seconds buys: recorded answers behind an imitation of a small shared server.

    python benchmarks/seconds.py

The 60 tasks and the two models of `benchmarks/live`, their recorded answers and visible checks. The server takes 16
calls at once and has one processor, which they share: a token of the big model takes .0011 s alone, one of the small
.0004 s. The unit is the time of one greedy answer of the big model to each task, measured first. One run each, a minute
in all, on a clock: a busy machine blurs it. It is a rough bed for a mechanism, not evidence; `benchmarks/live` is the
real one.
"""

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.live import plan  # noqa: E402  (found through the line above)

from outlay.driver import Summary, run_job  # noqa: E402
from outlay.engines.base import Engine  # noqa: E402
from outlay.study.code_runs import ENGINE, by_recording, job_of  # noqa: E402
from outlay.types import Budget, Call, Cost, Delivery  # noqa: E402

EXAMPLES = ROOT / "examples"
PLACES = 16
ALONE_S = {"small": 0.0004, "big": 0.0011}
"""Seconds a token of a call that has the processor to itself."""
SLICE_S = 0.01
LEVELS = (0.5, 1.0, 1.25)


class Shared:
    """The recorded engine behind the server; checks are quick and wait for nobody."""

    lockstep, chunk = False, 1

    def __init__(self, inner: Engine) -> None:
        self._inner, self._places, self._busy = inner, asyncio.Semaphore(PLACES), 0
        self._took: dict[str, list[int]] = {}  # by model, as an endpoint's engine knows it

    def worst(self, call: Call) -> Cost:
        most = 50 if call.arm.role == "check" else max(self._took.get(call.arm.model, [0]))
        return replace(self._inner.worst(call), ms=most)

    def expected(self, call: Call) -> Cost:
        took = self._took.get(call.arm.model, [0])
        return replace(self._inner.expected(call), ms=sum(took) // len(took))

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        began = time.monotonic()
        [delivery] = await self._inner.complete(calls)
        if calls[0].arm.role == "check":
            return [delivery]
        async with self._places:
            self._busy += 1
            left = delivery.usage.output * ALONE_S[calls[0].arm.model]
            while left > 0:
                await asyncio.sleep(SLICE_S)
                left -= SLICE_S / self._busy
            self._busy -= 1
        ms = round(1000 * (time.monotonic() - began))
        self._took.setdefault(calls[0].arm.model, []).append(ms)
        return [replace(delivery, ms=ms)]

    async def close(self) -> None:
        await self._inner.close()


def run(budget: Budget, policy: str = "priced", only: Sequence[str] = ()) -> tuple[Summary, int]:
    """One run on the tasks of the live protocol, and how many answers are right."""
    job = job_of(EXAMPLES, budget=1.0, seed=0, policy=policy)
    tasks = {prompt.id for prompt in plan.chosen(job.prompts)[0]}
    job = replace(
        job,
        prompts=tuple(prompt for prompt in job.prompts if prompt.id in tasks),
        arms=tuple(arm for arm in job.arms if not only or arm.name in only),
        engines={ENGINE: Shared(job.engines[ENGINE])},
        budget=budget,
        at_once={ENGINE: PLACES},
    )
    summary, answers = asyncio.run(run_job(job))
    grader, by_id = by_recording(EXAMPLES), {prompt.id: prompt for prompt in job.prompts}
    return summary, sum(bool(grader(by_id[answer.id], answer)) for answer in answers)


def main() -> None:
    yard, right = run(Budget(), "uniform:1", ("big:greedy", "visible"))
    print("| run | right of 60 | without an answer | seconds | of the budget |\n|---|---|---|---|---|")
    print(f"| always-big | {right} | 0 | {yard.elapsed_ms / 1000:.1f} | |")
    for level in LEVELS:
        limit = round(level * yard.elapsed_ms)
        summary, right = run(Budget(ms=limit))
        without = 60 - summary.outcomes.get("answered", 0)
        seconds, share = summary.elapsed_ms / 1000, summary.elapsed_ms / limit
        print(f"| {level:.2f} | {right} | {without} | {seconds:.1f} | {share:.0%} |", flush=True)


if __name__ == "__main__":
    main()
