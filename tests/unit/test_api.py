import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import outlay
from outlay import Answer, Arm, Budget, Cost, Message, Prompt, Result
from outlay.api import checks_for
from outlay.errors import BudgetError, CheckError, InputError, ResumeError, UnknownName, UsageError
from outlay.inputs import prompts_of

SUM = "Tom has 7 nuts, buys 5, gives 4. How many?"
COUNTDOWN = "13,17,11:19"


@pytest.fixture(autouse=True)
def no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def test_texts_and_a_budget_are_enough():
    result = outlay.run([SUM, COUNTDOWN], budget="2ktok", answer="number")
    assert [answer.id for answer in result.answers] == ["line-1", "line-2"]
    assert result.answers[0].answer == "8"
    assert 0 < result.spent.tok <= 2000
    assert result.spent.tok == sum(answer.cost.tok for answer in result.answers)
    assert "unchecked" in str(result)


def test_answers_come_in_the_order_of_the_prompts_whatever_settles_first():
    rows: list[Any] = [{"id": f"p{k}", "prompt": SUM.replace("7", str(7 + k))} for k in range(30)]
    result = outlay.run(rows, budget="3ktok", answer="number")
    assert [answer.id for answer in result.answers] == [row["id"] for row in rows]


def test_texts_rows_and_prompts_are_read_alike_and_gold_is_dropped():
    prompt = Prompt("line-1", (Message("user", SUM),), "number")
    (text,) = prompts_of([SUM], default_answer="number")
    (row,) = prompts_of([{"prompt": SUM, "answer": "number", "gold": "8"}])
    assert prompts_of([prompt]) == (text,) == (row,) == (prompt,)


@pytest.mark.parametrize(
    ("row", "said"), [(3, "int"), ({"question": "?"}, "rename question"), ("", "ask something")]
)
def test_a_row_that_cannot_be_used_is_an_error_with_its_number(row: Any, said: str):
    with pytest.raises(InputError, match=f"line 2.*{said}"):
        prompts_of([SUM, row])


def test_a_function_is_a_check():
    seen = []

    def ends_well(prompt: Prompt, answer: str) -> bool:
        seen.append((prompt.id, answer))
        return answer == "8"

    result = outlay.run([SUM], budget="1ktok", answer="number", check=ends_well)
    assert ("line-1", "8") in seen
    assert "unchecked" not in result.summary
    assert {"check", "sample"} == {line["kind"] for line in result.answers[0].receipt["purchases"]}


def test_a_check_that_raises_is_an_error_on_the_receipt_and_no_verdict():
    def broken(answer: str) -> bool:
        raise RuntimeError("no database")

    result = outlay.run([SUM], budget="1ktok", answer="number", check=broken)
    errors = [line.get("error") for line in result.answers[0].receipt["purchases"] if line["kind"] == "check"]
    assert [error.startswith("check broken raised RuntimeError: no database") for error in errors] == [True]


def test_a_check_that_says_where_it_applies_exists_there_alone():
    def passes(answer: str) -> bool:
        return True

    passes.applies = lambda prompt: prompt.id == "b"  # type: ignore[attr-defined]
    [check] = checks_for([passes], prompts_of([{"id": "a", "prompt": "?"}, {"id": "b", "prompt": "?"}]))
    assert (check.arm.name, check.covers) == ("passes", {"b"})


def test_a_check_that_wants_something_else_is_refused_before_anything_is_spent():
    with pytest.raises(CheckError, match="wants 'gold'"):
        outlay.run([SUM], budget="1ktok", check=lambda answer, gold: True)


def test_a_check_named_by_its_place_runs_in_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "mine.py").write_text("def passes(answer):\n    return answer == '8'\n")
    monkeypatch.chdir(tmp_path)
    result = outlay.run([SUM], budget="1ktok", answer="number", check="mine.py:passes")
    assert result.checked
    assert result.answers[0].answer == "8"


def test_a_directory_goes_on_where_it_was_and_refuses_other_prompts(tmp_path: Path):
    first = outlay.run([SUM], budget="1ktok", answer="number", directory=tmp_path)
    assert (tmp_path / "answers.jsonl").is_file()
    again = outlay.run([SUM], budget="1ktok", answer="number", directory=tmp_path)
    assert (again.answers, again.spent) == (first.answers, first.spent)
    with pytest.raises(ResumeError, match="input"):
        outlay.run([SUM + " "], budget="1ktok", answer="number", directory=tmp_path)


def test_a_file_is_no_directory(tmp_path: Path):
    (tmp_path / "rows.jsonl").write_text("")
    for taken in (tmp_path / "rows.jsonl", tmp_path / "rows.jsonl" / "run"):
        with pytest.raises(UsageError, match="is no directory; a run needs one of its own"):
            outlay.run([SUM], budget="1ktok", answer="number", directory=taken)


