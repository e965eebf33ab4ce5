"""A run from its job to its answers, with engines of known truth: what is spent, what is answered, what is told."""

import asyncio
import gc
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from outlay.driver import Job, Summary, run_job
from outlay.engines.base import Engine
from outlay.engines.simulated import Simulated
from outlay.errors import BudgetError
from outlay.journal import Journal, decode
from outlay.types import (
    FREE,
    Answer,
    Arm,
    Ask,
    Budget,
    Call,
    Completion,
    Cost,
    Delivery,
    Message,
    Price,
    Prompt,
    Usage,
)

INPUT = 10  # tokens of every prompt
SMALL = Arm("small", "models", "small", max_tokens=30, price=Price(200_000_000, 800_000_000))
BIG = Arm("big", "models", "big", max_tokens=50, price=Price(1_000_000_000, 4_000_000_000))
CHECK = Arm("check", "checks", role="check")

Says = Callable[[Call, int], Completion]
Done = tuple[Summary, dict[str, Answer]]


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but what it is asked for."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=7).digest()) / 2**56


def worst(call: Call) -> Cost:
    out = call.n * (call.max_tokens or call.arm.max_tokens)
    return Cost(INPUT + out, out, call.arm.price.of(Usage(INPUT, out)))


def used(call: Call, copies: Sequence[Completion]) -> Usage:
    return Usage(INPUT, sum(copy.output_tokens for copy in copies))


class Bed:
    """A model that answers as told and a check that knows the truth; `served` are the calls that were sent."""

    def __init__(self, says: Says, right: Callable[[str], str] = lambda _: "42", **more: Any) -> None:
        self.served: list[Call] = []

        def model(call: Call, ordinal: int) -> Completion:
            if ordinal == call.ordinal:
                self.served.append(call)
            return says(call, ordinal)

        def check(call: Call, _: int) -> Completion:
            self.served.append(call)
            assert not isinstance(call.payload, Ask)
            return Completion("", passed=call.payload.answer == right(call.prompt_id))

        self.engines: dict[str, Engine] = {
            "models": Simulated(model, worst, worst, more.pop("actual", used), **more),
            "checks": Simulated(check, FREE, FREE),
        }


def says(answer: str, tokens: int = 8) -> Says:
    return lambda _call, _ordinal: Completion(f"The answer is {answer}", output_tokens=tokens)


def prompts(count: int) -> tuple[Prompt, ...]:
    return tuple(Prompt(f"p{k}", (Message("user", f"question {k}"),), "number") for k in range(count))


def run(bed: Bed, asked: tuple[Prompt, ...], **more: Any) -> Done:
    arms = more.pop("arms", (SMALL,))
    summary, answers = asyncio.run(run_job(Job(asked, arms, bed.engines, **more)))
    assert len(answers) == len(asked)
    assert summary.prompts == sum(summary.outcomes.values()) == len(asked)
    return summary, {answer.id: answer for answer in answers}


