import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from outlay.engines.checker import Checker, Limits
from outlay.engines.checker.kinds import FORMS, KINDS, spec_of
from outlay.errors import CheckError
from outlay.types import Arm, Call, Completion, Delivery, Message, Prompt, Test

ARM = Arm("check", "checker", role="check")
USUAL = Limits()
ADD = "def add(a, b):\n    return a + b\n"


def prompt_with(metadata: Mapping[str, Any]) -> Prompt:
    return Prompt("p", (Message("user", "q"),), metadata=metadata)


SERVED: dict[tuple[str, Limits], Checker] = {}
"""Started once each: to start a process is most of what a test costs."""


@pytest.fixture(scope="module", autouse=True)
def _closed() -> Iterator[None]:
    yield
    for engine in SERVED.values():
        asyncio.run(engine.close())
    SERVED.clear()


def deliveries(
    spec: str,
    *answers: str,
    text: str = "",
    metadata: Mapping[str, Any] | None = None,
    limits: Limits = USUAL,
) -> list[Delivery]:
    engine = SERVED.setdefault((spec, limits), Checker(spec, limits))
    tests = [Test(prompt_with(metadata or {}), text or answer, answer) for answer in answers]
    return asyncio.run(engine.complete([Call(ARM, test) for test in tests]))


def verdicts(spec: str, *answers: str, **options: Any) -> list[tuple[bool | None, str]]:
    done = deliveries(spec, *answers, **options)
    assert [one.error for one in done] == [""] * len(answers)
    return [(one.completions[0].passed, one.completions[0].text) for one in done]


# ── specs ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_form_that_errors_name_is_read_as_its_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in ("FILE.json", "FILE.py"):
        Path(name).touch()
    kinds = {spec_of(form).kind for form in FORMS}
    assert kinds == {*KINDS, "function"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("nothing", "module:function"),
        ("regex:", "names nothing"),
        ("regex:(", "cannot be read"),
        ("schema:no.json", "no file no.json"),
        ("tests:no.py", "no file no.py"),
        ("5m:regex:x", "begin with schema:, regex:, tests:, command:, and a time limit .* in seconds: 300s:"),
        ("5m:mine.py:passes", "a time limit before that is in seconds"),
        ("regexp:^[A-D]$", "begin with schema:, regex:"),
        ("0s:tests:unit", "no time at all"),
        ("99999999s:regex:^4", "above one day; write at most 86400s"),
        ("86400.5s:regex:^4", "above one day"),
        ("9" * 400 + "s:regex:^4", "above one day"),
    ],
)
def test_a_spec_that_means_nothing_says_what_to_write(spec: str, words: str):
    with pytest.raises(CheckError, match=words):
        Checker(spec)


def test_a_time_in_front_is_the_time_limit_and_twice_that_of_the_processor():
    limits = spec_of("30s:command:make check").limits(USUAL)
    assert (limits.timeout_s, limits.cpu_s) == (30, 60)
    assert Checker("1.5s:regex:x").worst(Call(ARM, Test(prompt_with({}), "", ""))).ms == 1500


# ── form ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_pattern_is_searched_in_the_answer_and_a_miss_names_it():
    assert verdicts("regex:^[A-D]$", "B", "E") == [(True, ""), (False, "the answer does not match ^[A-D]$")]


def test_a_pattern_that_backtracks_for_ever_ends_at_the_limit_and_the_next_answer_is_matched():
    found = verdicts("regex:^(a+)+$", "a" * 40 + "b", "aaa", limits=Limits(timeout_s=0.3))
    assert found == [(False, "took longer than 0.3 s"), (True, "")]


SCHEMA = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "items": {"items": {"properties": {"price": {"minimum": 0}}}}},
}


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("schema") / "schema.json"
    path.write_text(json.dumps(SCHEMA))
    return f"schema:{path}"


