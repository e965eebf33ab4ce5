"""What a verdict costs, by kind of check, beside the bare system calls that it rests on.

    python benchmarks/checks.py [--answers N]

Each line is the best of eight rounds, taken in turns: the one least disturbed by what else the machine does. `fork`
is a child of this process that ends at once, `fork, exec` starts `/bin/true`; both are waited for. The last column
says how many of the latter a verdict costs.
"""

import argparse
import asyncio
import os
import subprocess
import time
from collections.abc import Callable

from outlay.engines.checker import Checker
from outlay.types import Arm, Call, Prompt, Test

ROUNDS = 8
ADD = "def add(a, b):\n    return a + b\n"
PROMPT = Prompt("p", (), metadata={"unit": ["assert add(2, 3) == 5", "assert add(0, 0) == 0"]})
CHECKS = {
    "a function": (f"{__file__}:passes", ()),
    "regex": ("regex:return", ()),
    "tests": ("tests:unit", ()),
    "tests, no namespaces": ("tests:unit", ("namespaces",)),
    "tests, no walls": ("tests:unit", ("namespaces", "landlock", "user")),
    "command": ("command:true", ()),
    "a new Python": ("command:python3 -I {file}", ()),
}


def passes(answer: str) -> bool:
    return "return" in answer


def fork() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


def fork_exec() -> None:
    subprocess.run(["/bin/true"], check=True)


def repeated(work: Callable[[], None], count: int) -> None:
    for _ in range(count):
        work()


def timed(work: Callable[[], object], count: int) -> float:
    """Seconds for one of `count`."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) / count


def judge(engine: Checker, count: int) -> None:
    done = asyncio.run(engine.complete([Call(Arm("check", "check"), Test(PROMPT, ADD, ADD))] * count))
    assert all(one.completions[0].passed for one in done)


def main(answers: int) -> None:
    engines = {name: Checker(spec, without=without) for name, (spec, without) in CHECKS.items()}
    for engine in engines.values():
        engine.start()
    counts = {name: answers * (50 if name in ("a function", "regex") else 1) for name in engines}
    works: dict[str, tuple[Callable[[], object], int]] = {
        "fork": (lambda: repeated(fork, answers), answers),
        "fork, exec": (lambda: repeated(fork_exec, answers), answers),
    }
    for name, engine in engines.items():
        works[name] = (lambda e=engine, n=counts[name]: judge(e, n), counts[name])  # type: ignore[misc]
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, (work, count) in works.items():
            seconds[name].append(timed(work, count))
    for engine in engines.values():
        asyncio.run(engine.close())
    show(seconds)


def show(seconds: dict[str, list[float]]) -> None:
    unit = min(seconds["fork, exec"])
    print(f"{'verdict':<22} {'ms':>8} {'per fork, exec':>15}")
    for name, rounds in seconds.items():
        each = min(rounds)
        print(f"{name:<22} {1000 * each:>8.3f} {each / unit:>15.2f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--answers", type=int, default=40, help="a round of each slow kind (40)")
    main(parser.parse_args().answers)
