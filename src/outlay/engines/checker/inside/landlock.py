"""Which files a confined process may read and write, by Landlock (Linux 5.13 and later; no privilege needed)."""

import os
import stat
import sys
from collections.abc import Sequence
from typing import Final

from outlay.engines.checker.inside import linux

_EXECUTE, _WRITE, _READ, _LIST = 1, 2, 4, 8
_CHANGES: Final = 0x1FF0  # remove, and make of every type
_REFER, _TRUNCATE, _DEVICES = 1 << 13, 1 << 14, 1 << 15
_SINCE: Final = {_REFER: 2, _TRUNCATE: 3, _DEVICES: 5}
_OF_A_FILE: Final = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICES
_LOOK: Final = _EXECUTE | _READ | _LIST
_TCP, _TCP_SINCE = 3, 4  # bind and connect
_SCOPED, SCOPED_SINCE = 3, 6
"""Abstract Unix sockets and signals stay inside."""

SYSTEM: Final = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/opt", "/nix/store", "/sys/devices/system/cpu"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/localtime", "/etc/alternatives"),
    *("/etc/nsswitch.conf", "/etc/passwd", "/etc/group", "/etc/hosts", "/etc/mime.types", "/etc/fonts"),
)
"""What programs are made of. No home folder, and of /etc only what names no secret."""

DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty")


def python_needs() -> tuple[str, ...]:
    """The folders of the interpreter and of what it can import."""
    prefixes = (sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix)
    paths = [os.path.realpath(path) for path in (*prefixes, *sys.path) if path]
    # The root, or a path that is not there, opens nothing.
    return tuple(dict.fromkeys(path for path in paths if path != "/" and os.path.exists(path)))


def restrict(*, reads: Sequence[str], writes: Sequence[str], version: int) -> None:
    """Refuse all files but these, TCP, and signals to others, as far as the kernel's `version` goes."""
    files = _LOOK | _WRITE | _CHANGES
    for right, since in _SINCE.items():
        files |= right if version >= since else 0
    network = _TCP if version >= _TCP_SINCE else 0
    scoped = _SCOPED if version >= SCOPED_SINCE else 0
    ruleset = linux.landlock_ruleset(files, network, scoped, version)
    for path in reads:
        _allow(ruleset, path, _LOOK & files)
    for path in DEVICES:
        _allow(ruleset, path, (_READ | _WRITE | _TRUNCATE | _DEVICES) & files)
    for path in writes:
        _allow(ruleset, path, files)
    linux.landlock_restrict(ruleset)
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # not on this system, or not for this user
    try:
        folder = stat.S_ISDIR(os.fstat(opened).st_mode)
        linux.landlock_allow(ruleset, opened, rights if folder else rights & _OF_A_FILE)
    finally:
        os.close(opened)
