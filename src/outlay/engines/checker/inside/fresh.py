"""One answer, one process: forked, walled in, watched, and ended with all that it started."""

import contextlib
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, final

from outlay.engines.checker.inside import confine
from outlay.engines.checker.inside.confine import LINUX, Walls
from outlay.engines.checker.inside.watch import LETTERS, READY, End, Watch, descendants

Send = Callable[[Mapping[str, Any]], None]
_SAY: Final = 100  # the descriptor for the verdict; what else the process inherits is closed


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
            return Watch(self.setup, self.walls, folder, child, out, heard, nonce).end()
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
                letter = b"E" if "error" in said else LETTERS[said["passed"]]
                words: str = said["error"] if letter == b"E" else said.get("message", "")
                write(_SAY, nonce + letter + words.encode("utf-8", "replace")[:4000])

            try:
                confine.shut(self.walls, folder, self.setup, self.reads)
            except (OSError, ValueError) as error:
                write(_SAY, READY)
                send({"error": f"an answer cannot be confined: {error}"})
                os._exit(70)
            write(_SAY, READY)
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
        while LINUX and (left := descendants(os.getpid())) and time.monotonic() < until:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass


def _waited(child: int) -> int:
    """The exit code of a child, as shells say it; orphans are waited for as well."""
    while True:
        pid, status = os.wait()
        if pid == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


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
