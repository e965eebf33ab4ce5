"""The few system calls of Linux that Python 3.11 has no names for. Imported on Linux only."""

import ctypes
import os
from typing import Any, Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)

NEWNS, NEWIPC, NEWUSER, NEWPID, NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000

_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REC, _PRIVATE = 1, 2, 4, 8, 0x4000, 0x40000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE = 442, -100, 0x8000
_RULESET, _RULE, _RESTRICT = 444, 445, 446  # Landlock; one number on all architectures
_CAPABILITY_VERSION = 0x20080522


def _checked(result: int, what: str) -> int:
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def unshare(flags: int) -> None:
    """Leave namespaces for new ones."""
    _checked(_LIBC.unshare(flags), "unshare")


def _prctl(option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _checked(_LIBC.prctl(option, ctypes.c_ulong(value), zero, zero, zero), f"prctl {option}")


def dumpable(allowed: bool) -> None:
    """Whether processes of the same user may read this one's memory and environment."""
    _prctl(_PR_SET_DUMPABLE, int(allowed))


def adopt_orphans() -> None:
    """Descendants whose parent has ended become children of this process."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signal: int) -> None:
    """Be sent `signal` when the parent ends."""
    _prctl(_PR_SET_PDEATHSIG, signal)


def no_new_privileges() -> None:
    """No program that is started gains rights, whatever its file says."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up every right of an administrator."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    _checked(_LIBC.capset(header, (ctypes.c_uint32 * 6)()), "capset")


def keep_mounts_private() -> None:
    """What is mounted here is seen nowhere else."""
    _checked(_LIBC.mount(None, b"/", None, _REC | _PRIVATE, None), "mount --make-rprivate")


def mount_folder(path: str, *, size_mb: int, files: int) -> None:
    """A folder in memory, which ends with its namespace."""
    options = f"size={size_mb}m,nr_inodes={files + 1},mode=777".encode()
    flags = _NOSUID | _NODEV
    _checked(_LIBC.mount(b"tmpfs", path.encode(), b"tmpfs", flags, options), "mount tmpfs")


def mount_proc() -> None:
    """The processes of this namespace and no others."""
    _checked(_LIBC.mount(b"proc", b"/proc", b"proc", _NOSUID | _NODEV | _NOEXEC, None), "mount proc")


def all_read_only() -> None:
    """Every file system that is mounted now."""
    attributes = (ctypes.c_uint64 * 4)(_RDONLY, 0, 0, 0)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    call = _LIBC.syscall(_MOUNT_SETATTR, _AT_FDCWD, b"/", _AT_RECURSIVE, attributes, size)
    _checked(call, "mount_setattr")


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32)]


def landlock_version() -> int:
    """Of Landlock in this kernel; 0 without."""
    return max(0, int(_LIBC.syscall(_RULESET, None, ctypes.c_size_t(0), 1)))


def landlock_ruleset(files: int, network: int, scoped: int, version: int) -> int:
    """A descriptor of a ruleset that refuses these rights, but for what is allowed next."""
    size = ctypes.c_size_t(8 if version < 4 else 16 if version < 6 else 24)
    attributes: Any = (ctypes.c_uint64 * 3)(files, network, scoped)
    return _checked(_LIBC.syscall(_RULESET, attributes, size, 0), "landlock_create_ruleset")


def landlock_allow(ruleset: int, path: int, rights: int) -> None:
    """Allow `rights` at the open descriptor `path` and, where it is a folder, beneath."""
    rule = _Beneath(rights, path)
    _checked(_LIBC.syscall(_RULE, ruleset, 1, ctypes.byref(rule), 0), "landlock_add_rule")


def landlock_restrict(ruleset: int) -> None:
    """From here on, for this process and all it starts."""
    _checked(_LIBC.syscall(_RESTRICT, ruleset, 0), "landlock_restrict_self")
