"""What may be done in the market, and its state: prompts are opened, something is bought and held for, what comes back
is settled and is new evidence, a prompt waits or ends.

Each operation that was decided (open, reopen, go_on, compare, without, probe, buy, behind, idle, reveal, end, wake,
retry) leaves a line in `ops`, which the journal holds before its calls are sent. `Market` decides, `replay` repeats:
both through here.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

import numpy as np

from outlay.answers import Kind
from outlay.answers import kind as answer_kind
from outlay.batch import Batch, Valuation, pack
from outlay.flow import Arms, Candidate, Decision, Offer, joined, text_of
from outlay.ledger import MemoryLedger
from outlay.market.appraisal import Appraisal, parts_of, subs_of
from outlay.market.beside import HoldOut
from outlay.market.clock import Clock
from outlay.market.deadline import Deadline
from outlay.market.experience import Experience
from outlay.market.identity import EVEN_SHARE, class_of, is_even, seed_of
from outlay.market.point import Hidden, Point, Stopped
from outlay.market.purchase import (
    MESSAGE,
    Holds,
    Purchase,
    amounts,
    believe,
    charge,
    home_of,
    per_copy,
    receipt_line,
)
from outlay.market.setting import Beside, Setting, Settled
from outlay.types import FREE, Call, Completion, Cost, Delivery, Prompt, cost_of

EVEN_FROM = 100
"""Prompts from which on a part of them is bought evenly."""
DEADLINE = "the deadline"
NO_MONEY = "the budget"
NOT_WORTH = "no offer is worth its price"
RULE = "the rule was carried out"
GAVE_UP = "the budget could not pay for the rest of its chain, so it gave up its hold"
STOPPED = "the run was stopped; this is the best so far"
LOWEST = 1e-6
"""A price below which nothing is asked for again."""


@final
class Floor:
    """See the module. `points` are those that are not decided, by path; those that may act stand in one of `active`
    (to be valued), `early` (the same, in every step: what came back may be all that they need), `first` (the same,
    before the others: they waited for what they are compared with), `parked` (nothing is worth this price) and
    `refused` (what they chose could not be reserved). `beside` has those held out that may not act yet. `flight` holds
    calls under way, in the order of dispatch; `lines` what must be written before the calls in `new` are sent.
    """

    def __init__(self, setting: Setting, prompts: Sequence[Prompt]) -> None:
        self.setting, self.prompts = setting, prompts
        self.ledger = MemoryLedger(setting.budget)
        self.points: dict[str, Point] = {}
        self.active: dict[str, Point] = {}
        self.early: dict[str, Point] = {}
        self.first: dict[str, Point] = {}
        self.parked: dict[str, Point] = {}
        self.refused: dict[str, Point] = {}
        self.refused_at = (0.0, -1)  # the price, and what had been learned
        self.flight: dict[str, Purchase] = {}
        self.settled: list[Settled] = []
        self.again: list[Settled] = []  # settled prompts to be opened once more
        self.lines: list[tuple[str, Any]] = []
        self.ops: list[list[Any]] = []
        self.new: list[Call] = []
        self.next = 0  # the first prompt that is not open
        self.roots = 0
        self.calls_made = 0
        self.gave_up = 0
        self.keeps = False  # whether prompts that end for want of budget are kept, since a top-up is to come
        self.stopped: dict[str, Stopped] = {}  # those, by prompt id
        self.queue: deque[Point] = deque()  # those that go on, when there is room
        self.overdrawn_by = ""
        self.ran_into_budget = False
        self.even_spent = 0.0
        self.clock = Clock(setting, len(prompts))
        self.appraisal = Appraisal(
            setting, self.clock, lambda kind, arm: self.ops.append(["slot", kind, arm])
        )
        self.deadline = Deadline(self.clock, self.appraisal, self.ledger, self.flight)
        self.seen = Experience(priced=setting.policy.priced)
        self.beside = HoldOut(setting)
        self._flows: dict[str, Purchase] = {}  # sub-flows under way
        self._reopened: dict[str, int] = {}
        self._kinds: dict[str, Kind] = {}

    # ── prompts are opened ─────────────────────────────────────────────────────────────────────────────

    def open_prompts(self) -> None:
        """As many as may be open."""
        while self.next < len(self.prompts) and self.roots < self.setting.open_points:
            self.ops.append(["open", self.next])
            self.open_next()

    def open_next(self) -> None:
        """Open a prompt. One that is held out waits: nothing is bought for it before its comparison is asked."""
        prompt = self.prompts[self.next]
        self.next += 1
        point = self._open(prompt, prompt.id)
        self._begin(point)
        if not point.done and self.beside.takes(point):
            self.forget(point)
            self.beside.waiting[point.path] = point

    def hold_out(self, point: Point, held: Cost | None = None) -> bool:
        """Ask the dearest model once, beside the run: what it says is not seen before the run has decided without it,
        so that the two can be compared. False where that cannot be afforded now, with nothing changed.
        """
        offer, call = self.beside.offer(point)
        worst = self.appraisal.worst(call) if held is None else held
        slot = self.appraisal.slot(offer.kind, offer.arm)
        # Nobody can promise a time.
        ms = self.appraisal.expected(point, offer, slot).ms if self.clock.limited else 0
        most = replace(worst, ms=ms)
        if (held is None and not self.beside.affords(most)) or not self.ledger.reserve(call.key, worst):
            return False
        self.beside.ask(call.key, most)
        price = self.setting.pricing.price
        line = {**receipt_line(point, offer, 1, price), "kind": "compare"}
        point.lines.append(line)
        self.ops.append(["compare", point.path, amounts(worst), price])
        self.forget(point)
        point.flight = 1
        self._dispatch(point, offer, slot, line, call, ms, hidden=True)
        return True

    def begin_without(self, point: Point) -> None:
        """A held-out prompt is compared with nothing."""
        self.ops.append(["without", point.path])
        self.forget(point)
        self.active[point.path] = point

    def reveal(self, point: Point) -> None:
        """The run has decided without it: compare, and let the run use what was paid for."""
        hidden = point.hidden
        assert hidden is not None
        self.beside.compare(point, hidden)
        triple = (hidden.offer.kind, hidden.offer.arm, -1)
        if not point.bought:
            self.seen.count_fresh(point, -1)
        point.bought[triple] = point.bought.get(triple, 0) + 1
        self._add_draw(point, hidden.offer, hidden.slot, hidden.completion)
        self.forget(point)
        self._go_on(point)

    def _open(self, prompt: Prompt, path: str) -> Point:
        arms = self._arms_for(prompt)
        owner = class_of(prompt, arms)
        klass = self.setting.belief.klass(owner)
        point = Point(path, prompt, self._kind(prompt.answer), arms, klass, None, owner, self.setting.same)
        even = len(self.prompts) >= EVEN_FROM and is_even(prompt.id, self.setting.seed)
        point.even = even and not self.beside.takes(point)
        return point

    def _begin(self, point: Point) -> None:
        klass = point.klass
        self.roots += 1
        self.points[point.path] = point
        self.seen.count_fresh(point, 1)
        if not point.start(self.setting.strategy):
            self._close(point, point.ended, point.factor, "the flow ended")
            return
        self.active[point.path] = point
        self.seen.remember(point)
        if not self.appraisal.knows(klass):
            self.probe_flows(point, list(point.offers))
            self.appraisal.probe(point)

    def probe_flows(self, point: Point, menu: list[Offer]) -> None:
        """The classes of the points that the flows on a menu would open; a class that is new is looked at, without
        buying.
        """
        for offer in menu:
            if offer.kind in point.sub_classes or isinstance(offer.do, Call):
                continue
            sub = subs_of(offer)[0]
            klass = self.setting.belief.klass(f"{point.owner}>{offer.kind}")
            point.sub_classes[offer.kind] = klass
            if self.appraisal.knows(klass):
                continue
            self.ops.append(["probe", point.path])
            kind = self._kind(sub.prompt.answer)
            probe = Point("", sub.prompt, kind, point.arms, klass, None, f"{point.owner}>{offer.kind}", None)
            if probe.start(sub.start):
                self.probe_flows(probe, list(probe.offers))
                self.appraisal.probe(probe)

    def _arms_for(self, prompt: Prompt) -> Arms:
        checks = self.setting.checks
        if checks is None:
            return self.setting.arms
        own = checks.get(prompt.id, frozenset())
        return tuple(arm for arm in self.setting.arms if arm.role != "check" or arm.name in own)

    def _kind(self, spec: str) -> Kind:
        known = self._kinds.get(spec)
        if known is None:
            known = self._kinds[spec] = answer_kind(spec)
        return known

    def ask_again(self, failed: Sequence[Settled]) -> set[str]:
        """Open these settled prompts once more in the next step, with the receipt that they have; their ids."""
        self.again = list(failed)
        return {settled.prompt.id for settled in failed}

    def reopen(self, settled: Settled) -> None:
        """Begin a settled prompt anew, with the receipt that it has."""
        self.settled.remove(settled)
        self.stopped.pop(settled.prompt.id, None)
        point = self._open(settled.prompt, self._path_again(settled.prompt.id))
        point.spent, point.lines = settled.cost, settled.lines
        self._begin(point)

    def _path_again(self, prompt_id: str) -> str:
        """A path that no call of the prompt had before, nor any other prompt."""
        ids = {prompt.id for prompt in self.prompts}
        path = f"{prompt_id}~{self._reopened.get(prompt_id, 0) + 1}"
        self._reopened[prompt_id] = self._reopened.get(prompt_id, 0) + 1
        while path in ids:
            path += "~"
        return path

    # ── something is bought ────────────────────────────────────────────────────────────────────────────

    def buy(
        self, point: Point, offer: Offer, copies: int, gain: float, cost: float, forced: bool, max_tokens: int = 0,
        stakes: Sequence[float] = (), held: Holds | None = None,
    ) -> bool:  # fmt: skip
        """Reserve and dispatch one offer; False where the ledger refuses, or where it would not be under way or back in
        time, with nothing changed. `held` is what was reserved for it before the run was stopped: an endpoint may
        promise something else by now.
        """
        if held is None and not self.deadline.in_time(point, offer):
            return False
        triple = (offer.kind, offer.arm, offer.about)
        ordinal = point.bought.get(triple, 0)
        key = f"{point.path}/{offer.kind}.{offer.arm}.{offer.about}.{ordinal}"
        copies = max(1, min(copies, offer.most))
        call: Call | None = None
        worst = FREE
        if isinstance(offer.do, Call):
            asked = offer.do
            call = Call(
                asked.arm, asked.payload, key, point.root.prompt.id, ordinal, copies, seed_of(key, self.setting.seed),
                max_tokens or asked.max_tokens or asked.arm.max_tokens,
            )  # fmt: skip
            worst = self.appraisal.worst(call) if held is None else held.call
        rest = held.rest if held is not None else self._rest(point, offer)
        if not self._reserve(point, offer, key, worst, rest, call is not None):
            # Fewer copies may fit where many do not.
            return copies > 1 and self.buy(point, offer, copies // 2, gain, cost, forced, max_tokens)
        slot = self.appraisal.slot(offer.kind, offer.arm)
        price = self.setting.pricing.price
        line = receipt_line(point, offer, copies, price, max_tokens=max_tokens, forced=forced)
        point.root.lines.append(line)
        # The policies here are deterministic given the evidence; the even share is drawn by a hash of the prompt.
        propensity = EVEN_SHARE if forced else 1.0
        op = ["buy", point.path, *triple, copies, max_tokens, point.best, point.leader, point.until, point.remaining,
              gain, cost, forced, propensity, price, [amounts(worst), amounts(rest)]]  # fmt: skip
        self.ops.append(op)
        if not point.bought and point.parent is None:
            self.seen.count_fresh(point, -1)
        point.bought[triple] = ordinal + copies
        self.forget(point)
        point.wanted = None
        point.remaining = max(0.0, point.remaining - cost)
        if call is not None:
            point.flight = 1
            self.appraisal.costs.note_worst(slot, per_copy(worst, copies))
            ms = self.appraisal.expected(point, offer, slot).ms * copies if self.clock.limited else 0
            self._dispatch(point, offer, slot, line, call, ms)
        else:
            op.append(self._open_flows(point, offer, slot, key, line, stakes))
        return True

    def _dispatch(
        self, point: Point, offer: Offer, slot: int, line: dict[str, Any], call: Call, ms: int, *, hidden: bool = False
    ) -> None:  # fmt: skip
        engine = call.arm.engine
        began = self.clock.began(engine, self.deadline.elapsed)
        self.flight[call.key] = Purchase(point, offer, slot, line, call, (), hidden, ms, began)
        self.deadline.busy[engine] += 1
        self.new.append(call)
        self.calls_made += 1

    def _rest(self, point: Point, offer: Offer) -> Cost:
        return self.appraisal.rest(point, offer, worst=True) if offer.rest else FREE

    def _reserve(self, point: Point, offer: Offer, key: str, worst: Cost, rest: Cost, is_call: bool) -> bool:
        """Hold the worst case of a call, and the price of the rest of its chain in place of what the chain held."""
        home = home_of(point)
        keep = rest if point.chain and home == point.chain else FREE
        if is_call and not self.ledger.reserve(key, worst, home, keep):
            return False
        if not (offer.rest or point.chain):
            return True
        above = home_of(point.parent) if point.parent is not None else ""
        if not self.ledger.hold(point.path, rest, above):
            if is_call:
                self.ledger.release(key)
            return False
        point.legs = sum(leg.times for leg in offer.rest)
        point.chain = point.path
        if not offer.rest:
            self._release_chain(point)
        return True

    def _release_chain(self, point: Point) -> None:
        if point.chain:
            self.ledger.release(point.chain)
            point.chain = ""

    def _open_flows(
        self, point: Point, offer: Offer, slot: int, key: str, line: dict[str, Any], stakes: Sequence[float]
    ) -> list[float]:
        """Start the flows of an offer side by side; each is a point with a stake of its own. Returns the stakes."""
        self.probe_flows(point, [offer])
        subs = subs_of(offer)
        klass = point.sub_classes[offer.kind]
        children = tuple(
            Point(f"{key}.{number}", sub.prompt, self._kind(sub.prompt.answer), point.arms, klass, point,
                  f"{point.owner}>{offer.kind}", self.setting.same)
            for number, sub in enumerate(subs)
        )  # fmt: skip
        self._flows[key] = Purchase(point, offer, slot, line, None, children)
        point.flight = len(children)
        parts = parts_of(offer)
        worth = point.stake * max(1.0 - point.best, 0.0) * point.factor
        standard = self.appraisal.standard(klass, worth, parts)[0] if parts > 1 and not stakes else 1.0
        given = list(stakes) or [worth * standard ** (parts - 1)] * len(children)
        for child, sub, stake in zip(children, subs, given, strict=True):
            child.stake = stake
            self.points[child.path] = child
            if child.start(sub.start):
                self.seen.remember(child)
                self.active[child.path] = child
            else:
                self._close(child, child.ended, child.factor, "the flow ended")
        return given

    # ── a point waits ──────────────────────────────────────────────────────────────────────────────────

    def idle(self, point: Point, why: str) -> None:
        """Nothing is bought now: the price is too high, or the ledger refused."""
        price = self.setting.pricing.price
        if why == "price":
            half = price / 2 if price > LOWEST else 0.0
            if point.until >= price:
                # Valued at a price that it should have paid, and yet it chose nothing: what it could gain is next to
                # nothing. It is asked again at half the price, not at a hair less, and at last no more.
                point.until = half
            elif point.sub_classes:  # what a chain of parts is worth depends on the price itself
                point.until = max(point.until, half)
        op = ["idle", point.path, why, point.best, point.leader, point.until, point.remaining]
        if why == "budget":
            assert point.wanted is not None
            offer, *rest = point.wanted
            op += [[offer.kind, offer.arm, offer.about], *rest, price]
        self.ops.append(op)
        self.set_idle(point, why, price)

    def set_idle(self, point: Point, why: str, price: float) -> None:
        self.forget(point)
        if why == "price":
            self.parked[point.path] = point
        else:
            self.refused[point.path] = point
            self.refused_at = (price, self.seen.epoch)

    def forget(self, point: Point) -> None:
        at = (self.active, self.early, self.first, self.parked, self.refused, self.beside.waiting)
        for idle in at:
            idle.pop(point.path, None)

    # ── a point ends ───────────────────────────────────────────────────────────────────────────────────

    def end(self, point: Point, reason: str) -> None:
        """The market decides: the best-supported candidate and the belief in it."""
        if point.hidden is not None:
            self.ops.append(["reveal", point.path, point.best, point.leader])
            self.reveal(point)
            return
        self.ops.append(["end", point.path, reason, point.best, point.leader])
        self.finish(point, reason)

    def finish(self, point: Point, reason: str) -> None:
        self.gave_up += reason == GAVE_UP
        self.ran_into_budget |= reason in (GAVE_UP, NO_MONEY)
        candidate = point.answer_of(point.leader) if point.leader >= 0 else None
        belief = point.best if candidate is not None else 0.0
        if self.keeps and self._may_go_on(point, reason):
            assert point.flow is not None
            wanted = reason != NOT_WORTH or point.until > 0
            self.stopped[point.prompt.id] = Stopped(point, point.flow, point.offers, reason, wanted)
        else:
            point.advance(Decision(candidate, belief, reason))
        self._close(point, candidate, belief, reason)

    def _may_go_on(self, point: Point, reason: str) -> bool:
        """Whether a larger budget might buy more here; what failed and has no answer is asked anew instead."""
        if point.parent is not None:
            return False
        if reason in (NO_MONEY, GAVE_UP, DEADLINE):
            return True
        priced = self.setting.policy.priced and self.setting.pricing.falls
        return reason == NOT_WORTH and priced and bool(point.draw_rows or not point.failed)

    def go_on(self) -> None:
        """Prompts that had ended for want of budget, as many as may be open."""
        while self.queue and self.roots < self.setting.open_points:
            self.ops.append(["go_on", self.queue[0].path])
            self.go_on_next()

    def go_on_next(self) -> None:
        point = self.queue.popleft()
        self.roots += 1
        self.points[point.path] = self.active[point.path] = point

    def _close(self, point: Point, candidate: Candidate | None, belief: float, reason: str) -> None:
        self._release_chain(point)
        if point.hidden is not None:  # its flow ended of its own
            self.beside.compare(point, point.hidden)
        point.done = True
        point.offers, point.flow = (), None
        believe(point, belief, point.leader)
        self.points.pop(point.path, None)
        self.forget(point)
        if point.parent is not None:
            point.ended = candidate
            self._hand_up(point)
            return
        if not point.bought:
            self.seen.count_fresh(point, -1)
        self.roots -= 1
        done = Settled(
            point.prompt, candidate, belief, reason, len(point.draw_rows), point.spent, point.lines
        )
        self.settled.append(done)
        self.lines.append(("settled", done))

    def _hand_up(self, child: Point) -> None:
        """A sub-flow is done: when all of its purchase are, the parent goes on."""
        parent = child.parent
        assert parent is not None
        key = child.path.rsplit(".", 1)[0]
        purchase = self._flows[key]
        parent.flight -= 1
        if parent.flight:
            return
        del self._flows[key]
        offer = purchase.offer
        decisions = tuple(Decision(each.ended, each.best, "") for each in purchase.children)
        belief, spent = 1.0, FREE
        for each in purchase.children:
            belief, spent = belief * each.best, spent + each.spent
        self.appraisal.settle(parent.klass, purchase.slot, spent, 1)
        text = (joined if offer.read is text_of else offer.read)(decisions)
        if offer.effect == "draw":
            self.seen.draws += 1
            parent.add_answer(offer, purchase.slot, text, belief)
        else:
            parent.add_note(offer, text, belief)
            parent.factor *= belief
            parent.parts.extend(purchase.children)
        parent.last = purchase.line
        self._go_on(parent)

    # ── what comes back ────────────────────────────────────────────────────────────────────────────────

    def deliver(self, key: str, delivery: Delivery) -> None:
        """Settle a call in full and extend the evidence of its point."""
        point, offer, slot, line, call, _, hidden, _, began = self.flight.pop(key)
        assert call is not None
        self.deadline.busy[call.arm.engine] -= 1
        cost = cost_of(call.arm.price, delivery.usage, delivery.ms)
        if self.ledger.settle(key, cost) != FREE:
            self.overdrawn_by = call.arm.name
        self._charge(point, line, cost)
        if delivery.repeated:
            line["repeated"] = {"times": len(delivery.repeated), "why": delivery.repeated[0][:MESSAGE]}
        if hidden:
            used = self.clock.of_run(call, cost, began)
            self.beside.settle(key, used)
            self._keep_hidden(point, offer, slot, delivery, cost, used)
            return
        for completion in delivery.completions:
            if offer.effect == "draw":
                self._add_draw(point, offer, slot, completion)
            elif offer.effect == "verdict":
                value = offer.read(completion)
                point.add_verdict(offer, slot, value, completion.text)
                self.seen.heard(call.arm, value)
                line["verdict"] = value
                if offer.kind == "check" and completion.text:
                    line["message"] = completion.text[:MESSAGE]
            else:
                point.add_note(offer, offer.read(completion), None)
        if delivery.error:
            line["error"] = delivery.error
        if delivery.completions:
            used = self.clock.of_run(call, cost, began)
            self.appraisal.settle(point.klass, slot, used, len(delivery.completions))
        elif delivery.again:
            triple = (offer.kind, offer.arm, offer.about)
            point.lost[triple] = point.lost.get(triple, 0) + call.n
        else:
            if offer.effect == "verdict":
                self.seen.failed(call.arm)
            point.fail(offer, delivery.error)
        point.flight = 0
        self._go_on(point)

    def _add_draw(self, point: Point, offer: Offer, slot: int, completion: Completion) -> None:
        self.seen.draws += 1
        point.lengths.append(completion.output_tokens / self.appraisal.length(point.klass, slot, completion))
        point.add_draw(offer, slot, completion)

    def _keep_hidden(
        self, point: Point, offer: Offer, slot: int, delivery: Delivery, cost: Cost, used: Cost
    ) -> None:
        """What a held-out prompt is compared with is back; now the run begins for it."""
        if delivery.completions:
            self.appraisal.settle(point.klass, slot, used, 1)
            point.hidden = Hidden(offer, slot, delivery.completions[0], cost)
        if delivery.error:
            point.lines[0]["error"] = delivery.error
        point.flight = 0
        self.first[point.path] = point

    def _charge(self, point: Point, line: dict[str, Any], cost: Cost) -> None:
        charge(line, cost)
        point.last = line
        at: Point | None = point
        while at is not None:
            at.spent = at.spent + cost
            at = at.parent
        if "even" in line:
            self.even_spent += self.setting.pricing.share(cost)

    def _go_on(self, point: Point) -> None:
        """New evidence: the flow offers again, or ends with a candidate of its own."""
        if point.advance(point.evidence):
            self._line_up(point)
            return
        candidate, belief = point.ended, point.factor if point.ended is not None else 0.0
        if candidate is not None and point.draw_rows:
            self.refresh(point)
            if point.candidate(candidate.answer) == point.leader:
                belief *= point.best
        elif candidate is None and point.draw_rows:
            self.refresh(point)
            candidate, belief = point.answer_of(point.leader), point.best * point.factor
        self._close(point, candidate, belief, "the flow ended")

    def _line_up(self, point: Point) -> None:
        """To be valued; what may be done, in the next step whatever its turn."""
        done = bool(point.draw_rows)
        if self.setting.policy.priced:
            done = bool(point.verdict_rows) and point.verdict_rows[-1].value > 0
        (self.early if done else self.active)[point.path] = point

    def wait_behind(self, point: Point) -> None:
        """It was looked at before its turn and wants more: those that waited buy first."""
        self.forget(point)
        self.active[point.path] = point

    def refresh(self, point: Point) -> None:
        batch = pack([point.row()], [point.draw_rows], [point.verdict_rows], [()])
        self.note_values([point], batch, self.setting.belief.value(batch, 1.0), 1.0)

    @staticmethod
    def note_values(points: list[Point], batch: Batch, values: Valuation, price: float) -> None:
        """Keep what the forecast, the parts and the receipts need."""
        count = len(points)
        until_P, remaining_P = np.zeros(count), np.zeros(count)
        if len(batch.point_O) and price < math.inf:
            np.maximum.at(until_P, batch.point_O, values.until_O)
            net_O = batch.stake_P[batch.point_O] * values.gain_O - price * values.cost_O
            order = np.argsort(net_O, kind="stable")
            remaining_P[batch.point_O[order]] = values.cost_O[order]
        leader_P = np.where(values.leader_P >= 0, values.leader_P - batch.first_P[:-1], -1)
        rows = zip(
            points,
            values.best_P.tolist(),
            leader_P.tolist(),
            until_P.tolist(),
            remaining_P.tolist(),
            strict=True,
        )
        for point, best, leader, until, remaining in rows:
            point.until, point.remaining = until, remaining
            believe(point, best, leader)

    # ── prices and what was learned ────────────────────────────────────────────────────────────────────

    def wake(self, *, fresh: bool = False) -> None:
        """Points that would buy at the present price; of these, if `fresh`, those that bought nothing yet."""
        price = self.setting.pricing.price
        woken = [p for p in self.parked.values() if p.until > price and not (fresh and p.bought)]
        if woken:
            self.ops.append(["wake", price, fresh])
        for point in woken:
            del self.parked[point.path]
            self.active[point.path] = point

    def retry(self) -> None:
        self.active.update(self.refused)
        self.refused.clear()

    def set_price(self, price: float) -> None:
        self.setting.pricing.restore({**self.setting.pricing.state(), "price": price})

    def learned(self) -> None:
        self.seen.learned()
        self.renew()

    def renew(self) -> None:
        """Costs or parameters are new: everything is appraised again, and whoever waits is valued again."""
        self.appraisal.learned()
        self._look_back()
        parked = list(self.parked.values())
        self.parked.clear()
        for point in parked:
            self._line_up(point)

    def _look_back(self) -> None:
        """What was learned changes the belief in parts that were decided before."""
        whole = [point for point in (*self.points.values(), *self.queue) if point.parts]
        parts = [part for point in whole for part in point.parts]
        if not parts:
            return
        batch = pack(
            [part.row() for part in parts], [part.draw_rows for part in parts],
            [part.verdict_rows for part in parts], [()] * len(parts),
        )  # fmt: skip
        belief_C = self.setting.belief.value(batch, 1.0).belief_C
        for part, first in zip(parts, batch.first_P.tolist(), strict=False):
            if part.leader >= 0 and part.draw_rows:
                part.best = float(belief_C[first + part.leader])
        for point in whole:
            point.factor = float(np.prod([part.best for part in point.parts]))

    # ── beside the run ─────────────────────────────────────────────────────────────────────────────────

    def provisional(self) -> list[Settled]:
        """The best so far of prompts that are open, once nothing more is bought in this sitting."""
        rows = []
        own = [*self.queue, *(point for point in self.points.values() if point.parent is None)]
        for point in [point for point in own if point.draw_rows]:
            self.refresh(point)
            candidate = point.answer_of(point.leader) if point.leader >= 0 else None
            if candidate is not None:
                rows.append(
                    Settled(
                        point.prompt,
                        candidate,
                        point.best,
                        STOPPED,
                        len(point.draw_rows),
                        point.spent,
                        point.lines,
                    )
                )
        return rows

    @property
    def compared(self) -> list[Beside]:
        """The held-out prompts that were compared with the dearest model."""
        return self.beside.rows

    @property
    def finished(self) -> bool:
        """Every prompt is settled, and none waits to be asked again."""
        return len(self.settled) == len(self.prompts) and not self.again
