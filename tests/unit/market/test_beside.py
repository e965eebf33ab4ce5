"""The comparisons of the held-out share: never more than their part of a budget, and they keep no run from its end."""

import asyncio
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from outlay.beliefs import Prior
from outlay.engines.simulated import Simulated
from outlay.journal import decode, encode
from outlay.market import Market, Setting
from outlay.market.beside import BUDGET, missing
from outlay.market.identity import is_held_out
from outlay.policies import policy
from outlay.pricing import Clearing
from outlay.strategies import vote
from outlay.types import Arm, Budget, Call, Completion, Cost, Message, Price, Prompt, Usage, cost_of

PRICE = Price(10**9, 4 * 10**9)
ARMS = (Arm("small", "sim", "small", max_tokens=9, price=PRICE), Arm("big", "sim", "big", price=PRICE))


class Bed(NamedTuple):
    """A small run: `worst` is how many times its usual length an answer may have, `each` the tokens of the budget for
    each prompt, `back` how many calls come back between two steps (all at once, or one by one as from an endpoint).
    """

    prompts: int
    worst: int
    each: int
    usd: int | None
    ms: int | None
    holdout: float
    open_points: int
    policy: str
    back: int
    faults: int


beds = st.builds(
    Bed,
    prompts=st.integers(4, 24),
    worst=st.sampled_from([3, 10]),
    each=st.integers(5, 60),
    usd=st.none() | st.integers(100_000, 4_000_000),
    ms=st.none() | st.integers(100, 2_000),
    holdout=st.sampled_from([0.2, 0.4, 1.0]),
    open_points=st.sampled_from([1, 5, 40]),
    policy=st.sampled_from(["priced", "uniform:2", "lead:2", "uniform:1@big"]),
    back=st.sampled_from([2, 5, 99]),
    faults=st.sampled_from([2, 7, 99]),
)


def long(call: Call) -> int:
    """The most tokens that an answer has, though it might have more."""
    return 40 if call.arm.name == "big" else 10


def market(bed: Bed) -> Market:
    def answer(call: Call, ordinal: int) -> Completion:
        if call.seed % bed.faults == 1:
            return Completion("out of order", finish="error")
        return Completion(f"It is {call.seed % 3}.", output_tokens=long(call) - call.seed % 6)

    def most(call: Call) -> Cost:
        usage = Usage(10, long(call) * bed.worst * call.n)
        return cost_of(call.arm.price, usage, 0)

    def used(call: Call, copies: tuple[Completion, ...]) -> Usage:
        return Usage(10, sum(copy.output_tokens for copy in copies))

    engine = Simulated(answer, most, most, used, ms=30, lockstep=bed.back > 12)
    prompts = [Prompt(f"p{i}", (Message("user", f"question {i}"),), "number") for i in range(bed.prompts)]
    budget = Budget(tok=bed.each * bed.prompts, usd=bed.usd, ms=bed.ms)
    rule = policy(bed.policy, [arm.name for arm in ARMS])
    parts = (ARMS, {"sim": engine}, vote, rule, Prior({"small": 0, "big": 1}), Clearing(budget), budget)
    return Market(Setting(*parts, open_points=bed.open_points, holdout=bed.holdout), prompts)


def kept(of: Market) -> object:
    """Of the state, what the comparisons have to do with."""
    floor, beside = of.floor, of.floor.beside
    places = (
        floor.active,
        floor.early,
        floor.first,
        floor.parked,
        floor.refused,
        beside.waiting,
        floor.flight,
    )
    totals = (of.ledger.left, of.ledger.held, of.ledger.spent, beside.under_way, beside.rows)
    return [list(place) for place in places], totals, floor.next, len(of.settled)


@given(beds)
@example(Bed(40, 3, 12, None, None, 0.2, 40, "uniform:1@small", 5, 99))
@example(Bed(40, 10, 60, None, None, 0.2, 40, "priced", 5, 99))
def test_comparisons_keep_to_their_part_of_the_budget_and_every_run_ends_and_can_be_repeated(bed: Bed):
    live, again = market(bed), market(bed)
    limits = {unit: limit for unit, limit in live.setting.budget.limits().items() if unit != "s"}
    paid = Cost()
    for elapsed in range(0, 30 * 60 * bed.prompts, 30):
        if live.finished:
            break
        live.step(elapsed)
        told = [(kind, decode(encode(body))) for kind, body in live.lines if kind != "settled"]
        live.lines.clear()
        for kind, body in told:
            again.replay(kind, {**body, "ms": elapsed})
        assert kept(again) == kept(live)
        waiting = live.floor.beside.waiting
        assert not any(point.bought or point.flight for point in waiting.values()), "none has begun"
        held = [live.held_for(key) for key, purchase in live.flight.items() if purchase.hidden]
        for unit, limit in limits.items():
            there = getattr(paid, unit) + sum(getattr(hold, unit) for hold in held)
            assert there <= BUDGET * bed.holdout * limit
            assert getattr(live.ledger.spent, unit) + getattr(live.ledger.held, unit) <= limit
        assert live.flight or live.finished, "a step without anything under way is the last"
        for key, purchase in list(live.flight.items())[: bed.back]:
            call = purchase.call
            assert call is not None
            [delivery] = asyncio.run(live.setting.engines["sim"].complete([call]))
            paid += cost_of(call.arm.price, delivery.usage, 0) if purchase.hidden else Cost()
            live.deliver(key, delivery)
            again.deliver(key, delivery)
    assert live.finished
    assert not live.floor.beside.waiting
    live.ledger.audit()
    why = missing(live.setting, live.prompts, live.compared, live.settled)
    held_out = [prompt for prompt in live.prompts if is_held_out(prompt.id, 0, bed.holdout)]
    assert len(live.compared) + sum(why.values()) == len(held_out)
    assert "open" not in why
    for row in live.compared:
        assert row.answered or not row.same
