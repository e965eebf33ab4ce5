"""Runs of known truth that the resume tests stop, kill and go on with.

As a program, `resumable.py NAME DIRECTORY LOG NAP` runs one, sleeping NAP seconds a call, and writes the key
of every call that its engines serve to LOG. Interrupted, it exits with 130.
"""

import asyncio
import hashlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from outlay.driver import Job, Progress, Summary, run_job
from outlay.engines.simulated import Simulated
from outlay.flow import Arms, Candidate, Decision, Evidence, Flow, Leg, Offer, Sub, loop
from outlay.strategies import STRATEGIES, auto, vote
from outlay.types import (
    Answer,
    Arm,
    Ask,
    Budget,
    Call,
    Completion,
    Confidence,
    Cost,
    Message,
    Price,
    Prompt,
    Usage,
)

SMALL = Arm("small", "models", "small", max_tokens=60, price=Price(100_000_000, 400_000_000))
BIG = Arm("big", "models", "big", max_tokens=240, price=Price(1_000_000_000, 4_000_000_000))
GREEDY = replace(SMALL, name="small:greedy", deterministic=True, temperature=0.0)
CHECK = Arm("check", "checks", role="check")
JUDGE = Arm("judge", "models", "small", max_tokens=8, price=SMALL.price, role="judge")
JUDGES = (
    JUDGE,
    replace(JUDGE, name="dear_judge", max_tokens=40, price=BIG.price),
    replace(JUDGE, name="good_judge"),
)
INPUT = 20  # tokens of every prompt


