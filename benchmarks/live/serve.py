"""llama.cpp's own OpenAI-compatible server, one process per model.

    python benchmarks/live/serve.py MODEL.gguf SLOTS THREADS

As a process it prints its address when it listens, and ends with its standard input.
"""

import contextlib
import importlib
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

CONTEXT: Final = 1536
"""Tokens of one slot: the longest prompt has 442, an answer at most 256, and both go back where one is revised."""

READ: Final = {
    "prompt_tokens": "prompt_tokens_total",
    "prompt_s": "prompt_seconds_total",
    "output_tokens": "tokens_predicted_total",
    "output_s": "tokens_predicted_seconds_total",
    "decodes": "n_decode_total",
    "busy_slots": "n_busy_slots_per_decode",
}
"""What is kept of the server's own counters; `busy_slots` is the mean size of a batch that is decoded."""


@contextlib.contextmanager
def serving(model: Path, *, slots: int, threads: int, log: Path) -> Iterator[str]:
    """Run a server as a process; gives its address."""
    command = [sys.executable, __file__, str(model), str(slots), str(threads)]
    # Two servers share the cores: a thread that waits for the other one sleeps and does not spin.
    environment = {**os.environ, "OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": str(threads)}
    with log.open("w") as said:
        server = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=environment,
        )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        addresses = (line.split()[1] for line in server.stdout if line.startswith("ADDRESS "))
        address = next(addresses, "")
        if not address:
            raise RuntimeError(f"llama.cpp did not start; its log {log} ends: {log.read_text()[-2000:]}")
        yield address
    finally:
        server.kill()
        server.wait()
        server.stdin.close()
        server.stdout.close()


def counters(address: str) -> Mapping[str, float]:
    """The server's counters since it started."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as got:
        return read_counters(got.read().decode())


def read_counters(text: str) -> Mapping[str, float]:
    r"""What is kept of a page in the Prometheus format.

    >>> read_counters("# TYPE llamacpp:n_decode_total counter\nllamacpp:n_decode_total 12\n")
    {'decodes': 12.0}
    """
    values = dict(re.findall(r"^llamacpp:(\w+) (\S+)$", text, re.MULTILINE))
    return {name: float(values[theirs]) for name, theirs in READ.items() if theirs in values}


def main() -> None:
    """Serve until the standard input closes."""
    model, slots, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    xllamacpp = importlib.import_module("xllamacpp")  # without types, and perhaps not installed
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.port = 0
    params.n_parallel = slots
    params.n_ctx = slots * CONTEXT
    params.endpoint_metrics = True
    params.cache_ram_mib = 0  # nothing is kept but what is in the slots
    for cores in (params.cpuparams, params.cpuparams_batch):
        cores.n_threads = threads
        cores.poll = 0
    server = xllamacpp.Server(params)
    sys.stdout.write(f"ADDRESS {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
