"""The only loop: collect open points, value their offers, let the policy choose, reserve, dispatch, settle, extend
the evidence.

It is a pure step. The driver hands it the time and what came back; it hands back calls and journal lines. All that it
decides is one of a few operations (open, reopen, compare, probe, buy, behind, idle, reveal, end), each written to the
journal before its calls are sent, so that a resumed run is this same machine fed with the journal: nothing is chosen
anew.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, final

import numpy as np

from outlay.answers import Kind
from outlay.answers import kind as answer_kind
from outlay.batch import Batch, OfferRow, Valuation, pack
from outlay.errors import NotDeterministic
from outlay.flow import Arms, Candidate, Decision, Offer, joined, text_of
from outlay.ledger import MemoryLedger
from outlay.market.appraisal import Appraisal, capped, parts_of, subs_of
from outlay.market.beside import HoldOut
from outlay.market.clock import Clock
from outlay.market.experience import Experience
from outlay.market.identity import EVEN_SHARE, class_of, is_even, places, seed_of
from outlay.market.point import Hidden, Point, Wanted
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
from outlay.policies import View
from outlay.policies.base import Choice
from outlay.pricing import Forecast
from outlay.types import FREE, Call, Completion, Cost, Delivery, Prompt, cost_of

EVEN_FROM, EVEN_BUDGET = 100, 0.10
"""The evenly bought share: this part of the prompts, from this many prompts on, for at most this part of the budget."""
CAUTION, CALMING = 2.0, 0.7
"""By how much more than forecast fresh prompts are thought to spend at first, when the forecast rests on priors, and
what is left of that after each learning: what was spent too early cannot be taken back."""
DEADLINE = "the deadline"
NO_MONEY = "the budget"
PASSED = "your check passed"
SURE = 0.9
"""Belief in an answer that passed a check from which nothing more is bought. A check that passes everything is learned
to say little, and the belief in what passed it is lower."""
CERTAIN = 0.999
"""Belief in an answer from which nothing more is bought, checked or not: no belief is exact to more, and a budget that
is too large is not to be spent on a thousandth.
"""
SETTLED = "it is sure: more would hardly change the answer"
GAVE_UP = "the budget could not pay for the rest of its chain, so it gave up its hold"
STOPPED = "the run was stopped; this is the best so far"
SLOW_START = 32
NEAR = 1.5
LOWEST = 1e-6
"""A price below which nothing is asked for again."""


@final
class Market:
    """See the module. `step` decides, `deliver` settles, `replay` repeats what a journal says; `lines` is what must
    be written before the calls are sent.
    """

    def __init__(self, setting: Setting, prompts: Sequence[Prompt]) -> None:
        self.setting, self.prompts = setting, prompts
        self.ledger = MemoryLedger(setting.budget)
        self.points: dict[str, Point] = {}
        self.flight: dict[str, Purchase] = {}  # calls under way, in the order of dispatch
        self.lines: list[tuple[str, Any]] = []
        self.settled: list[Settled] = []
        self.calls_made = 0
        self.gave_up = 0
        self.overdrawn_by = ""
        self.ran_into_budget = False
        self._clock = Clock(setting, len(prompts))
        self._appraisal = Appraisal(
            setting, self._clock, lambda kind, arm: self._ops.append(["slot", kind, arm])
        )
        self._flows: dict[str, Purchase] = {}  # sub-flows under way
        self._next = 0  # the first prompt that is not open
        self._roots = 0
        self._active: dict[str, Point] = {}  # to be valued
        self._early: dict[
            str, Point
        ] = {}  # the same, in every step: what came back may be all that they need
        self._parked: dict[str, Point] = {}  # nothing is worth this price
        self._refused: dict[str, Point] = {}  # what they chose could not be reserved
        self._ops: list[list[Any]] = []
        self._ready: tuple[float, tuple[Batch, Valuation], list[Point]] | None = (
            None  # valued before the price was set
        )
        self._new: list[Call] = []
        self._seen = Experience(priced=setting.policy.priced)
        self._beside = HoldOut(setting)
        self._steps = 0
        self._written: dict[str, float] = {}  # the state of the pricing as the journal knows it
        self._elapsed = 0  # milliseconds, at the last step
        self._pending = 0  # milliseconds that calls under way are expected to take of the run
        self._refused_at = (0.0, -1)
        self._even_spent = 0.0
        self._again: list[Settled] = []  # settled prompts to be opened once more
        self._reopened: dict[str, int] = {}
        self._place = places(setting.arms)
        self._kinds: dict[str, Kind] = {}

    @property
    def finished(self) -> bool:
        """Every prompt is settled, and none waits to be asked again."""
        return len(self.settled) == len(self.prompts) and not self._again

    @property
    def open(self) -> int:
        """Prompts that are open."""
        return self._roots

    # ── one step ───────────────────────────────────────────────────────────────────────────────────

    def step(self, elapsed_ms: int = 0) -> list[Call]:
        """Decide everything that can be decided now; the calls to send once `lines` are written."""
        self._steps += 1
        self._elapsed = elapsed_ms
        self._learn_if_due()
        for settled in self._again:
            self._ops.append(["reopen", settled.prompt.id])
            self._reopen(settled)
        self._again = []
        self._begin_step()
        self._open_prompts()
        self._value_and_price()
        while not self.finished:
            self._open_prompts()
            if not self._round(elapsed_ms) and (self.flight or not self._unblock()):
                break
        calls, self._new = self._new, []
        pricing = self.setting.pricing.state()
        if self._ops or pricing != self._written:  # a step in which nothing was decided is not worth a line
            self.lines.append(("step", {"ops": self._ops, "pricing": pricing}))
            self._written = pricing
        self._ops = []
        return calls

    def _value_and_price(self) -> None:
        """The price rests on what the points with new evidence would still buy, so these are valued first; where the
        price then stays, so do the values.
        """
        pricing = self.setting.pricing
        if not (pricing.falls and self.setting.policy.priced):
            return
        points = self._next_to_act()
        if points:
            self._ready = (
                pricing.price,
                self._appraise(points, [self._menu(point) for point in points]),
                points,
            )
        pricing.update(self._forecast())
        self._wake()

    def _next_to_act(self) -> list[Point]:
        """The points that may act now. A run starts slowly, so that the first prompts teach what the others are then
        bought at: no more calls are in flight than answers came back, and a few. What may be done does not wait.
        """
        room = max(SLOW_START + self._seen.draws - len(self.flight), 0)
        if self._clock.limited:  # what is bought now and sent later is decided on less than is known then
            room = min(room, max(self._clock.at_once - len(self.flight), 0))
        return [*islice(self._active.values(), room), *self._early.values()]

    def _begin_step(self) -> None:
        """Something may have been freed: who was refused may try again, the most advanced chains first. What they
        want is still what they wanted, unless the price or the parameters changed.
        """
        if not self._refused:
            return
        if self._refused_at != (self.setting.pricing.price, self._seen.epoch):
            self._ops.append(["retry"])
            self._retry()
            return
        chain_waits = False
        for point in sorted(self._refused.values(), key=_advance):
            wanted = point.wanted
            assert wanted is not None
            opens = bool(wanted.offer.rest) and not point.chain
            if not (opens and chain_waits) and not self._buy(point, *wanted):
                chain_waits = chain_waits or opens or bool(point.chain)

    def _retry(self) -> None:
        self._active.update(self._refused)
        self._refused.clear()

    def _round(self, elapsed_ms: int) -> bool:
        """Value active points together and act on each: chains first, the most advanced before the others. False
        where nobody could act.
        """
        points = self._next_to_act()
        if not points:
            return False
        early = set(self._early)
        for point in points:
            self._forget(point)
        if not self._active:  # nobody waits
            early.clear()
        menus = [self._menu(point) for point in points]
        ready, self._ready = self._ready, None
        if ready is not None and ready[2] == points and _near(ready[0], self.setting.pricing.price):
            batch, values = ready[1]
        else:
            batch, values = self._appraise(points, menus)
        choice = self._choose(points, menus, batch, values)
        order: Sequence[int] = range(len(points))
        if any(point.chain for point in points):
            order = sorted(order, key=lambda i: _advance(points[i]))
        first_O = np.searchsorted(batch.point_O, np.arange(len(points))).tolist()
        offer_P, copies_P = choice.offer_P.tolist(), choice.copies_P.tolist()
        limit = self.setting.budget.ms
        stopped = DEADLINE if limit is not None and elapsed_ms >= limit else ""
        if self.overdrawn_by:
            stopped = f"the worst case that {self.overdrawn_by} gave was exceeded"
        chain_waits = False
        for i in order:
            point, row = points[i], offer_P[i]
            offer = self._even_offer(point, menus[i])
            forced = offer is not None
            looked = all(other.kind != "check" for other in menus[i])  # every check of the user's has its say
            if offer is None and looked and self.setting.policy.priced and point.parent is None:
                reason = PASSED if point.passed(SURE) else SETTLED if point.best >= CERTAIN else ""
                if reason:
                    self._end(point, reason)
                    continue
            if offer is None and row >= 0:
                offer = menus[i][row - first_O[i]]
            if offer is None:
                # What is worth nothing now may be worth something when more was learned, or the price fell.
                if (
                    menus[i]
                    and self.setting.policy.priced
                    and self.setting.pricing.falls
                    and point.parent is None
                ):
                    self._idle(point, "price")
                else:
                    self._end(point, "no offer is worth its price" if menus[i] else "nothing more is offered")
            elif stopped or self._too_late(point, offer, elapsed_ms):
                self._end(point, stopped or DEADLINE)
            elif point.path in early and offer.kind != "check":
                self._ops.append(["behind", point.path])
                self._wait_behind(point)
            else:
                copies = 1 if forced else copies_P[i]
                gain, cost = (0.0, 0.0) if forced else (float(values.gain_O[row]), float(values.cost_O[row]))
                # Open chains are topped up before anything is opened.
                opens = bool(offer.rest) and not point.chain
                if (opens and chain_waits) or not self._buy(point, offer, copies, gain, cost, forced):
                    point.wanted = Wanted(offer, copies, gain, cost, forced)
                    self._idle(point, "budget")
                    chain_waits = chain_waits or opens or bool(point.chain)
        return True

    def _appraise(self, points: list[Point], menus: list[list[Offer]]) -> tuple[Batch, Valuation]:
        """Beliefs and the worth of all offers at the present price."""
        for point, menu in zip(points, menus, strict=True):
            self._probe_flows(point, menu)
        rows = [self._rows(point, menu) for point, menu in zip(points, menus, strict=True)]
        batch = pack(
            [p.row() for p in points], [p.draw_rows for p in points], [p.verdict_rows for p in points], rows
        )
        # A rule asks for no gains: at this price there are none, and none is looked for.
        price = self.setting.pricing.price if self.setting.policy.priced else math.inf
        values = self.setting.belief.value(batch, price)
        self._note_values(points, batch, values, price)
        return batch, values

    def _rows(self, point: Point, menu: list[Offer]) -> list[OfferRow]:
        """The menu as numbers, kept within a step. (Not for longer: a resumed run would make it later, when other
        costs are known.)
        """
        if point.valued != self._steps or point.sub_classes:
            point.rows = self._appraisal.rows(point, menu)
            point.valued = self._steps
        return point.rows

    def _choose(
        self, points: list[Point], menus: list[list[Offer]], batch: Batch, values: Valuation
    ) -> Choice:
        return self.setting.policy.choose(
            self._view(points, menus, batch, values, self.setting.pricing.price)
        )

    @staticmethod
    def _note_values(points: list[Point], batch: Batch, values: Valuation, price: float) -> None:
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

    def _view(
        self, points: list[Point], menus: list[list[Offer]], batch: Batch, values: Valuation, price: float
    ) -> View:
        none = np.zeros(0, dtype=np.int64)
        if self.setting.policy.priced:
            return View(batch, values, price, none, none, none)
        arm_O = [self._place.get(offer.arm, -1) for menu in menus for offer in menu]
        bought_O = [
            point.tried((offer.kind, offer.arm, offer.about))
            for point, menu in zip(points, menus, strict=True)
            for offer in menu
        ]
        arm_D = [self._place.get(draw.arm, -1) for point in points for draw in point.evidence.draws]
        return View(batch, values, price, *(np.array(x, dtype=np.int64) for x in (arm_O, bought_O, arm_D)))

    def _even_offer(self, point: Point, menu: list[Offer]) -> Offer | None:
        """For a prompt of the evenly bought share: a model, a sub-flow or a judge that it has not had once."""
        if not point.even or not self.setting.policy.priced or self._even_spent > EVEN_BUDGET:
            return None
        looks = [offer for offer in menu if offer.kind == "check"]
        if looks:  # first what it costs nothing to know
            return looks[0]
        had = {triple[:2] for triple in point.bought if point.tried(triple)}
        if had and not self._enough_for_all():
            return None
        for effect in ("draw", "verdict"):
            for offer in menu:
                if offer.effect == effect and (offer.kind, offer.arm) not in had:
                    return offer
        return None

    def _enough_for_all(self) -> bool:
        """Whether the budget pays for a cheap answer to each prompt that has none; before that nothing is compared. Of
        time there is no account.
        """
        left = self.setting.pricing.share(self.ledger.left + self.ledger.held)
        return self._clock.limited or self._appraisal.cheapest(self._unasked()) <= left

    def _unasked(self) -> dict[int, float]:
        """Prompts of each class that were asked nothing yet, those included that are not open."""
        return self._seen.fresh(len(self.prompts) - self._next if self._next else 0)

    def _too_late(self, point: Point, offer: Offer, elapsed_ms: int) -> bool:
        """Whether a call is not expected back by the deadline."""
        limit = self.setting.budget.ms
        if limit is None or not isinstance(offer.do, Call):
            return False
        slot = self._appraisal.slot(offer.kind, offer.arm)
        usual = self._clock.of_call(offer.do, self._appraisal.expected(point, offer, slot))
        return elapsed_ms + min(usual, self._appraisal.worst(offer.do).ms) > limit

    def too_late(self, key: str, elapsed_ms: int) -> bool:
        """Whether a call that was bought and not yet sent is not expected back by the deadline."""
        purchase = self.flight[key]
        return self._too_late(purchase.point, purchase.offer, elapsed_ms)

    # ── the operations ─────────────────────────────────────────────────────────────────────────────

    def _idle(self, point: Point, why: str) -> None:
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
        self._ops.append(op)
        self._set_idle(point, why, price)

    def _set_idle(self, point: Point, why: str, price: float) -> None:
        self._forget(point)
        if why == "price":
            self._parked[point.path] = point
        else:
            self._refused[point.path] = point
            self._refused_at = (price, self._seen.epoch)

    def _forget(self, point: Point) -> None:
        for idle in (self._active, self._early, self._parked, self._refused):
            idle.pop(point.path, None)

    def _buy(
        self, point: Point, offer: Offer, copies: int, gain: float, cost: float, forced: bool, max_tokens: int = 0,
        stakes: Sequence[float] = (), held: Holds | None = None,
    ) -> bool:  # fmt: skip
        """Reserve and dispatch one offer; False where the ledger refuses, with nothing changed. `held` is what was
        reserved for it before the run was stopped: an endpoint may promise something else by now.
        """
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
            worst = self._appraisal.worst(call) if held is None else held.call
        rest = held.rest if held is not None else self._rest(point, offer)
        if not self._reserve(point, offer, key, worst, rest, call is not None):
            # Fewer copies may fit where many do not.
            return copies > 1 and self._buy(point, offer, copies // 2, gain, cost, forced, max_tokens)
        slot = self._appraisal.slot(offer.kind, offer.arm)
        price = self.setting.pricing.price
        line = receipt_line(point, offer, copies, price, max_tokens=max_tokens, forced=forced)
        point.root.lines.append(line)
        # The policies here are deterministic given the evidence; the even share is drawn by a hash of the prompt.
        propensity = EVEN_SHARE if forced else 1.0
        op = ["buy", point.path, *triple, copies, max_tokens, point.best, point.leader, point.until, point.remaining,
              gain, cost, forced, propensity, price, [amounts(worst), amounts(rest)]]  # fmt: skip
        self._ops.append(op)
        if not point.bought and point.parent is None:
            self._seen.count_fresh(point, -1)
        point.bought[triple] = ordinal + copies
        self._forget(point)
        point.wanted = None
        point.remaining = max(0.0, point.remaining - cost)
        if call is not None:
            point.flight = 1
            self._appraisal.costs.note_worst(slot, per_copy(worst, copies))
            ms = self._appraisal.expected(point, offer, slot).ms * copies if self._clock.limited else 0
            self._pending += ms
            self.flight[key] = Purchase(point, offer, slot, line, call, (), ms=ms)
            self._new.append(call)
            self.calls_made += 1
        else:
            op.append(self._open_flows(point, offer, slot, key, line, stakes))
        return True

    def _rest(self, point: Point, offer: Offer) -> Cost:
        return self._appraisal.rest(point, offer, worst=True) if offer.rest else FREE

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
        self._probe_flows(point, [offer])
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
        standard = self._appraisal.standard(klass, worth, parts)[0] if parts > 1 and not stakes else 1.0
        given = list(stakes) or [worth * standard ** (parts - 1)] * len(children)
        for child, sub, stake in zip(children, subs, given, strict=True):
            child.stake = stake
            self.points[child.path] = child
            if child.start(sub.start):
                self._seen.remember(child)
                self._active[child.path] = child
            else:
                self._close(child, child.ended, child.factor, "the flow ended")
        return given

    def _end(self, point: Point, reason: str) -> None:
        """The market decides: the best-supported candidate and the belief in it."""
        if point.hidden is not None:
            self._ops.append(["reveal", point.path, point.best, point.leader])
            self._reveal(point)
            return
        self._ops.append(["end", point.path, reason, point.best, point.leader])
        self._finish(point, reason)

    def _finish(self, point: Point, reason: str) -> None:
        self.gave_up += reason == GAVE_UP
        self.ran_into_budget |= reason in (GAVE_UP, NO_MONEY)
        candidate = point.answer_of(point.leader) if point.leader >= 0 else None
        belief = point.best if candidate is not None else 0.0
        point.advance(Decision(candidate, belief, reason))
        self._close(point, candidate, belief, reason)

    def _close(self, point: Point, candidate: Candidate | None, belief: float, reason: str) -> None:
        self._release_chain(point)
        if point.hidden is not None:  # its flow ended of its own
            self._beside.compare(point, point.hidden)
        point.done = True
        point.offers, point.flow = (), None
        believe(point, belief, point.leader)
        self.points.pop(point.path, None)
        self._forget(point)
        if point.parent is not None:
            point.ended = candidate
            self._hand_up(point)
            return
        if not point.bought:
            self._seen.count_fresh(point, -1)
        self._roots -= 1
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
        self._appraisal.settle(parent.klass, purchase.slot, spent, 1)
        text = (joined if offer.read is text_of else offer.read)(decisions)
        if offer.effect == "draw":
            self._seen.draws += 1
            parent.add_answer(offer, purchase.slot, text, belief)
        else:
            parent.add_note(offer, text, belief)
            parent.factor *= belief
            parent.parts.extend(purchase.children)
        parent.last = purchase.line
        self._go_on(parent)

    # ── what comes back ────────────────────────────────────────────────────────────────────────────

    def deliver(self, key: str, delivery: Delivery) -> None:
        """Settle a call in full and extend the evidence of its point."""
        point, offer, slot, line, call, _, hidden, ms = self.flight.pop(key)
        assert call is not None
        self._pending -= ms
        cost = cost_of(call.arm.price, delivery.usage, delivery.ms)
        if self.ledger.settle(key, cost) != FREE:
            self.overdrawn_by = call.arm.name
        self._charge(point, line, cost)
        if hidden:
            self._keep_hidden(point, offer, slot, call.arm.engine, delivery, cost)
            return
        for completion in delivery.completions:
            if offer.effect == "draw":
                self._add_draw(point, offer, slot, completion)
            elif offer.effect == "verdict":
                value = offer.read(completion)
                point.add_verdict(offer, slot, value, completion.text)
                self._seen.heard(call.arm, value)
                line["verdict"] = value
                if offer.kind == "check" and completion.text:
                    line["message"] = completion.text[:MESSAGE]
            else:
                point.add_note(offer, offer.read(completion), None)
        if delivery.error:
            line["error"] = delivery.error
        if delivery.completions:
            used = self._clock.of_run(call.arm.engine, cost)
            self._appraisal.settle(point.klass, slot, used, len(delivery.completions))
        elif delivery.again:
            triple = (offer.kind, offer.arm, offer.about)
            point.lost[triple] = point.lost.get(triple, 0) + call.n
        else:
            if offer.effect == "verdict":
                self._seen.failed(call.arm)
            point.fail(offer, delivery.error)
        point.flight = 0
        self._go_on(point)

    def _menu(self, point: Point) -> list[Offer]:
        """What may be bought at a point, less what is known to bring nothing."""
        menu, mute = point.menu(), self._seen.mute()
        if not mute:
            return menu
        heard = [offer for offer in menu if offer.effect != "verdict" or offer.arm not in mute]
        return [
            replace(offer, then=None) if offer.then is not None and offer.then.arm in mute else offer
            for offer in heard
        ]

    def _add_draw(self, point: Point, offer: Offer, slot: int, completion: Completion) -> None:
        self._seen.draws += 1
        point.lengths.append(completion.output_tokens / self._appraisal.length(point.klass, slot, completion))
        point.add_draw(offer, slot, completion)

    def _keep_hidden(
        self, point: Point, offer: Offer, slot: int, engine: str, delivery: Delivery, cost: Cost
    ) -> None:
        """What a held-out prompt is compared with is back; now the run begins for it."""
        if delivery.completions:
            used = self._clock.of_run(engine, cost)
            self._appraisal.settle(point.klass, slot, used, 1)
            point.hidden = Hidden(offer, slot, delivery.completions[0], cost)
        if delivery.error:
            point.lines[0]["error"] = delivery.error
        point.flight = 0
        self._active[point.path] = point

    def _charge(self, point: Point, line: dict[str, Any], cost: Cost) -> None:
        charge(line, cost)
        point.last = line
        at: Point | None = point
        while at is not None:
            at.spent = at.spent + cost
            at = at.parent
        if "even" in line:
            self._even_spent += self.setting.pricing.share(cost)

    def _go_on(self, point: Point) -> None:
        """New evidence: the flow offers again, or ends with a candidate of its own."""
        if point.advance(point.evidence):
            self._line_up(point)
            return
        candidate, belief = point.ended, point.factor if point.ended is not None else 0.0
        if candidate is not None and point.draw_rows:
            self._refresh(point)
            if point.candidate(candidate.answer) == point.leader:
                belief *= point.best
        elif candidate is None and point.draw_rows:
            self._refresh(point)
            candidate, belief = point.answer_of(point.leader), point.best * point.factor
        self._close(point, candidate, belief, "the flow ended")

    def _line_up(self, point: Point) -> None:
        """To be valued; what may be done, in the next step whatever its turn."""
        done = bool(point.draw_rows)
        if self.setting.policy.priced:
            done = bool(point.verdict_rows) and point.verdict_rows[-1].value > 0
        (self._early if done else self._active)[point.path] = point

    def _wait_behind(self, point: Point) -> None:
        """It was looked at before its turn and wants more: those that waited buy first."""
        self._forget(point)
        self._active[point.path] = point

    def _refresh(self, point: Point) -> None:
        batch = pack([point.row()], [point.draw_rows], [point.verdict_rows], [()])
        self._note_values([point], batch, self.setting.belief.value(batch, 1.0), 1.0)

    # ── when nothing moves ─────────────────────────────────────────────────────────────────────────

    def _unblock(self) -> bool:
        """Nothing is in flight and nobody bought: let what fits be bought, let a chain give up its hold, lower the
        price, or decide. False when nothing is left to do in this step.
        """
        if self._refused:
            if self._buy_what_fits():
                return False
            chains = [point for point in self._refused.values() if point.chain]
            if chains:
                last = max(chains, key=lambda point: point.legs)
                self._end(last, GAVE_UP)
                self._ops.append(["retry"])
                self._retry()
            else:
                for point in list(self._refused.values()):
                    self._end(point, NO_MONEY)
            return True
        if self._parked:
            pricing = self.setting.pricing
            if self._next < len(self.prompts):
                # A price on its way down is let down first. At the price that clears the rest, these only hold the
                # place of prompts for which the rest is set aside.
                before = pricing.price
                pricing.update(self._forecast(cautious=False), at_rest=True)
                if pricing.price < before:
                    self._wake()
                    return True
                # Every prompt gets the cheap answer that is worth most, if the budget can pay it.
                least = max((point.until for point in self._parked.values() if not point.bought), default=0.0)
                if least > 0:
                    self._set_price(least * 0.999)
                    self._wake(fresh=True)
                    return True
                for point in list(self._parked.values()):
                    self._end(point, "no offer is worth its price")
                return True
            highest = max(point.until for point in self._parked.values())
            self._set_price(min(pricing.price, highest) * 0.999)
            self._wake()
            if not (self._active or self._early):  # no price is low enough
                for point in list(self._parked.values()):
                    self._end(point, "no offer is worth its price")
            return True
        return False

    def _wake(self, *, fresh: bool = False) -> None:
        """Points that would buy at the present price; of these, if `fresh`, those that bought nothing yet."""
        price = self.setting.pricing.price
        woken = [p for p in self._parked.values() if p.until > price and not (fresh and p.bought)]
        if woken:
            self._ops.append(["wake", price, fresh])
        for point in woken:
            del self._parked[point.path]
            self._active[point.path] = point

    def _buy_what_fits(self) -> bool:
        """Points whose choice is too dear take the best offer that can still be paid, a call's tokens capped by what
        is left if need be.
        """
        bought = False
        for point in [point for point in self._refused.values() if not point.chain]:
            caps = [(offer, self._cap(point, offer)) for offer in self._menu(point)]
            fits = [(offer, cap) for offer, cap in caps if cap is not None]
            if not fits:
                continue
            menus = [[offer for offer, _ in fits]]
            point.valued = -1  # these are not all that it offers
            before = point.until, point.remaining
            batch, values = self._appraise([point], menus)
            point.valued = -1
            row = int(self._choose([point], menus, batch, values).offer_P[0])
            taken = False
            if row >= 0:
                offer, cap = fits[row]
                gain, cost = float(values.gain_O[row]), float(values.cost_O[row])
                taken = self._buy(point, offer, 1, gain, cost, False, cap)
            if taken:
                bought = True
            else:
                point.until, point.remaining = before
        return bought

    def _cap(self, point: Point, offer: Offer) -> int | None:
        """0 where one copy fits as it is, a smaller `max_tokens` where only that fits, None where nothing does. A cap
        near what an answer is expected to take would buy cut answers.
        """
        if not isinstance(offer.do, Call) or offer.rest:
            return None
        call = replace(capped(offer.do), n=1)
        home = home_of(point)

        def fits(max_tokens: int) -> bool:
            return self.ledger.fits(self._appraisal.worst(replace(call, max_tokens=max_tokens)), home)

        if fits(call.max_tokens):
            return 0
        slot = self._appraisal.slot(offer.kind, offer.arm)
        low, high = (
            max(1, round(1.5 * self._appraisal.expected(point, offer, slot).outtok)),
            call.max_tokens - 1,
        )
        if high < low or not fits(low):
            return None
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
        return low

    # ── opening, learning, pricing ─────────────────────────────────────────────────────────────────

    def _open_prompts(self) -> None:
        while self._next < len(self.prompts) and self._roots < self.setting.open_points:
            self._ops.append(["open", self._next])
            point = self._open_next()
            if not point.done and self._beside.takes(point):
                self._hold_out(point)

    def _open_next(self) -> Point:
        prompt = self.prompts[self._next]
        self._next += 1
        point = self._open(prompt, prompt.id)
        self._begin(point)
        return point

    def _hold_out(self, point: Point, held: Cost | None = None) -> None:
        """Ask the dearest model once, beside the run: what it says is not seen before the run has decided without it,
        so that the two can be compared. At most twice the held-out share of the budget goes there.
        """
        call = self._beside.call(point)
        worst = self._appraisal.worst(call) if held is None else held
        share = self.setting.pricing.share(worst)
        if (held is None and not self._beside.affords(share)) or not self.ledger.reserve(call.key, worst):
            return
        self._beside.spend(share)
        offer = Offer("sample", call.arm.name, call)
        slot = self._appraisal.slot(offer.kind, offer.arm)
        line = {**receipt_line(point, offer, 1, self.setting.pricing.price), "kind": "compare"}
        point.lines.append(line)
        self._ops.append(["compare", point.path, amounts(worst)])
        self._forget(point)
        point.flight = 1
        self.flight[call.key] = Purchase(point, offer, slot, line, call, (), hidden=True)
        self._new.append(call)
        self.calls_made += 1

    def _reveal(self, point: Point) -> None:
        """The run has decided without it: compare, and let the run use what was paid for."""
        hidden = point.hidden
        assert hidden is not None
        self._beside.compare(point, hidden)
        triple = (hidden.offer.kind, hidden.offer.arm, -1)
        if not point.bought:
            self._seen.count_fresh(point, -1)
        point.bought[triple] = point.bought.get(triple, 0) + 1
        self._add_draw(point, hidden.offer, hidden.slot, hidden.completion)
        self._forget(point)
        self._go_on(point)

    def _open(self, prompt: Prompt, path: str) -> Point:
        arms = self._arms_for(prompt)
        owner = class_of(prompt, arms)
        klass = self.setting.belief.klass(owner)
        point = Point(path, prompt, self._kind(prompt.answer), arms, klass, None, owner, self.setting.same)
        even = len(self.prompts) >= EVEN_FROM and is_even(prompt.id, self.setting.seed)
        point.even = even and not self._beside.takes(point)
        return point

    def _begin(self, point: Point) -> None:
        klass = point.klass
        self._roots += 1
        self.points[point.path] = point
        self._seen.count_fresh(point, 1)
        if not point.start(self.setting.strategy):
            self._close(point, point.ended, point.factor, "the flow ended")
            return
        self._active[point.path] = point
        self._seen.remember(point)
        if not self._appraisal.knows(klass):
            self._probe_flows(point, list(point.offers))
            self._appraisal.probe(point)

    def _probe_flows(self, point: Point, menu: list[Offer]) -> None:
        """The classes of the points that the flows on a menu would open; a class that is new is looked at, without
        buying.
        """
        for offer in menu:
            if offer.kind in point.sub_classes or isinstance(offer.do, Call):
                continue
            sub = subs_of(offer)[0]
            klass = self.setting.belief.klass(f"{point.owner}>{offer.kind}")
            point.sub_classes[offer.kind] = klass
            if self._appraisal.knows(klass):
                continue
            self._ops.append(["probe", point.path])
            kind = self._kind(sub.prompt.answer)
            probe = Point("", sub.prompt, kind, point.arms, klass, None, f"{point.owner}>{offer.kind}", None)
            if probe.start(sub.start):
                self._probe_flows(probe, list(probe.offers))
                self._appraisal.probe(probe)

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
        self._again = list(failed)
        return {settled.prompt.id for settled in failed}

    def _reopen(self, settled: Settled) -> None:
        self.settled.remove(settled)
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

    def provisional(self) -> list[Settled]:
        """The best so far of prompts that are open, once nothing more is bought in this sitting."""
        rows = []
        for point in [point for point in self.points.values() if point.parent is None and point.draw_rows]:
            self._refresh(point)
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
        return self._beside.rows

    def held_for(self, key: str) -> Cost:
        """What is held for a call under way."""
        return self.ledger.held_for(key)

    def _learn_if_due(self) -> None:
        if not self._seen.due():
            return
        parameters = self.setting.belief.learn(self._seen.records())
        self.setting.pricing.weigh(self._forecast())
        self.lines.append(("learn", {"belief": parameters, "pricing": self.setting.pricing.state()}))
        self._learned()

    def _learned(self) -> None:
        self._seen.learned()
        self._appraisal.learned()
        self._look_back()
        parked = list(self._parked.values())
        self._parked.clear()
        for point in parked:
            self._line_up(point)

    def _look_back(self) -> None:
        """What was learned changes the belief in parts that were decided before."""
        whole = [point for point in self.points.values() if point.parts]
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

    def _forecast(self, *, cautious: bool = True) -> Forecast:
        ledger, limits = self.ledger, self.setting.budget.limits()
        spent = {
            unit: (getattr(ledger.spent, unit) + getattr(ledger.held, unit)) / max(limit, 1)
            for unit, limit in limits.items()
            if unit != "s"
        }
        left = ledger.left
        if "s" in limits:  # no account: time passes by itself, and calls under way will take theirs
            gone = self._elapsed + self._pending
            spent["s"] = gone / max(limits["s"], 1)
            left = replace(left, ms=max(limits["s"] - gone, 0))
        bought = [point for point in self.points.values() if point.bought and point.parent is None]
        level_F, cost_F = self._appraisal.curve(self._unasked())
        if cautious and limits.keys() != {"s"}:  # time that is not used is lost, however early it is saved
            cost_F = cost_F * (1 + CAUTION * CALMING**self._seen.epoch)
        return Forecast(
            self.setting.pricing.share(left),
            np.array([point.until for point in bought]),
            np.array([max(0.0, point.remaining - self._set_aside(point)) for point in bought]),
            level_F, cost_F, spent, len(self.settled) / max(len(self.prompts), 1),
        )  # fmt: skip

    def _set_aside(self, point: Point) -> float:
        """What a chain still holds is not asked for again."""
        return self.setting.pricing.share(self.ledger.chain(point.chain)) if point.chain else 0.0

    # ── replay ─────────────────────────────────────────────────────────────────────────────────────

    def replay(self, kind: str, body: Any) -> None:
        """Repeat one journaled line: a step, or what was learned. What came back is given to `deliver`."""
        if kind == "learn":
            self.setting.belief.load(body["belief"])
            self.setting.pricing.restore(body["pricing"])
            self._learned()
            return
        self._elapsed = body.get("ms", 0)
        for op in body["ops"]:
            self._repeat(op)
        self.setting.pricing.restore(body["pricing"])
        self._written = body["pricing"]
        self._new.clear()
        self._ops.clear()
        self.lines.clear()

    def _repeat(self, op: list[Any]) -> None:
        if op[0] == "open":
            self._open_next()
            return
        if op[0] == "reopen":
            self._reopen(next(settled for settled in self.settled if settled.prompt.id == op[1]))
            return
        if op[0] == "retry":
            self._retry()
            return
        if op[0] == "slot":
            self._appraisal.slot(op[1], op[2])
            return
        if op[0] == "wake":
            self._set_price(op[1])
            self._wake(fresh=op[2])
            return
        point = self.points.get(op[1])
        if point is None:
            raise NotDeterministic(f"the journal speaks of {op[1]!r}, which is not open: {_ADVICE}")
        if op[0] == "compare":
            self._hold_out(point, Cost(*op[2]))
        elif op[0] == "reveal":
            _, _, best, leader = op
            believe(point, best, leader)
            self._reveal(point)
        elif op[0] == "probe":
            self._probe_flows(point, list(point.offers))
        elif op[0] == "behind":
            self._wait_behind(point)
        elif op[0] == "idle":
            _, _, why, best, leader, point.until, point.remaining, *wanted = op
            believe(point, best, leader)
            if wanted:
                point.wanted = Wanted(self._offered(point, *wanted[0]), *wanted[1:-1])
            self._set_idle(point, why, wanted[-1] if wanted else 0.0)
        elif op[0] == "end":
            _, _, reason, best, leader = op
            believe(point, best, leader)
            self._finish(point, reason)
        else:
            self._buy_again(point, *op[2:])

    def _set_price(self, price: float) -> None:
        self.setting.pricing.restore({**self.setting.pricing.state(), "price": price})

    @staticmethod
    def _offered(point: Point, kind: str, arm: str, about: int) -> Offer:
        for offer in point.offers:
            if (offer.kind, offer.arm, offer.about) == (kind, arm, about):
                return offer
        raise NotDeterministic(f"{kind} of {arm} at {point.path!r} is no longer offered: {_ADVICE}")

    def _buy_again(
        self, point: Point, kind: str, arm: str, about: int, copies: int, max_tokens: int, best: float, leader: int,
        until: float, remaining: float, gain: float, cost: float, forced: bool, propensity: float, price: float,
        held: Sequence[Sequence[int]], stakes: Sequence[float] = (),
    ) -> None:  # fmt: skip
        """Repeat a purchase as it was journaled."""
        offer = self._offered(point, kind, arm, about)
        self._set_price(price)
        believe(point, best, leader)
        point.until, point.remaining = until, remaining
        holds = Holds(*(Cost(*amounts) for amounts in held))
        if not self._buy(point, offer, copies, gain, cost, forced, max_tokens, stakes, holds):
            raise NotDeterministic(f"{kind} of {arm} at {point.path!r} can no longer be reserved: {_ADVICE}")


_ADVICE = (
    "the strategy or an engine's worst case is not what it was when the run began; start again in a new directory, "
    "or restore what changed"
)


def _near(a: float, b: float) -> bool:
    """Prices so near that the plans that are best at one will do at the other."""
    return a <= NEAR * b and b <= NEAR * a


def _advance(point: Point) -> tuple[bool, int]:
    """Order of service: open chains, the most advanced first, then the others."""
    return (not point.chain, point.legs if point.chain else 0)