def test_a_schema_says_where_the_answer_breaks_it(schema: str):
    answers = ('{"name": "x"}', '{"name": 3}', '{"name": "x", "items": [{"price": -1}]}', "[", "[" * 100_000)
    passed, words = zip(*verdicts(schema, *answers), strict=True)
    assert passed == (True, False, False, False, False)
    assert words[1] == "at $.name: 3 is not of type 'string'"
    assert words[2] == "at $.items[0].price: -1 is less than the minimum of 0"
    assert "not JSON" in words[3]


def test_a_schema_reads_json_out_of_a_text(schema: str):
    assert verdicts(schema, "no", text='Here:\n```json\n{"name": "x"}\n```') == [(True, "")]


@pytest.mark.parametrize(
    ("rules", "words"),
    [("{", "is not JSON"), ('{"type": "strin"}', "no JSON schema: 'strin' is not valid")],
)
def test_a_schema_that_is_none_is_refused(tmp_path: Path, rules: str, words: str):
    (tmp_path / "s.json").write_text(rules)
    with pytest.raises(CheckError, match=words):
        Checker(f"schema:{tmp_path / 's.json'}").start()


def test_a_schema_elsewhere_is_not_fetched(tmp_path: Path):
    (tmp_path / "s.json").write_text('{"$ref": "http://127.0.0.1:9/schema.json"}')
    [done] = deliveries(f"schema:{tmp_path / 's.json'}", "1")
    assert "put it into $defs" in done.error


def test_without_the_library_a_schema_says_what_to_install(schema: str, tmp_path: Path):
    # A module of that name that cannot be imported stands in for one that is not installed.
    (tmp_path / "jsonschema.py").write_text("raise ImportError\n")
    code = f"from outlay.engines.checker import Checker; Checker({schema!r}).start()"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert "pip install 'outlay[schema]'" in done.stderr


# ── unit tests ─────────────────────────────────────────────────────────────────────────────────────────────────

SHAPES = {
    "asserts": "assert add(2, 3) == 5",
    "a list": ["assert add(2, 3) == 5", "assert add(0, 0) == 0"],
    "functions": "def test_adds():\n    assert add(2, 3) == 5\n",
    "cases": "import unittest\nclass T(unittest.TestCase):\n    def test_adds(self):\n"
    "        self.assertEqual(add(2, 3), 5)\n",
    "an import": "from answer import add as plus\nassert plus(2, 3) == 5",
    "a check of an entry point": {
        "tests": "def check(candidate):\n    assert candidate(2, 3) == 5\n",
        "entry_point": "add",
    },
}


@pytest.mark.parametrize("shape", SHAPES)
def test_tests_of_any_shape_pass_right_answers_and_fail_wrong_ones(shape: str):
    (right, none), (wrong, why) = verdicts(
        "tests:unit", ADD, "def add(a, b):\n    return a - b\n", metadata={"unit": SHAPES[shape]}
    )
    assert (right, none, wrong) == (True, "", False)
    assert "-1" in why


WHY = {
    "def add(a, b):\n    return a - b\n": "assert add(2, 3) == 5: got -1",
    "def add(a, b):\n    return [a][b]\n": "IndexError: list index out of range\n"
    "in the answer, line 2: return [a][b]\nin the tests, line 1: assert add(2, 3) == 5",
    "def add(a, b)": "SyntaxError: expected ':'\nin the answer, line 1: def add(a, b)",
    "def plus(a, b):\n    return a + b\n": "NameError: name 'add' is not defined\n"
    "in the tests, line 1: assert add(2, 3) == 5",
    "def add(a, b):\n    return object()\n": "assert add(2, 3) == 5: got <object object at 0x…>",
    "I cannot help.": "SyntaxError: invalid syntax\nin the answer, line 1: I cannot help.",
}


def test_a_failed_test_says_what_was_expected_and_what_came_the_same_each_time():
    answers = [*WHY, *WHY]
    found = verdicts("tests:unit", *answers, metadata={"unit": "assert add(2, 3) == 5"})
    assert found == [(False, WHY[answer]) for answer in answers]


