"""`revise`: what failed a check goes back with its message; the draft stays a candidate."""

import asyncio
from collections.abc import Sequence

from outlay.driver import Job, run_job
from outlay.engines.simulated import Simulated
from outlay.flow import Draw, Evidence, Verdict
from outlay.strategies.revise import offers
from outlay.types import Answer, Arm, Ask, Budget, Call, Completion, Cost, Message, Prompt, Usage

PROMPT = Prompt("p", (Message("user", "What is 6 times 7?"),), "number")
GREEDY = Arm("small:greedy", "models", "small", temperature=0.0, deterministic=True, max_tokens=20)
SMALL, BIG = Arm("small", "models", "small", max_tokens=20), Arm("big", "models", "big", max_tokens=20)
CHECK = Arm("check", "checks", role="check")
ARMS = (GREEDY, SMALL, BIG, CHECK)
DRAFT = Draw(0, "41", "It is 41.", "sample", "small:greedy", 0)
FAILED = Verdict(0, "check", "check", False, "expected more")


def revisions(evidence: Evidence) -> list[str]:
    return [offer.arm for offer in offers(PROMPT, ARMS, evidence) if offer.kind == "revise"]


def test_nothing_is_revised_before_a_check_failed_or_after_one_passed():
    assert revisions(Evidence((DRAFT,))) == []
    better = Draw(1, "42", "It is 42.", "revise", "big", 1, parent=0)
    passed = Verdict(1, "check", "check", True)
    assert revisions(Evidence((DRAFT, better), (FAILED, passed))) == []


def test_every_model_may_mend_what_failed_and_is_told_what_the_check_said():
    menu = [offer for offer in offers(PROMPT, ARMS, Evidence((DRAFT,), (FAILED,))) if offer.kind == "revise"]
    assert [offer.arm for offer in menu] == ["small:greedy", "small", "big"]
    call = menu[0].do
    assert isinstance(call, Call)
    assert isinstance(call.payload, Ask)
    roles = [message.role for message in call.payload.messages]
    assert roles == ["user", "assistant", "user"]
    assert call.payload.messages[1].content == "It is 41."
    assert "expected more" in call.payload.messages[2].content
    assert {offer.about for offer in menu} == {0}


def test_a_greedy_model_revises_a_draft_once_and_the_next_draft_again():
    second = Draw(1, "40", "It is 40.", "revise", "small:greedy", 1, parent=0)
    assert revisions(Evidence((DRAFT, second), (FAILED,))) == ["small", "big"]
    both = (FAILED, Verdict(1, "check", "check", False, "expected more"))
    assert revisions(Evidence((DRAFT, second), both)) == ["small:greedy", "small", "big"]


def test_what_a_judge_says_is_not_sent_as_the_word_of_a_check():
    judged = Verdict(0, "judge", "judge", False, "no")
    menu = [offer for offer in offers(PROMPT, ARMS, Evidence((DRAFT,), (judged,))) if offer.kind == "revise"]
    call = menu[0].do
    assert isinstance(call, Call)
    assert isinstance(call.payload, Ask)
    assert "The check says" not in call.payload.messages[-1].content


def engines() -> dict[str, Simulated]:
    """A model that is wrong until it is told what the check said, and then right."""

    def said(call: Call, ordinal: int) -> Completion:
        if not isinstance(call.payload, Ask):
            return Completion("expected more", passed=call.payload.answer == "42")
        told = "expected more" in call.payload.messages[-1].content
        return Completion(f"It is {42 if told else 40 - ordinal % 3}.", output_tokens=5)

    def used(call: Call, copies: tuple[Completion, ...]) -> Usage:
        assert isinstance(call.payload, Ask)
        return Usage(10 * len(call.payload.messages), 5 * len(copies))

    return {
        "models": Simulated(said, lambda call: Cost(60 + 20 * call.n, 20 * call.n), Cost(40, 10), used),
        "checks": Simulated(said, Cost(), Cost()),
    }


def run(policy: str, prompts: int, budget: int) -> Sequence[Answer]:
    rows = tuple(
        Prompt(f"p{i}", (Message("user", f"What is 6 times 7? ({i})"),), "number") for i in range(prompts)
    )
    job = Job(rows, (SMALL, BIG, CHECK), engines(), "revise", policy, Budget(tok=budget))
    return asyncio.run(run_job(job))[1]


def test_draw_and_check_until_one_passes_mends_what_failed():
    """`until_pass` with this strategy is the loop that people write by hand."""
    answers = run("until_pass:4", 3, 2000)
    for answer in answers:
        assert answer.answer == "42"
        assert [line["kind"] for line in answer.receipt["purchases"]] == [
            "sample",
            "check",
            "revise",
            "check",
        ]


def test_priced_buys_revisions_where_they_help():
    answers = run("priced", 120, 40_000)
    assert sum(answer.answer == "42" for answer in answers) >= 114
    assert sum(answer.cost.tok for answer in answers) <= 40_000
