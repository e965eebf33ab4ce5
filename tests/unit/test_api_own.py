"""What a caller brings: an engine, a strategy, several checks, an equality of answers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import outlay
from outlay import Arm, Prompt
from outlay.errors import CheckError, ResumeError, UsageError
from outlay.flow import Arms, Evidence, Offer, loop
from outlay.strategies import menu
from outlay.types import Call, Completion, Cost, Delivery, Usage

ARM = Arm("mine", "own", temperature=0.0, deterministic=True, max_tokens=8)
SAMPLED = Arm("mine", "own", max_tokens=8)


class Says:
    """Copies of a call say the given texts in turn, one token each."""

    def __init__(self, *texts: str) -> None:
        self.lockstep, self.chunk, self.texts = True, 8, texts
        self.asked, self.closed = 0, 0

    def worst(self, call: Call) -> Cost:
        return Cost(1 + 8 * call.n, 8 * call.n)

    def expected(self, call: Call) -> Cost:
        return Cost(1 + call.n, call.n)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        self.asked += len(calls)
        return [
            Delivery(
                tuple(
                    Completion(self.texts[(call.ordinal + k) % len(self.texts)], output_tokens=1)
                    for k in range(call.n)
                ),
                Usage(1, call.n),
            )
            for call in calls
        ]

    async def close(self) -> None:
        self.closed += 1


def test_an_engine_of_the_callers_serves_its_arms_and_is_closed():
    engine = Says("It is 42.")
    result = outlay.run(["6 * 7?"], budget="1ktok", answer="number", models=ARM, engines={"own": engine})
    assert (result.answers[0].answer, result.spent.tok, engine.asked) == ("42", 2, 1)
    assert engine.closed


@pytest.mark.parametrize(
    ("engines", "said"),
    [
        ({"own": object()}, "has no lockstep, chunk, worst, expected, complete, close"),
        ({"own": Says}, "has no lockstep, chunk"),
        ({"own": Says("42"), "other": Says("42")}, "engine 'other' serves no model"),
    ],
)
def test_an_engine_that_cannot_serve_is_refused_by_name(engines: Any, said: str):
    with pytest.raises(UsageError, match=said):
        outlay.run(["6 * 7?"], budget="1ktok", models=[ARM], engines=engines)


def test_same_says_which_answers_are_one():
    def spelled_alike(one: str, other: str) -> bool:
        return one.replace("u", "") == other.replace("u", "")

    def votes(**more: Any) -> float:
        return outlay.run(
            ["Red or blue: what is it?"], budget="1ktok", answer="last_line", models=[SAMPLED],
            engines={"own": Says("colour", "color")}, policy="uniform:2", strategy="vote", **more,
        ).answers[0].confidence  # fmt: skip

    assert votes(same=spelled_alike) > votes() + 0.1


def test_a_same_that_raises_ends_the_run_and_is_named():
    def broken(one: str, other: str) -> bool:
        raise RuntimeError("no dictionary")

    with pytest.raises(CheckError, match="same raised RuntimeError for 'a' and 'b': no dictionary"):
        outlay.run(
            ["?"], budget="1ktok", models=[SAMPLED], engines={"own": Says("a", "b")}, policy="uniform:2",
            same=broken,
        )  # fmt: skip


def test_several_checks_all_look():
    def is_short(answer: str) -> bool:
        return len(answer) < 5

    def is_even(answer: str) -> bool:
        return int(answer) % 2 == 0

    result = outlay.run(
        ["6 * 7?"], budget="1ktok", answer="number", models=[ARM], engines={"own": Says("42")},
        check=[is_short, is_even],
    )  # fmt: skip
    looked = {line["arm"] for line in result.answers[0].receipt["purchases"] if line["kind"] == "check"}
    assert looked == {"is_short", "is_even"}


def test_an_arm_with_the_role_of_a_check_looks_at_every_prompt():
    class Looking(Says):
        def worst(self, call: Call) -> Cost:
            return Cost()

        expected = worst

        async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
            return [Delivery((Completion("", passed=True),)) for _ in calls]

    looking = Arm("look", "eyes", deterministic=True, max_tokens=0, role="check")
    engines = {"own": Says("42"), "eyes": Looking()}
    result = outlay.run(["6 * 7?"], budget="1ktok", answer="number", models=[ARM, looking], engines=engines)
    assert result.checked


@loop
def twice(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
    """Two answers under a name of their own."""
    return tuple(
        Offer("mine", arm.name, Call(arm, offer.do.payload))
        for arm in arms
        for offer in menu.draws(prompt, arms, evidence)
        if len(evidence.draws) < 2 and isinstance(offer.do, Call)
    )[:1]


def test_a_strategy_of_the_callers_says_what_may_be_bought(tmp_path: Path):
    def result(strategy: Any) -> outlay.Result:
        return outlay.run(
            ["6 * 7?"], budget="1ktok", answer="number", models=[SAMPLED], engines={"own": Says("42")},
            strategy=strategy, directory=tmp_path,
        )  # fmt: skip

    first = result(twice)
    assert {line["kind"] for line in first.answers[0].receipt["purchases"]} == {"mine"}
    assert result(twice).answers == first.answers
    with pytest.raises(ResumeError, match="strategy"):
        result("vote")


def test_offers_that_were_not_made_a_flow_are_refused_with_what_to_write():
    def offers(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
        return ()

    with pytest.raises(UsageError, match=r"outlay\.flow\.loop\(offers\)"):
        outlay.run(["?"], budget="1ktok", strategy=offers)  # type: ignore[arg-type]
