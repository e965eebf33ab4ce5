"""What a budget in seconds buys: recorded answers behind an imitation of two small servers on one machine.

    python benchmarks/seconds.py [--seeds 10] [--dollars]

The 60 tasks and the two models of `benchmarks/live`, their recorded answers and visible checks. Each model has a server
that takes 16 calls at once; servers that have calls share one processor evenly, and so do the calls of each. Time is
reckoned, not waited for, so a run is the same each time. A token of the big model takes .055 s of the processor and one
of the small .020 s (`apart`), or .035 s (`near`, as on the machine of `benchmarks/live`). The unit is the time of one
greedy answer of the big model to each task. Means over seeds, which change the draws; the greedy answers are the same
in all. With `--dollars` the budgets are parts of its notional dollars instead, and the time is what they take. *Under
way* is the mean number of calls until the last is back. It is a rough bed for a mechanism, not evidence.
"""

import argparse
import asyncio
import statistics
import sys
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.live import plan  # noqa: E402  (found through the line above)

from outlay.driver.begin import setting  # noqa: E402
from outlay.driver.rows import answer_of  # noqa: E402
from outlay.engines.base import Engine  # noqa: E402
from outlay.market import Market  # noqa: E402
from outlay.study.code_runs import ENGINE, by_recording, job_of  # noqa: E402
from outlay.types import Arm, Budget, Call, Cost, Delivery  # noqa: E402

EXAMPLES = ROOT / "examples"
PLACES = 16
ALONE_S = {"apart": {"small": 0.020, "big": 0.055}, "near": {"small": 0.035, "big": 0.055}}
"""Seconds a token of a call that has the processor to itself."""
LEVELS = (0.5, 0.75, 1.0, 1.25)


class Ran(NamedTuple):
    """What came of a run: right answers, prompts without one, the time in ms, calls under way, nano-dollars."""

    right: int
    without: int
    ms: int
    busy: float
    usd: int


class Server:
    """Names the costs of one model's server as an endpoint's engine does; the calls are performed by `run`."""

    lockstep, chunk = False, 1

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self.took: list[int] = []

    def worst(self, call: Call) -> Cost:
        return replace(self._inner.worst(call), ms=max(self.took, default=0))

    def expected(self, call: Call) -> Cost:
        return replace(self._inner.expected(call), ms=sum(self.took) // max(len(self.took), 1))

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        raise AssertionError("performed by `run`")

    async def close(self) -> None:
        """Nothing is held."""


def run(alone_s: dict[str, float], budget: Budget, seed: int, policy: str = "priced", only: str = "") -> Ran:
    """One run on the tasks of the live protocol."""
    job = job_of(EXAMPLES, budget=1.0, seed=seed, policy=policy)
    tasks = {prompt.id for prompt in plan.chosen(job.prompts)[0]}
    prompts = tuple(prompt for prompt in job.prompts if prompt.id in tasks)
    recorded = job.engines[ENGINE]
    servers = {model: Server(recorded) for model in alone_s}
    arms = [
        arm if arm.role == "check" else replace(arm, engine=arm.model)
        for arm in job.arms
        if arm.role == "check" or (arm.model in servers and only in ("", arm.name))
    ]
    used = {arm.engine for arm in arms}
    engines: dict[str, Engine] = {ENGINE: recorded}
    engines |= {name: server for name, server in servers.items() if name in used}
    job = replace(
        job, prompts=prompts, arms=tuple(arms), engines=engines, budget=budget,
        at_once={name: PLACES for name in engines if name != ENGINE},
    )  # fmt: skip
    market = Market(setting(job), list(prompts))
    now, busy = _played(market, servers, recorded, alone_s)
    grader, by_id = by_recording(EXAMPLES), {prompt.id: prompt for prompt in prompts}
    answers = [row for settled in market.settled for row in answer_of(settled, 0.0, ())]
    right = sum(bool(grader(by_id[answer.id], answer)) for answer in answers)
    without = sum(answer.outcome != "answered" for answer in answers)
    return Ran(right, without, round(now), busy / now, market.ledger.spent.usd)


def _played(
    market: Market, servers: dict[str, Server], recorded: Engine, alone_s: dict[str, float]
) -> tuple[float, float]:
    """The driver's part, by a clock that is reckoned; the time at the end in ms, and what all calls took together."""
    taken, now, late = 0.0, 0.0, "not sent: it might not have been back at the deadline"
    left: dict[str, float] = {}  # what calls under way still need of the processor, in ms
    back: dict[str, tuple[float, Delivery]] = {}
    sent: dict[str, Call] = {}
    waiting: dict[str, deque[Call]] = {name: deque() for name in servers}
    while not market.finished:
        for call in market.step(round(now)):
            if call.arm.engine in servers:
                waiting[call.arm.engine].append(call)
            else:
                [delivery] = asyncio.run(recorded.complete([call]))
                market.deliver(call.key, replace(delivery, ms=0))
        busy = Counter(call.arm.engine for call in sent.values())
        for name, line in waiting.items():
            for call in list(line):
                if market.setting.budget.ms and market.too_late(call.key, round(now)):
                    line.remove(call)
                    market.deliver(call.key, Delivery((), error=late, again=True))
                elif busy[name] < PLACES:
                    line.remove(call)
                    busy[name] += 1
                    [delivery] = asyncio.run(recorded.complete([replace(call, arm=_as_recorded(call))]))
                    left[call.key] = 1000 * delivery.usage.output * alone_s[name]
                    back[call.key], sent[call.key] = (now, delivery), call
        if not left:
            if not any(waiting.values()):
                now += 1
            continue
        busy = Counter(call.arm.engine for call in sent.values())
        slower = {key: len(busy) * busy[sent[key].arm.engine] for key in left}
        passes = min(need * slower[key] for key, need in left.items())
        now += passes
        taken += passes * len(left)
        left = {key: need - passes / slower[key] for key, need in left.items()}
        for key in [key for key, need in left.items() if need <= 1e-9]:
            began, delivery = back.pop(key)
            call = sent[key]
            ms = round(now - began)
            servers[call.arm.engine].took.append(ms)
            limit = market.setting.budget.ms
            given_up = limit is not None and now > limit + 1000
            market.deliver(key, Delivery((), error="late") if given_up else replace(delivery, ms=ms))
            del left[key], sent[key]
    return now, taken


def _as_recorded(call: Call) -> Arm:
    return replace(call.arm, engine=ENGINE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--dollars", action="store_true", help="budgets in dollars instead of seconds")
    asked = parser.parse_args()
    print("| servers | run | right of 60 | without an answer | part of the time | under way |")
    print("|---|---|---|---|---|---|")
    for name, alone_s in ALONE_S.items():
        yard = run(alone_s, Budget(), 0, "uniform:1", "big:greedy")
        rows = {
            "always-big": [yard],
            "always-small": [run(alone_s, Budget(), 0, "uniform:1", "small:greedy")],
        }
        for level in LEVELS:
            limit = (
                Budget(usd=round(level * yard.usd)) if asked.dollars else Budget(ms=round(level * yard.ms))
            )
            rows[f"outlay {level:.2f}"] = [run(alone_s, limit, seed) for seed in range(asked.seeds)]
        for what, ran in rows.items():
            right, without, ms, busy, _ = (statistics.fmean(column) for column in zip(*ran, strict=True))
            cells = f"{right:.1f} | {without:.1f} | {ms / yard.ms:.2f} | {busy:.1f}"
            print(f"| {name} | {what} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
