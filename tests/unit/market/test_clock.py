"""What a call takes of a run whose time is limited."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.beliefs import Prior
from outlay.engines.base import Engine
from outlay.market import Market, Setting
from outlay.market.clock import Clock, with_those_under_way
from outlay.market.slowing import Slowing
from outlay.policies import policy
from outlay.pricing import Clearing
from outlay.strategies import STRATEGIES
from outlay.types import Arm, Ask, Budget, Call, Completion, Cost, Delivery, Message, Prompt, Usage

SMALL, BIG = Arm("small", "far", "small", max_tokens=50), Arm("big", "far", "big", max_tokens=50)
NEAR = Arm("near", "near", "near", max_tokens=50)


START = (0, 0.0, 0.0)


class Engines:
    """Says what a call may cost; nobody performs it here."""

    def __init__(self, *, lockstep: bool, most_ms: int = 60_000) -> None:
        self.lockstep, self.chunk, self._most_ms = lockstep, 1, most_ms

    def worst(self, call: Call) -> Cost:
        return Cost(100, 50, ms=self._most_ms)

    def expected(self, call: Call) -> Cost:
        return Cost(40, 20)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        raise AssertionError("not here")

    async def close(self) -> None:
        """Nothing is held."""


ENGINES: dict[str, Engine] = {"far": Engines(lockstep=False), "near": Engines(lockstep=True)}


def setting(budget: Budget, arms: tuple[Arm, ...] = (SMALL, BIG, NEAR)) -> Setting:
    flow, rule = STRATEGIES["vote"][0], policy("priced", [arm.name for arm in arms])
    return Setting(
        arms, ENGINES, flow, rule, Prior({"small": 0, "big": 1}), Clearing(budget), budget, at_once={"far": 8}
    )


def call(arm: Arm) -> Call:
    return Call(arm, Ask((Message("user", "?"),)))


def clocked(budget: Budget, prompts: int = 40, under_way: int = 8) -> Clock:
    """A clock by which so many calls have been under way since the beginning."""
    clock = Clock(setting(budget), prompts)
    clock.mark(0, Counter(far=under_way))
    return clock


def test_a_call_among_eight_takes_an_eighth_of_its_time_and_one_in_the_process_all_of_it():
    clock = clocked(Budget(ms=80_000))
    assert (clock.limited, clock.at_once) == (True, 8)
    assert clock.of_run(call(SMALL), Cost(40, 20, ms=8000), START) == Cost(40, 20, ms=1000)
    assert clock.of_run(call(NEAR), Cost(40, 20, ms=8000), START) == Cost(40, 20, ms=8000)
    assert clock.of_call(call(SMALL), Cost(ms=1000), 8) == 10_000, "eight seconds, and a quarter more"


@given(st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 5_000)), min_size=1, max_size=20))
def test_what_all_calls_take_adds_up_to_the_time_in_which_any_was_under_way(calls: list[tuple[int, int]]):
    clock = Clock(setting(Budget(ms=80_000)), 40)
    moments = sorted({at for start, takes in calls for at in (start, start + takes)})
    began: dict[int, tuple[int, float, float]] = {}
    taken, in_use = 0, 0
    for moment, after in itertools.pairwise([*moments, moments[-1]]):
        clock.mark(moment, Counter(far=sum(start <= moment < start + takes for start, takes in calls)))
        for number, (start, takes) in enumerate(calls):
            if start == moment:
                began[number] = clock.began("far", moment)
            if start + takes == moment:
                taken += clock.of_run(call(SMALL), Cost(40, 20, ms=takes), began[number]).ms
        if any(start <= moment < start + takes for start, takes in calls):
            in_use += after - moment
    assert abs(taken - in_use) <= len(calls), "each is rounded to a millisecond"


def test_before_anything_is_back_a_budget_pays_two_cheap_answers_each_and_the_dearer_model_is_slower():
    clock = clocked(Budget(ms=80_000))
    assert clock.guess(call(SMALL), Cost(40, 20)) == Cost(40, 20, ms=1000)
    assert clock.guess(call(BIG), Cost(40, 20)) == Cost(40, 20, ms=2000)
    known = clock.guess(call(SMALL), Cost(40, 20, ms=400))
    assert known == Cost(40, 20, ms=50), "what an engine knows is taken"


def test_what_a_model_took_is_its_guess_and_tells_of_the_models_beside_it():
    clock = clocked(Budget(ms=80_000))
    for _ in range(99):
        clock.of_run(call(SMALL), Cost(40, 20, ms=4000), START)
    assert clock.guess(call(replace(SMALL, name="warm")), Cost(40, 20, ms=90)).ms == 500
    assert clock.guess(call(BIG), Cost(40, 20)).ms == pytest.approx(2 * 500, rel=0.02)


def test_without_a_limit_on_time_costs_stay_as_they_are():
    clock = clocked(Budget(tok=1000))
    assert clock.of_run(call(SMALL), Cost(ms=8000), START) == Cost(ms=8000)
    assert clock.guess(call(SMALL), Cost(ms=8000)) == Cost(ms=8000)
    assert not clock.full("far", 99)


def test_what_is_not_back_counts_for_what_such_calls_take():
    """Sixteen calls begin together; after the first four are back their mean says half of what a call takes."""
    takes = [float(5 * (at + 1)) for at in range(16)]
    truth = sum(takes) / 16
    back, now = takes[:4], takes[3]
    short = sum(back) / 4
    told = with_those_under_way(short, 4, [now] * 12)
    assert short < 0.4 * truth
    assert 0.6 * truth < told < 1.2 * truth
    assert with_those_under_way(short, 4, [0.4 * short] * 12) == short, "who has just begun says nothing"


@pytest.mark.parametrize(("power", "low", "high"), [(0.0, 0.0, 0.1), (1.0, 0.9, 1.0)])
def test_how_much_calls_slow_each_other_is_learned_where_their_number_varies(
    power: float, low: float, high: float
):
    slowing, chance = Slowing(16, 16), random.Random(1)
    assert slowing.times(16) == pytest.approx(16)
    for _ in range(100):
        beside = chance.choice([2, 4, 8, 16])
        slowing.note("small", round(20 * chance.lognormvariate(3, 0.3) * beside**power), 4, 16, beside)
    assert low <= slowing.slope <= high
    assert slowing.times(4) / slowing.times(16) == pytest.approx(0.25**slowing.slope)


def test_where_their_number_never_varies_calls_are_thought_to_slow_each_other_by_half():
    slowing = Slowing(16, 16)
    for at in range(100):
        slowing.note("small", 10 + at, 4, 16, 16)
    assert slowing.slope == pytest.approx(0.5)


def test_half_the_time_that_the_big_model_takes_leaves_no_prompt_without_an_answer():
    """A server of eight places in simulated time; a big answer takes four times a small one. At half of what big
    answers to all take, the small model answers everybody, and no more is under way than the server has places for.
    """
    places, takes = 8, {"small": 1000, "big": 4000}
    prompts = [Prompt(f"p{i}", (Message("user", f"{i}"),), "number") for i in range(80)]
    limit = 80 * takes["big"] // places // 2
    market, now = Market(setting(Budget(ms=limit), (SMALL, BIG)), prompts), 0
    ends: dict[str, int] = {}
    asked: set[str] = set()
    while not market.finished:
        for new in market.step(now):
            ends[new.key] = now + takes[new.arm.name]
            asked.add(new.prompt_id)
        assert len(ends) <= places
        if len(asked) < 40:
            assert len(ends) == places, "while half of the prompts wait, no place is idle"
        if not ends:
            continue
        now = min(ends.values())
        for key in [key for key, end in ends.items() if end == now]:
            arm = market.flight[key].offer.arm
            copies = market.flight[key].call.n  # type: ignore[union-attr]
            said = Completion("42", output_tokens=20)
            market.deliver(key, Delivery((said,) * copies, Usage(20, 20 * copies), takes[arm]))
            del ends[key]
    assert now <= limit
    assert sum(settled.candidate is not None for settled in market.settled) == 80
    assert now >= 0.75 * limit, "and the time is used"


def test_what_is_left_of_a_deadline_is_neither_gone_nor_taken_by_calls_under_way():
    market = Market(
        setting(Budget(ms=80_000), (SMALL, BIG)), [Prompt("p", (Message("user", "?"),), "number")]
    )
    [first] = market.step(20_000)
    # One prompt has the server to itself, and nothing came back: it is guessed to take a half or, of the big, all.
    guessed = {"small": 40_000, "big": 80_000}[first.arm.name] * first.n
    assert market._forecast().left == max(80_000 - 20_000 - guessed, 0) / 80_000
    market.step(30_000)
    left = market._forecast().left
    assert left == max(80_000 - 20_000 - guessed, 0) / 80_000, (
        "what it took so far is gone, the rest is to come"
    )
    market.deliver(first.key, Delivery((Completion("42", output_tokens=5),) * first.n, Usage(20, 5), 11_000))
    market.step(31_000)
    under_way = sum(purchase.ms for purchase in market.flight.values())
    assert market._forecast().left == max(80_000 - 31_000 - under_way, 0) / 80_000 > 0


def played(market: Market, works: dict[str, int], limit: int) -> Iterator[Counter[str]]:
    """A run on one machine that its calls share evenly; what is under way after each step, by engine."""
    now, left = 0.0, dict[str, float]()
    began: dict[str, float] = {}
    while not market.finished:
        for new in market.step(round(now)):
            assert now < limit
            left[new.key], began[new.key] = works[new.arm.name] * new.n, now
        calls = [market.flight[key].call for key in left]
        yield Counter(called.arm.engine for called in calls if called is not None)
        if left:
            soonest = min(left.values())
            now += soonest * len(left)
            left = {key: work - soonest for key, work in left.items()}
        for key in [key for key, work in left.items() if work <= 0]:
            called = market.flight[key].call
            assert called is not None
            said = (Completion("42", output_tokens=20),) * called.n
            market.deliver(key, Delivery(said, Usage(20, 20 * called.n), round(now - began.pop(key))))
            del left[key]
    assert now <= limit


def test_where_calls_share_a_machine_the_last_seconds_are_used_too():
    """Time for half of the prompts. Among eight a call takes eight seconds, and ten before the end none would be
    expected back, were it not that the fewer there are the faster they come.
    """
    prompts = [Prompt(f"p{i}", (Message("user", f"{i}"),), "number") for i in range(60)]
    market = Market(setting(Budget(ms=30_000), (replace(SMALL, temperature=0.0),)), prompts)
    for _ in played(market, {"small": 1000}, 30_000):
        pass
    assert sum(settled.candidate is not None for settled in market.settled) >= 26
    assert {settled.reason for settled in market.settled if settled.candidate is None} == {"the deadline"}


def two_endpoints(**at_once: int) -> Setting:
    """The small model at `far` and the big one at `deep`, with so many places."""
    parts = setting(Budget(ms=60_000), (SMALL, replace(BIG, engine="deep")))
    return replace(parts, engines={**ENGINES, "deep": Engines(lockstep=False)}, at_once=at_once)


def test_nothing_is_bought_ahead_of_an_engine_that_has_no_place_free():
    parts = two_endpoints(far=3, deep=2)
    prompts = [Prompt(f"p{i}", (Message("user", f"{i}"),), "number") for i in range(30)]
    most = Counter[str]()
    for busy in played(Market(parts, prompts), {"small": 300, "big": 900}, 60_000):
        most |= busy
    assert most == {"far": 3, "deep": 2}


def test_what_would_come_too_late_is_not_offered_beside_what_would_not():
    prompts = [Prompt(f"p{i}", (Message("user", f"{i}"),), "number") for i in range(4)]
    slow = {"far": Engines(lockstep=False, most_ms=600_000), "near": ENGINES["near"]}
    market = Market(replace(setting(Budget(ms=80_000), (SMALL, BIG)), engines=slow), prompts)
    market.step(0)
    point = market.floor.points["p3"]
    assert {offer.arm for offer in market._menu(point)} == {"small", "big"}
    # As one of five, a small answer is guessed to be back after 56 s, a big one after 112.
    market.step(80_000 - 70_000)
    assert {offer.arm for offer in market._menu(point)} == {"small"}
    market.step(80_000 - 30_000)
    assert {offer.arm for offer in market._menu(point)} == {"small", "big"}, (
        "it waits for what may come sooner"
    )


def test_a_prompt_whose_best_model_has_no_place_free_takes_another_that_has():
    parts = two_endpoints(far=8, deep=2)
    prompts = [Prompt(f"p{i}", (Message("user", f"{i}"),), "number") for i in range(4)]
    market = Market(parts, prompts)
    market.step(0)
    point = market.floor.points["p3"]
    assert {offer.arm for offer in market._menu(point)} == {"small", "big"}
    market.floor.deadline.busy["deep"] = 2
    market.step(1)
    assert {offer.arm for offer in market._menu(point)} == {"small"}
    market.floor.deadline.busy["far"] = 8
    market.step(2)
    assert {offer.arm for offer in market._menu(point)} == {"small", "big"}, "it waits for whichever is free"


@final
class Uneven:
    """Long prompts cost more."""

    lockstep, chunk = False, 1

    def worst(self, call: Call) -> Cost:
        return Cost(long(call) + 50 * call.n, 50 * call.n, ms=60_000)

    def expected(self, call: Call) -> Cost:
        return Cost(long(call) + 20 * call.n, 20 * call.n)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        raise AssertionError("not here")

    async def close(self) -> None:
        """Nothing is held."""


def long(call: Call) -> int:
    assert isinstance(call.payload, Ask)
    return len(call.payload.messages[0].content)


def test_an_endpoint_is_kept_busy_while_the_price_comes_down():
    """At the first price one prompt alone would buy, the shortest, and then the next: the others do not wait until it
    is back.
    """
    prompts = [Prompt(f"p{i}", (Message("user", "?" * (10 + 4 * i)),), "number") for i in range(60)]
    market = Market(
        replace(setting(Budget(tok=60 * 80), (SMALL, BIG)), engines={**ENGINES, "far": Uneven()}), prompts
    )
    busy = [now["far"] for now in played(market, {"small": 300, "big": 900}, 10**9)]
    assert busy[0] == 8, "as many as the endpoint takes"
    assert sum(busy) / len(busy) >= 6
    assert all(settled.candidate is not None for settled in market.settled)