def test_setup_comes_before_the_answer_and_an_indented_answer_goes_on_from_it():
    unit = {
        "setup": "from typing import List\ndef total(xs: List[int]) -> int:\n",
        "tests": "assert total([1, 2]) == 3",
    }
    body = "    return sum(xs)"
    assert verdicts("tests:unit", body, metadata={"unit": unit}) == [(True, "")]
    unit["setup"] = "K = 2"
    assert verdicts("tests:unit", "def total(xs): return sum(xs) + K - 2", metadata={"unit": unit}) == [
        (True, "")
    ]


def test_one_answer_leaves_nothing_for_the_next():
    leave = "import math, builtins\nmath.pi = 3\nbuiltins.leak = 1\nopen('left', 'w').close()\n"
    look = "import math, builtins, os\nseen = (math.pi, hasattr(builtins, 'leak'), os.path.exists('left'))\n"
    unit = "assert seen == (3.141592653589793, False, False)"
    assert verdicts("tests:unit", leave, look, metadata={"unit": unit})[1] == (True, "")


@pytest.mark.skipif(sys.platform != "linux", reason="a wall of Linux")
def test_an_answer_reads_nothing_in_the_folder_of_the_run_but_finds_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / ".env").write_text("KEY=canary")
    monkeypatch.chdir(tmp_path)
    programs = (
        f"open({str(tmp_path / '.env')!r}).read()",
        "import numpy",
        "import os\nos.environ['OPENAI_API_KEY']",
    )
    (read, why), (found, _), (key, _) = verdicts(
        "20s:tests:unit", *programs, metadata={"unit": "assert True"}
    )
    assert (read, found, key) == (False, True, False)
    assert "denied" in why


def test_tests_may_stand_in_a_file_for_all_rows(tmp_path: Path):
    (tmp_path / "tests.py").write_text("assert add(2, 3) == 5\n")
    assert verdicts(f"tests:{tmp_path / 'tests.py'}", ADD, "") == [
        (True, ""),
        (False, "NameError: name 'add' is not defined\nin the tests, line 1: assert add(2, 3) == 5"),
    ]


def test_a_row_without_tests_has_no_such_check():
    engine = Checker("tests:unit")
    rows = [prompt_with(one) for one in ({"unit": "assert f()"}, {}, {"unit": []}, {"other": "assert f()"})]
    assert engine.applies(rows) == [True, False, False, False]
    with pytest.raises(CheckError, match="no row has tests in its metadata field 'unit'"):
        engine.applies(rows[1:])
    asyncio.run(engine.close())


@pytest.mark.parametrize(
    ("unit", "words"),
    [
        (3, "metadata unit is int"),
        ("assert (", r"prompt 'p'.*no Python: SyntaxError.*line 1"),
        ({"tests": "", "test": ""}, "unit.test is unknown; known: tests, setup, entry_point"),
    ],
)
def test_tests_that_cannot_be_read_are_refused_before_anything_is_bought(unit: object, words: str):
    engine = Checker("tests:unit")
    with pytest.raises(CheckError, match=words):
        engine.applies([prompt_with({"unit": unit})])
    asyncio.run(engine.close())


def test_a_setup_that_breaks_is_an_error_and_no_verdict():
    [done] = deliveries(
        "tests:unit", ADD, metadata={"unit": {"setup": "1 / 0", "tests": "assert add(2, 3) == 5"}}
    )
    assert "the setup of the tests raised ZeroDivisionError" in done.error


# ── commands ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_command_passes_by_its_exit_code_and_its_last_lines_say_why():
    assert verdicts("command:grep -qx yes || { echo no yes here >&2; exit 3; }", "yes", "no") == [
        (True, ""),
        (False, "no yes here"),
    ]


