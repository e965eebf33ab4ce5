"""What every engine of the registry keeps; a new one is tested here before its author writes a test."""

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from outlay.engines import ENGINES, engine
from outlay.engines.base import Engine
from outlay.errors import UnknownName
from outlay.types import (
    ACCOUNTS,
    Arm,
    Ask,
    Call,
    Completion,
    Cost,
    Delivery,
    Message,
    Price,
    Prompt,
    Test,
    cost_of,
)

PRICE = Price(150_000_000, 600_000_000, cached=75_000_000)
QUESTION = "Ana has 4 pens, finds 3, then gives away 2. How many pens does Ana have?"


class Bed(NamedTuple):
    """How to build one engine, and a call that it can serve."""

    build: Callable[[], Engine]
    call: Call


def ask(arm: Arm) -> Call:
    return Call(arm, Ask((Message("user", QUESTION),)), "p/draw//0", "p", max_tokens=48, seed=7)


def checker_bed(folder: Path) -> Bed:
    path = folder / "my_checks.py"
    path.write_text("def passes(answer):\n    return answer == '5'\n")
    test = Test(Prompt("p", (Message("user", QUESTION),)), "So it is 5.", "5")
    call = Call(Arm("check", "checker", role="check"), test, "p/check/0", "p")
    return Bed(lambda: ENGINES["checker"]()(f"{path}:passes"), call)


def function_bed() -> Bed:
    def passes(answer: str) -> bool:
        return answer == "5"

    test = Test(Prompt("p", (Message("user", QUESTION),)), "So it is 5.", "5")
    call = Call(Arm("check", "function", role="check"), test, "p/check/0", "p")
    return Bed(lambda: ENGINES["function"]()(passes), call)


def recorded_bed() -> Bed:
    from outlay.engines.recorded import Row

    rows = [
        Row("p", "small", k, f"It is {k}.", 20, 10 + k, ms=k, verdicts={"check": k == 5}) for k in range(8)
    ]
    return Bed(lambda: ENGINES["recorded"]()(rows), ask(Arm("small", "recorded", max_tokens=64, price=PRICE)))


def simulated_bed() -> Bed:
    def answer(call: Call, ordinal: int) -> Completion:
        if not isinstance(call.payload, Ask):
            return Completion("this one answers prompts", "error")
        return Completion(f"{call.seed} {ordinal}", output_tokens=ordinal % 40)

    most = Cost(40, 40, PRICE.of(replace(ZERO, output=40)))
    return Bed(
        lambda: ENGINES["simulated"]()(answer, most, most), ask(Arm("known", "simulated", price=PRICE))
    )


ZERO = Delivery(()).usage


@pytest.fixture
def bed(name: str, tmp_path: Path, endpoint: str) -> Bed:
    return {
        "checker": lambda: checker_bed(tmp_path),
        "function": function_bed,
        "http": lambda: Bed(
            lambda: ENGINES["http"]()(endpoint),
            ask(Arm("small", "http", "sound", max_tokens=64, price=PRICE)),
        ),
        "pocket": lambda: Bed(
            ENGINES["pocket"](), ask(Arm("pocket", "pocket", mode="think", max_tokens=64, price=PRICE))
        ),
        "recorded": recorded_bed,
        "simulated": simulated_bed,
    }[name]()


def deliver(bed: Bed, calls: Sequence[Call]) -> list[Delivery]:
    async def run() -> list[Delivery]:
        served = bed.build()
        try:
            return await served.complete(calls)
        finally:
            await served.close()

    return asyncio.run(run())


every_engine = pytest.mark.parametrize("name", sorted(ENGINES))


@every_engine
@pytest.mark.parametrize("n", [1, 3])
def test_the_worst_case_holds(bed: Bed, n: int):
    call = replace(bed.call, n=n)
    served = bed.build()
    worst, expected = served.worst(call), served.expected(call)
    [done] = deliver(bed, [call])
    actual = cost_of(call.arm.price, done.usage, done.ms)
    for unit in ACCOUNTS:  # time has no account: nobody can promise how busy a machine or a network is
        assert getattr(actual, unit) <= getattr(worst, unit), unit
        assert 0 <= getattr(expected, unit) <= getattr(worst, unit), unit


@every_engine
def test_a_call_not_filled_in_yet_is_priced_by_its_arm(bed: Bed):
    served, bare = bed.build(), replace(bed.call, max_tokens=0, key="", seed=0)
    assert served.worst(bare).tok >= served.worst(bed.call).tok


@every_engine
def test_every_call_has_one_delivery_in_order_with_n_copies_or_an_error(bed: Bed):
    calls = [replace(bed.call, ordinal=k, n=1 + k % 2, seed=k) for k in range(5)]
    calls.insert(2, misplaced(bed.call))
    done = deliver(bed, calls)
    assert len(done) == len(calls)
    assert [len(one.completions) for one in done] == [0 if k == 2 else call.n for k, call in enumerate(calls)]
    assert [bool(one.error) for one in done] == [k == 2 for k in range(6)]
    assert done[2].usage == ZERO
    for call, one in zip(calls, done, strict=True):
        for copy, alone in zip(one.completions, deliver(bed, [call])[0].completions, strict=True):
            # Sums of floats depend on what else is in the batch, in their last digits.
            assert copy.confidence == (alone.confidence and pytest.approx(alone.confidence, abs=1e-6))
            assert replace(copy, confidence=None) == replace(alone, confidence=None)


def misplaced(call: Call) -> Call:
    """A call that the engine cannot serve: the wrong payload."""
    if isinstance(call.payload, Ask):
        return replace(call, payload=Test(Prompt("p", ()), "", ""))
    return replace(call, payload=Ask((Message("user", QUESTION),)))


@every_engine
def test_the_same_calls_give_the_same_deliveries_in_lockstep(bed: Bed):
    calls = [replace(bed.call, ordinal=k, seed=k) for k in range(3)]
    first, second = (
        [replace(one, ms=0) for one in deliver(bed, order)] for order in (calls, list(reversed(calls)))
    )
    assert first == second[::-1]


@every_engine
def test_closing_twice_or_unused_is_fine_and_a_later_call_is_served(bed: Bed):
    async def run() -> list[Delivery]:
        served = bed.build()
        await served.close()
        first = await served.complete([bed.call])
        await served.close()
        await served.close()
        second = await served.complete([bed.call])
        await served.close()
        return [*first, *second]

    assert [one.error for one in asyncio.run(run())] == ["", ""]


@every_engine
def test_no_calls_are_no_deliveries(bed: Bed):
    assert deliver(bed, []) == []


@every_engine
def test_the_shape_is_that_of_the_contract(bed: Bed):
    served = bed.build()
    assert isinstance(served.lockstep, bool)
    assert served.chunk >= 1
    for method in ("worst", "expected", "complete", "close"):
        ours, theirs = (
            inspect.signature(getattr(type(served), method)),
            inspect.signature(getattr(Engine, method)),
        )
        assert list(ours.parameters) == list(theirs.parameters)


def test_importing_the_registry_loads_nothing_heavy():
    heavy = ("aiohttp", "numpy", "pyarrow", "msgspec")
    code = f"import sys, outlay.engines; print([name for name in {heavy} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_importing_the_http_engine_does_not_load_the_http_library():
    code = "import sys, outlay.engines.http; print('aiohttp' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "False\n"
    )


def test_an_unknown_engine_lists_the_known_ones():
    with pytest.raises(UnknownName, match=r"'grpc'.*http, pocket"):
        engine("grpc")
    assert engine("http") is ENGINES["http"]()