def test_it_runs_where_an_event_loop_runs_already():
    async def notebook() -> Result:
        return outlay.run([SUM], budget="1ktok", answer="number")

    assert asyncio.run(notebook()).answers[0].outcome == "answered"


def test_models_are_names_or_arms():
    by_name = outlay.run([SUM], budget="1ktok", answer="number", models="short")
    assert {line["arm"] for line in by_name.answers[0].receipt["purchases"]} <= {"short", "short:greedy"}
    arm = Arm("mine", "pocket", "pocket", "think", 0.0, True, 64)
    by_arm = outlay.run([SUM], budget=Budget(tok=1000), answer="number", models=[arm])
    assert [line["arm"] for line in by_arm.answers[0].receipt["purchases"]] == ["mine"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"budget": "40"}, BudgetError),
        ({"budget": None}, BudgetError),
        ({"budget": {"usd": 2}}, BudgetError),
        ({"budget": Budget(usd=2.5)}, BudgetError),  # type: ignore[arg-type]
        ({"budget": Budget()}, BudgetError),
        ({"budget": ["1ktok", "2ktok"]}, BudgetError),
        ({"policy": "best"}, UnknownName),
        ({"strategy": "best"}, UnknownName),
        ({"policy": 3}, UsageError),
        ({"strategy": 3}, UsageError),
        ({"models": ["big"]}, UsageError),
        ({"models": 3}, UsageError),
        ({"models": [3]}, UsageError),
        ({"models": []}, UsageError),
        ({"models": [Arm("a", "pocket"), "short"]}, UsageError),
        ({"models": [Arm("a", "pocket"), Arm("a", "pocket", mode="think")]}, UsageError),
        ({"models": [Arm("a", "elsewhere")]}, UnknownName),
        ({"check": 3}, CheckError),
        ({"check": [lambda answer: True, 3]}, CheckError),
        ({"same": 3}, UsageError),
        ({"engines": []}, UsageError),
        ({"directory": 3}, UsageError),
        ({"answer": "essay"}, UsageError),
        ({"answer": 3}, UsageError),
        ({"seed": -1}, UsageError),
        ({"seed": "1"}, UsageError),
    ],
)
def test_what_means_nothing_is_refused(changes: dict[str, Any], error: type[Exception]):
    with pytest.raises(error):
        outlay.run([SUM], **({"budget": "1ktok"} | changes))


@pytest.mark.parametrize("budget", [5, 0.5, ["1usd", 5]])
def test_a_budget_without_a_unit_is_asked_for_it(budget: Any):
    with pytest.raises(UsageError, match=r"(?P<n>5|0\.5) what\? write '(?P=n)usd' or '(?P=n)ktok'"):
        outlay.run([SUM], budget=budget)


@pytest.mark.parametrize(
    ("prompts", "said"),
    [
        ([], "no prompts"),
        (3, "prompts is of type int"),
        (None, "prompts is missing"),
        (b"2+2?", "type bytes"),
    ],
)
def test_what_is_no_list_of_prompts_is_refused(prompts: Any, said: str):
    with pytest.raises(UsageError, match=said):
        outlay.run(prompts, budget="1ktok")


def test_an_async_iterator_of_prompts_is_refused_with_what_to_write():
    async def coming() -> AsyncIterator[str]:
        yield SUM

    with pytest.raises(UsageError, match=r"\[prompt async for prompt in prompts\]"):
        outlay.stream(coming(), budget="1ktok")  # type: ignore[arg-type]


@pytest.mark.parametrize("one", [SUM, {"prompt": SUM}, Prompt("line-1", (Message("user", SUM),))])
def test_one_prompt_alone_is_a_list_of_one(one: Any):
    assert [answer.id for answer in outlay.run(one, budget="300tok", answer="number")] == ["line-1"]


def test_a_result_is_its_answers_by_iteration_and_by_id():
    result = outlay.run([{"id": "a", "prompt": SUM}, {"id": "b", "prompt": SUM}], budget="1ktok")
    assert [*result] == [*result.answers]
    assert (len(result), result["b"]) == (2, result.answers[1])
    assert ("b" in result, "c" in result) == (True, False)
    with pytest.raises(KeyError, match="no answer has the id 0; the first id is 'a'"):
        result[0]  # type: ignore[index]


def test_a_printed_result_is_a_short_table_and_says_what_has_no_answer():
    given = [Answer(f"p{k}", str(k), f"It is\n{k}", "answered", 0.5, Cost(tok=10)) for k in range(14)]
    none = Answer("x", None, "", "out_of_budget", 0.0, Cost())
    shown = str(Result((none, *given), Cost(tok=140), Budget(tok=1000), "the end", True, 5))
    assert "(out of budget)" in shown
    assert "… and 4 more" in shown
    assert shown.endswith("14 of 15 answered for 140 tok of 1.00 ktok; the end. Confidence 0.50 on average.")
    assert max(map(len, shown.splitlines()[:-1])) < 100
