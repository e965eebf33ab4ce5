"""The one asynchronous driver: it runs the market's steps, sends what it decides, and writes everything down first.

Order of a round: step → journal (one commit) → send → what came back into the journal (one commit a chunk) → deliver.
Engines in lockstep are waited for as a whole and their deliveries are applied in the order of dispatch, so that such a
run is the same each time; what other engines send is applied as it comes. These get no more calls than they may have
under way; the others wait here, unsent, and the journal knows which were sent: only those can have been billed.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO, final

import msgspec

from outlay import journal as journals
from outlay.driver.begin import distinct, fingerprint, setting
from outlay.driver.closing import checked, compared, ending, totals, troubles
from outlay.driver.garbage import seldom_collecting
from outlay.driver.job import Job, Progress, Summary, ToppedUp
from outlay.driver.rows import answer_of, answer_row, outcome_of, provisional_of
from outlay.driver.sound import looked_at
from outlay.driver.topup import BUDGET, budget_before, first_budget, written
from outlay.engines.base import Engine
from outlay.errors import EngineError, ResumeError, UsageError
from outlay.journal import Journal, JournalLine
from outlay.market import Market, Settled
from outlay.types import Answer, Budget, Call, Cost, Delivery, Usage

GRACE_MS = 1000
"""How long after the deadline calls under way are still waited for."""
UNBOUNDED = 1 << 30
DRAIN_S = 20.0
"""How long calls under way are waited for after an engine gave up: their answers may be paid for."""
TURNS, FEW = 4, 4
"""Turns of the event loop, without waiting, in which more may come back while less than a part in `FEW` has."""
LATE = "not back at the deadline; charged at the most that it could have cost"
UNSENT = "not sent: it might not have been back at the deadline"
KILLED = "under way when the run was stopped; charged at the most that it could have cost"

Tasks = dict["asyncio.Task[list[Delivery]]", list[Call]]

_delivery = msgspec.json.Decoder(Delivery).decode


@final
class _Run:
    """One run under way: the market, its journal and what must outlive a step."""

    def __init__(
        self, job: Job, watch: Callable[[Progress], None] | None, told: Callable[[Answer], None] | None
    ) -> None:
        self.job, self.watch, self.told = job, watch, told
        prompts, self.twins = distinct(job.prompts, job.checks)
        self.market = Market(setting(job), prompts)
        if job.directory is not None:
            try:
                job.directory.mkdir(parents=True, exist_ok=True)
            except (FileExistsError, NotADirectoryError):
                raise UsageError(f"{job.directory} is no directory; a run needs one of its own") from None
        self.journal = Journal(":memory:" if job.directory is None else job.directory / "journal.db")
        self.answers: list[Answer] = []
        self._answered = 0
        self._out: BinaryIO | None = None
        self._replayed = 0
        self._back: dict[str, Delivery] = {}  # came back before a crash; delivered with the rest of its step
        self._waiting: dict[str, deque[Call]] = {}  # bought and not sent yet, by engine
        self._busy: Counter[str] = Counter()  # calls under way, by engine
        self._over: list[asyncio.Task[list[Delivery]]] = []  # tasks that ended and were not looked at
        self._bell = asyncio.Event()
        self._sent: set[str] = set()  # by an earlier sitting
        self._written: set[str] = set()  # ids of prompts whose answer stands in the journal
        # Of prompts that a larger budget opened again: what they had is shown meanwhile.
        self._old: set[str] = set()
        self._topped_up: ToppedUp | None = None
        self._gave_up: EngineError | None = None
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
        self.resumed = self.journal.identify(fingerprint(job), apart=BUDGET)
        again: Collection[str] = ()
        if self.resumed:
            self._repeat()
            again = self.market.ask_again([s for s in self.market.settled if outcome_of(s) == "failed"])
        done = [s.prompt.id for s in self.market.settled if s.prompt.id not in again]
        if job.directory is not None:
            self._write_file(
                job.directory / "answers.jsonl", (self._with_twins(done) & self._written) | self._old
            )
        self._write_lost_answers(again)

    def _write_file(self, path: Path, only: Collection[str]) -> None:
        """Write the answers that there are, and append what comes."""
        if self._out is not None:
            self._out.close()
        journals.export(self.journal, path, only=only)
        self._out = os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "ab")

    def _one_row_each(self) -> None:
        """Where a larger budget opened prompts again, drop what they had before their new answers."""
        if self._old and self.job.directory is not None:
            answered = {answer.id for answer in self.answers}
            self._write_file(self.job.directory / "answers.jsonl", answered | self._old)

    def _repeat(self) -> None:
        """Be where the sittings before were, with the budget of this one."""
        budget = budget_before(self.journal, self.job.budget)
        first = first_budget(self.journal) or budget
        if first != self.job.budget:
            self.market = Market(setting(replace(self.job, budget=first)), self.market.prompts)
        self.market.keep(keeps=first != self.job.budget)
        self._replay()
        self._settle_killed()
        if budget != self.job.budget:
            self._top_up(budget)
        self.market.keep(keeps=False)

    def _top_up(self, before: Budget) -> None:
        """Write the larger budget down, and let what the smaller one had stopped go on."""
        self._deliver(self._back)  # as it is when this is read again
        body = self.market.top_up(self.job.budget)
        line = JournalLine("topup", "", journals.encode(body))
        self.journal.append([line], {BUDGET: written(self.job.budget)})
        self._let_go_on([*body["again"], *body["beside"]])
        others = len(self.job.prompts) - len(self._with_twins(s.prompt.id for s in self.market.settled))
        going = len(self._with_twins(body["again"]))
        beside = len(self._with_twins(body["beside"]))
        self._topped_up = ToppedUp(before, going, others - going - beside)

    def _with_twins(self, ids: Iterable[str]) -> set[str]:
        own = set(ids)
        return own.union(twin.id for each in own for twin in self.twins.get(each, ()))

    def _let_go_on(self, ids: Collection[str]) -> None:
        """What these prompts had is shown until they have more."""
        self._old |= self._with_twins(ids) & self._written
        self._reopened(ids)

    def _reopened(self, ids: Iterable[str]) -> None:
        """The answers that these prompts had count no more."""
        self._written -= self._with_twins(ids)

    def elapsed_ms(self) -> int:
        """Wall clock of the run, over all its sittings."""
        return self._before_ms + round((time.monotonic() - self._began) * 1000)

    # ── replay ─────────────────────────────────────────────────────────────────────────────────────

    def _replay(self) -> None:
        """Feed the market with the journal; deliveries between two steps in the order of dispatch, as they were."""
        back = self._back
        seen: set[str] = set()
        for number, line in enumerate(self.journal.read(), 1):
            with self.journal.understood(number, line):
                if line.kind == "answer":
                    self._written.add(line.key)
                    continue
                if line.kind == "sent":
                    self._sent.update(journals.decode(line.body))
                    continue
                if line.kind == "done":
                    if line.key in seen:
                        raise ResumeError(f"{line.key!r} comes back twice")
                    seen.add(line.key)
                    back[line.key] = _delivery(line.body)
                    continue
                body = journals.decode(line.body)
                self._before_ms = max(self._before_ms, body.get("ms", 0))
            self._deliver(back)
            self.market.replay(line.kind, body)
            if line.kind == "topup":
                self._let_go_on([*body["again"], *body["beside"]])
            elif line.kind == "step":
                self._reopened(op[1] for op in body["ops"] if op[0] == "reopen")
        self._replayed = self.market.calls_made - len(self.market.flight) + len(back)

    def _deliver(self, back: dict[str, Delivery]) -> None:
        """In the order of dispatch. What is back was sent long ago: it stands near the front of all that is bought."""
        here = islice((key for key in self.market.flight if key in back), len(back))
        for key in list(here):
            self.market.deliver(key, back.pop(key))
        assert not back, f"deliveries for calls that were never made: {list(back)[:3]}"

    def _settle_killed(self) -> None:
        """Calls that were under way when the run was killed may have been billed: they are charged at what was held
        for them, and may be asked again. Those of an engine in this process died with it and cost nothing.
        """
        if self.job.on_crash == "release":
            return
        killed = [call for call in self._under_way() if call.key in self._sent]
        self._came_back(
            killed, [_most(self.market.held_for(call.key), KILLED, again=True) for call in killed], self._back
        )

    def _under_way(self) -> list[Call]:
        return [
            purchase.call for key, purchase in self.market.flight.items()
            if purchase.call is not None and key not in self._back
        ]  # fmt: skip

    def _write_lost_answers(self, again: Collection[str]) -> None:
        """Answers whose prompts settled just before a crash, and those of the sittings before for the caller."""
        self.market.lines.clear()
        for settled in self.market.settled:
            rows = self._answers_of(settled)
            if rows[0].id in again:
                continue
            self._count(rows)
            self._record([row for row in rows if row.id not in self._written], [])

    # ── writing ────────────────────────────────────────────────────────────────────────────────────

    def _record(self, answers: Sequence[Answer], lines: list[JournalLine]) -> None:
        rows = [JournalLine("answer", answer.id, journals.encode(answer_row(answer))) for answer in answers]
        self.journal.append([*lines, *rows])
        if self._out is not None and rows:
            self._out.write(b"".join(row.body + b"\n" for row in rows))
            self._out.flush()

    def write(self, sent: Sequence[Call] = ()) -> None:
        """All that the market decided, and which calls are given to an endpoint now, in one commit."""
        lines: list[JournalLine] = []
        answers: list[Answer] = []
        for kind, body in self.market.lines:
            if kind == "settled":
                answers.extend(self._answers_of(body))
            else:
                lines.append(JournalLine(kind, "", journals.encode(body)))
        self.market.lines.clear()
        if sent:
            lines.append(JournalLine("sent", "", journals.encode([call.key for call in sent])))
        self._record(answers, lines)
        self._count(answers)

    def _count(self, answers: Sequence[Answer]) -> None:
        """They are safe: count them, and tell whoever listens."""
        self.answers.extend(answers)
        self._answered += sum(answer.outcome == "answered" for answer in answers)
        if self.told is not None:
            for answer in answers:
                self.told(answer)

    def _answers_of(self, settled: Settled) -> list[Answer]:
        return answer_of(settled, self.job.abstain, self.twins.get(settled.prompt.id, ()))

    def write_provisional(self) -> None:
        """The best so far of prompts that are still open, if any are, for whoever looks into the file of a stopped run.
        A resumed run writes the file anew.
        """
        self._one_row_each()
        open_ = self.market.provisional()
        rows = [row for each in open_ for row in provisional_of(each, self.twins.get(each.prompt.id, ()))]
        if self._out is not None and rows:
            shown = [row for row in rows if row.id not in self._old]
            self._out.write(b"".join(journals.encode(answer_row(row)) + b"\n" for row in shown))
            self._out.flush()
        self.answers.extend(rows)

    # ── running ────────────────────────────────────────────────────────────────────────────────────

    async def go(self, stop: Callable[[], int]) -> bool:
        """Until all is settled, or `stop` says so; False where it was stopped.

        Raises:
            EngineError: An engine gave up; what came back is kept, and what did not may be asked again.
        """
        tasks: Tasks = {}
        back = self._back
        left_over = self._under_way()
        try:
            if not left_over:
                self._deliver(back)
            while not self.market.finished or tasks:
                if not stop() and self._gave_up is None:
                    calls = left_over or self.market.step(self.elapsed_ms())
                    left_over = []
                    for call in calls:
                        if not self.job.engines[call.arm.engine].lockstep:
                            self._waiting.setdefault(call.arm.engine, deque()).append(call)
                    ready = self._ready()
                    self.write([call for own in ready.values() for call in own])
                    self._send(ready, tasks)
                    await self._lockstep(calls, back, stop)
                    self._drop_late(back)
                if stop() and not tasks:
                    self._deliver(back)
                    return False
                if tasks:
                    await self._collect(tasks, back)
                    if stop() > 1:
                        return False
                self._deliver(back)
                self._tell()
                if self._gave_up is not None and not tasks:
                    raise self._gave_up
            self.write()
            return True
        finally:
            for task in tasks:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _collect(self, tasks: Tasks, back: dict[str, Delivery]) -> None:
        """Wait for a moment or for whatever comes back first, and write it down in one commit."""
        # Not asyncio.wait: it looks at every task under way each time that one of them ends.
        with suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self._bell.wait()
        # A step takes much the same for one call as for ten: those that arrived together are settled together.
        for _ in range(TURNS):
            if FEW * len(self._over) >= len(tasks):
                break
            await asyncio.sleep(0)
        self._bell.clear()
        done, self._over = self._over, []
        calls: list[Call] = []
        deliveries: list[Delivery] = []
        for task in done:
            if task in tasks:
                own = self._taken(tasks, task)
                calls += own
                deliveries += self._result(task, own)
        self._came_back(calls, deliveries, back)
        self._give_up_late(tasks, back)
        if self._gave_up is not None and tasks and not done:
            await asyncio.wait(tasks, timeout=DRAIN_S)
            for task in [task for task in tasks if not task.done()]:
                self._taken(tasks, task)
                task.cancel()

    def _taken(self, tasks: Tasks, task: asyncio.Task[list[Delivery]]) -> list[Call]:
        calls = tasks.pop(task)
        self._busy[calls[0].arm.engine] -= len(calls)
        return calls

    def _ended(self, task: asyncio.Task[list[Delivery]]) -> None:
        self._over.append(task)
        self._bell.set()

    def _result(self, task: asyncio.Task[list[Delivery]], calls: Sequence[Call]) -> list[Delivery]:
        try:
            return task.result()
        except EngineError as error:
            self._gave_up = self._gave_up or error
            used = error.usage or Usage()
            lost = [Delivery((), used, 0, str(error), again=True)]
            return lost + [Delivery((), error=str(error), again=True)] * (len(calls) - 1)

    def _give_up_late(self, tasks: Tasks, back: dict[str, Delivery]) -> None:
        """What is not back some time after the deadline is waited for no longer. It may have been billed, so it is
        charged at the most that it could cost.
        """
        limit = self.job.budget.ms
        if limit is None or self.elapsed_ms() <= limit + GRACE_MS:
            return
        for task in [task for task in tasks if not task.done()]:
            calls = self._taken(tasks, task)
            task.cancel()
            self._came_back(calls, [_most(self.market.held_for(call.key), LATE) for call in calls], back)

    def _ready(self) -> dict[str, list[Call]]:
        """Calls that waited and go now, as many as their engines may have under way."""
        ready: dict[str, list[Call]] = {}
        for name, waiting in self._waiting.items():
            room = self.job.at_once.get(name, UNBOUNDED) - self._busy[name]
            own: list[Call] = []
            while waiting and len(own) < room and not self._too_late(waiting[0]):
                own.append(waiting.popleft())
            if own:
                ready[name] = own
        return ready

    def _send(self, ready: Mapping[str, list[Call]], tasks: Tasks) -> None:
        """Start calls that were written down."""
        for name, own in ready.items():
            engine = self.job.engines[name]
            self._busy[name] += len(own)
            for at in range(0, len(own), engine.chunk):
                chunk = own[at : at + engine.chunk]
                task = asyncio.create_task(_complete(engine, chunk))
                tasks[task] = chunk
                task.add_done_callback(self._ended)

    def _too_late(self, call: Call) -> bool:
        return self.job.budget.ms is not None and self.market.too_late(call.key, self.elapsed_ms())

    def _drop_late(self, back: dict[str, Delivery]) -> None:
        """Calls that waited until it was too late cost nothing."""
        if self.job.budget.ms is None:
            return
        for name, waiting in self._waiting.items():
            late = [call for call in waiting if self._too_late(call)]
            if late:
                going = {call.key for call in late}
                self._waiting[name] = deque(call for call in waiting if call.key not in going)
                self._came_back(late, [Delivery((), error=UNSENT, again=True)] * len(late), back)

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
                len(market.flight) - waiting - sum(map(len, self._waiting.values())),
                market.calls_made,
                market.ledger.spent,
                market.ledger.held,
                self.job.budget,
                self.elapsed_ms(),
                self._replayed,
                self._topped_up,
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
        waiting = {call.key for calls in self._waiting.values() for call in calls}
        sent = [
            key
            for key, purchase in market.flight.items()
            if purchase.call and key not in waiting and not job.engines[purchase.call.arm.engine].lockstep
        ]
        end, sentence = ending(market, job, finished, self.elapsed_ms(), sent)
        return Summary(
            len(job.prompts), outcomes, market.ledger.spent, job.budget, self.elapsed_ms(), end, sentence,
            totals(market), sum(given) / len(given) if given else 0.0,
            checked(market, job), market.ledger.overdraft, market.gave_up,
            sum(len(twins) for twins in self.twins.values()), self.resumed, job.directory, troubles(market),
            compared(market, job), self._topped_up,
        )  # fmt: skip


def _most(held: Cost, why: str, *, again: bool = False) -> Delivery:
    """What is settled for a call that may have been billed and will not come back."""
    return Delivery((), Usage(held.tok - held.outtok, held.outtok, estimated=True), 0, why, again=again)


async def _complete(engine: Engine, calls: list[Call]) -> list[Delivery]:
    return looked_at(calls[0].arm.engine, calls, await engine.complete(calls))


async def run_job(
    job: Job,
    watch: Callable[[Progress], None] | None = None,
    stop: Callable[[], int] | None = None,
    *,
    told: Callable[[Answer], None] | None = None,
) -> tuple[Summary, tuple[Answer, ...]]:
    """Run a job to its end, or resume it where its directory holds a journal; with a larger budget, top it up.

    Args:
        job: What to run.
        watch: Told where the run stands after every chunk.
        stop: Asked often: 0 to go on, 1 to let what is in flight come back and stop, 2 to stop now.
        told: Given each answer once it is safe in the journal, in the order in which they are settled; in a resumed
            run first those of the sittings before.

    Returns:
        The summary, and all answers in the order in which they were settled. Of a run that was stopped, the last of
        them are `provisional`: the best so far of prompts that are still open.

    Raises:
        ResumeError: The directory holds another run, or had a larger budget or one in other units.
        EngineError: An engine cannot serve at all; what came back before is kept.
    """
    run = _Run(job, watch, told)
    try:
        with seldom_collecting():
            finished = await run.go(stop or (lambda: 0))
        run.market.ledger.audit()
        run.write_provisional()
        return run.summary(finished), tuple(run.answers)
    except EngineError:
        run.write_provisional()
        raise
    finally:
        run.close()
        for engine in job.engines.values():
            await engine.close()
