"""How long does a user wait before outlay says anything?

Wall clock of fresh interpreters, best and median of several, beside the interpreter's own start. The target
is `outlay --help` under 0.3 s, so the gap to the bare interpreter should stay near 0.1 s.
"""

import importlib.util
import statistics
import subprocess
import sys
import time

REPEATS = 9
HELP = "import sys; sys.argv = ['outlay', '--help']; from outlay.cli import main; main()"
CASES = {  # what is timed: (the module it needs, the code)
    "python -c pass": ("sys", "pass"),
    "import outlay": ("outlay", "import outlay"),
    "outlay --help": ("outlay.cli", HELP),
    "import outlay.market": ("outlay.market", "import outlay.market"),
}


def seconds(code: str) -> list[float]:
    """Wall clock of each of `REPEATS` interpreters that run `code`."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=True)
        times.append(time.perf_counter() - start)
    return times


def main() -> None:
    print(f"{'':24}{'best ms':>10}{'median ms':>12}")
    for label, (module, code) in CASES.items():
        if importlib.util.find_spec(module) is None:
            print(f"{label:24}{'not there yet':>22}")
            continue
        times = seconds(code)
        print(f"{label:24}{min(times) * 1e3:10.0f}{statistics.median(times) * 1e3:12.0f}")


if __name__ == "__main__":
    main()
