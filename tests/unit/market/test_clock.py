"""What a call takes of a run whose time is limited."""

from collections.abc import Sequence

from outlay.beliefs import Prior
from outlay.engines.base import Engine
from outlay.market import Market, Setting
from outlay.market.clock import Clock
from outlay.policies import policy
from outlay.pricing import Clearing
from outlay.strategies import STRATEGIES
from outlay.types import Arm, Ask, Budget, Call, Completion, Cost, Delivery, Message, Prompt, Usage

SMALL, BIG = Arm("small", "far", "small", max_tokens=50), Arm("big", "far", "big", max_tokens=50)
NEAR = Arm("near", "near", "near", max_tokens=50)


class Engines:
    """Says what a call may cost; nobody performs it here."""

    def __init__(self, *, lockstep: bool) -> None:
        self.lockstep, self.chunk = lockstep, 1

    def worst(self, call: Call) -> Cost:
        return Cost(100, 50, ms=60_000)

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


def test_a_call_among_eight_takes_an_eighth_of_its_time_and_one_in_the_process_all_of_it():
    clock = Clock(setting(Budget(ms=80_000)), 40)
    assert (clock.limited, clock.at_once) == (True, 8)
    assert clock.of_run("far", Cost(40, 20, ms=8000)) == Cost(40, 20, ms=1000)
    assert clock.of_run("near", Cost(40, 20, ms=8000)) == Cost(40, 20, ms=8000)
    assert clock.of_call(call(SMALL), Cost(ms=1000)) == 10_000, "eight seconds, and a quarter more"


def test_fewer_prompts_than_places_share_among_themselves():
    assert Clock(setting(Budget(ms=80_000)), 2).of_run("far", Cost(ms=8000)) == Cost(ms=4000)


def test_before_anything_is_back_a_budget_pays_two_cheap_answers_each_and_the_dearer_model_is_slower():
    clock = Clock(setting(Budget(ms=80_000)), 40)
    assert clock.guess(call(SMALL), Cost(40, 20)) == Cost(40, 20, ms=1000)
    assert clock.guess(call(BIG), Cost(40, 20)) == Cost(40, 20, ms=2000)
    assert clock.guess(call(SMALL), Cost(40, 20, ms=400)) == Cost(40, 20, ms=50), (
        "what an engine knows is taken"
    )


def test_without_a_limit_on_time_costs_stay_as_they_are():
    clock = Clock(setting(Budget(tok=1000)), 40)
    assert clock.of_run("far", Cost(ms=8000)) == clock.guess(call(SMALL), Cost(ms=8000)) == Cost(ms=8000)


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
    market.deliver(first.key, Delivery((Completion("42", output_tokens=5),) * first.n, Usage(20, 5), 1000))
    market.step(21_000)
    under_way = sum(purchase.ms for purchase in market.flight.values())
    assert market._forecast().left == max(80_000 - 21_000 - under_way, 0) / 80_000 > 0
