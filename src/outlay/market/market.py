"""The only loop: collect open points, value their offers, let the policy choose, reserve, dispatch, settle, extend
the evidence.

It is a pure step. The driver hands it the time and what came back; it hands back calls and journal lines. All that it
decides is carried out by the operations of its `Floor`, each written to the journal before its calls are sent, so that
a resumed run is this same machine fed with the journal: nothing is chosen anew.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, replace
from itertools import islice
from typing import Any, final

import numpy as np

from outlay.batch import Batch, OfferRow, Valuation, pack
from outlay.flow import Offer
from outlay.market.appraisal import capped
from outlay.market.floor import DEADLINE, GAVE_UP, LOWEST, NO_MONEY, NOT_WORTH, RULE, Floor
from outlay.market.identity import places
from outlay.market.point import Point, Wanted
from outlay.market.purchase import home_of
from outlay.market.replay import replay
from outlay.market.setting import Beside, Setting, Settled
from outlay.market.topup import going_on, top_up
from outlay.policies import View
from outlay.policies.base import Choice
from outlay.pricing import Forecast
from outlay.types import Budget, Call, Cost, Delivery, Prompt

EVEN_BUDGET = 0.10
"""The evenly bought share costs at most this part of the budget."""
CAUTION, CALMING = 2.0, 0.7
"""By how much more than forecast fresh prompts are thought to spend at first, when the forecast rests on priors, and
what is left of that after each learning: what was spent too early cannot be taken back."""
PASSED = "your check passed"
SURE = 0.9
"""Belief in an answer that passed a check from which nothing more is bought. A check that passes everything is learned
to say little, and the belief in what passed it is lower."""
CERTAIN = 0.999
"""Belief in an answer from which nothing more is bought, checked or not: no belief is exact to more, and a budget that
is too large is not to be spent on a thousandth.
"""
SETTLED = "it is sure: more would hardly change the answer"
SLOW_START = 32
FEW = 16
"""Calls of endpoints under way, fewer than which the price comes down without waiting for them."""
NEAR = 1.5


@final
class Market:
    """See the module. `step` decides, `deliver` settles, `replay` repeats what a journal says; `lines` is what must
    be written before the calls are sent.
    """

    def __init__(self, setting: Setting, prompts: Sequence[Prompt]) -> None:
        self.setting, self.prompts = setting, prompts
        self.floor = floor = Floor(setting, prompts)
        self.ledger, self.flight, self.settled, self.lines = (
            floor.ledger,
            floor.flight,
            floor.settled,
            floor.lines,
        )
        # Valued before the price was set.
        self._ready: tuple[float, tuple[Batch, Valuation], list[Point]] | None = None
        self._steps = 0
        # Calls under way at the beginning of the step, by engine: menus are kept within a step.
        self._busy = Counter[str]()
        self._written: dict[str, float] = {}  # the state of the pricing as the journal knows it
        self._place = places(setting.arms)

    def replay(self, kind: str, body: Any) -> None:
        """Repeat one journaled line: a step, what was learned, a top-up. What came back is given to `deliver`."""
        replay(self.floor, kind, body)
        if kind != "learn":
            self._written = body["pricing"]

    def keep(self, *, keeps: bool) -> None:
        """Whether prompts that end for want of budget are kept, so that a top-up may let them go on."""
        self.floor.keeps = keeps
        if not keeps:
            self.floor.stopped.clear()

    def top_up(self, budget: Budget) -> dict[str, Any]:
        """Go on with a larger budget; the line that the journal needs before the next step."""
        was, pricing = self.ledger.budget, self.setting.pricing
        again, beside = going_on(self.floor)
        top_up(self.floor, budget, [*again, *beside])
        pricing.weigh(self._forecast())
        self._written = pricing.state()
        body = {"from": astuple(was), "to": astuple(budget), "again": again, "beside": beside}
        return body | {"pricing": self._written}

    @property
    def finished(self) -> bool:
        """Every prompt is settled, and none waits to be asked again."""
        return self.floor.finished

    @property
    def open(self) -> int:
        """Prompts that are open."""
        return self.floor.roots

    @property
    def calls_made(self) -> int:
        """Calls that were bought, in all sittings."""
        return self.floor.calls_made

    @property
    def gave_up(self) -> int:
        """Chains that gave up what they held."""
        return self.floor.gave_up

    @property
    def overdrawn_by(self) -> str:
        """The arm that cost more than the most it said it could; nothing is bought after that."""
        return self.floor.overdrawn_by

    @property
    def ran_into_budget(self) -> bool:
        """Whether something was wanted that could no longer be paid."""
        return self.floor.ran_into_budget

    @property
    def compared(self) -> list[Beside]:
        """The held-out prompts that were compared with the dearest model."""
        return self.floor.compared

    def deliver(self, key: str, delivery: Delivery) -> None:
        """Settle a call in full and extend the evidence of its point."""
        self.floor.deliver(key, delivery)

    def ask_again(self, failed: Sequence[Settled]) -> set[str]:
        """Open these settled prompts once more in the next step, with the receipt that they have; their ids."""
        return self.floor.ask_again(failed)

    def provisional(self) -> list[Settled]:
        """The best so far of prompts that are open, once nothing more is bought in this sitting."""
        return self.floor.provisional()

    @property
    def compared_before(self) -> int:
        """How many of them before the budget grew."""
        return self.floor.beside.before

    def held_for(self, key: str) -> Cost:
        """What is held for a call under way."""
        return self.ledger.held_for(key)

    def too_late(self, key: str, elapsed_ms: int) -> bool:
        """Whether a call that was bought and not yet sent is not expected back by the deadline, even were it alone: to
        be dropped and bought again while others are under way would help nobody.
        """
        purchase = self.flight[key]
        return self.floor.deadline.too_late(purchase.point, purchase.offer, elapsed_ms, 1)

    def step(self, elapsed_ms: int = 0) -> list[Call]:
        """Decide everything that can be decided now; the calls to send once `lines` are written."""
        self._steps += 1
        self.floor.deadline.at(elapsed_ms)
        self._busy = Counter(self.floor.deadline.busy)
        self._learn_if_due()
        for settled in self.floor.again:
            self.floor.ops.append(["reopen", settled.prompt.id])
            self.floor.reopen(settled)
        self.floor.again = []
        if not self.setting.policy.priced:  # a price sets aside what those cost that wait; a rule does not
            self._round(elapsed_ms, list(self.floor.first.values()))
        self.floor.go_on()
        self._open_prompts()
        self._begin_step()
        self._value_and_price()
        while not self.floor.finished:
            self.floor.go_on()
            self._open_prompts()
            if self._round(elapsed_ms, self._next_to_act()):
                continue
            if not (self._hurry() if self.flight else self._unblock()):
                break
        calls, self.floor.new = self.floor.new, []
        pricing = self.setting.pricing.state()
        # A step in which nothing was decided is not worth a line.
        if self.floor.ops or pricing != self._written:
            self.lines.append(("step", {"ops": self.floor.ops, "pricing": pricing, "ms": elapsed_ms}))
            self._written = pricing
            self.floor.clock.mark(elapsed_ms, self.floor.deadline.busy)
        self.floor.ops = []
        return calls

    def _open_prompts(self) -> None:
        """Open prompts, and ask the dearest model beside the run for as many of those held out as can be afforded. The
        next one waits for what these really cost, or for a place; where nothing is left to wait for, it begins without.
        """
        floor = self.floor
        floor.open_prompts()
        beside = floor.beside
        while beside.waiting:
            point = next(iter(beside.waiting.values()))
            offer, call = beside.offer(point)
            over = floor.overdrawn_by or self._late(point, offer)
            if not over and floor.clock.full(call.arm.engine, floor.deadline.busy[call.arm.engine]):
                return
            if over or not floor.hold_out(point):
                if beside.under_way and not over:
                    return
                floor.begin_without(point)

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
        self.floor.wake()

    def _next_to_act(self) -> list[Point]:
        """The points that may act now. A run starts slowly, so that the first prompts teach what the others are then
        bought at: no more calls are in flight than answers came back, and a few. What may be done does not wait.
        """
        room = max(SLOW_START + self.floor.seen.draws - len(self.flight), 0)
        # What is bought now and sent later is decided on less than is known then.
        if self.floor.clock.limited:
            room = min(room, max(self.floor.clock.at_once - len(self.flight), 0))
        floor = self.floor
        return [*floor.first.values(), *islice(floor.active.values(), room), *floor.early.values()]

    def _begin_step(self) -> None:
        """Something may have been freed: who was refused may try again, the most advanced chains first. What they
        want is still what they wanted, unless the price or the parameters changed.
        """
        if not self.floor.refused:
            return
        if self.floor.refused_at != (self.setting.pricing.price, self.floor.seen.epoch):
            self.floor.ops.append(["retry"])
            self.floor.retry()
            return
        chain_waits = False
        for point in sorted(self.floor.refused.values(), key=_advance):
            wanted = point.wanted
            assert wanted is not None
            opens = bool(wanted.offer.rest) and not point.chain
            if not (opens and chain_waits) and not self.floor.buy(point, *wanted):
                chain_waits = chain_waits or opens or bool(point.chain)

    def _round(self, elapsed_ms: int, points: list[Point]) -> bool:
        """Value points that may act together and act on each: chains first, the most advanced before the others. False
        where nobody could act.
        """
        if not points:
            return False
        early = set(self.floor.early)
        for point in points:
            self.floor.forget(point)
        if not self.floor.active:  # nobody waits
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
        limit = self.ledger.budget.ms
        stopped = DEADLINE if limit is not None and elapsed_ms >= limit else ""
        if self.floor.overdrawn_by:
            stopped = f"the worst case that {self.floor.overdrawn_by} gave was exceeded"
        chain_waits = False
        for i in order:
            point, row = points[i], offer_P[i]
            offer = self._even_offer(point, menus[i])
            forced = offer is not None
            looked = all(other.kind != "check" for other in menus[i])  # every check of the user's has its say
            if offer is None and looked and self.setting.policy.priced and point.parent is None:
                reason = PASSED if point.passed(SURE) else SETTLED if point.best >= CERTAIN else ""
                if reason:
                    self.floor.end(point, reason)
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
                    self.floor.idle(point, "price")
                else:
                    enough = NOT_WORTH if self.setting.policy.priced else RULE
                    self.floor.end(point, enough if menus[i] else "nothing more is offered")
            elif stopped:
                self.floor.end(point, stopped)
            elif point.path in early and offer.kind != "check":
                self.floor.ops.append(["behind", point.path])
                self.floor.wait_behind(point)
            else:
                copies = 1 if forced else copies_P[i]
                gain, cost = (0.0, 0.0) if forced else (float(values.gain_O[row]), float(values.cost_O[row]))
                # Open chains are topped up before anything is opened.
                opens = bool(offer.rest) and not point.chain
                if (opens and chain_waits) or not self.floor.buy(point, offer, copies, gain, cost, forced):
                    point.wanted = Wanted(offer, copies, gain, cost, forced)
                    self.floor.idle(point, "budget")
                    chain_waits = chain_waits or opens or bool(point.chain)
        return True

    def _appraise(self, points: list[Point], menus: list[list[Offer]]) -> tuple[Batch, Valuation]:
        """Beliefs and the worth of all offers at the present price."""
        for point, menu in zip(points, menus, strict=True):
            self.floor.probe_flows(point, menu)
        rows = [self._rows(point, menu) for point, menu in zip(points, menus, strict=True)]
        batch = pack(
            [p.row() for p in points], [p.draw_rows for p in points], [p.verdict_rows for p in points], rows
        )
        # A rule asks for no gains: at this price there are none, and none is looked for.
        price = self.setting.pricing.price if self.setting.policy.priced else math.inf
        values = self.setting.belief.value(batch, price)
        self.floor.note_values(points, batch, values, price)
        return batch, values

    def _rows(self, point: Point, menu: list[Offer]) -> list[OfferRow]:
        """The menu as numbers, kept within a step. (Not for longer: a resumed run would make it later, when other
        costs are known.)
        """
        if point.valued != self._steps or point.sub_classes:
            point.rows = self.floor.appraisal.rows(point, menu)
            point.valued = self._steps
        return point.rows

    def _choose(
        self, points: list[Point], menus: list[list[Offer]], batch: Batch, values: Valuation
    ) -> Choice:
        return self.setting.policy.choose(
            self._view(points, menus, batch, values, self.setting.pricing.price)
        )

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
        if not point.even or not self.setting.policy.priced or self.floor.even_spent > EVEN_BUDGET:
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
        return self.floor.clock.limited or self.floor.appraisal.cheapest(self._unasked()) <= left

    def _unasked(self) -> dict[int, float]:
        """Prompts of each class that were asked nothing yet, those included that are not open."""
        return self.floor.seen.fresh(len(self.prompts) - self.floor.next if self.floor.next else 0)

    def _menu(self, point: Point) -> list[Offer]:
        """What may be bought at a point, less what is known to bring nothing, and what cannot be sent now or would come
        too late, if something else would not.
        """
        menu, mute = point.menu(), self.floor.seen.mute()
        if self.floor.clock.limited and self.setting.policy.priced:
            menu = [offer for offer in menu if self._may_be_sent(point, offer)] or menu
        if not mute:
            return menu
        heard = [offer for offer in menu if offer.effect != "verdict" or offer.arm not in mute]
        return [
            replace(offer, then=None) if offer.then is not None and offer.then.arm in mute else offer
            for offer in heard
        ]

    def _late(self, point: Point, offer: Offer) -> bool:
        """Whether a call was too late already at the beginning of the step."""
        if not isinstance(offer.do, Call):
            return False
        beside = self._busy[offer.do.arm.engine] + 1
        return self.floor.deadline.too_late(point, offer, self.floor.deadline.elapsed, beside)

    def _may_be_sent(self, point: Point, offer: Offer) -> bool:
        """Whether a call had a place at the beginning of the step, and would be back."""
        if not isinstance(offer.do, Call):
            return True
        engine = offer.do.arm.engine
        return not (self.floor.clock.full(engine, self._busy[engine]) or self._late(point, offer))

    def _unblock(self) -> bool:
        """Nothing is in flight and nobody bought: let what fits be bought, let a chain give up its hold, lower the
        price, or decide. False when nothing is left to do in this step.
        """
        if self.floor.refused:
            if self._buy_what_fits():
                return False
            chains = [point for point in self.floor.refused.values() if point.chain]
            if chains:
                last = max(chains, key=lambda point: point.legs)
                self.floor.end(last, GAVE_UP)
                self.floor.ops.append(["retry"])
                self.floor.retry()
            else:
                for point in list(self.floor.refused.values()):
                    wanted = point.wanted
                    late = wanted is not None and not self.floor.deadline.in_time(point, wanted.offer)
                    self.floor.end(point, DEADLINE if late else NO_MONEY)
            return True
        if self.floor.parked:
            pricing = self.setting.pricing
            if self.floor.next < len(self.prompts) or self.floor.queue:
                # A price on its way down is let down first. At the price that clears the rest, these only hold the
                # place of prompts for which the rest is set aside.
                before = pricing.price
                pricing.update(self._forecast(cautious=False), at_rest=True)
                if pricing.price < before:
                    self.floor.wake()
                    return True
                # Every prompt gets the cheap answer that is worth most, if the budget can pay it.
                least = max(
                    (point.until for point in self.floor.parked.values() if not point.bought), default=0.0
                )
                if least > 0:
                    self.floor.set_price(least * 0.999)
                    self.floor.wake(fresh=True)
                    return True
                for point in list(self.floor.parked.values()):
                    self.floor.end(point, NOT_WORTH)
                return True
            highest = max(point.until for point in self.floor.parked.values())
            self.floor.set_price(min(pricing.price, highest) * 0.999)
            self.floor.wake()
            if not (self.floor.active or self.floor.early):  # no price is low enough
                for point in list(self.floor.parked.values()):
                    self.floor.end(point, NOT_WORTH)
            return True
        return False

    def _hurry(self) -> bool:
        """Nobody bought at this price, and few calls of endpoints are under way: who would buy at a lower one need not
        wait until the last of them is back. (In the process itself nothing is gained by haste.)
        """
        floor, pricing = self.floor, self.setting.pricing
        under_way = sum(count for name, count in floor.deadline.busy.items() if floor.clock.shares(name))
        if not 0 < under_way < min(FEW, floor.clock.at_once) or not floor.parked:
            return False
        before = pricing.price
        if floor.next < len(self.prompts) or floor.queue:
            pricing.update(self._forecast(cautious=False), at_rest=True)
        else:
            floor.set_price(min(before, max(point.until for point in floor.parked.values())) * 0.999)
        if not LOWEST < pricing.price < before:
            floor.set_price(before)
            return False
        floor.wake()
        return bool(floor.active or floor.early)

    def _buy_what_fits(self) -> bool:
        """Points whose choice is too dear take the best offer that can still be paid, a call's tokens capped by what
        is left if need be.
        """
        bought = False
        for point in [point for point in self.floor.refused.values() if not point.chain]:
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
                taken = self.floor.buy(point, offer, 1, gain, cost, False, cap)
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
            return self.ledger.fits(self.floor.appraisal.worst(replace(call, max_tokens=max_tokens)), home)

        if fits(call.max_tokens):
            return 0
        slot = self.floor.appraisal.slot(offer.kind, offer.arm)
        low, high = (
            max(1, round(1.5 * self.floor.appraisal.expected(point, offer, slot).outtok)),
            call.max_tokens - 1,
        )
        if high < low or not fits(low):
            return None
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if fits(middle) else (low, middle - 1)
        return low

    def _learn_if_due(self) -> None:
        if not self.floor.seen.due():
            return
        parameters = self.setting.belief.learn(self.floor.seen.records())
        if self.setting.policy.priced:
            self.setting.pricing.weigh(self._forecast())
        self.lines.append(("learn", {"belief": parameters, "pricing": self.setting.pricing.state()}))
        self.floor.learned()

    def _forecast(self, *, cautious: bool = True) -> Forecast:
        ledger, limits = self.ledger, self.ledger.budget.limits()
        spent = {
            unit: (getattr(ledger.spent, unit) + getattr(ledger.held, unit)) / max(limit, 1)
            for unit, limit in limits.items()
            if unit != "s"
        }
        left = ledger.left
        if "s" in limits:  # no account: time passes by itself, and calls under way will take theirs
            gone = self.floor.deadline.elapsed + self.floor.deadline.under_way_ms()
            spent["s"] = gone / max(limits["s"], 1)
            left = replace(left, ms=max(limits["s"] - gone, 0))
        waiting = [*self.floor.points.values(), *self.floor.queue]
        bought = [point for point in waiting if point.bought and point.parent is None]
        level_F, cost_F = self.floor.appraisal.curve(self._unasked())
        if cautious and limits.keys() != {"s"}:  # time that is not used is lost, however early it is saved
            cost_F = cost_F * (1 + CAUTION * CALMING**self.floor.seen.epoch)
        return Forecast(
            self.setting.pricing.share(left),
            np.array([point.until for point in bought]),
            np.array([max(0.0, point.remaining - self._set_aside(point)) for point in bought]),
            level_F, cost_F, spent, len(self.settled) / max(len(self.prompts), 1),
        )  # fmt: skip

    def _set_aside(self, point: Point) -> float:
        """What a chain still holds is not asked for again."""
        return self.setting.pricing.share(self.ledger.chain(point.chain)) if point.chain else 0.0


def _near(a: float, b: float) -> bool:
    """Prices so near that the plans that are best at one will do at the other."""
    return a <= NEAR * b and b <= NEAR * a


def _advance(point: Point) -> tuple[bool, int]:
    """Order of service: open chains, the most advanced first, then the others."""
    return (not point.chain, point.legs if point.chain else 0)
