"""The public API as a type checker sees it: `make check` reads this file, nothing runs it."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import assert_type

import outlay
from outlay import Answer, Arm, Budget, Cost, Message, OutlayError, Price, Prompt, Result, Stream
from outlay.engines.base import Engine
from outlay.flow import Arms, Evidence, Offer, loop
from outlay.types import Call, Delivery


def check(prompt: Prompt, answer: str) -> bool | None:
    return answer in prompt.text


def with_a_message(answer: str) -> tuple[bool, str]:
    return False, f"{answer} is too long"


def same(one: str, other: str) -> bool:
    return one.casefold() == other.casefold()


@loop
def strategy(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
    return ()


class Own:
    """An engine by its shape alone."""

    lockstep = True
    chunk = 8

    def worst(self, call: Call) -> Cost:
        return Cost()

    def expected(self, call: Call) -> Cost:
        return Cost()

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        return []

    async def close(self) -> None: ...


engine: Engine = Own()
arms = [Arm("small", "own", price=Price(150_000_000, 600_000_000)), Arm("big", "own")]
texts = (f"{n} + 1?" for n in range(3))

assert_type(outlay.run("1 + 1?", budget="1ktok"), Result)
assert_type(outlay.run(texts, budget=["1ktok", "10min"], models="small,big", check="tests.py:passes"), Result)
assert_type(
    outlay.run(
        [{"prompt": "1 + 1?", "answer": "number"}],
        budget=Budget(tok=1000),
        models=arms,
        engines={"own": engine},
        check=[check, with_a_message, "tests.py:passes"],
        same=same,
        strategy=strategy,
        policy="lead:3",
        abstain=0.5,
        holdout="5%",
        directory=Path("runs"),
        on_crash="release",
        seed=1,
    ),
    Result,
)
assert_type(outlay.stream([Prompt("p", (Message("user", "?"),))], budget="1ktok", models=["small"]), Stream)


def read(result: Result) -> Iterator[Answer]:
    assert_type(result["p"], Answer)
    assert_type(len(result), int)
    yield from result


async def follow(answers: Stream) -> Result:
    async with answers:
        async for answer in answers:
            assert_type(answer, Answer)
    return answers.result


def why(error: OutlayError) -> str:
    return str(error)


outlay.run(["?"], budget=5)  # type: ignore[arg-type]
outlay.run(["?"])  # type: ignore[call-arg]
outlay.run(["?"], budget="1ktok", same="equal")  # type: ignore[arg-type]
