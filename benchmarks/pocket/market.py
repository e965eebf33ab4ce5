"""The market beside the rules people use, on problems of the pocket model: what `MARKET.md` lays down.

    python benchmarks/pocket/market.py --bank BANK.jsonl.gz               # records the bank if need be
    python benchmarks/pocket/market.py --bank BANK.jsonl.gz --receipts 4  # and receipts of lost prompts
    python benchmarks/pocket/market.py --live                             # priced alone, on live engines

The bank is a recording of every arm, replayed by every rule, so that all see the same draws. Gold and grades
stay in this script: a run gets prompts, arms, a check and a budget.
"""

import argparse
import asyncio
import gzip
import os
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heappop, heappush
from itertools import product, zip_longest
from pathlib import Path
from time import perf_counter
from typing import Any, Final, NamedTuple, final

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import msgspec
import numpy as np
import numpy.typing as npt

from outlay.answers import kind
from outlay.config import Settings, arms_for
from outlay.driver import Job, Summary, run_job
from outlay.engines.base import Engine
from outlay.engines.checker import Checker
from outlay.engines.measure import confidence
from outlay.engines.pocket import Pocket
from outlay.engines.recorded import Recorded, Row, read
from outlay.pocket import (
    Problem,
    Request,
    chain_problems,
    check,
    countdown_problems,
    generate,
    hit_rate,
    load,
)
from outlay.pocket.problems import CHAIN_HIS, CHAIN_KS, COUNTDOWN_HIS, COUNTDOWN_MS, parse_countdown
from outlay.study.statistics import Interval, Resamples, mixture
from outlay.types import Answer, Arm, Ask, Budget, Call, Message, Price, Prompt

Floats = npt.NDArray[np.float64]

SEED: Final = 20_407
"""Of the problems; other sets of this repository begin with 0 and 1."""
COUNTDOWNS, CHAINS = 1000, 2000
DRAWS: Final = {"countdown": 48, "chain": 16}
"""Sampled draws of each arm and problem in the bank; `dry` counts prompts for which a rule wanted more."""
SOLVES = "outlay.cli.countdown:solves"
CHECK = "solves"
REPLAY = "recorded"
TRIES = (2, 4, 8, 16)
BUDGETS: Final = {"countdown": (2.0, 3.0, 4.0, 5.0), "chain": (1.5, 5.0)}
"""Of priced, in output tokens as multiples of what the yardstick takes for all prompts."""
BLIND = (8, 16)
GAIN_WANTED, LOSS_ALLOWED = 12.0, -2.0
BINS = (0.0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.95, 1.0)


@final
@dataclass(frozen=True)
class Bed:
    """One family of problems.

    Attributes:
        name: `countdown` or `chain`.
        problems: In the order of the input.
        prompts: The same, as a run gets them: without gold.
        arms: Models, cheap to dear.
        check: The check, where there is one.
        bank: The recording; it holds nothing that a run changes.
        drawn: Its rows by prompt and arm, in the order in which a run gets them.
    """

    name: str
    problems: tuple[Problem, ...]
    prompts: tuple[Prompt, ...]
    arms: tuple[Arm, ...]
    check: Arm | None
    bank: Recorded = field(default_factory=lambda: Recorded(()))
    drawn: Mapping[tuple[str, str], Sequence[Row]] = field(default_factory=dict)

    @property
    def knob(self) -> str:
        """What makes its problems hard."""
        return "m" if self.name == "countdown" else "k"

    def some(self, *names: str) -> tuple[Arm, ...]:
        """Some of the models, and the check."""
        models = [arm for arm in self.arms if not names or arm.name in names]
        return (*models, *([self.check] if self.check else []))


class Rule(NamedTuple):
    """A rule to run: its name in tables, its policy, its arms (none: all), its budget in output tokens."""

    name: str
    policy: str
    arms: tuple[str, ...] = ()
    budget: int | None = None


@final
@dataclass(frozen=True, eq=False)
class Run:
    """What a rule did. `P` is the prompts in the order of the input.

    Attributes:
        dry: Prompts for which the recording had no further draw.
        took_s: Seconds of the run.
    """

    rule: Rule
    right_P: Floats
    cost_P: Floats
    sure_P: Floats
    answers: tuple[Answer, ...]
    summary: Summary | None
    dry: int = 0
    took_s: float = 0.0


