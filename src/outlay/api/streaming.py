"""A run whose answers are given as they are settled, and how any run of the Python API is conducted."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, final

from outlay.api.result import Result
from outlay.errors import UsageError
from outlay.types import Answer

if TYPE_CHECKING:
    from outlay.driver import Job, Summary

    Ended = tuple[Summary, tuple[Answer, ...]]


@final
class Stream:
    """A run under way: gives each answer as it is settled; read once, in the event loop that runs.

    Leaving the loop early ends the run as Ctrl-C does: nothing more is bought, and what was bought is waited for,
    since it will be paid for. With `async with outlay.stream(…) as answers:` the end of the block waits for
    that; after it, or after the last answer, `result` is there.
    """

    def __init__(self, job: "Job") -> None:
        self._job = job
        self._settled: asyncio.Queue[Answer | None] = asyncio.Queue()
        self._task: asyncio.Task[Ended] | None = None
        self._stop = 0

    async def __aiter__(self) -> AsyncGenerator[Answer, None]:
        if self._task is not None or self._stop:
            raise UsageError("a stream is read once; its answers are in stream.result")
        self._task = asyncio.create_task(conduct(self._job, lambda: self._stop, self._settled.put_nowait))
        self._task.add_done_callback(lambda _: self._settled.put_nowait(None))
        try:
            while (answer := await self._settled.get()) is not None:
                yield answer
            await self._task  # for its error
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """End the run: buy nothing more, and wait for what is under way; cancelled, drop that too."""
        self._stop = 1
        if self._task is None:
            await _close(self._job)
            return
        try:
            await asyncio.wait([self._task])
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait([self._task])
            raise
        finally:
            if self._task.done() and not self._task.cancelled():
                self._task.exception()  # `result` raises it

    async def __aenter__(self) -> "Stream":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def result(self) -> Result:
        """What came of the run; of one that was left early, what was settled and the best so far of what was not.

        Raises:
            UsageError: The run has not ended, or was cancelled.
            OutlayError: What ended the run.
        """
        if self._task is None or not self._task.done():
            raise UsageError(
                "the run has not ended; read the stream to its end, or leave its `async with` first"
            )
        if self._task.cancelled():
            raise UsageError(
                "the run was cancelled; what was paid for is in its directory, if it was given one"
            )
        return result_of(self._job, *self._task.result())


async def conduct(
    job: "Job", stop: Callable[[], int] | None = None, told: Callable[[Answer], None] | None = None
) -> "Ended":
    """Run a job to its end."""
    from outlay.driver import run_job

    try:
        return await run_job(job, stop=stop, told=told)
    finally:  # also of a run that could not begin
        await _close(job)


async def _close(job: "Job") -> None:
    for engine in job.engines.values():
        await engine.close()


def at_once(job: "Job") -> "Ended":
    """Run a job to its end, also from where an event loop runs already, such as a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(conduct(job))
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(conduct(job))).result()


def result_of(job: "Job", summary: "Summary", answers: Sequence[Answer]) -> Result:
    """The answers in the order of the prompts, and how the run ended."""
    by_id = {answer.id: answer for answer in answers}
    in_order = tuple(by_id[prompt.id] for prompt in job.prompts if prompt.id in by_id)
    ended = summary.end_sentence
    if summary.end == "interrupted":
        ended = f"stopped early; {'the same call goes on' if job.directory else 'with a directory it could go on'}"
    return Result(
        in_order, summary.spent, summary.budget, ended, summary.checked, summary.elapsed_ms, summary.troubles,
        summary.compared,
    )  # fmt: skip
