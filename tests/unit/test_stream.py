"""`outlay.stream`: answers as they are settled, the same result as `run`, and an end whenever the caller leaves."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import outlay
from outlay import Arm, Stream
from outlay.errors import EngineError, UpstreamError, UsageError
from outlay.types import Call, Completion, Cost, Delivery, Usage

SUMS = [f"Tom has {n} nuts, buys 5, gives 4. How many?" for n in range(3, 15)]
ARM = Arm("mine", "own", temperature=0.0, deterministic=True, max_tokens=8)


class Gated:
    """Performs one call at a time, each when the test lets it; counts what was begun and what came back."""

    def __init__(self, *, fails_after: int = 10**9) -> None:
        self.lockstep, self.chunk, self.fails_after = False, 1, fails_after
        self.gate, self.begun, self.back = asyncio.Semaphore(0), 0, 0

    def worst(self, call: Call) -> Cost:
        return Cost(9, 8)

    def expected(self, call: Call) -> Cost:
        return Cost(2, 1)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        self.begun += 1
        await self.gate.acquire()
        self.back += 1
        if self.back > self.fails_after:
            raise EngineError("the model is gone")
        return [Delivery((Completion(f"It is {self.back}.", output_tokens=1),), Usage(1, 1))]

    async def close(self) -> None:
        pass


def stream(engine: Gated, *, prompts: int = 6, **more: Any) -> Stream:
    return outlay.stream(
        [f"Prompt {k}?" for k in range(prompts)], budget="27tok", answer="number", models=[ARM],
        engines={"own": engine}, policy="uniform:1", **more,
    )  # fmt: skip


def test_a_stream_gives_every_answer_and_the_result_of_a_run():
    async def read() -> tuple[list[outlay.Answer], outlay.Result]:
        answers = outlay.stream(SUMS, budget="1ktok", answer="number")
        return [answer async for answer in answers], answers.result

    given, result = asyncio.run(read())
    expected = outlay.run(SUMS, budget="1ktok", answer="number")
    assert [(a.id, a.answer, a.confidence) for a in result] == [
        (a.id, a.answer, a.confidence) for a in expected
    ]
    assert result.spent.tok == expected.spent.tok
    assert sorted(given, key=lambda answer: int(answer.id[5:])) == [*result]


def test_an_answer_is_given_before_the_run_has_ended():
    async def read() -> None:
        engine = Gated()
        answers = stream(engine, prompts=2)
        given = aiter(answers)
        engine.gate.release()
        first = await anext(given)
        assert (first.answer, engine.back) == ("1", 1)
        with pytest.raises(UsageError, match="has not ended"):
            _ = answers.result
        engine.gate.release()
        assert [answer.answer async for answer in given] == ["2"]
        assert len(answers.result) == 2

    asyncio.run(read())


def test_leaving_early_buys_nothing_more_and_waits_for_what_is_under_way():
    async def leave() -> None:
        engine = Gated()
        async with stream(engine) as answers:  # the budget holds the worst case of three calls at a time
            engine.gate.release()
            async for _ in answers:
                break
            asyncio.get_running_loop().call_later(0.05, lambda: [engine.gate.release() for _ in range(9)])
        assert engine.back == engine.begun < 6
        assert answers.result.spent.tok == 2 * engine.back
        assert answers.result.ended == "stopped early; with a directory it could go on"

    asyncio.run(leave())


def test_a_loop_that_is_broken_off_ends_the_run_without_being_told():
    async def leave() -> Gated:
        engine = Gated()
        engine.gate.release()
        async for _ in stream(engine):
            break
        for _ in range(9):
            engine.gate.release()
        before = asyncio.all_tasks()
        await asyncio.wait(before - {asyncio.current_task()})
        return engine

    engine = asyncio.run(leave())
    assert engine.back == engine.begun < 6


def test_what_was_paid_for_before_leaving_is_not_bought_again(tmp_path: Path):
    async def sitting(leave_after: int) -> tuple[int, list[str]]:
        engine, given = Gated(), []
        for _ in range(9):
            engine.gate.release()
        async with stream(engine, directory=tmp_path) as answers:
            async for answer in answers:
                given.append(answer.id)
                if len(given) == leave_after:
                    break
        return engine.back, given

    first, _ = asyncio.run(sitting(1))
    second, given = asyncio.run(sitting(99))
    assert (first > 0, first + second) == (True, 6)
    assert sorted(given) == [f"line-{k}" for k in range(1, 7)]


def test_a_run_that_fails_gives_its_answers_first_and_then_the_error():
    async def read() -> None:
        engine = Gated(fails_after=2)
        answers = stream(engine)
        given = aiter(answers)
        for expected in ("1", "2"):
            engine.gate.release()
            assert (await anext(given)).answer == expected
        for _ in range(9):  # also what is under way, which is waited for
            engine.gate.release()
        with pytest.raises(EngineError, match="the model is gone"):
            await anext(given)
        with pytest.raises(EngineError, match="the model is gone"):
            _ = answers.result

    asyncio.run(read())


def test_a_reader_that_is_cancelled_twice_does_not_wait_for_what_is_under_way():
    async def cancel() -> None:
        answers = stream(Gated())  # lets nothing through
        reader = asyncio.create_task(anext(aiter(answers)))
        await asyncio.sleep(0.05)
        reader.cancel()
        await asyncio.sleep(0.05)
        assert not reader.done()
        reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader
        with pytest.raises(UsageError, match="cancelled"):
            _ = answers.result

    asyncio.run(cancel())


def test_a_stream_is_read_once():
    async def read() -> None:
        answers = outlay.stream(SUMS[:2], budget="1ktok", answer="number")
        assert len([answer async for answer in answers]) == 2
        with pytest.raises(UsageError, match="read once"):
            await anext(aiter(answers))

    asyncio.run(read())


def test_a_stream_that_is_never_read_buys_nothing():
    async def ignore() -> None:
        engine = Gated()
        async with stream(engine):
            pass
        assert engine.begun == 0

    asyncio.run(ignore())


def test_what_is_wrong_with_an_argument_is_raised_at_once():
    with pytest.raises(UsageError, match="5 what"):
        outlay.stream(SUMS, budget=5)  # type: ignore[arg-type]


def test_an_endpoint_that_is_not_there_is_the_error_of_the_loop(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

    async def read() -> None:
        await anext(aiter(outlay.stream(["?"], budget="1ktok", models="small")))

    with pytest.raises(UpstreamError, match=r"127\.0\.0\.1:9"):
        asyncio.run(read())