@pytest.fixture(params=["in memory", "in a directory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    return tmp_path / "run" if request.param == "in a directory" else None


# ── outcomes ─────────────────────────────────────────────────────────────────────────────────────────────


def test_answers_and_receipts_say_what_was_bought(place: Path | None):
    bed = Bed(says("42"))
    summary, answers = run(bed, prompts(4), policy="uniform:3", directory=place)
    assert summary.outcomes == {"answered": 4}
    assert (summary.end, summary.resumed, summary.directory) == ("rule_done", False, place)
    for answer in answers.values():
        assert (answer.answer, answer.text, answer.outcome) == ("42", "The answer is 42", "answered")
        assert 0.5 < answer.confidence <= 1
        assert answer.cost == Cost(INPUT + 24, 24, SMALL.price.of(Usage(INPUT, 24)))
        [line] = answer.receipt["purchases"]
        assert (line["kind"], line["arm"], line["copies"], line["tok"]) == ("sample", "small", 3, INPUT + 24)
        assert answer.receipt["stopped"] == "the rule was carried out"
    assert summary.spent == Cost(4 * (INPUT + 24), 4 * 24, 4 * SMALL.price.of(Usage(INPUT, 24)))
    assert [call.n for call in bed.served] == [3] * 4


def test_the_rows_of_a_directory_are_the_answers_that_were_returned(tmp_path: Path):
    _, answers = run(Bed(says("42")), prompts(3), policy="uniform:2", directory=tmp_path / "run")
    rows = [json.loads(line) for line in (tmp_path / "run" / "answers.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == list(answers)
    for row in rows:
        answer = answers[row["id"]]
        assert (row["answer"], row["outcome"], row["cost"]) == (
            answer.answer,
            answer.outcome,
            answer.cost.row(),
        )
        assert row["receipt"] == answer.receipt


def test_a_run_in_memory_and_one_in_a_directory_are_the_same(tmp_path: Path):
    def rows(directory: Path | None) -> Done:
        def mixed(call: Call, ordinal: int) -> Completion:
            return Completion(f"{int(chance(call.prompt_id, ordinal) * 3)}", output_tokens=5 + ordinal % 9)

        return run(Bed(mixed), prompts(20), budget=Budget(tok=3000), arms=(SMALL, BIG), directory=directory)

    (first, ours), (second, theirs) = rows(None), rows(tmp_path / "run")
    assert list(ours.items()) == list(theirs.items())
    assert (first.spent, first.end, first.lines) == (second.spent, second.end, second.lines)


def test_what_the_check_passes_is_answered_whatever_the_majority_says(place: Path | None):
    def wrong_but_once(call: Call, ordinal: int) -> Completion:
        return says("42" if ordinal == 4 else "41")(call, ordinal)

    bed = Bed(wrong_but_once)
    summary, answers = run(bed, prompts(3), arms=(SMALL, CHECK), policy="uniform:6", directory=place)
    assert {answer.answer for answer in answers.values()} == {"42"}
    assert all(answer.confidence > 0.9 for answer in answers.values())
    assert summary.checked


def test_what_the_check_fails_is_not_believed():
    _, passed = run(Bed(says("42")), prompts(2), arms=(SMALL, CHECK), policy="uniform:2")
    _, failed = run(Bed(says("41")), prompts(2), arms=(SMALL, CHECK), policy="uniform:2")
    assert passed["p0"].confidence > 0.9 > 0.1 > failed["p0"].confidence


def test_answers_that_say_nothing_are_no_answer_found(place: Path | None):
    def silent(call: Call, ordinal: int) -> Completion:
        return Completion("I do not know", output_tokens=5)

    summary, answers = run(Bed(silent), prompts(3), policy="uniform:2", directory=place)
    assert summary.outcomes == {"no_answer_found": 3}
    assert all(
        (answer.answer, answer.text, answer.confidence) == (None, "", 0) for answer in answers.values()
    )


def test_an_answer_believed_less_than_asked_for_is_left_out(place: Path | None):
    def torn(call: Call, ordinal: int) -> Completion:
        return says("42" if call.prompt_id == "p0" else str(40 + ordinal))(call, ordinal)

    summary, answers = run(Bed(torn), prompts(3), policy="uniform:6", abstain=0.7, directory=place)
    assert summary.outcomes == {"answered": 1, "abstained": 2}
    assert answers["p0"].answer == "42"
    for left_out in (answers["p1"], answers["p2"]):
        assert (left_out.answer, left_out.text) == (None, "")
        assert 0 < left_out.confidence < 0.7
        assert left_out.cost.tok > 0


def test_no_prompts_are_no_answers(place: Path | None):
    summary, answers = run(Bed(says("42")), (), budget=Budget(tok=10), directory=place)
    assert (answers, summary.spent) == ({}, FREE)


# ── duplicates ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_prompt_is_bought_once_and_answered_each_time(place: Path | None):
    bed = Bed(says("42"))
    one, other = prompts(2)
    asked = (one, replace(one, id="twin"), other, replace(one, id="third"))
    summary, answers = run(bed, asked, policy="uniform:2", directory=place)
    assert sorted(call.prompt_id for call in bed.served) == ["p0", "p1"]
    assert summary.duplicates == 2
    for name in ("twin", "third"):
        twin = answers[name]
        assert (twin.answer, twin.text, twin.confidence) == (
            "42",
            "The answer is 42",
            answers["p0"].confidence,
        )
        assert (twin.cost, twin.receipt["same_as"], twin.receipt["purchases"]) == (FREE, "p0", [])


@pytest.mark.parametrize("change", [{"answer": "text"}, {"worth": 2.0}, {"metadata": {"group": "other"}}])
def test_a_prompt_that_differs_in_anything_that_counts_is_no_duplicate(change: dict[str, Any]):
    bed = Bed(says("42"))
    [one] = prompts(1)
    summary, _ = run(bed, (one, replace(one, id="other", **change)), policy="uniform:1")
    assert (summary.duplicates, len(bed.served)) == (0, 2)


# ── faults ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("policy", ["uniform:3", "priced"])
def test_a_call_that_fails_harms_no_other_prompt_and_is_named_in_its_receipt(place: Path | None, policy: str):
    def faulty(call: Call, ordinal: int) -> Completion:
        if call.prompt_id == "p1":
            return Completion("the model caught fire", "error")
        return says("42")(call, ordinal)

    summary, answers = run(Bed(faulty), prompts(4), policy=policy, budget=Budget(tok=5000), directory=place)
    assert summary.outcomes == {"answered": 3, "failed": 1}
    assert [answers[name].answer for name in ("p0", "p2", "p3")] == ["42"] * 3
    failed = answers["p1"]
    assert [line["error"] for line in failed.receipt["purchases"]] == ["the model caught fire"]
    assert not any(
        "error" in line for name in ("p0", "p2", "p3") for line in answers[name].receipt["purchases"]
    )
    assert failed.cost.tok == INPUT, "what a failed call used is charged"


def test_where_one_model_fails_the_other_is_asked():
    def faulty(call: Call, ordinal: int) -> Completion:
        return Completion("down", "error") if call.arm.name == "small" else says("42")(call, ordinal)

    summary, answers = run(Bed(faulty), prompts(3), arms=(SMALL, BIG), budget=Budget(tok=5000))
    assert summary.outcomes == {"answered": 3}
    assert "big" in {line["arm"] for line in answers["p0"].receipt["purchases"]}


@pytest.mark.parametrize("policy", ["uniform:40", "priced"])
def test_an_engine_that_breaks_its_worst_case_ends_the_buying_and_is_named(place: Path | None, policy: str):
    def too_much(call: Call, copies: Sequence[Completion]) -> Usage:
        return Usage(INPUT, call.n * call.arm.max_tokens + 7)

    bed = Bed(says("42"), actual=too_much)
    summary, answers = run(bed, prompts(3), policy=policy, budget=Budget(tok=100_000), directory=place)
    assert summary.end == "overdrawn"
    assert summary.end_sentence.startswith("small used more than the most it said it could")
    assert len(bed.served) == 3, "nothing more is bought"
    most = [worst(call) for call in bed.served]
    assert summary.overdraft.tok == summary.overdraft.outtok == 7 * 3
    assert summary.spent.tok == sum(each.tok + 7 for each in most), "the excess is booked in full"
    for answer in answers.values():
        assert answer.outcome == "answered"
        assert answer.receipt["stopped"] == "the worst case that small gave was exceeded"


def test_an_overdraft_beyond_the_budget_is_booked_in_full():
    bed = Bed(says("42"), actual=lambda call, copies: Usage(INPUT, 500))
    budget = Budget(tok=2 * (INPUT + 30))
    summary, answers = run(bed, prompts(4), policy="uniform:1", budget=budget)
    assert summary.end == "overdrawn"
    assert summary.spent.tok == 510 * len(bed.served) > (budget.tok or 0)
    assert sum(answer.cost.tok for answer in answers.values()) == summary.spent.tok


# ── deadlines and prices ─────────────────────────────────────────────────────────────────────────────────


class Slow:
    """Serves as another engine does, each call after a real sleep."""

    lockstep, chunk = False, 1

    def __init__(self, inner: Engine, seconds: float) -> None:
        self._inner, self._seconds = inner, seconds
        self.worst, self.expected, self.close = inner.worst, inner.expected, inner.close

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        await asyncio.sleep(self._seconds)
        return await self._inner.complete(calls)


def test_nothing_is_bought_after_the_deadline(place: Path | None):
    bed = Bed(says("42"), ms=50)
    bed.engines["models"] = Slow(bed.engines["models"], 0.05)
    summary, answers = run(bed, prompts(6), policy="uniform:4000", budget=Budget(ms=400), directory=place)
    assert summary.end == "deadline"
    assert 400 <= summary.elapsed_ms < 5000  # 250 rounds of 50 ms would take more than twelve seconds
    assert len(bed.served) < 6 * 250 / 2
    assert summary.outcomes == {"answered": 6}
    assert {answer.receipt["stopped"] for answer in answers.values()} == {"the deadline"}


def limited(
    bed: Bed, seconds: float, at_once: int, asked: list[str], stop_at: int = 10**9, **other: Any
) -> Summary:
    """A run on a slow engine that may have `at_once` calls under way, asked to stop once `stop_at` were sent."""
    slow = Slow(bed.engines["models"], seconds)

    class Counted:
        lockstep, chunk = False, 1
        worst, expected, close = slow.worst, slow.expected, slow.close

        async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
            asked.extend(call.key for call in calls)
            return await slow.complete(calls)

    engines = {**bed.engines, "models": Counted()}
    job = Job(prompts(40), (SMALL,), engines, policy="uniform:1", at_once={"models": at_once}, **other)
    summary, _ = asyncio.run(run_job(job, stop=lambda: int(len(asked) >= stop_at)))
    return summary


def test_calls_that_wait_are_not_sent_after_a_stop_and_cost_nothing_when_the_run_goes_on(tmp_path: Path):
    bed, asked = Bed(says("42"), ms=5), list[str]()
    first = limited(bed, 0.02, 4, asked, stop_at=4, directory=tmp_path, budget=Budget(tok=100_000))
    assert first.end == "interrupted"
    assert 4 <= len(asked) <= 8, "what waited was not sent"
    assert "under way" not in first.end_sentence, "what was not sent cannot be billed"
    again = limited(bed, 0.0, 4, asked, directory=tmp_path, budget=Budget(tok=100_000))
    assert again.outcomes == {"answered": 40}
    assert len(asked) == len(set(asked)) == 40, "each was sent once, under the key that it was bought with"
    assert again.troubles == ()


def test_while_nothing_comes_back_nothing_is_written(tmp_path: Path):
    """A run looks twice a second; a journal of looks would grow for hours."""
    limited(Bed(says("42"), ms=5), 1.3, 40, [], directory=tmp_path, budget=Budget(tok=100_000))
    journal = Journal(tmp_path / "journal.db")
    steps = [line for line in journal.read("step") if not decode(line.body)["ops"]]
    journal.close()
    assert steps == []


def test_calls_that_waited_until_the_deadline_are_not_sent_and_cost_nothing():
    bed, asked = Bed(says("42"), ms=5), list[str]()
    summary = limited(bed, 0.1, 4, asked, budget=Budget(ms=450))
    assert summary.end == "deadline"
    assert len(asked) <= 24
    assert summary.outcomes["answered"] == len(asked)
    assert summary.outcomes["answered"] + summary.outcomes["out_of_budget"] == 40
    assert summary.elapsed_ms < 5000


def test_before_any_time_is_left_nothing_is_bought():
    bed = Bed(says("42"))
    summary, answers = run(bed, prompts(3), policy="uniform:2", budget=Budget(ms=0))
    assert bed.served == []
    assert (summary.outcomes, summary.spent) == ({"out_of_budget": 3}, FREE)
    assert {answer.receipt["stopped"] for answer in answers.values()} == {"the deadline"}


def test_an_unknown_price_under_a_dollar_budget_is_refused_before_anything_is_bought(place: Path | None):
    bed, unpriced = Bed(says("42")), replace(BIG, price=Price(input=5))
    with pytest.raises(BudgetError, match=r"needs a price for big; give price_in and price_out.*tok"):
        run(bed, prompts(2), arms=(SMALL, unpriced, CHECK), budget=Budget(usd=10**9), directory=place)
    assert bed.served == []
    summary, _ = run(bed, prompts(2), arms=(SMALL, unpriced, CHECK), budget=Budget(tok=1000))
    assert summary.spent.tok > 0


# ── budgets ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("unit", ["tok", "outtok", "usd"])
def test_a_budget_of_exactly_the_worst_case_is_spent_to_the_last_unit(unit: str):
    whole = Usage(INPUT, SMALL.max_tokens)
    one = Cost(INPUT + whole.output, whole.output, SMALL.price.of(whole))
    budget = Budget(**{unit: 3 * getattr(one, unit)})
    summary, _ = run(Bed(says("42", SMALL.max_tokens)), prompts(3), policy="uniform:1", budget=budget)
    assert summary.outcomes == {"answered": 3}
    assert summary.spent == one.times(3)
    assert summary.end == "spent"


@pytest.mark.parametrize("unit", ["tok", "outtok", "usd"])
def test_a_budget_one_unit_short_leaves_one_prompt_out(unit: str):
    """The answers are as long as they may be, so that a shorter one would be cut: none is bought."""
    whole = Usage(INPUT, SMALL.max_tokens)
    one = Cost(INPUT + whole.output, whole.output, SMALL.price.of(whole))
    budget = Budget(**{unit: 3 * getattr(one, unit) - 1})
    summary, answers = run(Bed(says("42", SMALL.max_tokens)), prompts(3), policy="uniform:1", budget=budget)
    assert summary.outcomes == {"answered": 2, "out_of_budget": 1}
    assert summary.spent == one.times(2)
    [left_out] = [answer for answer in answers.values() if answer.outcome == "out_of_budget"]
    assert (left_out.cost, left_out.receipt["purchases"]) == (FREE, [])
    assert left_out.receipt["stopped"] == "the budget"


limits = st.tuples(*(st.one_of(st.none(), st.integers(0, most)) for most in (2500, 1500, 4_000_000)))


@settings(max_examples=40)
@given(
    limits=limits,
    policy=st.sampled_from(["priced", "priced", "uniform:4", "lead:2", "until_pass:3", "agree"]),
    count=st.integers(1, 14),
    checked=st.booleans(),
    luck=st.integers(0, 10**6),
)
@example(limits=(0, 0, 0), policy="priced", count=3, checked=True, luck=0)
@example(limits=(120, None, None), policy="uniform:4", count=5, checked=False, luck=0)
def test_no_budget_is_ever_exceeded_and_every_prompt_has_its_row(
    limits: tuple[int | None, ...], policy: str, count: int, checked: bool, luck: int
):
    """In three units at once; every call costs anything up to its worst case, and some fail."""

    def random_answer(call: Call, ordinal: int) -> Completion:
        at = (luck, call.prompt_id, call.arm.name, ordinal)
        if chance(at, "fault") < 0.03:
            return Completion("a fault", "error")
        # One in four answers is as long as it may be.
        tokens = min(call.max_tokens, int(chance(at, "length") * 1.34 * (call.max_tokens + 1)))
        return Completion(str(40 + int(chance(at, "word") * 4)), output_tokens=tokens)

    used_up: list[Cost] = []

    def spend(call: Call, copies: Sequence[Completion]) -> Usage:
        usage = Usage(int(chance(luck, call.key) * (INPUT + 1)), sum(copy.output_tokens for copy in copies))
        used_up.append(Cost(usage.input + usage.output, usage.output, call.arm.price.of(usage)))
        return usage

    bed = Bed(random_answer, actual=spend)
    arms = (SMALL, BIG, CHECK) if checked else (SMALL, BIG)
    budget = Budget(*limits)
    summary, answers = run(bed, prompts(count), arms=arms, policy=policy, budget=budget)
    assert set(answers) == {f"p{k}" for k in range(count)}
    assert summary.overdraft == FREE
    for unit, limit in budget.limits().items():
        assert getattr(summary.spent, unit) <= limit, unit
    assert summary.spent == sum(used_up, FREE), "what was spent is what the engines used"
    assert summary.spent == sum((answer.cost for answer in answers.values()), FREE)
    for answer in answers.values():
        assert (answer.answer is not None) == (answer.outcome == "answered")
        assert answer.cost.tok == sum(line["tok"] for line in answer.receipt["purchases"])


def test_a_run_seeks_garbage_seldom_and_leaves_the_collector_as_it_was():
    before, during = gc.get_threshold(), set[int]()

    def answer(_: Call, __: int) -> Completion:
        during.add(gc.get_threshold()[0])
        return Completion("The answer is 42.", output_tokens=5)

    run(Bed(answer), prompts(3), budget=Budget(tok=1_000))
    assert gc.get_threshold() == before
    assert min(during) > before[0]
