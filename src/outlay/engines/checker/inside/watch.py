"""Waits for the process of one answer, reads what it prints and says, and ends it at a limit."""

import contextlib
import os
import select
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, final

from outlay.engines.checker.inside.confine import LINUX, Walls
from outlay.engines.checker.inside.told import Stop, tail

LETTERS: Final = {True: b"P", False: b"F", None: b"N"}
"""How a process says its verdict, behind `READY` and the nonce; `E` begins an error."""

READY: Final = b"."
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
class Watch:
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
        begins, at = READY + self.nonce, len(READY) + len(self.nonce)
        if not self.words.startswith(begins) or len(self.words) == at:
            return None
        letter, words = self.words[at : at + 1], self.words[at + 1 :].decode("utf-8", "replace")
        if letter == b"E":
            return {"error": words}
        return {"passed": next(p for p, known in LETTERS.items() if known == letter), "message": words}

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
        return len(descendants(self.child)) + 1 if LINUX else 1


def ended(code: int) -> str:
    """How a process ended, in words. Above 128 a code is a signal's, as shells say it."""
    number = -code if code < 0 else code - 128
    if number <= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(number).name}"
    except ValueError:
        return f"ended with exit code {code}"


def _gone(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def descendants(root: int) -> list[int]:
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
