"""What a stranger tried: answers that hold nothing to read, and a check that only fails."""

import asyncio

from outlay.driver import Job, Summary, run_job
from outlay.engines.simulated import Simulated
from outlay.types import FREE, Answer, Arm, Budget, Call, Completion, Cost, Message, Prompt, Test


def ended(text: str, *, check: str = "") -> tuple[Summary, tuple[Answer, ...]]:
    def answer(call: Call, ordinal: int) -> Completion:
        if isinstance(call.payload, Test):
            return Completion("the check raised", finish="error")
        return Completion(text, output_tokens=20)

    def cost(call: Call) -> Cost:
        return FREE if isinstance(call.payload, Test) else Cost(call.n * 20, call.n * 20)

    arms = (Arm("m", "sim", "m"), *((Arm("check", "sim", role="check"),) if check else ()))
    prompts = tuple(Prompt(f"p{i}", (Message("user", f"q {i}"),), "number") for i in range(5))
    job = Job(prompts, arms, {"sim": Simulated(answer, cost, cost)}, budget=Budget(tok=20_000))
    return asyncio.run(run_job(job))


def test_a_prompt_whose_answers_cannot_be_read_is_asked_no_more_after_a_while():
    summary, answers = ended("I do not know at all.")
    assert {answer.outcome for answer in answers} == {"no_answer_found"}
    assert summary.spent.tok <= 5 * 20 * 32


def test_a_check_that_only_fails_has_checked_nothing_and_is_named():
    summary, answers = ended("It is 7.", check="raises")
    assert {answer.answer for answer in answers} == {"7"}
    assert not summary.checked
    assert summary.troubles[0].startswith("check failed 5 times")


def test_a_small_budget_compares_nothing_before_everybody_could_be_asked():
    """Four hundred prompts, half of them worth little, and money for three hundred answers: while those wait, nobody is
    asked twice, not even to compare models.
    """

    def answer(call: Call, ordinal: int) -> Completion:
        return Completion(f"It is {call.seed % 97}.", output_tokens=20)

    def cost(call: Call) -> Cost:
        return Cost(call.n * 20, call.n * 20)

    prompts = tuple(
        Prompt(f"p{i}", (Message("user", f"q {i}"),), "number", worth=0.2 if i % 2 else 1.0)
        for i in range(400)
    )
    arms = (Arm("a", "sim", "a"), Arm("b", "sim", "b"))
    job = Job(prompts, arms, {"sim": Simulated(answer, cost, cost)}, budget=Budget(tok=300 * 20))
    summary, answers = asyncio.run(run_job(job))
    assert summary.outcomes["answered"] == 300
    assert {found.cost.tok for found in answers} == {0, 20}


def test_a_budget_that_is_too_large_is_not_spent_on_certainty():
    """One model that is right four times of five, nothing that checks it, and money for hundreds of answers each."""

    def answer(call: Call, ordinal: int) -> Completion:
        wrong = (call.seed + ordinal) % 5 == 0
        return Completion(f"It is {call.seed % 97 + 100 if wrong else 7}.", output_tokens=20)

    def cost(call: Call) -> Cost:
        return Cost(call.n * 20, call.n * 20)

    prompts = tuple(Prompt(f"p{i}", (Message("user", f"q {i}"),), "number") for i in range(40))
    arms = (Arm("m", "sim", "m", temperature=0.8),)
    job = Job(prompts, arms, {"sim": Simulated(answer, cost, cost)}, budget=Budget(tok=40 * 20 * 200))
    summary, answers = asyncio.run(run_job(job))
    assert {found.answer for found in answers} == {"7"}
    assert min(found.confidence for found in answers) >= 0.99
    assert summary.spent.tok <= 40 * 20 * 12, summary.spent.tok / 800
    assert summary.end == "no_gain"