# ── problems and recording ──────────────────────────────


def beds(seed: int = SEED) -> tuple[Bed, Bed]:
    """Both families, with nothing recorded."""
    rng = np.random.default_rng(seed)
    countdowns = [
        problem
        for m in COUNTDOWN_MS
        for problem in _even(
            [countdown_problems(m, hi, COUNTDOWNS, rng) for hi in COUNTDOWN_HIS],
            COUNTDOWNS // len(COUNTDOWN_MS),
        )
    ]
    each = CHAINS // (len(CHAIN_KS) * len(CHAIN_HIS))
    chains = [p for k, hi in product(CHAIN_KS, CHAIN_HIS) for p in chain_problems(k, hi, each, rng)]
    arms = arms_for(Settings(), endpoint=False)
    short = tuple(arm for arm in arms if arm.mode == "short")
    solves = Arm(
        CHECK,
        f"check {CHECK}",
        temperature=0.0,
        deterministic=True,
        max_tokens=0,
        price=Price(0, 0, 0),
        role="check",
    )
    return _bed("countdown", countdowns, short, solves, rng), _bed("chain", chains, arms, None, rng)


def _even(cells: Sequence[Sequence[Problem]], count: int) -> list[Problem]:
    """In turn from every cell, no question twice; what a small cell lacks, the others make up."""
    turns = [problem for turn in zip_longest(*cells) for problem in turn if problem is not None]
    return list({problem.question: problem for problem in reversed(turns)}.values())[::-1][:count]


def _bed(
    name: str,
    problems: Sequence[Problem],
    arms: tuple[Arm, ...],
    check_arm: Arm | None,
    rng: np.random.Generator,
) -> Bed:
    order = rng.permutation(len(problems)).tolist()
    mixed = tuple(problems[at] for at in order)
    answer = "text" if name == "countdown" else "number"
    prompts = tuple(
        Prompt(p.id, (Message("user", p.question),), answer, {"group": name, **p.knobs}) for p in mixed
    )
    return Bed(name, mixed, prompts, arms, check_arm)


def right(problem: Problem, prompt: Prompt, answer: str | None) -> bool:
    """Grade an answer."""
    if answer is None:
        return False
    return check(problem, kind(prompt.answer).canonical(answer))


def record(path: Path, families: Sequence[Bed]) -> None:
    """Draw every arm for every problem, with the seeds of the pocket sampler, and write the bank."""
    model = load()
    with gzip.open(path, "wb", compresslevel=3) as out:
        for bed in families:
            for arm in bed.arms:
                began, tokens = perf_counter(), 0
                for at in range(0, len(bed.problems), 8):
                    for row in _draws(bed, arm, slice(at, at + 8), model):
                        tokens += row.output
                        out.write(msgspec.json.encode(row) + b"\n")
                took = perf_counter() - began
                print(f"recorded {bed.name}, {arm.name}: {tokens} tokens, {took:.0f} s", flush=True)


def _draws(bed: Bed, arm: Arm, some: slice, model: Any) -> Iterable[Row]:
    problems, prompts = bed.problems[some], bed.prompts[some]
    draws = 1 if arm.deterministic else DRAWS[bed.name]
    heat = 0.0 if arm.deterministic else arm.temperature
    requests = [
        Request(p.question, arm.mode, heat, seed=zlib.crc32(f"{arm.name} {p.id}".encode()), n=draws,
                max_tokens=arm.max_tokens)
        for p in problems
    ]  # fmt: skip
    for problem, prompt, samples in zip(problems, prompts, generate(model, requests, batch=192), strict=True):
        form = kind(prompt.answer)
        for number, sample in enumerate(samples):
            answer = form.extract(sample.text) if sample.text else None
            told = {CHECK: right(problem, prompt, answer)} if bed.check else {}
            yield Row(
                problem.id, arm.name, number, answer, sample.text, sample.prompt_tokens,
                output=sample.output_tokens, confidence=confidence(sample.logprobs), finish=sample.finish,
                verdicts=dict(told),
            )  # fmt: skip


