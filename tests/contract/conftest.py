import os
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

# Before numpy is loaded: on a busy machine threads that wait for each other slow the pocket model 20-fold.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

SERVER = Path(__file__).parents[1] / "servers" / "openai_server.py"


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with runpy.run_path(str(SERVER), run_name="openai_server")["serving"]() as url:
        yield url
