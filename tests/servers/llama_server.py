"""llama.cpp's own OpenAI-compatible server in a process: `python llama_server.py MODEL.gguf SLOTS CONTEXT`.

Prints its address when it listens, and ends with its standard input.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def serving(model: Path, slots: int, context: int, log: Path) -> Iterator[str]:
    """Run the server as a process; gives its base URL. `context` is that of one slot."""
    command = [sys.executable, str(Path(__file__)), str(model), str(slots), str(context)]
    with log.open("w") as said:
        server = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True
        )
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            addresses = (line.split()[1] for line in server.stdout if line.startswith("ADDRESS "))
            address = next(addresses, "")
            if not address:
                raise RuntimeError(f"llama.cpp did not start; its log ends: {log.read_text()[-2000:]}")
            yield f"{address}/v1"
        finally:
            server.kill()
            server.wait()
            server.stdin.close()
            server.stdout.close()


def main() -> None:
    """Serve until the standard input closes."""
    import xllamacpp

    model, slots, context = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.port = 0
    params.n_parallel = slots
    params.n_ctx = slots * context
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    sys.stdout.write(f"ADDRESS {server.listening_address}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
