"""An engine of one's own: a program that reads a prompt and writes an answer. Put your model's in its place.

An engine says what a call may cost at most, performs it, and says what it did cost. A token is a word here, since this
program counts none; what it writes beyond the cap is cut, so that the most that was promised is kept.
"""

import asyncio
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import outlay
from outlay.types import Ask, Call, Completion, Cost, Delivery, Usage


@dataclass
class Program:
    """Starts `command` for each copy, with the prompt as its input."""

    command: tuple[str, ...]
    lockstep: bool = False  # what is back is used at once, and other calls go on
    chunk: int = 1

    def worst(self, call: Call) -> Cost:
        output = call.n * (call.max_tokens or call.arm.max_tokens)
        return Cost(len(asked(call).split()) + output, output)

    def expected(self, call: Call) -> Cost:
        return Cost(len(asked(call).split()) + 4 * call.n, 4 * call.n)

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        return [await asyncio.to_thread(self.perform, call) for call in calls]

    async def close(self) -> None:
        """Nothing is held."""

    def perform(self, call: Call) -> Delivery:
        copies: list[Completion] = []
        used = Usage(len(asked(call).split()))
        for _ in range(call.n):
            done = subprocess.run(self.command, input=asked(call), capture_output=True, text=True)
            if done.returncode != 0:
                return Delivery(tuple(copies), used, error=done.stderr.strip() or f"exit {done.returncode}")
            words = done.stdout.split()[: call.max_tokens or call.arm.max_tokens]
            copies.append(Completion(" ".join(words), output_tokens=len(words)))
            used += Usage(output=len(words))
        return Delivery(tuple(copies), used)


def asked(call: Call) -> str:
    return call.payload.messages[-1].content if isinstance(call.payload, Ask) else ""


adder = Program((sys.executable, "-c", "print('The sum is', sum(map(int, input().split('+'))))"))
arm = outlay.Arm("adder", engine="program", deterministic=True, max_tokens=20)
sums = ["17 + 25", "308 + 64", "5 + x"]
print(outlay.run(sums, budget="100tok", answer="number", models=[arm], engines={"program": adder}))
