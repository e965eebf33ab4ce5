"""A user's own check as an engine: `module:function` or `path/to/file.py:function`, in a process of its own.

The function takes any of `prompt`, `answer` and `text` by name, and returns True, False, or None where it
does not apply. `passes.applies = lambda prompt: …`, or a function `applies` of its module, says for which
prompts the check exists at all. The process protects the run from a check that hangs, eats memory or dies; it
is no sandbox against code that means harm.
"""

import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, final

from outlay.errors import CheckError
from outlay.types import Call, Completion, Cost, Delivery, Prompt, Test

WORKER = Path(__file__).with_name("checker_worker.py")

ENVIRONMENT = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR"),
    *("PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
)
"""What the check sees of the environment. Keys of endpoints are not in it, whatever they are called."""

LOADING_S = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one check may use.

    Attributes:
        timeout_s: Wall-clock time.
        cpu_s: Processor time, all threads together.
        memory_mb: Address space of the process.
        file_mb: Size of any file that it writes.
    """

    timeout_s: float = 5.0
    cpu_s: int = 10
    memory_mb: int = 4096
    file_mb: int = 64


class Said(NamedTuple):
    """What came of one request. `error` is empty, or why there is no verdict."""

    passed: bool | None = None
    message: str = ""
    error: str = ""
    ms: int = 0


@final
class Checker:
    """Verdicts cost no tokens.

    A check that passes a limit has failed, with a message; a check that raises, or whose process dies for
    another reason, is an error and never a verdict.
    """

    def __init__(self, spec: str, limits: Limits = Limits()) -> None:
        if not all(spec.rpartition(":")[::2]):
            raise CheckError(
                f"check {spec!r} names no function; write path/to/file.py:function or module:function"
            )
        self.lockstep, self.chunk = True, 256
        self._limits, self._worker = limits, Worker(spec, limits)

    def start(self) -> None:
        """Load the function now rather than at the first call.

        Raises:
            CheckError: It cannot be loaded; names function, reason and remedy.
        """
        with self._worker:
            self._worker.started()

    def applies(self, prompts: Sequence[Prompt]) -> list[bool]:
        """For each prompt, whether the check exists there.

        Raises:
            CheckError: The check cannot be loaded, or its `applies` failed.
        """
        with self._worker as worker:
            if not worker.started().applies:
                return [True] * len(prompts)
            said = worker.ask([{"applies": _row(prompt)} for prompt in prompts])
        for prompt, one in zip(prompts, said, strict=True):
            if one.error or one.message or one.passed is None:
                reason = one.error or one.message or "returned None"
                raise CheckError(
                    f"check {worker.spec!r}: applies() failed for prompt {prompt.id!r}: {reason}; "
                    "it takes a prompt and returns True or False"
                )
        return [bool(one.passed) for one in said]

    def worst(self, call: Call) -> Cost:
        return Cost(ms=round(1000 * self._limits.timeout_s))

    def expected(self, call: Call) -> Cost:
        return Cost(ms=1)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        return await asyncio.to_thread(self._serve, calls)

    async def close(self) -> None:
        """End the process; a later call would start another."""
        self._worker.stop()

    def _serve(self, calls: Sequence[Call]) -> list[Delivery]:
        tests = [call.payload for call in calls if isinstance(call.payload, Test)]
        with self._worker as worker:
            takes = worker.started().takes
            said = iter(worker.ask([_request(test, takes) for test in tests]))
        misplaced = Said(error=f"check {worker.spec!r} was given a prompt to answer; give it to a model")
        longest = self.worst(calls[0]).ms if calls else 0
        return [
            _delivery(next(said) if isinstance(call.payload, Test) else misplaced, call.n, longest)
            for call in calls
        ]


def _delivery(said: Said, copies: int, longest: int) -> Delivery:
    if said.error:
        return Delivery((), ms=min(said.ms, longest), error=said.error)
    # Asked n times, a check would say the same n times.
    return Delivery((Completion(said.message, passed=said.passed),) * copies, ms=min(said.ms, longest))


def _request(test: Test, takes: Sequence[str]) -> dict[str, Any]:
    """Only what the function takes: a prompt is long, and most checks want the answer alone."""
    request: dict[str, Any] = {"answer": test.answer, "text": test.text}
    if "prompt" in takes:
        request["prompt"] = _row(test.prompt)
    return {name: request[name] for name in takes}


def _row(prompt: Prompt) -> dict[str, Any]:
    row = {"id": prompt.id, "messages": prompt.messages, "answer": prompt.answer, "worth": prompt.worth}
    return {**row, "metadata": dict(prompt.metadata)}


class Loaded(NamedTuple):
    """What the process said about the function."""

    takes: tuple[str, ...]
    applies: bool


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

    def __init__(self, spec: str, limits: Limits) -> None:
        self.spec, self._limits = spec, limits
        self._process: subprocess.Popen[bytes] | None = None
        self._loaded: Loaded | None = None
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
        self._process = subprocess.Popen(
            # -P: neither this folder, whose `http` would hide the library's, nor the user's comes first.
            [sys.executable, "-P", str(WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=_environment(),
            start_new_session=True,  # a group of its own: killed with all that the check started; no Ctrl-C
        )
        assert self._process.stdin is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        package = str(Path(__file__).parents[2])
        limits = {name: getattr(self._limits, name) for name in ("cpu_s", "memory_mb", "file_mb")}
        setup = {"spec": self.spec, "cwd": os.getcwd(), "package": package, **limits}
        said = self._exchange(deque([_line(setup)]), LOADING_S)
        if isinstance(said, Ended):
            self._kill()
            raise CheckError(f"check {self.spec!r}: loading {said.reason}; import it by itself to see why")
        if "refused" in said:
            self._kill()
            raise CheckError(f"check {self.spec!r}: {said['refused']}")
        self._loaded = Loaded(tuple(said["takes"]), said["applies"])
        return self._loaded

    def ask(self, requests: Sequence[Mapping[str, Any]]) -> list[Said]:
        """One answer for each request, in order, whatever becomes of the process meanwhile."""
        answers: list[Said] = []
        lines = [_line(request) for request in requests]
        while len(answers) < len(lines):
            self.started()
            unsent = deque(lines[len(answers) :])
            while len(answers) < len(lines):
                began = time.perf_counter()
                said = self._exchange(unsent, self._limits.timeout_s)
                if isinstance(said, Ended):
                    self._kill()
                    answers.append(self._last(said, round(1000 * (time.perf_counter() - began))))
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
            _end(process)
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

    def _last(self, ended: Ended, ms: int) -> Said:
        if ended.by_limit:
            return Said(False, ended.reason, ms=ms)
        return Said(error=f"check {self.spec!r}: its process {ended.reason}", ms=ms)

    def _kill(self) -> None:
        if self._process is None:
            return
        _end(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process, self._loaded, self._unread = None, None, b""


def _how_it_ended(process: subprocess.Popen[bytes], limits: Limits) -> Ended:
    code = process.wait()
    if code == -signal.SIGXCPU:
        return Ended(f"took more than {limits.cpu_s} s of processor time", by_limit=True)
    how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    return Ended(how, by_limit=False)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}
    # The same strings hash alike in every process, or a check that walks a set would not be lockstep.
    return {**kept, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, default=str).encode() + b"\n"
