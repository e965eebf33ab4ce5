"""Limits that the kernel keeps for one process."""

import contextlib
import resource


def lower(what: int, limit: int, *, hard: bool = False) -> None:
    """Set the soft limit, which may rise again, or both; never above the hard one."""
    _, most = resource.getrlimit(what)
    limit = limit if most == resource.RLIM_INFINITY else min(limit, most)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS
        resource.setrlimit(what, (limit, limit if hard else most))
