"""The live run of `PROTOCOL.md`: two real models behind llama.cpp's server, all runs, the table.

    python benchmarks/live/run.py --small PATH --big PATH --out DIR [--tasks 3] [--only NAME] [--strategy NAME]

Every run has fresh servers and a folder of its own in DIR. A run that is over is not made again, one that was stopped
goes on where it was. `DIR/RESULTS.md` holds the tables. `--tasks N` is a pilot, on N tasks that are none of the 60.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.live import plan, report, rivals, serve  # noqa: E402  (found through the line above)

from outlay.api import Check, checks_for  # noqa: E402
from outlay.driver import Progress, Summary, run_job  # noqa: E402
from outlay.engines.checker import Checker, Limits  # noqa: E402
from outlay.engines.http import Http  # noqa: E402
from outlay.engines.http.chat import LLAMA_PLAIN  # noqa: E402
from outlay.inputs import read  # noqa: E402
from outlay.journal import Journal  # noqa: E402
from outlay.policies import POLICIES  # noqa: E402
from outlay.types import NANO, Answer, Arm, Call, Cost, Delivery, Price, Prompt, Test, cost_of  # noqa: E402

CHECKS = Path(__file__).with_name("checks.py")
GRADING = Limits(timeout_s=10.0)


class Watch:
    """How many calls were under way, over time: a line whenever it changes."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def __call__(self, at: Progress) -> None:
        """Note where the run stands."""
        if not self.seen or self.seen[-1][1] != at.in_flight:
            self.seen.append((at.elapsed_ms, at.in_flight))


class Done(NamedTuple):
    """A run that is over; `flight` holds the time in ms and how many calls were under way from then on."""

    summary: Summary
    answers: tuple[Answer, ...]
    flight: list[tuple[int, int]]


@contextlib.contextmanager
def servers(
    models: Mapping[str, Path], names: Sequence[str], out: Path, slots: int
) -> Iterator[dict[str, str]]:
    """A fresh server for each model, all at once whether a run asks it or not; gives their addresses."""
    with contextlib.ExitStack() as stack:
        yield {
            name: stack.enter_context(
                serve.serving(models[name], slots=slots, threads=2, log=out / f"server-{name}.log")
            )
            for name in names
        }


async def perform(
    run: plan.Run,
    prompts: Sequence[Prompt],
    check: Check,
    addresses: Mapping[str, str],
    yard: plan.Spent | None,
    out: Path,
    slots: int,
) -> Done:
    """One run, to its end."""
    engines = {
        name: Http(f"{address}/v1", extra=LLAMA_PLAIN, concurrency=slots)
        for name, address in addresses.items()
    }
    watch = Watch()
    job = plan.job_of(run, prompts, engines, check, yard=yard, directory=out)
    job = replace(job, at_once=dict.fromkeys(engines, slots))
    try:
        summary, answers = await run_job(job, watch)
    finally:
        for engine in engines.values():
            await engine.close()
    return Done(summary, answers, watch.seen)


async def grade(prompts: Sequence[Prompt], answers: Sequence[Answer]) -> dict[str, bool]:
    """The hidden tests' word on every answer; only now are they read.

    Raises:
        RuntimeError: An answer could not be tested. That is no verdict.
    """
    given = {answer.id: answer for answer in answers if answer.answer is not None}
    asked = [prompt for prompt in prompts if prompt.id in given]
    arm = Arm("hidden", "hidden", deterministic=True, max_tokens=0, price=Price(0, 0), role="check")
    tester = Checker(f"{CHECKS}:right", GRADING)
    try:
        done = await tester.complete(
            [Call(arm, Test(p, given[p.id].text, given[p.id].answer or ""), key=p.id) for p in asked]
        )
    finally:
        await tester.close()
    for prompt, one in zip(asked, done, strict=True):
        if one.error:
            raise RuntimeError(f"{prompt.id}: the hidden tests gave no verdict: {one.error}")
    right = {p.id: bool(one.completions[0].passed) for p, one in zip(asked, done, strict=True)}
    return {prompt.id: right.get(prompt.id, False) for prompt in prompts}


def sums(
    summary: Summary, answers: Sequence[Answer], journal: Path, prices: Mapping[str, Price]
) -> dict[str, list[int]]:
    """Tokens, output tokens and nano-dollars as ledger, answers, receipts and journal have them, summed apart."""
    bought = [line for answer in answers for line in answer.receipt["purchases"]]
    came = [
        cost_of(prices[arm], delivery.usage, delivery.ms)
        for arm, delivery in deliveries(journal)
        if arm in prices
    ]
    return {
        "ledger": _vector([summary.spent]),
        "answers": _vector([answer.cost for answer in answers]),
        "receipts": [
            sum(line["tok"] for line in bought),
            sum(line["outtok"] for line in bought),
            sum(round(line["usd"] * NANO) for line in bought),
        ],
        "journal": _vector(came),
    }


def deliveries(path: Path) -> Iterator[tuple[str, Delivery]]:
    """What came back, with the arm that was asked, in the order of the journal."""
    journal = Journal(path)
    try:
        for line in journal.read("done"):
            # A key ends in kind.arm.about.ordinal.
            arm = line.key.rpartition("/")[2].rsplit(".", 2)[0].partition(".")[2]
            yield arm, msgspec.json.decode(line.body, type=Delivery)
    finally:
        journal.close()


