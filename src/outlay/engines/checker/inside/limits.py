"""Limits that the kernel keeps for one process."""

import contextlib
import resource


def lower(what: int, limit: int, *, hard: int | None = None) -> None:
    """Set the soft limit, which may rise again, and perhaps the hard one; never above what is set."""
    _, most = resource.getrlimit(what)
    if most != resource.RLIM_INFINITY:
        limit, hard = min(limit, most), most if hard is None else min(hard, most)
    with contextlib.suppress(ValueError, OSError):  # macOS refuses RLIMIT_AS
        resource.setrlimit(what, (limit, most if hard is None else hard))
