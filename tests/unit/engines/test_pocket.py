import asyncio
from dataclasses import replace

import numpy as np
import pytest

from outlay.engines.pocket import Pocket
from outlay.pocket import chain_problems, count_tokens
from outlay.types import Arm, Ask, Call, Delivery, Message, Price, Prompt, Test

THINK = Arm("think", "pocket", mode="think", max_tokens=96, price=Price(1_000_000, 1_000_000))
SHORT = replace(THINK, name="short", mode="short")
QUESTIONS = [problem.question for problem in chain_problems(3, 20, 6, np.random.default_rng(0))]


def ask(question: str, arm: Arm = THINK, **other: object) -> Call:
    return Call(arm, Ask((Message("user", question),)), max_tokens=96, seed=11, **other)  # type: ignore[arg-type]


def deliver(*calls: Call) -> list[Delivery]:
    return asyncio.run(Pocket().complete(calls))


def test_samples_do_not_depend_on_batch_mates():
    calls = [ask(question, n=2) for question in QUESTIONS]
    together = [done.completions for done in deliver(*calls)]
    assert together == [deliver(call)[0].completions for call in calls]


def test_seeds_and_copies_differ_and_repeat():
    one, same, other = deliver(
        *(
            replace(ask(QUESTIONS[0], n=8), seed=seed, arm=replace(THINK, temperature=3.0))
            for seed in (1, 1, 2)
        )
    )
    assert one.completions == same.completions != other.completions
    assert len({copy.text for copy in one.completions}) > 1


def test_tokens_are_exact_and_confidence_is_there():
    call = ask(QUESTIONS[0], n=3)
    [done] = deliver(call)
    assert done.usage.input == count_tokens(QUESTIONS[0], "think") == Pocket().worst(call).tok - 3 * 96
    assert done.usage.output == sum(copy.output_tokens for copy in done.completions)
    assert all(copy.confidence is not None and copy.confidence.mean <= 0 for copy in done.completions)


def test_a_prefix_counts_as_prompt_and_is_continued():
    call = replace(ask(QUESTIONS[0]), payload=Ask((Message("user", QUESTIONS[0]),), prefix="3+4=7;"))
    assert deliver(call)[0].usage.input == Pocket().worst(call).tok - 96 > count_tokens(QUESTIONS[0], "think")


def test_a_deterministic_arm_is_greedy():
    first, second = deliver(
        *(replace(ask(QUESTIONS[0], arm=replace(SHORT, deterministic=True)), seed=seed) for seed in (1, 2))
    )
    assert first.completions == second.completions


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (ask("7 " * 500), "context"),
        (ask("2+2", arm=replace(THINK, mode="deep")), "deep"),
        (Call(THINK, Test(Prompt("p", ()), "", "")), "checks"),
    ],
)
def test_a_call_that_is_refused_is_an_error_of_its_own_and_costs_nothing(call: Call, word: str):
    good = ask(QUESTIONS[0])
    before, refused, after = deliver(good, call, good)
    assert word in refused.error
    assert not refused.completions
    assert not refused.usage.input
    assert before.completions == after.completions != ()
