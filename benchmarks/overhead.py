"""What the market itself costs: purchases settled per second on one core, with an instant engine.

    python benchmarks/overhead.py [--prompts N] [--profile]

`priced`, two models with confidence and one check, one copy a purchase, ledger in three units, journal on a real
file. A purchase is one call settled. Printed beside it: the same calls made without a market (a loop that asks the
engine and writes each delivery to the same journal), so that machines can be compared.
Time is processor time of the process, so that what else the machine does counts little.
"""

import argparse
import asyncio
import cProfile
import pstats
import random
import tempfile
import time
from pathlib import Path

from outlay import journal as journals
from outlay.driver import Job, run_job
from outlay.engines.simulated import Simulated
from outlay.journal import Journal, JournalLine
from outlay.types import (
    FREE,
    Arm,
    Budget,
    Call,
    Completion,
    Confidence,
    Cost,
    Message,
    Price,
    Prompt,
    Test,
    Usage,
)

PRICE = Price(input=100_000_000, output=400_000_000)
ARMS = (
    Arm("small", "sim", "s", price=PRICE),
    Arm("big", "sim", "b", price=PRICE),
    Arm("check", "sim", role="check"),
)


def answer(call: Call, ordinal: int) -> Completion:
    """Hard for both, so that each prompt takes several purchases; the check knows."""
    r = random.Random(f"{call.prompt_id}{call.arm.name}{ordinal}")
    if isinstance(call.payload, Test):
        return Completion("", passed=call.payload.answer == "7")
    right = r.random() < (0.35 if call.arm.name == "small" else 0.55)
    text = "7" if right else str(r.randint(10, 99))
    return Completion(text, output_tokens=20, confidence=Confidence(-0.1 - 0.3 * r.random(), -0.5, -0.3))


def engine() -> Simulated:
    def cost(call: Call) -> Cost:
        return FREE if isinstance(call.payload, Test) else Cost(call.n * 30, call.n * 20, call.n * 10_000)

    def used(call: Call, copies: tuple[Completion, ...]) -> Usage:
        return Usage() if isinstance(call.payload, Test) else Usage(10, 20 * len(copies))

    return Simulated(answer, cost, cost, used, chunk=256)


def one_copy(prompts: int) -> tuple[Prompt, ...]:
    return tuple(Prompt(f"p{i}", (Message("user", f"q {i}"),), "number") for i in range(prompts))


def market(prompts: int, open_points: int) -> tuple[int, float, int]:
    """Calls settled, processor seconds, prompts."""
    with tempfile.TemporaryDirectory() as folder:
        budget = Budget(tok=prompts * 150, outtok=prompts * 100, usd=prompts * 60_000)
        job = Job(
            one_copy(prompts),
            ARMS,
            {"sim": engine()},
            budget=budget,
            directory=Path(folder),
            open_points=open_points,
        )
        began = time.process_time()
        summary, _ = asyncio.run(run_job(job))
        return sum(line.purchases for line in summary.lines), time.process_time() - began, prompts


def bare(calls: int) -> float:
    """Processor seconds of the same number of calls without a market."""
    prompts = one_copy(calls)
    sim = engine()
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "journal.db")
        began = time.process_time()
        for at in range(0, calls, 64):
            from outlay.types import Ask

            batch = [Call(ARMS[0], Ask(p.messages), p.id, p.id, max_tokens=64) for p in prompts[at : at + 64]]
            deliveries = asyncio.run(sim.complete(batch))
            journal.append(
                JournalLine("done", call.key, journals.encode(delivery))
                for call, delivery in zip(batch, deliveries, strict=True)
            )
        seconds = time.process_time() - began
        journal.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--profile", action="store_true", help="the top lines of a profile with 64 open")
    args = parser.parse_args()
    if args.profile:
        profile = cProfile.Profile()
        profile.runcall(market, args.prompts, 64)
        pstats.Stats(profile).sort_stats("tottime").print_stats(30)
        return
    print(f"{'open':>6}{'calls':>9}{'calls/prompt':>14}{'cpu s':>10}{'calls/s':>10}{'bare calls/s':>14}")
    for open_points, share in ((64, 1.0), (1, 0.2), (10_000, 1.0)):
        calls, seconds, prompts = market(int(args.prompts * share), open_points)
        without = bare(calls)
        print(
            f"{open_points:>6}{calls:>9}{calls / prompts:>14.1f}{seconds:>10.2f}{calls / seconds:>10.0f}"
            f"{calls / without:>14.0f}"
        )


if __name__ == "__main__":
    main()
