"""The process of a check, from outside: its pipes, its clock, its end."""

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, NamedTuple, final

from outlay.engines.checker.inside.confine import LINUX, Walls
from outlay.engines.checker.kinds import Limits, Spec
from outlay.errors import CheckError

MAIN: Final = Path(__file__).parent / "inside" / "main.py"

ENVIRONMENT: Final = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("JAVA_HOME", "NODE_PATH", "GOROOT", "GOPATH", "RUSTUP_HOME", "CARGO_HOME", "CONDA_PREFIX"),
)
"""What the check sees of the environment. Keys of endpoints are not in it, whatever they are called."""

LOADING_S: Final = 60.0
GRACE_S: Final = 10.0
"""Beyond the time limit: a process that watches answers ends them itself."""


class Said(NamedTuple):
    """What came of one request. `error` is empty, or why there is no verdict."""

    passed: bool | None = None
    message: str = ""
    error: str = ""
    ms: int = 0


class Loaded(NamedTuple):
    """What the process said about the check; `walls` only where it runs answers."""

    takes: tuple[str, ...]
    applies: bool
    walls: Walls | None


class Ended(NamedTuple):
    """Why the process gave no answer, and whether that was a limit, which is the check's fault, or not."""

    reason: str
    by_limit: bool


@final
class Worker:
    """The process and its pipes. Used under `with`, by one thread at a time; `stop` may come from any.

    Requests are written ahead of answers, so that a quick check costs microseconds and not a round trip; the
    clock of a check starts when the answer before it arrived.
    """

    def __init__(self, spec: Spec, limits: Limits, without: Sequence[str]) -> None:
        self.spec, self._limits, self._without = spec, limits, tuple(without)
        self._folder = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded: Loaded | None = None
        self._finish: Callable[[], object] = lambda: None
        self._unread = b""
        self._turn, self._stopped = threading.Lock(), False

    def __enter__(self) -> "Worker":
        self._turn.acquire()
        self._stopped = False
        return self

    def __exit__(self, *_: object) -> None:
        self._turn.release()

    def started(self) -> Loaded:
        """Start the process and load the function, if that is not done yet."""
        if self._process is not None and self._process.poll() is None and self._loaded is not None:
            return self._loaded
        self._kill()
        self._folder = tempfile.mkdtemp(prefix="outlay-check-")
        os.chmod(self._folder, 0o755)  # an answer may run as another user
        self._process = subprocess.Popen(
            # -P: neither this folder nor the user's comes first, where a file could hide the library's.
            [sys.executable, "-P", str(MAIN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=_environment(),
            start_new_session=True,  # a group of its own: killed with all that the check started; no Ctrl-C
        )
        # Also at exit, and where a run that could not begin never closes its engines.
        self._finish = weakref.finalize(self, _finish, self._process, self._folder)
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        said = self._exchange(deque([_line(self._setup())]), LOADING_S)
        name = self.spec.text
        if isinstance(said, Ended):
            self._kill()
            raise CheckError(f"check {name!r}: loading {said.reason}; import it by itself to see why")
        if "refused" in said:
            self._kill()
            raise CheckError(f"check {name!r}: {said['refused']}")
        walls = None if said["walls"] is None else Walls(**said["walls"])
        self._loaded = Loaded(tuple(said["takes"]), said["applies"], walls)
        _hide_environment(walls)
        return self._loaded

    def _setup(self) -> dict[str, Any]:
        setup = {"kind": self.spec.kind, "argument": self.spec.argument, "without": self._without}
        return {**setup, "cwd": os.getcwd(), "folder": self._folder, **asdict(self._limits)}

    def ask(self, requests: Sequence[Mapping[str, Any]]) -> list[Said]:
        """One answer for each request, in order, whatever becomes of the process meanwhile."""
        answers: list[Said] = []
        lines = [_line(request) for request in requests]
        while len(answers) < len(lines):
            walls = self.started().walls
            timeout_s = self._limits.timeout_s + (GRACE_S if walls else 0)
            unsent = deque(lines[len(answers) :])
            while len(answers) < len(lines):
                began = time.perf_counter()
                said = self._exchange(unsent, timeout_s)
                if isinstance(said, Ended):
                    self._kill()
                    answers.append(self._last(said, walls, round(1000 * (time.perf_counter() - began))))
                    break
                answers.append(Said(**said))
            if self._stopped:
                return answers + [Said(error="the check was stopped")] * (len(lines) - len(answers))
        return answers

    def stop(self) -> None:
        """End the process, in the middle of a check if need be."""
        self._stopped = True
        process = self._process
        if process is not None:
            _end(process)  # the other thread reads its end
        with self._turn:
            self._kill()

    def _exchange(self, unsent: deque[bytes], timeout_s: float) -> "dict[str, Any] | Ended":
        """The next answer, or why there is none; what is still unsent goes out meanwhile."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        into, out = process.stdin.fileno(), process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._unread:
            left = deadline - time.monotonic()
            ready = select.poll()  # select.select knows no file number above 1023
            ready.register(out, select.POLLIN)
            if unsent:
                ready.register(into, select.POLLOUT)
            events = dict(ready.poll(max(0, round(1000 * left))))
            if out in events:
                got = os.read(out, 1 << 16)
                if not got:
                    return _how_it_ended(process, self._limits)
                self._unread += got
            elif left <= 0:
                return Ended(f"took longer than {timeout_s:g} s", by_limit=True)
            if into in events:
                try:
                    sent = os.write(into, unsent[0])
                except (BrokenPipeError, BlockingIOError):
                    continue  # its end is read above; or the pipe has less room than poll promised
                unsent[0] = unsent[0][sent:]
                if not unsent[0]:
                    unsent.popleft()
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last(self, ended: Ended, walls: Walls | None, ms: int) -> Said:
        if ended.by_limit:
            return Said(False, ended.reason, ms=ms)
        if walls is not None and not self._stopped and not walls.guarded():
            return Said(False, "ended the process that watches it", ms=ms)
        return Said(error=f"check {self.spec.text!r}: its process {ended.reason}", ms=ms)

    def _kill(self) -> None:
        self._finish()
        self._process, self._loaded, self._unread = None, None, b""


def _how_it_ended(process: subprocess.Popen[bytes], limits: Limits) -> Ended:
    code = process.wait()
    if code == -signal.SIGXCPU:
        return Ended(f"took more than {limits.cpu_s} s of processor time", by_limit=True)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return Ended(how, by_limit=False)


def _end(process: subprocess.Popen[bytes]) -> None:
    # Asked first: a process that runs an answer ends it with all that it started, and only then itself.
    for number, patience_s in ((signal.SIGTERM, 3.0), (signal.SIGKILL, None)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)


def _finish(process: subprocess.Popen[bytes], folder: str) -> None:
    _end(process)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    shutil.rmtree(folder, ignore_errors=True)


def _hide_environment(walls: Walls | None) -> None:
    """Where no wall keeps an answer from looking into this process, the process itself forbids it."""
    if LINUX and walls is not None and not walls.blind():
        from outlay.engines.checker.inside import linux

        linux.dumpable(False)


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    # The same strings hash alike in every process, or a check that walks a set would not be lockstep.
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, default=str).encode() + b"\n"
