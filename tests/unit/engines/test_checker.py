import asyncio
import json
import time
from pathlib import Path

import pytest

from outlay.engines.checker import Checker, Limits
from outlay.errors import CheckError
from outlay.types import Arm, Ask, Call, Completion, Delivery, Message, Prompt, Test

USUAL = Limits()
ARM = Arm("check", "checker", role="check")

CHECKS = """
import os, sys, time

def even(answer):
    print("noise on the standard output")
    return None if answer == "" else int(answer) % 2 == 0

def told(prompt, answer, text="?"):
    return (prompt.id, prompt.messages[0].content, prompt.metadata, text) == ("p", "q", {"a": [1]}, "whole")

def everything(**given):
    return sorted(given) == ["answer", "prompt", "text"]

def raises(answer):
    if answer == "x":
        return 1 / 0
    return True

def hangs(answer):
    if answer == "x":
        time.sleep(60)
    return True

def burns(answer):
    while answer == "x":
        pass
    return True

def eats(answer):
    return len(bytearray(2 << 30)) > 0 if answer == "x" else True

def dies(answer):
    if answer == "x":
        os._exit(3)
    return True

def leaves(answer):
    if answer == "x":
        sys.exit(0)
    return True

def counts(answer):
    return int(answer)

def masks(answer):
    sys.stdout.close()
    os.close(1)
    return sys.stdin.read() == ""

def shows(answer):
    return answer not in os.environ

def quick(answer):
    return answer == "4"

def floods(answer):
    raise ValueError("x" * 10_000_000)

quick.applies = lambda prompt: prompt.answer == "number"
even.applies = lambda prompt: 1 / 0

async def later(answer):
    return True

def wants(gold):
    return True
"""


@pytest.fixture
def checks(tmp_path: Path) -> Path:
    path = tmp_path / "tests.py"
    path.write_text(CHECKS)
    return path


def call_for(answer: str, text: str = "whole", n: int = 1) -> Call:
    prompt = Prompt("p", (Message("user", "q"),), metadata={"a": [1]})
    return Call(ARM, Test(prompt, text, answer), n=n)


def deliver(spec: str, *calls: Call, limits: Limits = USUAL) -> list[Delivery]:
    async def ask() -> list[Delivery]:
        engine = Checker(spec, limits)
        try:
            return await engine.complete(calls)
        finally:
            await engine.close()

    return asyncio.run(ask())


def verdicts(done: list[Delivery]) -> list[bool | str | None]:
    return [one.error or one.completions[0].passed for one in done]


def test_verdicts_come_in_order_and_prints_do_not_disturb(checks: Path):
    assert verdicts(deliver(f"{checks}:even", *map(call_for, ("2", "3", "", "4")))) == [
        True,
        False,
        None,
        True,
    ]


@pytest.mark.parametrize("name", ["told", "everything"])
def test_a_check_gets_what_its_signature_names(checks: Path, name: str):
    assert verdicts(deliver(f"{checks}:{name}", call_for("1"))) == [True]


def test_copies_of_a_check_are_one_run_said_n_times(checks: Path):
    [done] = deliver(f"{checks}:even", call_for("2", n=3))
    assert done.completions == (Completion("", passed=True),) * 3


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("raises", ["ZeroDivisionError", "tests.py, line 16"]),
        ("dies", ["exit code 3"]),
        ("leaves", ["SystemExit", "tests.py"]),
    ],
)
def test_a_check_that_breaks_is_an_error_with_a_place_and_spares_its_neighbours(
    checks: Path, name: str, words: list[str]
):
    before, broken, after = deliver(f"{checks}:{name}", *map(call_for, ("a", "x", "b")))
    assert verdicts([before, after]) == [True, True]
    assert not broken.completions
    for word in words:
        assert word in broken.error


@pytest.mark.parametrize(
    ("name", "limits", "word"),
    [
        ("hangs", Limits(timeout_s=0.3), "0.3 s"),
        ("burns", Limits(timeout_s=8, cpu_s=0), "processor time"),
        ("eats", Limits(memory_mb=1024), "1024 MB"),
    ],
)
def test_past_a_limit_the_verdict_is_false_and_the_next_check_runs(
    checks: Path, name: str, limits: Limits, word: str
):
    done = deliver(f"{checks}:{name}", *map(call_for, ("a", "x", "b")), limits=limits)
    assert verdicts(done) == [True, False, True]
    assert word in done[1].completions[0].text
    assert all(one.ms <= 1000 * limits.timeout_s for one in done)


def test_what_is_not_a_verdict_is_an_error(checks: Path):
    assert "returned int 1" in str(verdicts(deliver(f"{checks}:counts", call_for("1")))[0])


def test_a_check_cannot_reach_the_pipes(checks: Path):
    assert verdicts(deliver(f"{checks}:masks", call_for("1"))) == [True]


