import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SERVER = Path(__file__).parents[1] / "servers" / "letters_server.py"


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    """An endpoint with the models `small` and `big`."""
    server = subprocess.Popen([sys.executable, str(SERVER)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.fixture(scope="session")
def bare() -> dict[str, str]:
    """The environment of a machine where no endpoint is set."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "OUTLAY_"))
    } | {"PYTHONWARNINGS": "error"}