def recorded(path: Path, families: Sequence[Bed]) -> list[Bed]:
    """The families with their rows of the bank."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for row in read(path):
        rows[row.prompt.partition("-")[0]].append(row)
    for bed in families:
        if {row.prompt for row in rows[bed.name]} != {prompt.id for prompt in bed.prompts}:
            raise SystemExit(f"{path} holds other problems; delete it, or give another --bank")
    return [_with(bed, rows[bed.name]) for bed in families]


def _with(bed: Bed, rows: Sequence[Row]) -> Bed:
    """The family with its recording, whose order of draws is asked for as a run would."""
    bank = Recorded(rows)
    by_handle = {row.handle: row for row in rows}
    calls = [
        Call(arm, Ask(prompt.messages), prompt_id=prompt.id, n=bank.available(prompt.id, arm.name))
        for prompt in bed.prompts
        for arm in bed.arms
    ]
    drawn = {
        (call.prompt_id, call.arm.name): [by_handle[copy.handle] for copy in delivery.completions]
        for call, delivery in zip(calls, asyncio.run(bank.complete(calls)), strict=True)
    }
    return replace(bed, bank=bank, drawn=drawn)


# ── runs ──────────────────────────────


def run(bed: Bed, rule: Rule, *, engines: Mapping[str, Engine] | None = None) -> Run:
    """Run a rule on the recording, or on `engines`; grade afterwards."""
    began = perf_counter()
    arms = bed.some(*rule.arms)
    if engines is None:
        arms = tuple(replace(arm, engine=REPLAY) for arm in arms)
        engines = {REPLAY: bed.bank}
    job = Job(bed.prompts, arms, engines, policy=rule.policy, budget=Budget(outtok=rule.budget))
    summary, answers = asyncio.run(run_job(job))
    if rule.budget is not None and summary.spent.outtok > rule.budget:
        raise SystemExit(f"{rule.name} spent {summary.spent.outtok} of {rule.budget} output tokens")
    found = {answer.id: answer for answer in answers}
    mine = tuple(found[prompt.id] for prompt in bed.prompts)
    graded = [
        right(problem, prompt, answer.answer)
        for problem, prompt, answer in zip(bed.problems, bed.prompts, mine, strict=True)
    ]
    dry = sum(any("error" in line for line in answer.receipt["purchases"]) for answer in mine)
    print(f"{bed.name}: {rule.name}, {perf_counter() - began:.1f} s", file=sys.stderr, flush=True)
    return Run(
        rule, np.array(graded, dtype=np.float64), np.array([a.cost.outtok for a in mine], dtype=np.float64),
        np.array([a.confidence for a in mine]), mine, summary, dry, perf_counter() - began,
    )  # fmt: skip


def blind(bed: Bed, tries: int) -> Run:
    """Random plans behind the checker, no model: the exact chance that one of `tries` is right."""
    chance = np.array([hit_rate(*parse_countdown(problem.question)) for problem in bed.problems])
    none = np.zeros(len(chance))
    return Run(Rule(f"blind enumeration, {tries} plans", ""), 1 - (1 - chance) ** tries, none, none, (), None)


def by_length(bed: Bed, times: Sequence[float], yard: int) -> list[Run]:
    """Greedy for all; then always one more draw for the unsolved prompt with the least (tries made x tokens of its
    greedy answer). It knows of a prompt how long its answers are and how often it failed, and no more.
    """
    draws = [
        (bed.drawn[prompt.id, "short:greedy"][0], bed.drawn[prompt.id, "short"]) for prompt in bed.prompts
    ]
    right_P = np.array([bool(greedy.verdicts[CHECK]) for greedy, _ in draws], dtype=np.float64)
    cost_P = np.array([greedy.output for greedy, _ in draws], dtype=np.float64)
    queue = [(greedy.output, at, 1) for at, (greedy, _) in enumerate(draws) if not right_P[at]]
    heapify(queue)
    none, runs = np.zeros(len(draws)), []
    for limit in times:
        while queue and cost_P.sum() + draws[queue[0][1]][1][queue[0][2] - 1].output <= limit * yard:
            _, at, tries = heappop(queue)
            greedy, sampled = draws[at]
            cost_P[at] += sampled[tries - 1].output
            right_P[at] = bool(sampled[tries - 1].verdicts[CHECK])
            if not right_P[at] and tries < len(sampled):
                heappush(queue, (greedy.output * (tries + 1), at, tries + 1))
        runs.append(Run(Rule(f"by length at {limit:g}x", ""), right_P.copy(), cost_P.copy(), none, (), None))
    return runs


def late(bed: Bed, one: Run) -> float:
    """Share of the tokens that were bought for a prompt after a right answer to it was drawn."""
    wasted = 0
    for prompt, answer in zip(bed.prompts, one.answers, strict=True):
        solved, made = False, defaultdict[str, int](int)
        for line in answer.receipt["purchases"]:
            if line["kind"] != "sample":
                continue
            wasted += line["outtok"] if solved else 0
            arm, first = line["arm"], made[line["arm"]]
            made[arm] += line["copies"]
            solved |= any(row.verdicts[CHECK] for row in bed.drawn[prompt.id, arm][first : made[arm]])
    return wasted / float(one.cost_P.sum())


def countdown(bed: Bed, draw: Resamples, receipts: int) -> None:
    """Part 1 of the protocol."""
    greedy = run(bed, Rule("greedy", "uniform:1", ("short:greedy",)))
    one = run(bed, Rule("one draw", "uniform:1", ("short",)))
    until = {n: run(bed, Rule(f"until_pass:{n}", f"until_pass:{n}")) for n in TRIES}
    guess = [blind(bed, tries) for tries in BLIND]
    yard = int(greedy.cost_P.sum())
    priced = [run(bed, _priced(times, yard)) for times in BUDGETS[bed.name]]
    equal = {
        n: run(bed, Rule(f"priced at until_pass:{n}'s", "priced", budget=int(until[n].cost_P.sum())))
        for n in TRIES
    }
    print(f"\nCountdown with the checker, {len(bed.prompts)} problems; greedy takes {yard} output tokens")
    table([greedy, one, *until.values(), *guess, *priced, *equal.values()], greedy, draw)

    print("\npriced and until_pass at equal tokens, points of priced minus until_pass, paired")
    for n, mine in equal.items():
        _versus(mine, until[n].right_P, until[n].cost_P, f"until_pass:{n}", draw)
    ladder = [greedy, *until.values()]
    cost_K = np.array([r.cost_P.mean() for r in ladder])
    score_K = np.array([r.right_P.mean() for r in ladder])
    for mine in priced:
        weight_K = mixture(cost_K, score_K, cost=float(mine.cost_P.mean()))
        score_P = np.stack([r.right_P for r in ladder], axis=1) @ weight_K
        cost_P = np.stack([r.cost_P for r in ladder], axis=1) @ weight_K
        _versus(mine, score_P, cost_P, "a mixture of two until_pass", draw)

    print("\nshare of tokens bought for a prompt after a right answer to it was drawn")
    print("  " + ", ".join(f"{r.rule.name} {late(bed, r):.3f}" for r in (until[8], *priced)))

    length = by_length(bed, BUDGETS[bed.name], yard)
    print("\nnot in the protocol: priced beside a rule that knows how long a prompt's answers are")
    for mine, other in zip(priced, length, strict=True):
        _versus(mine, other.right_P, other.cost_P, other.rule.name, draw)

    print("\nby m: accuracy at output tokens a problem")
    by_knob(bed, [greedy, *until.values(), *guess, *priced, *length])
    calibration(bed, [until[8], *priced])
    best = next(r for r in priced if r.rule.budget == int(BUDGETS[bed.name][-1] * yard))
    gain = _points(draw, best.right_P, greedy.right_P)
    verdict = "shown" if gain.low >= GAIN_WANTED else "NOT shown"
    print(
        f"\nRequired: lower end of the gain of {best.rule.name} over greedy at least {GAIN_WANTED:g} points: "
        f"{_text(gain)}, {verdict}"
    )
    if receipts:
        show_receipts(bed, equal[8], until[8], receipts)


def chains(bed: Bed, draw: Resamples, receipts: int) -> None:
    """Part 2 of the protocol."""
    greedy = run(bed, Rule("greedy think", "uniform:1", ("think:greedy",)))
    yard = int(greedy.cost_P.sum())
    others = [
        run(bed, Rule("greedy short", "uniform:1", ("short:greedy",))),
        run(bed, Rule("one think", "uniform:1", ("think",))),
        run(bed, Rule("majority of 5 think", "uniform:5", ("think",))),
        run(bed, Rule("lead:2 of think", "lead:2", ("think",))),
        run(bed, Rule("lead:3 of think", "lead:3", ("think",))),
    ]
    priced = [run(bed, _priced(times, yard)) for times in BUDGETS[bed.name]]
    print(
        f"\nChained problems, no check, {len(bed.prompts)} problems; greedy think takes {yard} output tokens"
    )
    table([greedy, *others, *priced], greedy, draw)
    print("\nby k: accuracy at output tokens a problem")
    by_knob(bed, [greedy, *others, *priced])
    calibration(bed, [greedy, others[-1], *priced])
    loss = _points(draw, priced[0].right_P, greedy.right_P)
    verdict = "shown" if loss.low > LOSS_ALLOWED else "NOT shown"
    print(
        f"\nRequired: {priced[0].rule.name} minus greedy above {LOSS_ALLOWED:g} points:", _text(loss), verdict
    )
    extra = _points(draw, priced[1].right_P, priced[0].right_P)
    tokens = priced[1].cost_P.sum() - priced[0].cost_P.sum()
    print(f"The extra at {priced[1].rule.name}: {tokens:.0f} output tokens for {_text(extra)} points")
    if receipts:
        show_receipts(bed, priced[0], greedy, receipts)


def _priced(times: float, yard: int) -> Rule:
    return Rule(f"priced at {times:g}x", "priced", budget=int(times * yard))


def live(families: Sequence[Bed], times: Mapping[str, float]) -> None:
    """Run priced once on the live engines: the pocket model and the check, as the command line would."""
    for bed in families:
        greedy = run(bed, Rule("greedy", "uniform:1", (bed.arms[-2].name,)), engines=_engines(bed))
        yard = int(greedy.cost_P.sum())
        mine = run(bed, _priced(times[bed.name], yard), engines=_engines(bed))
        print(f"\nlive, {bed.name}: {len(bed.prompts)} problems; greedy takes {yard} output tokens")
        table([greedy, mine], greedy, Resamples(len(bed.prompts)))


def _engines(bed: Bed) -> dict[str, Engine]:
    return {"pocket": Pocket(), **({bed.check.engine: Checker(SOLVES)} if bed.check else {})}


# ── tables ──────────────────────────────


def _points(draw: Resamples, ours_P: Floats, theirs_P: Floats) -> Interval:
    return draw.difference(100 * ours_P, 100 * theirs_P)


def _text(gap: Interval) -> str:
    return f"{gap.value:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}]"


def table(runs: Sequence[Run], greedy: Run, draw: Resamples) -> None:
    """One line a rule."""
    yard = greedy.cost_P.sum()
    print(
        f"  {'rule':<28}{'right':>7}{'tokens':>8}{'points v greedy':>22}{'believed':>10}{'- right':>9}"
        f"{'of budget':>11}{'end':>17}{'dry':>5}{'s':>6}"
    )
    for one in runs:
        gap = "" if one is greedy else _text(_points(draw, one.right_P, greedy.right_P))
        line = f"  {one.rule.name:<28}{one.right_P.mean():7.3f}{one.cost_P.sum() / yard:7.2f}x{gap:>22}"
        if one.summary is not None:
            sure = float(one.sure_P.mean())
            budget = one.rule.budget
            share = f"{one.summary.spent.outtok / budget:.3f}" if budget else "–"
            end = one.summary.end if budget else "–"
            line += f"{sure:10.3f}{sure - one.right_P.mean():+9.3f}{share:>11}{end:>17}"
            line += f"{one.dry:5d}{one.took_s:6.1f}"
        print(line)


def _versus(mine: Run, score_P: Floats, cost_P: Floats, other: str, draw: Resamples) -> None:
    gap = _points(draw, mine.right_P, score_P)
    print(
        f"  {mine.rule.name:<28}{mine.right_P.mean():.3f} at {mine.cost_P.mean():5.1f}   {other:<28}"
        f"{score_P.mean():.3f} at {cost_P.mean():5.1f} {_text(gap):>22}"
    )


def by_knob(bed: Bed, runs: Sequence[Run]) -> None:
    """One line a rule, one column a value of the knob."""
    level_P = np.array([problem.knobs[bed.knob] for problem in bed.problems])
    levels = np.unique(level_P)
    print(f"  {'':<28}" + "".join(f"{f'{bed.knob}={level}':>13}" for level in levels))
    for one in runs:
        cells = [
            (one.right_P[level_P == level].mean(), one.cost_P[level_P == level].mean()) for level in levels
        ]
        print(f"  {one.rule.name:<28}" + "".join(f"{score:7.3f}@{cost:5.1f}" for score, cost in cells))


def calibration(bed: Bed, runs: Sequence[Run]) -> None:
    """Belief beside accuracy, by belief and by the knob."""
    level_P = np.array([problem.knobs[bed.knob] for problem in bed.problems])
    print("\nbelief: prompts, mean belief, accuracy")
    for one in runs:
        print(f"  {one.rule.name}")
        bin_P = np.clip(np.searchsorted(BINS, one.sure_P, side="right") - 1, 0, len(BINS) - 2)
        parts = [(f"{BINS[b]:g} to {BINS[b + 1]:g}", bin_P == b) for b in range(len(BINS) - 1)]
        parts += [(f"{bed.knob}={level}", level_P == level) for level in np.unique(level_P)]
        cells = [
            f"{name}: {of.sum()} {one.sure_P[of].mean():.2f} {one.right_P[of].mean():.2f}"
            for name, of in parts
            if of.any()
        ]
        for at in range(0, len(cells), 4):
            print("    " + "".join(f"{cell:<30}" for cell in cells[at : at + 4]))


def show_receipts(bed: Bed, mine: Run, other: Run, count: int) -> None:
    """Receipts of prompts that ours lost and the other rule won, and the other way round."""
    for title, of in (
        (f"{mine.rule.name} lost what {other.rule.name} won", (mine.right_P < 1) & (other.right_P > 0)),
        (f"{mine.rule.name} won what {other.rule.name} lost", (mine.right_P > 0) & (other.right_P < 1)),
    ):
        print(f"\n{title}: {of.sum()} prompts")
        for at in np.nonzero(of)[0][:count].tolist():
            print(f"  {bed.prompts[at].id}  {bed.problems[at].question}  gold {bed.problems[at].gold or '-'}")
            for run_ in (mine, other):
                answer = run_.answers[at]
                print(
                    f"    {run_.rule.name}: {answer.answer!r} believed {answer.confidence:.3f}, "
                    f"{answer.cost.outtok} tokens; stopped: {answer.receipt['stopped']}"
                )
                for line in answer.receipt["purchases"] if run_ is mine else ():
                    before, after = line["belief"]
                    flags = " even" if line.get("even") else ""
                    print(
                        f"      {line['kind']:<7}{line['arm']:<13}x{line['copies']:<3}{line['outtok']:4d} "
                        f"tokens  belief {before} → {after}  price {line['price']:.3g}{flags}"
                    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--bank", type=Path, default=Path("bank.jsonl.gz"), help="the recording")
    parser.add_argument("--only", choices=("countdown", "chain"), help="one family")
    parser.add_argument("--receipts", type=int, default=0, help="receipts to print of each sort (0)")
    parser.add_argument("--live", action="store_true", help="priced alone, on the live engines")
    parser.add_argument(
        "--seed", type=int, default=SEED, help=f"of the problems ({SEED}); a bank has its own"
    )
    options = parser.parse_args()
    families: Sequence[Bed] = beds(options.seed)
    chosen = [bed for bed in families if options.only in (None, bed.name)]
    if options.live:
        live(chosen, {"countdown": 4.0, "chain": 1.5})
        return
    if not options.bank.is_file():
        partial = options.bank.with_name("partial-" + options.bank.name)
        record(partial, families)
        partial.replace(options.bank)
    for bed in recorded(options.bank, chosen):
        part = countdown if bed.name == "countdown" else chains
        part(bed, Resamples(len(bed.prompts)), options.receipts)


if __name__ == "__main__":
    main()
