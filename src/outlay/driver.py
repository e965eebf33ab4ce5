"""The one asynchronous driver: it runs the market's steps, sends what it decides, and writes everything down first.

Order of a round: step → journal (one commit) → send → what came back into the journal (one commit a chunk) → deliver.
Engines in lockstep are waited for as a whole and their deliveries are applied in the order of dispatch, so that such a
run is the same each time; what other engines send is applied as it comes.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, final

import msgspec

from outlay import journal as journals
from outlay.beliefs import Prior
from outlay.engines.base import Engine
from outlay.errors import BudgetError, UnknownName
from outlay.journal import Journal, JournalLine
from outlay.market import DEADLINE, GAVE_UP, NO_MONEY, Market, Setting, Settled
from outlay.policies import policy as named_policy
from outlay.pricing import Clearing, Fixed, Pricing
from outlay.strategies import STRATEGIES
from outlay.types import FREE, NANO, NOTHING, Answer, Arm, Budget, Call, Cost, Delivery, Prompt, Usage

VERSION = "1"
"""Of what the journal means; a change of it refuses to resume older runs."""

NO_LIMIT = Budget()

GRACE_MS = 1000
"""How long after the deadline calls under way are still waited for."""
LATE = "not back at the deadline; charged at the most that it could have cost"

_delivery = msgspec.json.Decoder(Delivery).decode


@dataclass(frozen=True, slots=True)
class Job:
    """One run.

    Attributes:
        strategy, policy: Names, as in `outlay strategies` and `outlay policies`.
        directory: Where the run lives; None keeps it in memory.
        abstain: Answers believed less than this are left out.
        input_digest: Of the input, so that another input refuses to resume.
        checks: For each prompt id the check arms that exist for it; None where all exist for all.
        price: A fixed price in worth per output token, instead of one that meets the budget.
        known: Sensitivity and specificity of verdict arms, where they are known.
        open_points: Most prompts open at once.
    """

    prompts: tuple[Prompt, ...]
    arms: tuple[Arm, ...]
    engines: Mapping[str, Engine]
    strategy: str = "auto"
    policy: str = "priced"
    budget: Budget = NO_LIMIT
    directory: Path | None = None
    seed: int = 0
    abstain: float = 0.0
    input_digest: str = ""
    checks: Mapping[str, frozenset[str]] | None = None
    price: float | None = None
    same: Callable[[str, str], bool] | None = None
    known: Mapping[str, tuple[float, float]] = field(default_factory=lambda: NOTHING)
    open_points: int = 10_000


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands."""

    prompts: int
    settled: int
    answered: int
    open: int
    in_flight: int
    calls: int
    spent: Cost
    held: Cost
    budget: Budget
    elapsed_ms: int
    replayed: int


