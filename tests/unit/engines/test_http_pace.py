"""How fast an endpoint is asked: as fast as it likes, and no faster than anybody said."""

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.engines.http.gate import Gate
from outlay.engines.http.outage import PROMPTS, Outage
from outlay.engines.http.pace import CUT, START, Bucket, Pace, Ticket


def fill(pace: Pace, now: float = 0.0) -> list[Ticket]:
    sent = []
    while pace.wait(now, "m", 100) <= 0:
        sent.append(pace.send(now, "m", 100))
    return sent


def round_of(pace: Pace, now: float) -> int:
    """Fill it, and let all come back clean; how many were in flight."""
    sent = fill(pace, now)
    for ticket in sent:
        pace.back(now + 0.5, ticket, "clean")
    return len(sent)


def test_a_healthy_endpoint_has_256_in_flight_before_256_replies_are_back():
    pace, sent, replies = Pace(256), list[Ticket](), 0
    while pace.in_flight < 256:
        sent += fill(pace, replies)
        pace.back(replies, sent.pop(0), "clean")
        sent += fill(pace, replies)
        replies += 1
    assert replies <= 256 - START


@pytest.mark.parametrize("ceiling", [1, 5, START, 33])
def test_the_ceiling_is_never_passed(ceiling: int):
    pace = Pace(ceiling)
    assert [round_of(pace, at) for at in range(10)][-1] == ceiling


def test_a_limit_that_does_not_bind_does_not_grow():
    pace = Pace(1000)
    for at in range(500):
        pace.back(at, pace.send(at, "m", 1), "clean")
    assert pace.limit == START


def test_many_refusals_of_one_round_are_one_episode():
    pace = Pace(START)
    for ticket in fill(pace):
        pace.back(1.0, ticket, "limited")
    assert pace.limit == int(CUT * START)


def test_refusals_of_what_was_sent_after_the_cut_are_the_next_episode():
    pace = Pace(START)
    for at in range(1, 40):
        for ticket in fill(pace, at):
            pace.back(at + 0.5, ticket, "limited")
    assert pace.limit == 1


def test_after_the_first_refusal_growth_is_slow_and_still_reaches_the_ceiling():
    pace = Pace(100)
    while round_of(pace, 0) < 100:
        pass
    pace.back(1.0, fill(pace)[0], "limited")
    for _ in range(pace.in_flight):
        pace.back(1.0, Ticket(0.0, "m", 100), "clean")
    before, after = pace.limit, round_of(pace, 2.0)
    assert before == after == 80
    assert pace.limit <= 80 * 1.06
    for at in range(3, 20):
        round_of(pace, at)
    assert pace.limit == 100


def test_a_broken_reply_pauses_growth_for_a_round_and_cuts_nothing():
    pace = Pace(100)
    pace.back(0.5, fill(pace)[0], "broken")
    assert pace.limit == START
    for _ in range(START):
        fill(pace, 1.0)
        pace.back(1.0, Ticket(1.0, "m", 100), "clean")
    assert pace.limit == START
    round_of(pace, 2.0)
    assert pace.limit > START


def test_nobody_is_asked_before_the_endpoint_wants_to_be():
    pace = Pace(10)
    pace.back(1.0, pace.send(0.0, "m", 1), "limited", 7.0)
    assert pace.wait(2.0, "other", 1) == 6.0
    assert pace.wait(8.0, "m", 1) == 0.0


signs = st.sampled_from(["clean", "limited", "broken", "none"])


@given(st.integers(1, 300), st.lists(st.tuples(signs, st.floats(0, 2), st.floats(0, 3)), max_size=80))
def test_whatever_comes_back_the_limit_stays_within_one_and_the_ceiling_and_something_can_be_sent(
    ceiling: int, events: list[tuple[str, float, float]]
):
    pace, now, sent = Pace(ceiling), 0.0, list[Ticket]()
    for sign, step, wait_s in events:
        now += step
        if pace.wait(now, "m", 100) <= 0:
            sent.append(pace.send(now, "m", 100))
        if sent:
            pace.back(now, sent.pop(0), sign, wait_s)  # type: ignore[arg-type]
        assert 1 <= pace.limit <= ceiling
        assert 0 <= pace.in_flight == len(sent)
    for ticket in sent:
        pace.back(now, ticket, "none")
    wait = pace.wait(now, "m", 100)
    assert wait < math.inf
    assert pace.wait(now + wait, "m", 100) <= 1e-9


# Limits a minute.


