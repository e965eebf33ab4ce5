import asyncio

from outlay.engines.simulated import Simulated
from outlay.types import Arm, Ask, Call, Completion, Cost, Usage

ARM = Arm("a", "sim", max_tokens=10)


def test_copies_are_numbered_from_the_ordinal_on():
    engine = Simulated(
        lambda call, ordinal: Completion(str(ordinal), output_tokens=3), Cost(tok=10), Cost(tok=5)
    )
    [done] = asyncio.run(engine.complete([Call(ARM, Ask(()), ordinal=4, n=3)]))
    assert [copy.text for copy in done.completions] == ["4", "5", "6"]
    assert done.usage == Usage(output=9)


def test_a_plain_cost_is_that_of_one_copy():
    engine = Simulated(lambda call, ordinal: Completion(""), Cost(tok=10), lambda call: Cost(tok=1))
    assert engine.worst(Call(ARM, Ask(()), n=3)) == Cost(tok=30)
    assert engine.expected(Call(ARM, Ask(()), n=3)) == Cost(tok=1)


def test_a_copy_that_fails_ends_its_call_and_what_came_before_is_charged():
    engine = Simulated(
        lambda call, ordinal: Completion("down", "error") if ordinal else Completion("ok", output_tokens=2),
        Cost(tok=10),
        Cost(tok=5),
    )
    [done] = asyncio.run(engine.complete([Call(ARM, Ask(()), n=3)]))
    assert (len(done.completions), done.usage.output, done.error) == (1, 2, "down")