@dataclass(frozen=True, slots=True)
class Line:
    """What was spent on one kind of purchase."""

    kind: str
    arm: str
    purchases: int
    copies: int
    cost: Cost


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended. `end` is `spent`, `no_gain`, `too_little_left`, `deadline`, `interrupted` or `overdrawn`;
    `checked` whether any check looked at the answers, without which the mean confidence is unchecked.
    """

    prompts: int
    outcomes: Mapping[str, int]
    spent: Cost
    budget: Budget
    elapsed_ms: int
    end: str
    end_sentence: str
    lines: tuple[Line, ...]
    mean_confidence: float
    checked: bool
    overdraft: Cost
    gave_up: int
    duplicates: int
    resumed: bool
    directory: Path | None
    troubles: tuple[str, ...] = ()


def _identity(prompt: Prompt) -> tuple[Any, ...]:
    return (prompt.messages, prompt.answer, str(prompt.metadata.get("group")), prompt.worth)


def _distinct(
    prompts: Sequence[Prompt], checks: Mapping[str, frozenset[str]] | None
) -> tuple[list[Prompt], dict[str, list[Prompt]]]:
    """Prompts that differ, and for each the later ones that are the same: those are bought once."""
    first: dict[tuple[Any, ...], str] = {}
    distinct, twins = [], dict[str, list[Prompt]]()
    for prompt in prompts:
        identity = (*_identity(prompt), checks.get(prompt.id) if checks is not None else None)
        known = first.setdefault(identity, prompt.id)
        if known == prompt.id:
            distinct.append(prompt)
        else:
            twins.setdefault(known, []).append(prompt)
    return distinct, twins


def _short(thing: object) -> str:
    return hashlib.sha256(repr(thing).encode()).hexdigest()[:16]


def _fingerprint(job: Job) -> dict[str, str]:
    """What makes two runs the same run."""
    rows = [(p.id, p.messages, p.answer, sorted(p.metadata.items()), p.worth) for p in job.prompts]
    checks = None if job.checks is None else sorted((at, sorted(names)) for at, names in job.checks.items())
    return {
        "version": VERSION,
        "input": job.input_digest or _short(rows),
        "models": ", ".join(arm.name for arm in job.arms) + f" ({_short(job.arms)})",
        "strategy": job.strategy,
        "policy": job.policy,
        "budget": ", ".join(f"{limit} {unit}" for unit, limit in job.budget.limits().items()),
        "seed": str(job.seed),
        "price": str(job.price),
        "checks": _short((checks, sorted(job.known.items()))),
        "abstain": str(job.abstain),
        "open": str(job.open_points),
        "same": "given" if job.same is not None else "none",
    }


def _setting(job: Job) -> Setting:
    if job.strategy not in STRATEGIES:
        raise UnknownName("strategy", job.strategy, STRATEGIES)
    models = list(dict.fromkeys((arm.engine, arm.model, arm.mode) for arm in job.arms if arm.role == "model"))
    # One greedy answer is usually right more often than one sampled answer of the same model.
    rank = {
        arm.name: models.index((arm.engine, arm.model, arm.mode)) + (0.5 if arm.deterministic else 0.0)
        for arm in job.arms
        if arm.role == "model"
    }
    names = list(dict.fromkeys(arm.name.removesuffix(":greedy") for arm in job.arms if arm.role == "model"))
    if job.budget.usd is not None:
        unknown = [arm.name for arm in job.arms if arm.role != "check" and not arm.price.known()]
        if unknown:
            raise BudgetError(
                f"a dollar budget needs a price for {', '.join(unknown)}; give price_in and price_out in the config, "
                "or a budget in tok"
            )
    pricing: Pricing = Clearing(job.budget) if job.price is None else Fixed(job.price)
    return Setting(
        job.arms, job.engines, STRATEGIES[job.strategy][0], named_policy(job.policy, names), Prior(rank, job.known),
        pricing, job.budget, job.seed, job.checks, job.same, job.open_points,
    )  # fmt: skip


@final
class _Run:
    """One run under way: the market, its journal and what must outlive a step."""

    def __init__(self, job: Job, watch: Callable[[Progress], None] | None) -> None:
        self.job, self.watch = job, watch
        distinct, self.twins = _distinct(job.prompts, job.checks)
        self.market = Market(_setting(job), distinct)
        if job.directory is not None:
            job.directory.mkdir(parents=True, exist_ok=True)
        self.journal = Journal(":memory:" if job.directory is None else job.directory / "journal.db")
        self.answers: list[Answer] = []
        self._answered = 0
        self._out: BinaryIO | None = None
        self._replayed = 0
        self._back: dict[str, Delivery] = {}  # came back before a crash; delivered with the rest of its step
        self._began = time.monotonic()
        self._before_ms = 0
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        """Take the directory, and go to where its journal ends."""
        job = self.job
        self.resumed = self.journal.identify(_fingerprint(job))
        if self.resumed:
            self._replay()
        if job.directory is not None:
            journals.export(self.journal, job.directory / "answers.jsonl")
            self._out = (job.directory / "answers.jsonl").open("ab")
        self._write_lost_answers()

    def elapsed_ms(self) -> int:
        """Wall clock of the run, over all its sittings."""
        return self._before_ms + round((time.monotonic() - self._began) * 1000)

    # ── replay ─────────────────────────────────────────────────────────────────────────────────────

    def _replay(self) -> None:
        """Feed the market with the journal; deliveries between two steps in the order of dispatch, as they were."""
        back = self._back
        for line in self.journal.read():
            if line.kind == "done":
                back[line.key] = _delivery(line.body)
            elif line.kind != "answer":
                self._deliver(back)
                body = journals.decode(line.body)
                self._before_ms = max(self._before_ms, body.get("ms", 0))
                self.market.replay(line.kind, body)
        self._replayed = self.market.calls_made - len(self.market.flight) + len(back)

    def _deliver(self, back: dict[str, Delivery]) -> None:
        for key in [key for key in self.market.flight if key in back]:
            self.market.deliver(key, back.pop(key))
        assert not back, f"deliveries for calls that were never made: {list(back)[:3]}"

    def _write_lost_answers(self) -> None:
        """Answers whose prompts settled just before a crash, and those of the sittings before for the caller."""
        known = {line.key for line in self.journal.read("answer")} if self.resumed else set()
        self.market.lines.clear()
        for settled in self.market.settled:
            rows = self._answers_of(settled)
            self.answers.extend(rows)
            self._answered += sum(row.outcome == "answered" for row in rows)
            self._record([row for row in rows if row.id not in known], [])

    # ── writing ────────────────────────────────────────────────────────────────────────────────────

    def _record(self, answers: Sequence[Answer], lines: list[JournalLine]) -> None:
        rows = [JournalLine("answer", answer.id, journals.encode(answer_row(answer))) for answer in answers]
        self.journal.append([*lines, *rows])
        if self._out is not None and rows:
            self._out.write(b"".join(row.body + b"\n" for row in rows))
            self._out.flush()

    def write(self) -> None:
        """All that the market decided, in one commit."""
        lines: list[JournalLine] = []
        answers: list[Answer] = []
        for kind, body in self.market.lines:
            if kind == "settled":
                answers.extend(self._answers_of(body))
            else:
                if kind == "step":
                    body["ms"] = self.elapsed_ms()
                lines.append(JournalLine(kind, "", journals.encode(body)))
        self.market.lines.clear()
        self.answers.extend(answers)
        self._answered += sum(answer.outcome == "answered" for answer in answers)
        self._record(answers, lines)

    def _answers_of(self, settled: Settled) -> list[Answer]:
        answer = self._answer(settled)
        twins = [
            Answer(twin.id, answer.answer, answer.text, answer.outcome, answer.confidence, FREE,
                   {"same_as": answer.id, "purchases": [], "stopped": f"the same prompt as {answer.id}"})
            for twin in self.twins.get(answer.id, ())
        ]  # fmt: skip
        return [answer, *twins]

    def _answer(self, settled: Settled) -> Answer:
        prompt, candidate, belief, reason, drawn, cost, lines = settled
        purchases = [{**line, "usd": line["usd"] / NANO} for line in lines]
        errors = [line["error"] for line in lines if "error" in line]
        if candidate is not None and belief < self.job.abstain:
            outcome = "abstained"
        elif candidate is not None:
            outcome = "answered"
        elif drawn:
            outcome = "no_answer_found"
        elif errors:
            outcome = "failed"
        else:
            outcome = "out_of_budget" if reason in (NO_MONEY, GAVE_UP, DEADLINE) else "abstained"
        given = outcome == "answered"
        return Answer(
            prompt.id,
            candidate.answer if candidate is not None and given else None,
            candidate.text if candidate is not None and given else "",
            outcome, round(belief, 6), cost, {"purchases": purchases, "stopped": reason},
        )  # fmt: skip

    # ── running ────────────────────────────────────────────────────────────────────────────────────

    async def go(self, stop: Callable[[], int]) -> bool:
        """Until all is settled, or `stop` says so; False where it was stopped."""
        tasks: dict[asyncio.Task[list[Delivery]], list[Call]] = {}
        back = self._back
        left_over = [
            purchase.call for key, purchase in self.market.flight.items()
            if purchase.call is not None and key not in back
        ]  # fmt: skip
        try:
            if not left_over:
                self._deliver(back)
            while not self.market.finished or tasks:
                if not stop():
                    calls = left_over or self.market.step(self.elapsed_ms())
                    left_over = []
                    self.write()
                    self._send(calls, tasks)
                    await self._lockstep(calls, back, stop)
                if stop() and not tasks:
                    self._deliver(back)
                    return False
                if tasks:
                    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=0.5)
                    if stop() > 1:
                        return False
                    for task in done:
                        self._came_back(tasks.pop(task), task.result(), back)
                    self._give_up_late(tasks, back)
                self._deliver(back)
                self._tell()
            self.write()
            return True
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)

    def _give_up_late(
        self, tasks: dict[asyncio.Task[list[Delivery]], list[Call]], back: dict[str, Delivery]
    ) -> None:
        """What is not back some time after the deadline is waited for no longer. It may have been billed, so it is
        charged at the most that it could cost.
        """
        limit = self.job.budget.ms
        if limit is None or self.elapsed_ms() <= limit + GRACE_MS:
            return
        for task in [task for task in tasks if not task.done()]:
            calls = tasks.pop(task)
            task.cancel()
            worst = [self.job.engines[call.arm.engine].worst(call) for call in calls]
            late = [
                Delivery((), Usage(cost.tok - cost.outtok, cost.outtok, estimated=True), 0, LATE)
                for cost in worst
            ]
            self._came_back(calls, late, back)

    def _send(self, calls: Sequence[Call], tasks: dict[asyncio.Task[list[Delivery]], list[Call]]) -> None:
        """Start the calls of engines that are not in lockstep."""
        for name, engine in self.job.engines.items():
            if engine.lockstep:
                continue
            own = [call for call in calls if call.arm.engine == name]
            for at in range(0, len(own), engine.chunk):
                chunk = own[at : at + engine.chunk]
                tasks[asyncio.create_task(_complete(engine, chunk))] = chunk

    async def _lockstep(
        self, calls: Sequence[Call], back: dict[str, Delivery], stop: Callable[[], int]
    ) -> None:
        """Perform the calls of engines in lockstep, chunk by chunk, each chunk journaled before the next."""
        for name, engine in self.job.engines.items():
            if not engine.lockstep:
                continue
            own = [call for call in calls if call.arm.engine == name]
            for at in range(0, len(own), engine.chunk):
                chunk = own[at : at + engine.chunk]
                self._came_back(chunk, await _complete(engine, chunk), back)
                self._tell(len(back))
                if stop():
                    return

    def _came_back(
        self, calls: Sequence[Call], deliveries: Sequence[Delivery], back: dict[str, Delivery]
    ) -> None:
        self.journal.append(
            JournalLine("done", call.key, journals.encode(delivery))
            for call, delivery in zip(calls, deliveries, strict=True)
        )
        back.update((call.key, delivery) for call, delivery in zip(calls, deliveries, strict=True))

    def _tell(self, waiting: int = 0) -> None:
        if self.watch is None:
            return
        market = self.market
        twins = sum(len(self.twins.get(s.prompt.id, ())) for s in market.settled) if self.twins else 0
        self.watch(
            Progress(
                len(self.job.prompts),
                len(market.settled) + twins,
                self._answered,
                market.open,
                len(market.flight) - waiting,
                market.calls_made,
                market.ledger.spent,
                market.ledger.held,
                self.job.budget,
                self.elapsed_ms(),
                self._replayed,
            )
        )

    def close(self) -> None:
        """Release the files."""
        if self._out is not None:
            self._out.close()
        self.journal.close()

    def summary(self, finished: bool) -> Summary:
        """How it ended."""
        market, job = self.market, self.job
        outcomes: dict[str, int] = {}
        for answer in self.answers:
            outcomes[answer.outcome] = outcomes.get(answer.outcome, 0) + 1
        given = [answer.confidence for answer in self.answers if answer.outcome == "answered"]
        end, sentence = _ending(market, job, finished, self.elapsed_ms())
        return Summary(
            len(job.prompts), outcomes, market.ledger.spent, job.budget, self.elapsed_ms(), end, sentence,
            _totals(market), sum(given) / len(given) if given else 0.0,
            _looked_at(market, job), market.ledger.overdraft, market.gave_up,
            sum(len(twins) for twins in self.twins.values()), self.resumed, job.directory, _troubles(market),
        )  # fmt: skip


async def _complete(engine: Engine, calls: list[Call]) -> list[Delivery]:
    deliveries = await engine.complete(calls)
    assert len(deliveries) == len(calls), f"{len(calls)} calls, {len(deliveries)} deliveries"
    return deliveries


def _looked_at(market: Market, job: Job) -> bool:
    """Whether a check spoke at all: one that only fails has checked nothing."""
    checks = {arm.name for arm in job.arms if arm.role == "check"}
    return any(
        line["arm"] in checks and "error" not in line for settled in market.settled for line in settled.lines
    )


def _troubles(market: Market) -> tuple[str, ...]:
    """Who failed, how often, and what the first failure said; the most frequent first, at most five."""
    seen: dict[str, list[str]] = {}
    for settled in market.settled:
        for line in settled.lines:
            if "error" in line:
                seen.setdefault(line["arm"], []).append(line["error"])
    often = sorted(seen.items(), key=lambda item: -len(item[1]))[:5]
    return tuple(f"{arm} failed {len(errors)} times, first: {errors[0][:200]}" for arm, errors in often)


def _totals(market: Market) -> tuple[Line, ...]:
    """Where the tokens went: calls only, so that flows are not counted twice."""
    sums: dict[tuple[str, str], list[Any]] = {}
    for settled in market.settled:
        for line in settled.lines:
            row = sums.setdefault((line["kind"], line["arm"]), [0, 0, FREE])
            row[0] += 1
            row[1] += line["copies"]
            row[2] = row[2] + Cost(line["tok"], line["outtok"], line["usd"], round(line["s"] * 1000))
    lines = [Line(kind, arm, *row) for (kind, arm), row in sums.items()]
    return tuple(sorted(lines, key=lambda line: -line.cost.tok))


def _ending(market: Market, job: Job, finished: bool, elapsed_ms: int) -> tuple[str, str]:
    """Which end was reached, and the sentence that says so."""
    limits = job.budget.limits()
    shares = {
        unit: getattr(market.ledger.spent, unit) / max(limit, 1)
        for unit, limit in limits.items()
        if unit != "s"
    }
    unit = max(shares, key=lambda u: shares[u], default="")
    share = shares.get(unit, 0.0)
    if market.overdrawn_by:
        return "overdrawn", (
            f"{market.overdrawn_by} used more than the most it said it could, so nothing more was bought; the "
            "excess is booked"
        )
    if not finished:
        return "interrupted", "interrupted; give the same command again to go on"
    late = job.budget.ms is not None and elapsed_ms >= job.budget.ms
    if late or any(settled.reason == DEADLINE for settled in market.settled):
        return "deadline", "the time was up"
    if share >= 0.98:
        return "spent", f"{share:.1%} of the budget in {unit} is spent"
    if market.ran_into_budget:
        return "too_little_left", (
            f"{share:.1%} of the budget in {unit} is spent; what is left is less than the most that any purchase still "
            "worth its price could cost"
        )
    return "no_gain", "no purchase still on offer is expected to make an answer more likely right"


def answer_row(answer: Answer) -> dict[str, Any]:
    """The row of `answers.jsonl`."""
    return {
        "id": answer.id,
        "answer": answer.answer,
        "text": answer.text,
        "outcome": answer.outcome,
        "confidence": answer.confidence,
        "cost": answer.cost.row(),
        "receipt": answer.receipt,
    }


async def run_job(
    job: Job, watch: Callable[[Progress], None] | None = None, stop: Callable[[], int] | None = None
) -> tuple[Summary, tuple[Answer, ...]]:
    """Run a job to its end, or resume it where its directory holds a journal.

    Args:
        job: What to run.
        watch: Told where the run stands after every chunk.
        stop: Asked often: 0 to go on, 1 to let what is in flight come back and stop, 2 to stop now.

    Returns:
        The summary, and all answers in the order in which they were settled.

    Raises:
        ResumeError: The directory holds another run.
        EngineError: An engine cannot serve at all; what came back before is kept.
    """
    run = _Run(job, watch)
    try:
        finished = await run.go(stop or (lambda: 0))
        run.market.ledger.audit()
        return run.summary(finished), tuple(run.answers)
    finally:
        run.close()
        for engine in job.engines.values():
            await engine.close()