def test_a_command_gets_the_answer_as_a_file_of_the_kind_that_it_names():
    spec = "command:case {file.js} in *.js) cat {file.js}; exit 1;; esac"
    assert verdicts(spec, "let x = 'ü'") == [(False, "let x = 'ü'")]


def test_a_command_runs_where_the_run_does_and_its_answer_is_no_part_of_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    Path("expected").write_text("$(touch made); `touch made`")
    assert verdicts("command:cmp -s - expected", "$(touch made); `touch made`") == [(True, "")]
    assert sorted(os.listdir()) == ["expected"]


SCRIPTS = {
    "exit 4": "ended with exit code 4",
    "kill -SEGV $$": "was killed by SIGSEGV",
    "while :; do echo xxxxxxxx; done": "printed more than 1024 kB\n" + "xxxxxxxx\n" * 11 + "xxxxxxxx",
    'echo "in $0"; exit 1': "in answer",
    "cat /dev/urandom > big": "",
}


def test_a_command_that_fails_says_how_with_its_last_words():
    done = verdicts("10s:command:exec sh {file}", *SCRIPTS)
    assert {passed for passed, _ in done} == {False}
    assert [why for _, why in done][:-1] == list(SCRIPTS.values())[:-1]


def test_a_command_past_its_time_says_so_with_its_last_words():
    assert verdicts("command:cat; sleep 60", "early", limits=Limits(timeout_s=1)) == [
        (False, "took longer than 1 s\nearly")
    ]


def test_a_command_that_cannot_be_run_is_an_error_and_no_verdict():
    [done] = deliveries("command:no-such-command {file}", "x")
    assert "could not be run" in done.error
    with pytest.raises(CheckError, match="the shell cannot read the command"):
        Checker("command:if then (").start()


# ── functions ──────────────────────────────────────────────────────────────────────────────────────────────────

OWN = """
import os
seen = []

def why(answer):
    return answer == "4", f"{answer} is not 4"

def runs(answer):
    exec(answer, {"seen": seen})
    return not seen[1:], f"seen {seen}"

runs.confined = True
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o755)
    Path("own.py").write_text(OWN)


@pytest.mark.usefixtures("own")
def test_a_function_may_say_why():
    assert verdicts("own.py:why", "4", "5") == [(True, "4 is not 4"), (False, "5 is not 4")]


@pytest.mark.usefixtures("own")
def test_a_confined_function_runs_each_answer_in_a_process_of_its_own():
    answers = (
        "seen.append(1)",
        "seen.append(2)",
        "import os; os._exit(0)",
        "open('/own', 'w')",
        "seen.append(3)",
    )
    done = deliveries("own.py:runs", *answers)
    assert [one.completions[0].passed if one.completions else one.error[:50] for one in done] == [
        True,
        True,
        False,
        "the check raised OSError: [Errno 30] Read-only fil",
        True,
    ]
    assert done[2].completions == (Completion("ended before there was a verdict", passed=False),)


# ── ends ───────────────────────────────────────────────────────────────────────────────────────────────────────


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(stat.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
        except OSError:
            continue
    return found


SLEEPS = """
import asyncio
from outlay.engines.checker import Checker, Limits
from outlay.types import Arm, Call, Prompt, Test
engine = Checker("tests:unit", Limits(timeout_s=60))
engine.start()
answer = "import time; time.sleep(60)"
call = Call(Arm("c", "c"), Test(Prompt("p", (), metadata={"unit": "assert 1"}), answer, answer))
asyncio.run(engine.complete([call]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_run_that_is_killed_leaves_no_answer_running():
    run = subprocess.Popen([sys.executable, "-c", SLEEPS])
    found: list[int] = []
    while not found:
        time.sleep(0.02)
        for check in children_of(run.pid):
            found = [check, *children_of(check)] if children_of(check) else []
    run.kill()
    run.wait()
    while living := [pid for pid in found if is_running(pid)]:
        assert len(living) <= 2
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    """Not ended: a process that nobody waits for is a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
