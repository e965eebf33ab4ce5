"""Run numpy's matrix products on one thread for a while.

The products of the pocket model are far too small to share: with other busy processes beside it, a second
BLAS thread made generation 3 to 40 times slower, as each product waits for a core.
"""

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np


class _Hold:
    """Counts who holds the one thread: the first sets it, the last gives the others back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders = 0
        self._before = 1

    def enter(self, library: ctypes.CDLL) -> None:
        with self._lock:
            if self._holders == 0:
                self._before = library.scipy_openblas_get_num_threads64_()
                library.scipy_openblas_set_num_threads64_(1)
            self._holders += 1

    def leave(self, library: ctypes.CDLL) -> None:
        with self._lock:
            self._holders -= 1
            if self._holders == 0:
                library.scipy_openblas_set_num_threads64_(self._before)


_HOLD = _Hold()  # the number of threads belongs to the process, and so does this


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold the OpenBLAS that numpy's wheels bring at one thread; with another BLAS, do nothing."""
    library = _openblas()
    if library is None:
        yield
        return
    _HOLD.enter(library)
    try:
        yield
    finally:
        _HOLD.leave(library)


@lru_cache(maxsize=1)
def _openblas() -> ctypes.CDLL | None:
    for path in sorted((Path(np.__file__).parent.parent / "numpy.libs").glob("libscipy_openblas64_*")):
        library = ctypes.CDLL(str(path))
        if hasattr(library, "scipy_openblas_set_num_threads64_"):
            return library
    return None