@given(
    st.integers(1, 2_000),
    st.lists(st.tuples(st.integers(1, 60), st.floats(0, 30)), min_size=1, max_size=150),
)
def test_no_minute_sees_more_than_the_users_limit_and_one_request(
    per_minute: int, asked: list[tuple[int, float]]
):
    bucket, now, sent = Bucket(per_minute), 0.0, list[tuple[float, int]]()
    for amount, pause in asked:
        now += pause
        wait = bucket.wait(now, amount)
        assert wait < math.inf
        now += wait
        assert bucket.wait(now, amount) <= 1e-6
        bucket.take(now, amount)
        sent.append((now, amount))
    for start, _ in sent:
        within = [amount for at, amount in sent if start <= at < start + 60]
        assert sum(within) <= per_minute + max(within)


def headers(limit: str, remaining: str, reset: str, unit: str = "requests") -> dict[str, str]:
    names = ("limit", "remaining", "reset")
    return {
        f"x-ratelimit-{name}-{unit}": value
        for name, value in zip(names, (limit, remaining, reset), strict=True)
    }


def test_what_the_endpoint_says_is_left_is_not_passed_and_refills_until_its_reset():
    pace = Pace(100)
    pace.told(0.0, "m", headers("600", "3", "60s"))
    assert len(fill(pace)) == 3
    wait = pace.wait(0.0, "m", 1)
    assert wait == pytest.approx(60 / 597)
    assert pace.wait(0.0, "other", 1) == 0.0


def test_what_is_on_its_way_is_not_counted_as_left():
    pace = Pace(100)
    sent = [pace.send(0.0, "m", 1) for _ in range(10)]
    pace.back(1.0, sent[0], "clean")
    pace.told(1.0, "m", headers("100", "12", "1m0s"))
    assert len(fill(pace, 1.0)) == 12 - 9


def test_tokens_have_a_bucket_of_their_own():
    pace = Pace(100)
    pace.told(0.0, "m", headers("10000", "250", "6s", "tokens"))
    assert len(fill(pace)) == 2


def test_a_request_larger_than_the_whole_allowance_waits_for_a_full_bucket_and_not_for_ever():
    pace = Pace(100)
    pace.told(0.0, "m", headers("1000", "0", "60s", "tokens"))
    assert pace.wait(0.0, "m", 5_000) == pytest.approx(60)
    assert pace.wait(60.0, "m", 5_000) <= 0


@pytest.mark.parametrize(
    ("limit", "remaining", "reset"),
    [
        ("many", "0", "1s"),
        ("10", "", "1s"),
        ("-5", "0", "1s"),
        ("nan", "0", "1s"),
        ("0", "0", "1s"),
        ("inf", "1", ""),
    ],
)
def test_headers_that_make_no_sense_limit_nothing(limit: str, remaining: str, reset: str):
    pace = Pace(7)
    pace.told(0.0, "m", headers(limit, remaining, reset))
    assert len(fill(pace)) == 7


# The gate.


def test_one_model_that_waits_holds_up_no_other_and_those_who_give_up_leave_no_hole():
    async def run() -> list[str]:
        pace = Pace(2)
        gate, order = Gate(pace), list[str]()
        pace.told(asyncio.get_running_loop().time(), "slow", headers("1", "0", "3600s"))

        async def one(model: str, name: str) -> None:
            ticket = await gate.enter(model, 1)
            order.append(name)
            await asyncio.sleep(0.005)
            gate.leave(ticket, "clean")

        slow = asyncio.create_task(one("slow", "slow"))
        await asyncio.sleep(0)
        tasks = [asyncio.create_task(one("fast", str(at))) for at in range(6)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert pace.in_flight == 0
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        return order

    assert asyncio.run(run()) == ["0", "1", "2", "4", "5"]


def test_who_waits_for_a_pause_goes_when_it_is_over():
    async def run() -> int:
        pace = Pace(4)
        gate = Gate(pace)
        gate.leave(await gate.enter("m", 1), "limited", 0.03)
        tickets = await asyncio.gather(*(gate.enter("m", 1) for _ in range(3)))
        return len(tickets)

    assert asyncio.run(run()) == 3


# An outage.


def test_an_endpoint_is_suspected_when_several_prompts_fail_and_none_comes_through():
    outage = Outage()
    for at in range(PROMPTS - 1):
        outage.failed(10.0 + at, f"prompt {at}")
        outage.failed(10.0 + at, f"prompt {at}")
    assert not outage.suspected
    outage.failed(20.0, "another")
    assert outage.suspected
    assert outage.lasted(25.0) == 15.0
    outage.worked(26.0)
    assert not outage.suspected
    assert outage.lasted(30.0) == 0.0
