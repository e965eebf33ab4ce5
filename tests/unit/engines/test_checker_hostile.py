"""Answers that mean harm, in real processes: each ends as a failed check that says why, and the next answer is
judged as if nothing had been.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from outlay.engines.checker import Checker, Limits, in_force
from outlay.types import Arm, Call, Completion, Delivery, Message, Prompt, Test

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's; elsewhere few hold")

LIMITS = Limits(timeout_s=10, cpu_s=1, memory_mb=192, file_mb=4, files=50, processes=12, output_kb=64)
IN_VAIN = Limits(timeout_s=0.4)
"""For what never ends: a busy machine may take longer over the rest than these tests should wait."""

RIGHT = "def add(a, b):\n    return a + b\n"
WRONG = "def add(a, b):\n    return a - b\n"
TESTS = "assert add(2, 3) == 5"
UNDONE = "before the tests were done"
OUT_OF_REACH = ("No such file", "denied", "not permitted")

HOSTILE = {
    "a fork bomb": (
        "import os, time\nend = time.time() + 4\nwhile time.time() < end:\n"
        "    try:\n        os.fork()\n    except OSError:\n        pass\n",
        "started more than 12 processes",
    ),
    "endless output": ("while True:\n    print('x' * 1000)\n", "printed more than 64 kB"),
    "endless output past Python": ("import os\nwhile True:\n    os.write(2, b'x' * 1000)\n", "printed more than 64 kB"),
    "a huge file": (
        "f = open('f', 'wb')\nwhile True:\n    f.write(bytes(1 << 20)); f.flush()\n",
        ("No space left", "File too large", "wrote more than 4 MB"),
    ),
    "many files": (
        "k = 0\nwhile True:\n    open(str(k), 'w').close(); k += 1\n",
        ("No space left", "made more than 50 files"),
    ),
    "much memory": ("x = bytearray(1 << 32)\n", "needed more memory than it may use"),
    "much memory, bit by bit": ("x = []\nwhile True:\n    x.append(bytearray(1 << 20))\n", "needed more memory"),
    "an exit before the tests": ("import sys\nsys.exit(0)\n", f"called sys.exit() {UNDONE}"),
    "an exit inside the tests": ("import sys\ndef add(a, b):\n    sys.exit(0)\n", f"called sys.exit() {UNDONE}"),
    "an exit that nothing sees": ("import os\nos._exit(0)\n", UNDONE),
    "an end by its own hand": ("import os\nos.abort()\n", UNDONE),
    "a forged verdict": (
        "import os\nfor fd in range(3, 300):\n    try:\n"
        "        os.write(fd, b'{\"passed\": true}\\n')\n    except OSError:\n        pass\nos._exit(0)\n",
        UNDONE,
    ),
    "a printed verdict": ("print('{\"passed\": true}', flush=True)\nimport os\nos._exit(0)\n", UNDONE),
    "closed descriptors": (f"{RIGHT}import os\nos.closerange(0, 300)\n", UNDONE),
    "builtins replaced": (
        f"import builtins\nclass Quiet(BaseException):\n    def __new__(cls, *_): raise SystemError\n"
        f"builtins.AssertionError = Quiet\nbuiltins.all = builtins.bool = lambda *_: True\n{WRONG}",
        "assert add(2, 3) == 5: got -1",
    ),
    "a trace function": (
        f"import sys\nsys.settrace(lambda *_: None)\nsys.setprofile(lambda *_: None)\n{WRONG}",
        "assert add(2, 3) == 5: got -1",
    ),
    "a trace function set late": (
        "import sys\ndef add(a, b):\n    sys.settrace(lambda *_: None)\n    return a + b\n",
        "changed how its tests run",
    ),
    "its parent killed": ("import os, signal\nos.kill(os.getppid() or -1, signal.SIGKILL)\n", ""),
    "another killed": ("import os\nos.kill({victim}, 9)\n", ("No such process", "not permitted")),
    "a daemon": (
        "import os, time\nif os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        time.sleep(30)\n"
        "    os._exit(0)\n",
        "'add' is not defined",
    ),
    "the environment of the run": ("open('/proc/{pid}/environ', 'rb').read()\n", OUT_OF_REACH),
    "the memory of the run": ("open('/proc/{pid}/mem', 'rb')\n", OUT_OF_REACH),
    "files deleted": ("import os\nos.unlink('{outside}')\n", ("Read-only", "denied")),
    "files changed": ("open('{outside}', 'a')\n", ("Read-only", "denied")),
    "files read": ("open('{outside}').read()\n", "denied"),
    "a connection": (
        "import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)\n",
        ("unreachable", "denied"),
    ),
    "a nest too deep": ("(" * 100_000, ""),
    "nothing": ("", "'add' is not defined"),
}  # fmt: skip

ENDLESS = {
    "an endless loop": ("while True:\n    pass\n", "took longer than 0.4 s"),
    "a long sleep": ("import time\ntime.sleep(60)\n", "took longer than 0.4 s"),
    "signals swallowed": (
        "import signal, time\nfor n in (1, 2, 3, 14, 15, 24):\n    signal.signal(n, lambda *_: None)\n"
        "while True:\n    time.sleep(1)\n",
        "took longer than 0.4 s",
    ),
}

WALLS = {"all walls": (), "no namespaces": ("namespaces",)}


@pytest.fixture(scope="module", params=WALLS)
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Completion]:
    """All of them in one process of the check, a right answer after each."""
    without = WALLS[request.param]
    lacking = {protection.name for protection in in_force(without) if not protection.holds}
    if lacking - {"network other than TCP"}:
        pytest.skip(f"this system has no walls against: {', '.join(lacking)}")
    folder = tmp_path_factory.mktemp("outside")
    outside = folder / "outside"
    outside.write_text("kept")
    with socket.create_server(("127.0.0.1", 0)) as server, subprocess.Popen(["sleep", "60"]) as victim:
        values = {
            "pid": os.getpid(),
            "outside": outside,
            "port": server.getsockname()[1],
            "victim": victim.pid,
        }
        done = judged(
            [with_values(p, values) for program, _ in HOSTILE.values() for p in (program, RIGHT)], without
        )
        spared = victim.poll() is None
        victim.kill()
    found = dict(zip(HOSTILE, done[::2], strict=True))
    found["the next"] = Completion("", passed=all(one.passed for one in done[1::2]))
    found["the file"] = Completion(outside.read_text() if outside.exists() else "gone")
    found["the victim"] = Completion("", passed=spared)
    return found


def with_values(program: str, values: Mapping[str, object]) -> str:
    for name, value in values.items():
        program = program.replace(f"{{{name}}}", str(value))
    return program


def judged(programs: Sequence[str], without: Sequence[str], limits: Limits = LIMITS) -> list[Completion]:
    prompt = Prompt("p", (Message("user", "q"),), "code", {"unit": TESTS})
    engine = Checker("tests:unit", limits, without=without)
    before = descendants()

    async def ask() -> list[Delivery]:
        arm = Arm("tests", "checker", role="check")
        done = await engine.complete([Call(arm, Test(prompt, one, one)) for one in programs])
        left = descendants() - before
        await engine.close()
        assert len(left) == 1, "only the process of the check is left"
        return done

    done = asyncio.run(ask())
    assert not [one.error for one in done if one.error]
    return [one.completions[0] for one in done]


def descendants() -> set[int]:
    """Everything below this process."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


@pytest.mark.parametrize("name", HOSTILE)
def test_it_has_failed_and_says_why(outcomes: dict[str, Completion], name: str):
    words = HOSTILE[name][1]
    assert outcomes[name].passed is False
    assert any(word in outcomes[name].text for word in ([words] if isinstance(words, str) else words))
    assert len(outcomes[name].text) <= 600


def test_a_right_answer_after_each_still_passes(outcomes: dict[str, Completion]):
    assert outcomes["the next"].passed


def test_a_process_of_the_users_goes_on(outcomes: dict[str, Completion]):
    assert outcomes["the victim"].passed


def test_a_file_of_the_users_is_as_it_was(outcomes: dict[str, Completion]):
    assert outcomes["the file"].text == "kept"


def test_what_never_ends_is_ended():
    # A right answer between them would have no more time on a busy machine.
    found = judged([program for program, _ in ENDLESS.values()], (), IN_VAIN)
    assert [(one.passed, one.text) for one in found] == [(False, words) for _, words in ENDLESS.values()]


def test_processor_time_ends_even_where_its_signal_is_swallowed():
    program = "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True:\n    pass\n"
    [found] = judged([program], (), LIMITS)
    assert (found.passed, found.text) == (False, "took more than 1 s of processor time")
