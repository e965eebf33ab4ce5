"""Who acts first: what came back may be all that a prompt needs, so it is settled before more is asked."""

import asyncio

import pytest

from outlay.driver import Job, run_job
from outlay.engines.simulated import Simulated
from outlay.types import FREE, Answer, Arm, Budget, Call, Completion, Cost, Message, Prompt, Test

PROMPTS = 600


def easy(call: Call) -> bool:
    """Every other prompt, whose first answer passes."""
    return int(call.prompt_id.removeprefix("p")) % 2 == 0


def asked_before_the_first_answer(policy: str, *, check: bool) -> int:
    asked, seen = 0, list[int]()

    def answer(call: Call, ordinal: int) -> Completion:
        nonlocal asked
        if isinstance(call.payload, Test):
            return Completion("", passed=easy(call))
        asked += 1
        return Completion(f"It is {7 if easy(call) else 100 + ordinal}.", output_tokens=20)

    def cost(call: Call) -> Cost:
        return FREE if isinstance(call.payload, Test) else Cost(call.n * 20, call.n * 20)

    def told(_: Answer) -> None:
        seen.append(asked)

    arms = (Arm("m", "sim", "m"), *((Arm("check", "sim", role="check"),) if check else ()))
    prompts = tuple(Prompt(f"p{i}", (Message("user", f"q {i}"),), "number") for i in range(PROMPTS))
    job = Job(
        prompts, arms, {"sim": Simulated(answer, cost, cost)}, policy=policy, budget=Budget(tok=200_000)
    )
    asyncio.run(run_job(job, told=told))
    assert len(seen) == PROMPTS, seen
    return seen[0]


@pytest.mark.parametrize(("policy", "check"), [("uniform:1", False), ("until_pass:3", True)])
def test_the_first_answer_is_there_long_before_the_last_prompt_is_asked(policy: str, check: bool):
    assert asked_before_the_first_answer(policy, check=check) <= PROMPTS / 4


def test_who_wants_more_waits_behind_those_that_had_nothing():
    """A budget for one answer each, and a check that never passes: nobody is asked twice while others wait."""

    def answer(call: Call, ordinal: int) -> Completion:
        if isinstance(call.payload, Test):
            return Completion("", passed=False)
        return Completion(f"It is {call.seed % 1000}.", output_tokens=20)

    def cost(call: Call) -> Cost:
        return FREE if isinstance(call.payload, Test) else Cost(call.n * 20, call.n * 20)

    prompts = tuple(Prompt(f"p{i}", (Message("user", f"q {i}"),), "number") for i in range(PROMPTS))
    arms = (Arm("m", "sim", "m"), Arm("check", "sim", role="check"))
    engine = Simulated(answer, cost, cost)
    job = Job(prompts, arms, {"sim": engine}, policy="until_pass:3", budget=Budget(tok=PROMPTS * 20))
    summary, answers = asyncio.run(run_job(job))
    assert summary.spent.tok == PROMPTS * 20
    assert {answer.cost.tok for answer in answers} == {20}
