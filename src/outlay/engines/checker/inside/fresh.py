"""One answer, one process: forked, walled in, watched, and ended with all that it started."""

import contextlib
import os
import resource
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, final

from outlay.engines.checker.inside import confine
from outlay.engines.checker.inside.confine import LINUX, Walls
from outlay.engines.checker.inside.told import Stop, tail

Send = Callable[[Mapping[str, Any]], None]
_SAY: Final = 100  # the descriptor for the verdict; what else the process inherits is closed
_LETTERS: Final = {True: b"P", False: b"F", None: b"N"}
_READY: Final = b"."
_LOOK_S: Final = 0.02
"""How often processes, and files where no kernel counts them, are counted."""


class End(NamedTuple):
    """What came of it.

    Attributes:
        said: What the process said itself, or None.
        why: Why there is no more, in words; empty when it ended by itself with code 0.
        limit: Whether a limit ended it.
        code: Exit code, or minus the signal's number.
        printed: The last lines of its output.
    """

    said: dict[str, Any] | None
    why: str
    limit: bool
    code: int
    printed: str


@final
@dataclass(slots=True)
class Fresh:
    """Runs one answer at a time.

    Attributes:
        setup: The limits, the folder, and the descriptor on which the run hangs up.
        walls: What is in force.
        reads: Files and folders that an answer may read; elsewhere only its own folder.
    """

    setup: Mapping[str, Any]
    walls: Walls
    reads: Sequence[str]
    count: int = field(default=0, init=False)

    def run(self, inside: Callable[[str, Send], None]) -> End:
        """Run `inside(folder, send)` in a process of its own."""
        folder = self._folder()
        nonce = os.urandom(16)
        out, printed = os.pipe()
        heard, say = os.pipe()
        ready, go = os.pipe()
        child = -1
        try:
            child = self._started(folder, nonce, (printed, say, ready, go), inside)
            os.close(printed)
            os.close(say)
            printed = say = -1
            os.write(go, b"g")
            return _Watch(self.setup, self.walls, folder, child, out, heard, nonce).end()
        finally:
            for pipe in (out, printed, heard, say, ready, go):
                if pipe >= 0:
                    os.close(pipe)
            if child > 0:
                self._sweep(child)
            if not self.walls.pid:
                _remove(folder)

    def _folder(self) -> str:
        base: str = self.setup["folder"]
        if self.walls.pid:
            return base  # something new is mounted on it for each answer
        self.count += 1
        folder = f"{base}/{self.count}"
        os.mkdir(folder, 0o700)
        if self.walls.other:
            os.chown(folder, confine.USER, confine.USER)
        return folder

    def _started(
        self, folder: str, nonce: bytes, pipes: tuple[int, int, int, int], inside: Callable[[str, Send], None]
    ) -> int:
        if not self.walls.pid:
            child = os.fork()
            if child == 0:
                self._be(folder, nonce, pipes, inside)
            return child
        # A child of the guard is the first process of the namespace; orphaned at once, it becomes ours.
        told, tell = os.pipe()
        guard = os.fork()
        if guard == 0:
            try:
                confine.part(self.walls, folder, self.setup)
                child = os.fork()
                if child == 0:
                    os.close(tell)
                    self._be(folder, nonce, pipes, inside)
                os.write(tell, str(child).encode())
            except OSError as error:
                os.write(tell, str(error).encode())
            finally:
                os._exit(0)
        os.close(tell)
        with os.fdopen(told, "rb") as answer:
            text = answer.read().decode()
        os.waitpid(guard, 0)
        if not text.isdigit():
            raise OSError(f"an answer cannot be confined: {text}")
        return int(text)

    def _be(
        self, folder: str, nonce: bytes, pipes: tuple[int, int, int, int], inside: Callable[[str, Send], None]
    ) -> None:
        """Become the process of the answer. Never returns."""
        code = 70
        try:  # every way out of here is the one below
            printed, said, ready, go = pipes
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            os.setsid()
            os.close(go)
            if not os.read(ready, 1):  # until the parent is the one that will wait for us
                return
            os.dup2(said, _SAY, inheritable=False)
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.dup2(printed, 1)
            os.dup2(printed, 2)
            os.closerange(3, _SAY)
            os.closerange(_SAY + 1, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 16))
            sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  the process ends, not the block
            sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
            write = os.write  # before the answer could put another in its place

            def send(said: Mapping[str, Any]) -> None:
                # Bytes and methods of built-in types only: nothing here can be replaced by the answer.
                letter = b"E" if "error" in said else _LETTERS[said["passed"]]
                words: str = said["error"] if letter == b"E" else said.get("message", "")
                write(_SAY, nonce + letter + words.encode("utf-8", "replace")[:4000])

            try:
                confine.shut(self.walls, folder, self.setup, self.reads)
            except (OSError, ValueError) as error:
                write(_SAY, _READY)
                send({"error": f"an answer cannot be confined: {error}"})
                os._exit(70)
            write(_SAY, _READY)
            if self.walls.pid:
                # The first process of a namespace is deaf to its own signals, so another one is the answer's.
                child = os.fork()
                if child:
                    code = _waited(child)
                    return
            inside(folder, send)
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            code = 0
        finally:
            os._exit(code)

    def _sweep(self, child: int) -> None:
        """End all that the answer started."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)  # the first process of a namespace takes the others along
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, 0)
        if self.walls.pid:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        until = time.monotonic() + 2
        while LINUX and (left := _descendants(os.getpid())) and time.monotonic() < until:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


@final
@dataclass(slots=True)
class _Watch:
    """Waits for one process, reads what it prints and says, and ends it at a limit."""

    setup: Mapping[str, Any]
    walls: Walls
    folder: str
    child: int
    out: int
    heard: int
    nonce: bytes
    total: int = field(default=0, init=False)
    kept: bytes = field(default=b"", init=False)
    words: bytes = field(default=b"", init=False)

    def end(self) -> End:
        """Wait for it."""
        over = self._over()
        if over:
            os.kill(self.child, signal.SIGKILL)
        _, status, used = os.wait4(self.child, 0)
        code = os.waitstatus_to_exitcode(status)
        self._drain()
        # As shells say a child's signal, 128 more; a kill after that much time can only be the hard limit's.
        by = -code if code < 0 else code - 128
        long = used.ru_utime + used.ru_stime >= self.setup["cpu_s"]
        if not over and (by == signal.SIGXCPU or (by == signal.SIGKILL and long)):
            over = f"took more than {self.setup['cpu_s']} s of processor time"
        why = over or ("" if code == 0 else ended(code))
        return End(None if over else self._said(), why, bool(over), code, tail(self.kept, self.folder))

    def _over(self) -> str:
        """Until it ends: empty, or the limit that it passed."""
        timeout_s: float = self.setup["timeout_s"]
        deadline = time.monotonic() + timeout_s
        poll = select.poll()
        for pipe in (self.out, self.heard):
            poll.register(pipe, select.POLLIN)
            os.set_blocking(pipe, False)
        poll.register(self.setup["hangs"], 0)
        ends = os.pidfd_open(self.child) if hasattr(os, "pidfd_open") else -1
        if ends >= 0:
            poll.register(ends, select.POLLIN)
        look = time.monotonic() + _LOOK_S
        try:
            while True:
                left = deadline - time.monotonic()
                events = dict(poll.poll(1000 * max(0.0, min(left, _LOOK_S)) + 1))
                if self.setup["hangs"] in events:
                    raise Stop
                if self.out in events and not self._read(poll):
                    return f"printed more than {self.setup['output_kb']} kB"
                if self.heard in events:
                    self._listen(poll)
                if ends in events or (ends < 0 and _gone(self.child)):
                    return ""
                if left <= 0:
                    return f"took longer than {timeout_s:g} s"
                if time.monotonic() >= look:
                    if much := self._too_much():
                        return much
                    look = time.monotonic() + _LOOK_S
        finally:
            if ends >= 0:
                os.close(ends)

    def _read(self, poll: Any) -> bool:
        got = self._some(self.out)
        if got == b"":
            poll.unregister(self.out)
        self.total += len(got or b"")
        self.kept = (self.kept + (got or b""))[-8192:]
        most: int = self.setup["output_kb"] << 10
        return self.total <= most

    def _listen(self, poll: Any) -> None:
        got = self._some(self.heard)
        self.words = (self.words + (got or b""))[: 1 << 16]
        if got == b"":
            poll.unregister(self.heard)

    def _some(self, pipe: int) -> bytes | None:
        try:
            return os.read(pipe, 1 << 16)
        except BlockingIOError:
            return None

    def _drain(self) -> None:
        """What was written before the end; a process that is left may hold the pipe open, so do not wait."""
        while got := self._some(self.heard):
            self.words = (self.words + got)[: 1 << 16]
        while (got := self._some(self.out)) and self.total <= self.setup["output_kb"] << 10:
            self.total += len(got)
            self.kept = (self.kept + got)[-8192:]

    def _said(self) -> dict[str, Any] | None:
        """What stands behind the nonce; anything else was not written by us."""
        begins, at = _READY + self.nonce, len(_READY) + len(self.nonce)
        if not self.words.startswith(begins) or len(self.words) == at:
            return None
        letter, words = self.words[at : at + 1], self.words[at + 1 :].decode("utf-8", "replace")
        if letter == b"E":
            return {"error": words}
        return {"passed": next(p for p, known in _LETTERS.items() if known == letter), "message": words}

    def _too_much(self) -> str:
        most = self.setup["processes"]
        if self.words and self._processes() > most:  # before it is ready, it sees the processes of all
            return f"started more than {most} processes"
        if self.walls.pid:
            return ""
        files, size = _contents(self.folder)
        if files > self.setup["files"]:
            return f"made more than {self.setup['files']} files"
        if size > self.setup["file_mb"] << 20:
            return f"wrote more than {self.setup['file_mb']} MB of files"
        return ""

    def _processes(self) -> int:
        if self.walls.proc:
            try:
                return sum(name.isdigit() for name in os.listdir(f"/proc/{self.child}/root/proc"))
            except OSError:
                return 0
        return len(_descendants(self.child)) + 1 if LINUX else 1


def ended(code: int) -> str:
    """How a process ended, in words. Above 128 a code is a signal's, as shells say it."""
    number = -code if code < 0 else code - 128
    if number <= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(number).name}"
    except ValueError:
        return f"ended with exit code {code}"


def _waited(child: int) -> int:
    """The exit code of a child, as shells say it; orphans are waited for as well."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _gone(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _descendants(root: int) -> list[int]:
    """All below `root`, by the parents that /proc names."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                with open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(name))
    found, open_ = [], [root]
    while open_:
        below = children.get(open_.pop(), [])
        found += below
        open_ += below
    return found


def _contents(folder: str) -> tuple[int, int]:
    files, size = 0, 0
    for at, folders, names in os.walk(folder):
        files += len(folders) + len(names)
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(f"{at}/{name}").st_blocks * 512
    return files, size


def _remove(folder: str) -> None:
    """Also what the answer made unreadable."""

    def open_up(_: Any, path: str, __: Any) -> None:
        for at in (os.path.dirname(path), path):
            with contextlib.suppress(OSError):
                if os.path.isdir(at) and not os.path.islink(at):
                    os.chmod(at, 0o700)
        with contextlib.suppress(OSError):
            os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)

    shutil.rmtree(folder, onerror=open_up)
    if os.path.exists(folder):
        shutil.rmtree(folder, ignore_errors=True)