def chance(*parts: object) -> float:
    """A number in [0, 1) that depends on nothing but what it is asked for."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=7).digest()) / 2**56


def truth(prompt_id: str) -> str:
    return str(int(chance(prompt_id, "truth") * 90) + 10)


def answered(call: Call, ordinal: int) -> Completion:
    """Easy and hard prompts, a big arm that is better, wrong answers that scatter or gather."""
    who, at = call.prompt_id, (call.key.rsplit(".", 1)[0], ordinal)
    if not isinstance(call.payload, Ask):
        return Completion("", passed=call.payload.answer == truth(who))
    if call.arm.role == "judge":
        text = call.payload.messages[-1].content
        right = f"answer:\n{truth(who)}\n" in text
        return Completion("yes" if (chance(at, "judge") < 0.85) == right else "no", output_tokens=1)
    ease = chance(who, "ease") + (0.25 if call.arm.model == "big" else 0.0)
    right = chance(at, "draw") < ease
    number = truth(who) if right else str(100 + int(chance(at, "wrong") ** 2 * 12))
    most = call.max_tokens
    tokens = 1 + int(chance(at, "tokens") ** 2 * (most - 1))
    sure = -0.02 - 0.6 * chance(at, "sure") * (0.5 if right else 1.0)
    finish = "length" if tokens == most else "stop"
    text = "I do not know" if chance(at, "blank") < 0.03 else f"The answer is {number}"
    return Completion(text, finish, tokens, Confidence(sure, sure * 2, sure))


def engines(log: int | None, nap: float, chunk: int) -> dict[str, Simulated]:
    """One that serves the models and one that checks."""

    def served(call: Call, ordinal: int) -> Completion:
        if ordinal == call.ordinal and log is not None:
            time.sleep(nap)
            os.write(log, f"{call.key}\n".encode())
        return answered(call, ordinal)

    def most(call: Call) -> Cost:
        out = call.n * (call.max_tokens or call.arm.max_tokens)
        return Cost(INPUT + out, out, call.arm.price.of(Usage(INPUT, out)))

    def guess(call: Call) -> Cost:
        out = call.n * max((call.max_tokens or call.arm.max_tokens) // 3, 1)
        return Cost(INPUT + out, out, call.arm.price.of(Usage(INPUT, out)))

    def used(call: Call, copies: tuple[Completion, ...]) -> Usage:
        return Usage(INPUT, sum(copy.output_tokens for copy in copies))

    return {
        "models": Simulated(served, most, guess, used, chunk=chunk),
        "checks": Simulated(served, Cost(), Cost(), chunk=chunk),
    }


def parts(prompt: Prompt, arms: Arms) -> Flow:
    """A chain of three sub-flows whose answers are the draw; beside it plain answers."""
    sub = Prompt(prompt.id, (Message("user", "one part"),), "number")
    evidence = Evidence()
    while True:
        done = len(evidence.notes)
        menu = []
        if done < 3:
            rest = (Leg("part", "vote", 2 - done),) if done < 2 else ()
            menu.append(Offer("part", "vote", Sub(vote, sub), "note", rest=rest))
        if not done:
            menu += next(auto(prompt, arms))
        got = yield tuple(menu)
        if isinstance(got, Decision):
            return got.candidate
        evidence = got
        if len(evidence.notes) == 3:
            text = evidence.notes[-1].text
            return Candidate(text, text)


def sides(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
    """Answers, and draws made of two flows side by side."""
    sub = Prompt(prompt.id, (Message("user", "one side"),), "number")
    flows = Offer("sides", "vote", (Sub(vote, sub), Sub(vote, sub)))
    plain = next(vote(prompt, arms))
    return (*plain, flows) if len(evidence.draws) < 6 else plain


STRATEGIES["parts"] = (parts, "a chain of three sub-flows, or plain answers")
STRATEGIES["sides"] = (loop(sides), "plain answers, or two sub-flows side by side")
BEDS: Mapping[str, Mapping[str, Any]] = {
    "votes": {"prompts": 120, "arms": (SMALL, BIG), "budget": Budget(tok=24_000), "strategy": "vote"},
    "checks": {"prompts": 220, "arms": (GREEDY, SMALL, BIG, CHECK), "budget": Budget(tok=30_000)},
    "judges": {
        "prompts": 24,
        "arms": (SMALL, BIG, *JUDGES),
        "budget": Budget(tok=12_000),
        "known": {"good_judge": (0.98, 0.98)},
    },
    "code": {"prompts": 120, "arms": (SMALL, BIG, CHECK), "budget": Budget(tok=24_000), "answer": ("text",)},
    "two_units": {"prompts": 120, "arms": (SMALL, BIG), "budget": Budget(tok=30_000, usd=36_000_000)},
    "parts": {"prompts": 60, "arms": (SMALL, BIG), "budget": Budget(tok=25_000), "strategy": "parts"},
    "sides": {"prompts": 60, "arms": (SMALL, BIG), "budget": Budget(tok=25_000), "strategy": "sides"},
    "twins": {
        "prompts": 150,
        "distinct": 100,
        "arms": (SMALL, BIG),
        "budget": Budget(tok=20_000),
        "policy": "lead:3",
    },
    "fewer_open": {
        "prompts": 120,
        "arms": (SMALL, BIG, CHECK),
        "budget": Budget(tok=20_000),
        "open_points": 40,
    },
    "mixed": {
        "prompts": 60,
        "arms": (SMALL, BIG, CHECK, JUDGE),
        "budget": Budget(tok=20_000),
        "strategy": "parts",
        "answer": ("number", "text", "regex:[0-9]+"),
        "open_points": 30,
    },
    "held_out": {"prompts": 120, "arms": (SMALL, BIG), "budget": Budget(tok=24_000), "holdout": 0.3},
    "one_by_one": {
        "prompts": 80,
        "arms": (SMALL, BIG),
        "budget": Budget(tok=2_500),
        "holdout": 0.3,
        "open_points": 50,
    },
    "poor": {"prompts": 200, "arms": (SMALL, BIG, CHECK), "budget": Budget(tok=6_000)},
}


def job(name: str, directory: Path | None, log: int | None = None, nap: float = 0.0, chunk: int = 8) -> Job:
    bed = dict(BEDS[name])
    count, kinds = bed.pop("prompts"), bed.pop("answer", ("number",))
    distinct = bed.pop("distinct", count)
    asked = [(Message("user", f"question {i % distinct}"),) for i in range(count)]
    prompts = tuple(Prompt(f"p{i}", asked[i], kinds[i * len(kinds) // count]) for i in range(count))
    return Job(prompts, bed.pop("arms"), engines(log, nap, chunk), directory=directory, **bed)


def run(
    job: Job, watch: Callable[[Progress], None] | None = None, stop: Callable[[], int] | None = None
) -> tuple[Summary, tuple[Answer, ...]]:
    return asyncio.run(run_job(job, watch, stop))


def main(name: str, directory: str, log: str, nap: str) -> int:
    asked = 0

    def ask(*_: object) -> None:
        nonlocal asked
        asked += 1

    signal.signal(signal.SIGINT, ask)
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    summary, _ = run(job(name, Path(directory), file, float(nap)), stop=lambda: min(asked, 2))
    return 130 if summary.end == "interrupted" else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