def test_messages_are_short_whatever_the_check_raises(checks: Path):
    assert len(str(verdicts(deliver(f"{checks}:floods", call_for("1")))[0])) < 600


def test_a_check_sees_no_keys(checks: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "canary")
    assert verdicts(deliver(f"{checks}:shows", *map(call_for, ("OPENAI_API_KEY", "PATH")))) == [True, False]


def test_a_module_in_the_working_folder_can_be_named(checks: Path, monkeypatch: pytest.MonkeyPatch):
    checks.rename(checks.with_name("my_checks.py"))
    monkeypatch.chdir(checks.parent)
    assert verdicts(deliver("my_checks:quick", call_for("4"))) == [True]


def test_applies_says_for_which_prompts_a_check_exists(checks: Path):
    prompts = [Prompt("p", (), answer) for answer in ("number", "text")]
    engine = Checker(f"{checks}:quick")
    assert engine.applies(prompts) == [True, False]
    asyncio.run(engine.close())
    engine = Checker(f"{checks}:told")
    assert engine.applies(prompts) == [True, True]
    asyncio.run(engine.close())
    engine = Checker(f"{checks}:even")
    with pytest.raises(CheckError, match=r"prompt 'p'.*ZeroDivisionError"):
        engine.applies(prompts)
    asyncio.run(engine.close())


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("tests.py", ["means nothing", "tests:FIELD"]),
        ("nowhere.py:f", ["no file", "nowhere.py"]),
        ("no_such_module:f", ["no module 'no_such_module'"]),
        ("tests.py:evven", ["no function 'evven'", "even"]),
        ("tests.py:later", ["async"]),
        ("tests.py:wants", ["'gold'", "prompt, answer, text"]),
        ("broken.py:f", ["SyntaxError", "broken.py, line 2"]),
        ("leaving.py:f", ["SystemExit"]),
    ],
)
def test_what_cannot_be_loaded_says_why_and_what_to_do(
    checks: Path, monkeypatch: pytest.MonkeyPatch, spec: str, words: list[str]
):
    monkeypatch.chdir(checks.parent)
    Path("broken.py").write_text("x = 1\ndef f(:\n")
    Path("leaving.py").write_text("raise SystemExit(2)\n")
    with pytest.raises(CheckError) as caught:
        Checker(spec).start()
    for word in (spec, *words):
        assert word in str(caught.value)


def test_children_of_a_check_that_hangs_are_ended_with_it(tmp_path: Path):
    path = tmp_path / "tests.py"
    mark = tmp_path / "alive"
    child = f"import time; time.sleep(1); open({str(mark)!r}, 'w')"
    path.write_text(
        f"import subprocess, sys\ndef f(answer):\n    subprocess.run([sys.executable, '-c', {child!r}])\n"
    )
    assert verdicts(deliver(f"{path}:f", call_for("1"), limits=Limits(timeout_s=0.3))) == [False]
    time.sleep(1.2)
    assert not mark.exists()


def test_long_texts_pass_through_the_pipes_in_both_directions(tmp_path: Path):
    path = tmp_path / "tests.py"
    path.write_text("def f(text):\n    raise ValueError(text)\n")
    done = deliver(f"{path}:f", *(call_for("", text=json.dumps("é" * 300_000)) for _ in range(8)))
    assert all("ValueError" in one.error for one in done)


def test_closing_ends_a_check_that_hangs_and_a_later_call_starts_again(checks: Path):
    async def ask() -> tuple[list[Delivery], list[Delivery]]:
        engine = Checker(f"{checks}:hangs")
        hanging = asyncio.create_task(engine.complete([call_for("x"), call_for("a")]))
        await asyncio.sleep(0.5)
        await engine.close()
        await engine.close()
        first = await hanging
        second = await engine.complete([call_for("a")])
        await engine.close()
        return first, second

    first, second = asyncio.run(ask())
    assert all(one.error for one in first)
    assert verdicts(second) == [True]


def test_a_prompt_to_answer_is_misplaced(checks: Path):
    misplaced, fine = deliver(f"{checks}:even", Call(ARM, Ask(())), call_for("2"))
    assert "give it to a model" in misplaced.error
    assert verdicts([fine]) == [True]


def test_thousands_of_simple_checks_a_second(checks: Path):
    async def ask() -> float:
        engine = Checker(f"{checks}:quick")
        engine.start()
        calls = [call_for(str(k % 8)) for k in range(2000)]
        clock = asyncio.get_running_loop().time
        began = clock()
        done = await engine.complete(calls)
        took = clock() - began
        assert sum(one.completions[0].passed is True for one in done) == 250
        await engine.close()
        return len(calls) / took

    # A third of what an idle machine must do, so that a busy one does not turn it red.
    assert asyncio.run(ask()) > 1000
