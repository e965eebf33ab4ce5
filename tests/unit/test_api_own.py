"""What a caller brings: an engine, a strategy, several checks, an equality of answers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import outlay
from outlay import Arm, Budget, Message, Prompt
from outlay.api import job_of
from outlay.config import Settings
from outlay.driver.begin import fingerprint, moved
from outlay.errors import CheckError, EngineError, ResumeError, UsageError
from outlay.flow import Arms, Evidence, Offer, loop
from outlay.journal import Journal, JournalLine
from outlay.strategies import menu
from outlay.types import Ask, Call, Completion, Cost, Delivery, Usage

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


def dealt(strategy: Any = "vote", engine: Any = None, **more: Any) -> outlay.Result:
    return outlay.run(
        ["6 * 7?"], budget="1ktok", answer="number", models=[SAMPLED], engines={"own": engine or Says("42")},
        strategy=strategy, **more,
    )  # fmt: skip


def call_of(arms: Arms) -> Call:
    return Call(arms[0], Ask((Message("user", "?"),)))


@pytest.mark.parametrize(
    ("offered", "said"),
    [
        (lambda arms: None, "offers offered None; offer a tuple"),
        (
            lambda arms: Offer("mine", "mine", call_of(arms)),
            r"offered a value of type Offer.*one alone is \(offer,\)",
        ),
        (lambda arms: ("42",), "offered a tuple of str"),
        (lambda arms: (Offer("mine", "mine", "42"),), "made an offer 'mine' of '42'; `do` is"),
    ],
)
def test_a_strategy_that_offers_something_else_is_named_with_what_it_offered(offered: Any, said: str):
    def offers(prompt: Prompt, arms: Arms, evidence: Evidence) -> Any:
        return offered(arms)

    with pytest.raises(UsageError, match=f"strategy offers .*{said.removeprefix('offers ')}"):
        dealt(loop(offers))


def test_a_strategy_that_is_no_flow_or_ends_with_a_text_is_named():
    def plain(prompt: Prompt, arms: Arms) -> tuple[Offer, ...]:
        return ()

    def says(prompt: Prompt, arms: Arms) -> Any:
        yield (Offer("mine", "mine", call_of(arms)),)
        return "42"

    with pytest.raises(UsageError, match="strategy plain returned an empty tuple and is no flow"):
        dealt(plain)
    with pytest.raises(UsageError, match=r"strategy says ended with '42'; end with an outlay.flow.Candidate"):
        dealt(says)


def test_a_list_of_offers_is_as_good_as_a_tuple():
    def listed(prompt: Prompt, arms: Arms, evidence: Evidence) -> Any:
        return list(menu.draws(prompt, arms, evidence))

    assert dealt(loop(listed)).answers[0].answer == "42"


@pytest.mark.parametrize("method", ["worst", "expected"])
@pytest.mark.parametrize("cost", [12, None, (1, 2)])
def test_an_engine_whose_cost_is_none_is_named_with_what_it_returned(method: str, cost: Any):
    engine = Says("42")
    setattr(engine, method, lambda call: cost)
    with pytest.raises(EngineError, match=f"engine 'own': {method} returned .*; return an outlay.Cost"):
        dealt(engine=engine)


@pytest.mark.parametrize("cost", [Cost(-1), Cost(9.5)])  # type: ignore[arg-type]
def test_a_worst_case_that_cannot_be_held_is_refused(cost: Cost):
    engine = Says("42")
    setattr(engine, "worst", lambda call: cost)  # noqa: B010
    with pytest.raises(EngineError, match="whole numbers of 0 or more"):
        dealt(engine=engine)


def test_an_engine_whose_complete_cannot_be_awaited_is_told_to_write_async():
    engine = Says("42")
    setattr(engine, "complete", lambda calls: [])  # noqa: B010
    with pytest.raises(EngineError, match="write `async def complete`"):
        dealt(engine=engine)


def test_until_pass_without_a_check_is_refused_with_what_to_write():
    with pytest.raises(UsageError, match=r"there is none; add --check .* or use uniform:3 or lead:3"):
        dealt(policy="until_pass:3")
    assert dealt("best_of", policy="until_pass:3", check=lambda answer: True).checked

    def passes(answer: str) -> bool:
        return True

    passes.applies = lambda prompt: False  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="none of yours applies to any prompt"):
        dealt(policy="until_pass:3", check=passes)


def test_a_check_that_raises_each_time_is_named_where_the_result_is_printed():
    def broken(answer: str) -> bool:
        raise RuntimeError("no database")

    result = dealt("best_of", check=broken)
    assert result.troubles[0].startswith("broken failed")
    assert "Trouble: broken failed once: check broken raised RuntimeError: no database" in str(result)
    assert dealt().troubles == ()


def test_below_the_confidence_of_abstain_a_prompt_is_left_without_an_answer():
    assert {answer.outcome for answer in dealt(abstain=0.999)} == {"abstained"}
    for wrong in (
        {"abstain": 2},
        {"abstain": "much"},
        {"holdout": "a lot"},
        {"holdout": 2},
        {"on_crash": "pray"},
    ):
        with pytest.raises(UsageError):
            dealt(**wrong)
    assert dealt(on_crash="release").answers[0].answer == "42"


def test_a_run_that_goes_on_at_another_endpoint_says_where_it_was_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://me:secret@127.0.0.1:8000/v1")
    settings = Settings(budget=Budget(tok=99), directory=tmp_path)
    job = job_of(settings, [Arm("small", "http")], [Prompt("p", ())], (), "d")
    assert job.endpoints == ("http://127.0.0.1:8000/v1",)
    journal = Journal(tmp_path / "journal.db")
    assert not journal.identify(fingerprint(job))
    journal.append([JournalLine("sent", "", b"[]")])
    journal.close()
    assert moved(job) == ""
    elsewhere = replace(job, endpoints=("http://127.0.0.1:9000/v1",))
    assert "was begun at http://127.0.0.1:8000/v1 and goes on at http://127.0.0.1:9000/v1" in moved(elsewhere)
    journal = Journal(tmp_path / "journal.db")
    assert journal.identify(fingerprint(elsewhere)), (
        "a local server gets another port each time: it is no other run"
    )
    journal.close()
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9000/v1")
    with pytest.warns(UserWarning, match="was begun at http://127.0.0.1:8000/v1"):
        outlay.stream(["?"], budget="99tok", models="small", directory=tmp_path)


class Raises(Says):
    """Its `complete` fails in a way of its own."""

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        raise RuntimeError("kaput")


def test_an_engine_or_a_strategy_that_raises_is_named_with_what_it_raised():
    with pytest.raises(EngineError, match="engine 'own': complete raised RuntimeError: kaput"):
        outlay.run(["6 * 7?"], budget="1ktok", models=ARM, engines={"own": Raises("42")})

    def broken(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
        raise ZeroDivisionError("division by zero")

    with pytest.raises(UsageError, match=r"raised ZeroDivisionError: division by zero"):
        outlay.run(["6 * 7?"], budget="1ktok", models=ARM, engines={"own": Says("42")}, strategy=loop(broken))