def _vector(costs: Sequence[Cost]) -> list[int]:
    return [sum(c.tok for c in costs), sum(c.outtok for c in costs), sum(c.usd for c in costs)]


def task_row(answer: Answer, right: bool, checked: bool) -> dict[str, Any]:
    """What came of one task."""
    draws = Counter(
        line["arm"].removesuffix(":greedy")
        for line in answer.receipt["purchases"]
        if line["arm"].removesuffix(":greedy") in plan.BILLIONS
    )
    return {
        "id": answer.id,
        "right": right,
        "checked": checked,
        "outcome": answer.outcome,
        "confidence": answer.confidence,
        "cost": _vector([answer.cost]),
        "draws": dict(draws),
        "receipt": answer.receipt,
    }


def make(
    run: plan.Run,
    prompts: Sequence[Prompt],
    models: Mapping[str, Path],
    yard: plan.Spent | None,
    out: Path,
    slots: int,
) -> dict[str, Any]:
    """One run with fresh servers, graded; its result is kept in its folder."""
    out.mkdir(parents=True, exist_ok=True)
    [check] = checks_for([f"{CHECKS}:passes"], prompts)
    began = round(time.time())
    with servers(models, list(models), out, slots) as addresses:
        done = asyncio.run(perform(run, prompts, check, addresses, yard, out, slots))
        counted = {name: dict(serve.counters(address)) for name, address in addresses.items()}
    grades = asyncio.run(grade(prompts, done.answers))
    told: dict[str, Any] = {
        "name": run.name,
        "policy": run.policy,
        "strategy": run.strategy,
        "unit": run.unit,
    }
    told |= {"level": run.level, "limit": run.budget(yard).limits(), "began": began, "servers": counted}
    result = told | result_of(done, prompts, check, grades, out / "journal.db")
    (out / "result.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def result_of(
    done: Done, prompts: Sequence[Prompt], check: Check, grades: Mapping[str, bool], journal: Path
) -> dict[str, Any]:
    """What the tables need of a run that is over and graded."""
    by_id = {answer.id: answer for answer in done.answers}
    prices = {arm.name: arm.price for arm in plan.arms()}
    return {
        "elapsed_ms": done.summary.elapsed_ms,
        "sums": sums(done.summary, done.answers, journal, prices),
        "overdraft": _vector([done.summary.overdraft]),
        "end": done.summary.end_sentence,
        "resumed": done.summary.resumed,
        "troubles": list(done.summary.troubles),
        "flight": done.flight,
        "tasks": [task_row(by_id[p.id], grades[p.id], p.id in check.covers) for p in prompts],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in plan.BILLIONS:
        parser.add_argument(f"--{name}", type=Path, required=True, metavar="PATH", help="GGUF file")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("--tasks", type=int, metavar="N", help="a pilot on N other tasks")
    parser.add_argument("--only", action="append", metavar="NAME", help="this run alone; may be given again")
    parser.add_argument("--strategy", default="auto", metavar="NAME", help="of outlay's runs (auto)")
    parser.add_argument("--slots", type=int, default=16, help="requests in flight at each server (16)")
    args = parser.parse_args()
    models = {name: getattr(args, name).resolve() for name in plan.BILLIONS}
    for name, path in models.items():
        if (found := plan.sha256_of(path)) != plan.SHA256[name]:
            parser.error(f"{path} has the SHA-256 {found}, not {plan.SHA256[name]}; see PROTOCOL.md")
    POLICIES[plan.RULE] = (rivals.SmallThenBig, "the small model twice, then the big one")
    runs = plan.runs(args.strategy)
    if unknown := set(args.only or ()) - {run.name for run in runs}:
        parser.error(f"no run {', '.join(unknown)}; there are {', '.join(run.name for run in runs)}")
    study, pilot = plan.chosen(read(ROOT / "examples" / "code_prompts.jsonl").prompts)
    prompts = study if args.tasks is None else pilot[: args.tasks]
    for run in runs:
        kept = args.out / run.name / "result.json"
        if (args.only and run.name not in args.only) or kept.exists():
            continue
        yard = yardstick(args.out)
        result = make(run, prompts, models, yard, kept.parent, args.slots)
        print(report.line(result), flush=True)
        write_report(args.out)
    write_report(args.out)
    print(f"{args.out / 'RESULTS.md'}")


def yardstick(out: Path) -> plan.Spent | None:
    """What always-big used, once it was run."""
    path = out / plan.BIG / "result.json"
    if not path.exists():
        return None
    result = json.loads(path.read_text(encoding="utf-8"))
    tok, _, usd = result["sums"]["ledger"]
    return plan.Spent(tok, usd, result["elapsed_ms"])


def write_report(out: Path) -> None:
    """The tables of all runs that are over, in the order in which they began."""
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in out.glob("*/result.json")]
    results = sorted(kept, key=lambda result: result["began"])
    if results:
        (out / "RESULTS.md").write_text(report.render(results), encoding="utf-8")


if __name__ == "__main__":
    main()
