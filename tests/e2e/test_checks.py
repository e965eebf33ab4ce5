"""Checks in whole runs, and every example of docs/checks.md as it stands there."""

import asyncio
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import outlay
from outlay.engines.checker import Checker
from outlay.engines.simulated import Simulated
from outlay.errors import CheckError
from outlay.types import Arm, Call, Completion, Cost, Message, Prompt, Test

PAGE = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```check\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
FILES = re.findall(r"^```\w+ (\S+)\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of the page, in the folder of the run."""
    for name, content in FILES:
        (tmp_path / name).write_text(content)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said_of(spec: str, prompt: Prompt, answers: Sequence[str]) -> list[Completion]:
    async def ask() -> list[Completion]:
        engine = Checker(spec)
        try:
            assert engine.applies([prompt]) == [True]
            arm = Arm("check", "checker", role="check")
            done = await engine.complete([Call(arm, Test(prompt, one, one)) for one in answers])
            return [one.completions[0] for one in done]
        finally:
            await engine.close()

    return asyncio.run(ask())


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("example", EXAMPLES, ids=[one.splitlines()[0] for one in EXAMPLES])
def test_an_example_of_the_page_is_as_it_says(example: str):
    first, *lines = example.splitlines()
    [_, spec] = shlex.split(first)
    row = json.loads(lines.pop(0).removeprefix("row ")) if lines[0].startswith("row ") else {}
    prompt = Prompt("p", (Message("user", "q"),), metadata=row.get("metadata", {}))
    answers, verdicts = zip(*(re.split(r" {2,}", line, maxsplit=1) for line in lines), strict=True)
    for said, verdict in zip(said_of(spec, prompt, answers), verdicts, strict=True):
        passes, _, words = verdict.partition(": ")
        assert said.passed is (passes == "passes"), said
        first_line = said.text.partition("\n")[0]
        assert words in ("", ".*", first_line)


def test_the_page_has_an_example_of_every_kind():
    from outlay.engines.checker.kinds import KINDS, spec_of

    for name, content in FILES:
        assert content, name
    kinds = {shlex.split(one.splitlines()[0])[1].partition(":")[0] for one in EXAMPLES}
    assert set(KINDS) <= kinds
    assert spec_of("own_checks.py:even").name == "even"


PROGRAMS = {"wrong": "def add(a, b):\n    return a - b", "right": "def add(a, b):\n    return a + b"}


def writer() -> Simulated:
    """Writes the wrong program first, then the right one."""

    def answer(call: Call, ordinal: int) -> Completion:
        return Completion(f"```python\n{PROGRAMS['right' if ordinal else 'wrong']}\n```", output_tokens=20)

    most = Cost(60, 40)
    return Simulated(answer, most, most)


def test_a_run_buys_until_the_tests_pass_and_only_where_there_are_tests():
    rows = [
        {"id": "with", "prompt": "add", "answer": "code", "metadata": {"unit": "assert add(2, 3) == 5"}},
        {"id": "without", "prompt": "add it", "answer": "code"},
    ]
    arm = Arm("small", "writer", max_tokens=40)
    result = outlay.run(
        rows,
        budget="600tok",
        models=[arm],
        engines={"writer": writer()},
        check="tests:unit",
        policy="until_pass:4",
    )
    with_tests, without = result.answers
    assert with_tests.answer == PROGRAMS["right"]
    assert [line["kind"] for line in with_tests.receipt["purchases"]].count("check") == 2
    assert not [line for line in without.receipt["purchases"] if line["kind"] == "check"]
    assert {line["arm"] for line in with_tests.receipt["purchases"]} == {"small", "tests"}
    said = [line["message"] for line in with_tests.receipt["purchases"] if "message" in line]
    assert said == ["assert add(2, 3) == 5: got -1"]


def test_two_checks_of_one_kind_go_by_their_whole_specs():
    arm = Arm("small", "writer", max_tokens=40)
    checks = ["regex:def", "regex:return"]
    result = outlay.run(
        ["add"], budget="200tok", models=[arm], engines={"writer": writer()}, check=checks, answer="code"
    )
    arms = {line["arm"] for line in result.answers[0].receipt["purchases"]}
    assert arms <= {"small", *checks}
    assert arms & set(checks)


def test_a_field_that_no_row_has_ends_a_run_before_it_buys(tmp_path: Path):
    with pytest.raises(CheckError, match="no row has tests in its metadata field 'unitt'"):
        outlay.run(["1+1"], budget="100tok", check="tests:unitt")
    (tmp_path / "tasks.jsonl").write_text('{"id": "1", "prompt": "1+1"}\n')
    run = "from outlay.cli import main; raise SystemExit(main())"
    options = ["run", "tasks.jsonl", "--budget", "1ktok", "--check", "tests:unitt"]
    command = [sys.executable, "-c", run, *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no row has tests" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("without", [(), ("namespaces", "landlock", "user")])
def test_what_is_in_force_is_what_an_answer_meets(without: tuple[str, ...]):
    from outlay.engines.checker import in_force

    found = {protection.name: protection.holds for protection in in_force(without)}
    print(without, found)
    always = ("memory", "size of files", "number of files", "number of processes", "output")
    assert all(found[name] for name in always)
    if without:
        # What is left: this process hides its own environment, or has rights that an answer lacks.
        assert [name for name in found if name not in always and found[name]] == [
            "environment and memory of other processes"
        ]
