"""Walls around a process that runs what a model wrote: what this system allows, each tried once before it counts.

The process of the check enters a network namespace of its own when it starts (with a user namespace, unless it
is root). Each answer then gets fresh process, mount and IPC namespaces, a folder of its own in memory, a
read-only view of the rest, Landlock, no capabilities, another user if it was root, and limits.
"""

import contextlib
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from outlay.engines.checker.inside.limits import lower

LINUX: Final = sys.platform == "linux"
USER: Final = 64321
"""Who the answer runs as where outlay runs as root; no account has this number on usual systems."""

SLACK: Final = 8
"""Processes above the limit that the kernel lets through, so that the watch sees the limit passed and says so."""

if LINUX:
    from outlay.engines.checker.inside import landlock, linux


class Walls(NamedTuple):
    """What is in force. Sent to the run, which says so to the user.

    Attributes:
        network: A network namespace with nothing in it.
        user: A user namespace; implies that the processes outside cannot be looked into.
        pid: Process, mount and IPC namespaces for each answer.
        proc: A view of these processes alone.
        landlock: Version; 0 without.
        other: Whether it runs as another user.
        tasks: Processes and threads that count against its limit beside its own; -1 where no limit can be set.
    """

    network: bool = False
    user: bool = False
    pid: bool = False
    proc: bool = False
    landlock: int = 0
    other: bool = False
    tasks: int = -1

    def guarded(self) -> bool:
        """Whether an answer cannot end the process that watches it."""
        return self.pid or self.other or self.landlock >= 6

    def blind(self) -> bool:
        """Whether an answer cannot look into other processes; into those with root's rights it cannot either."""
        return self.user or self.other or self.landlock > 0 or _privileged()


def enter(without: Sequence[str]) -> Walls:
    """Lock this process in as far as the system allows, and say which walls each answer can get."""
    if not LINUX:
        return Walls()
    walls = Walls(landlock=0 if "landlock" in without else linux.landlock_version())
    root = os.geteuid() == 0
    if "namespaces" not in without:
        walls = _without_network(walls, root)
    linux.adopt_orphans()
    walls = walls._replace(other=root and "user" not in without)
    if not walls.blind():
        linux.dumpable(False)  # nor into this one
    return walls


def counted(walls: Walls) -> Walls:
    """How many tasks of its user count beside an answer's own; root's are not limited at all."""
    if not LINUX:
        return walls
    if walls.user or walls.other:
        return walls._replace(tasks=0)
    return walls if os.geteuid() == 0 else walls._replace(tasks=_tasks_of(os.geteuid()))


def _tasks_of(uid: int) -> int:
    count = 0
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{name}").st_uid == uid:
                count += len(os.listdir(f"/proc/{name}/task"))
    return count


def _without_network(walls: Walls, root: bool) -> Walls:
    if root:
        with contextlib.suppress(OSError):
            linux.unshare(linux.NEWNET)
            return walls._replace(network=True, pid=True, proc=True)
    uid, gid = os.geteuid(), os.getegid()
    # Root may map a second number, for the user that it becomes; others only their own.
    maps = [f"{uid} {uid} 1\n{USER} {USER} 1\n"] if root else []
    for attempt in (*maps, f"{uid} {uid} 1\n"):
        # Tried in a child first: half a user namespace could not be left again. A module with threads has
        # passed the trial and is refused here.
        if _probed(partial(_new_user, attempt, gid)):
            with contextlib.suppress(OSError):
                _new_user(attempt, gid)
                return walls._replace(network=True, user=True, pid=True, proc=True)
    return walls


def _new_user(uid_map: str, gid: int) -> None:
    linux.unshare(linux.NEWUSER | linux.NEWNET)
    alone = uid_map.count("\n") == 1
    if alone:
        _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", uid_map)
    _write("/proc/self/gid_map", f"{gid} {gid} 1\n" + ("" if alone else f"{USER} {USER} 1\n"))


def _privileged() -> bool:
    with open("/proc/self/status") as file:
        return any(line.startswith("CapPrm:") and int(line.split()[1], 16) > 0 for line in file)


def _probed(attempt: Callable[[], None]) -> bool:
    """Whether it works, tried in a child."""
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            attempt()
            os._exit(0)
        os._exit(1)
    return os.waitpid(child, 0)[1] == 0


def part(walls: Walls, folder: str, setup: Mapping[str, Any]) -> None:
    """Leave for namespaces of one answer; the next child is the first process in them."""
    linux.unshare(linux.NEWPID | linux.NEWNS | linux.NEWIPC)
    linux.keep_mounts_private()
    with contextlib.suppress(OSError):  # older than Linux 5.12; what Landlock refuses is refused all the same
        linux.all_read_only()
    linux.mount_folder(folder, size_mb=setup["file_mb"], files=setup["files"])


def shut(walls: Walls, folder: str, setup: Mapping[str, Any], reads: Sequence[str]) -> None:
    """The last step, in the process of the answer itself. Nothing is undone: an error here must end it."""
    if LINUX:
        linux.dumpable(True)  # its own /proc is its own
        if walls.proc:
            linux.mount_proc()
        with contextlib.suppress(OSError):
            _write("/proc/self/oom_score_adj", "1000")  # if memory runs out, this goes first
    _limit(setup, walls)
    if walls.other:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    os.chdir(folder)
    if LINUX:
        linux.die_with_parent(signal.SIGKILL)  # after the change of user, which clears it
        linux.no_new_privileges()
        linux.drop_capabilities()
        if walls.landlock:
            inner = ("/proc",) if walls.proc else ()
            landlock.restrict(reads=(*reads, *inner), writes=(folder,), version=walls.landlock)


def _limit(setup: Mapping[str, Any], walls: Walls) -> None:
    for what, most in (
        (resource.RLIMIT_FSIZE, setup["file_mb"] << 20),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, setup["memory_mb"] << 20),
    ):
        lower(what, most, hard=most)
    # At the soft limit a signal says so; it can be swallowed, what comes a second later cannot.
    lower(resource.RLIMIT_CPU, setup["cpu_s"], hard=setup["cpu_s"] + 1)
    if walls.tasks >= 0:
        most = walls.tasks + setup["processes"] + SLACK
        lower(resource.RLIMIT_NPROC, most, hard=most)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
