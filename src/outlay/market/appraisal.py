"""Offers as numbers: what they are expected to cost, what a chain still needs, what a part is worth.

Everything here depends on what was settled and learned only, and is computed at moments that the journal fixes (a
class is first opened, parameters are learned), so that a resumed run appraises as the uninterrupted one would have.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import final

import numpy as np

from outlay.batch import DRAW, EFFECTS, NOTE, VERDICT, Floats, OfferRow, PointRow, pack
from outlay.flow import Offer, Sub
from outlay.market.clock import Clock, with_those_under_way
from outlay.market.costs import Costs
from outlay.market.point import NAN, Point
from outlay.market.setting import Setting
from outlay.types import FREE, Call, Completion, Cost

LENGTH_WEIGHT = 1.0
"""Answers of average length that a prompt is thought to have had before its own are seen."""
LEVELS = np.geomspace(1.0, 1e-4, 32)
_EMPTY: Floats = np.zeros(0)


def subs_of(offer: Offer) -> tuple[Sub, ...]:
    """The flows of an offer; none where it is a call."""
    if isinstance(offer.do, Call):
        return ()
    return (offer.do,) if isinstance(offer.do, Sub) else offer.do


def model_of(offer: Offer) -> tuple[str, ...]:
    """Who is asked, whatever the temperature."""
    if isinstance(offer.do, Call):
        arm = offer.do.arm
        return (offer.kind, arm.engine, arm.model, arm.mode)
    return (offer.kind, offer.arm)


def parts_of(offer: Offer) -> int:
    """How many parts a chain of flows still has, this purchase's included."""
    return max(len(subs_of(offer)), 1) + sum(leg.times for leg in offer.rest)


def capped(call: Call) -> Call:
    """A call as it would be sent if nothing else were said."""
    return call if call.max_tokens else replace(call, max_tokens=call.arm.max_tokens)


@final
class Appraisal:
    """Owned by the market. `probes` holds a fresh point of each class, never bought for."""

    def __init__(self, setting: Setting, clock: Clock, named: Callable[[str, str], None]) -> None:
        self._setting, self._clock, self._named = setting, clock, named
        self._slots: dict[tuple[str, str], int] = {}
        self.costs = Costs()
        self._probes: dict[int, Point] = {}
        self._fresh: dict[int, tuple[PointRow, list[OfferRow]]] = {}
        self._curves: dict[int, tuple[Floats, Floats]] = {}
        self._shares: dict[int, dict[int, float]] = {}  # by slot and class
        self._standards: dict[tuple[int, int, int], tuple[float, float]] = {}
        self.had: dict[
            int, list[float]
        ] = {}  # by slot, what calls under way took so far, where time is limited

    def slot(self, kind: str, arm: str) -> int:
        """The belief's number of a kind and arm. They are numbered as they come, so a new one is told to the journal:
        a resumed run values less and would meet them in another order.
        """
        known = self._slots.get((kind, arm))
        if known is None:
            known = self._slots[(kind, arm)] = self._setting.belief.slot(kind, arm)
            self._named(kind, arm)
        return known

    def knows(self, klass: int) -> bool:
        """Whether a fresh point of the class was appraised."""
        return klass in self._probes

    def probe(self, point: Point) -> None:
        """Take a fresh point as the pattern of its class."""
        self._probes[point.klass] = point
        self._appraise(point)

    def learned(self) -> None:
        """Parameters are new: all fresh points are appraised again."""
        self._shares.clear()
        self._standards.clear()
        self._curves.clear()
        for point in self._probes.values():
            self._appraise(point)

    def _appraise(self, point: Point) -> None:
        row = PointRow(point.klass, point.kind.exclusive, 1.0, 0)
        self._fresh[point.klass] = (row, self.rows(point, list(point.pattern), fresh=True))

    def expected(self, point: Point, offer: Offer, slot: int) -> Cost:
        """What one copy of an offer is expected to cost."""
        if self.costs.known(slot):
            return self.costs.mean(point.klass, slot, FREE)
        if isinstance(offer.do, Call):
            guess = self._first_guess(offer.do)
        else:
            guess = self._guess(point, offer)
        cost = self.costs.mean(point.klass, slot, guess)
        had = self.had.get(slot)
        if not had:
            return cost
        return replace(cost, ms=round(with_those_under_way(cost.ms, self.costs.weight(slot), had)))

    def _first_guess(self, call: Call) -> Cost:
        asked = capped(call)
        return self._clock.guess(asked, self._setting.engines[asked.arm.engine].expected(asked))

    def _guess(self, point: Point, offer: Offer) -> Cost:
        """Before any sub-flow of a kind was bought: three times its first purchase, and the rest of its chain."""
        sub = subs_of(offer)[0]
        try:
            first = next(sub.start(sub.prompt, point.arms))
        except StopIteration:
            return FREE
        for inner in first:
            if isinstance(inner.do, Call):
                one = self._first_guess(inner.do)
                return one.times(3 + sum(leg.times for leg in inner.rest))
        return FREE

    def settle(self, klass: int, slot: int, cost: Cost, copies: int) -> None:
        """Book what a purchase cost."""
        self.costs.settle(klass, slot, cost, copies)
        self._shares.pop(slot, None)

    def _share(self, point: Point, offer: Offer, slot: int) -> float:
        """The expected cost of one copy as a share of the budget; the same for all prompts of a class once it is
        known.
        """
        shares = self._shares.setdefault(slot, {})
        known = shares.get(point.klass)
        if known is None:
            known = self._setting.pricing.share(self.expected(point, offer, slot))
            if self.costs.known(slot):
                shares[point.klass] = known
        if point.lengths and offer.effect == "draw" and isinstance(offer.do, Call):
            # Long answers come from prompts whose other answers are long too.
            return known * (sum(point.lengths) + LENGTH_WEIGHT) / (len(point.lengths) + LENGTH_WEIGHT)
        return known

    def length(self, klass: int, slot: int, completion: Completion) -> float:
        """Output tokens that an answer of this slot takes on average, at least 1."""
        mean = (
            self.costs.mean(klass, slot, FREE).outtok if self.costs.known(slot) else completion.output_tokens
        )
        return float(max(mean, 1))

    def worst(self, call: Call) -> Cost:
        """The worst case of a call."""
        return self._setting.engines[call.arm.engine].worst(capped(call))

    def rest(self, point: Point, offer: Offer, *, worst: bool) -> Cost:
        """The price of the rest of a chain: expected, the last leg at its worst where `worst` is asked for."""
        total = FREE
        for at, leg in enumerate(offer.rest):
            slot = self.slot(leg.kind, leg.arm)
            if self.costs.seen(slot) or not isinstance(offer.do, Call):
                own = self.costs.mean(point.klass, slot, FREE)
            else:
                own = self.expected(point, offer, self.slot(offer.kind, offer.arm))
            times = leg.times
            if worst and at == len(offer.rest) - 1 and times > 0:
                total += self.costs.worst(slot, self.worst(offer.do) if isinstance(offer.do, Call) else own)
                times -= 1
            total += own.times(times)
        return total

    def rows(self, point: Point, menu: list[Offer], *, fresh: bool = False) -> list[OfferRow]:
        """The menu of a point as numbers."""
        share = self._setting.pricing.share
        draws = () if fresh else point.evidence.draws
        best, factor = (0.0, 1.0) if fresh else (point.best, point.factor)
        # A greedy answer is bought once, but draws of the same model may follow it.
        again = {model_of(offer) for offer in menu if offer.most > 1}
        rows = []
        for offer in menu:
            slot = self.slot(offer.kind, offer.arm)
            effect = EFFECTS[offer.effect]
            rest, success, skill = 0.0, NAN, slot
            if isinstance(offer.do, Call):
                cost = self._share(point, offer, slot)
                if offer.rest:
                    skill = self.slot(offer.rest[-1].kind, offer.rest[-1].arm)
                    rest = share(self.rest(point, offer, worst=False))
            elif effect == NOTE:
                parts = parts_of(offer)
                worth = point.stake * max(1.0 - best, 0.0) * factor
                s, c = self.standard(point.sub_classes[offer.kind], worth, parts)
                cost, rest, success = c, c * (parts - 1), factor * s**parts
            else:
                cost = self._share(point, offer, slot)
                success = self._setting.belief.own(point.klass, slot)
            then, then_cost = -1, 0.0
            if offer.then is not None:
                then = self.slot(offer.then.kind, offer.then.arm)
                then_cost = self._share(point, offer.then, then)
            about = draws[offer.about].candidate if effect == VERDICT and offer.about >= 0 else -1
            rows.append(
                OfferRow(
                    skill,
                    effect,
                    about,
                    then,
                    cost,
                    then_cost,
                    rest,
                    offer.most,
                    model_of(offer) in again,
                    success,
                )
            )
        return rows

    def standard(self, klass: int, worth: float, parts: int) -> tuple[float, float]:
        """The standard of a part and its cost: the largest solution of s = b(W · s^(n−1) / λ), iterated from 1.

        W is what the whole is worth, n the number of parts still to come, b(v) the belief at which a part of this
        class stops when being right is worth v per unit of cost.
        """
        fresh = self._fresh.get(klass)
        if fresh is None or worth <= 0 or not fresh[1]:
            return 0.5, 0.0
        scale = worth / max(self._setting.pricing.price, 1e-12)
        step = round(8 * float(np.log(max(scale, 1e-12))))
        known = self._standards.get((klass, parts, step))
        if known is not None:
            return known
        scale = float(np.exp(step / 8))  # the same for every caller that shares the entry
        batch = pack([fresh[0]], [()], [()], [fresh[1]])
        s, cost = 1.0, 0.0
        for _ in range(16):
            new, cost = self._setting.belief.standard(batch, scale * s ** (parts - 1))
            done = abs(new - s) < 1e-6
            s = new
            if done:
                break
        self._standards[(klass, parts, step)] = (s, cost)
        return s, cost

    def cheapest(self, counts: dict[int, float]) -> float:
        """What the cheapest answer takes of the budget, over prompts that were not asked anything yet."""
        return sum(
            count * min((row.cost for row in self._fresh[klass][1] if row.effect == DRAW), default=0.0)
            for klass, count in counts.items()
            if klass in self._fresh
        )

    def curve(self, counts: dict[int, float]) -> tuple[Floats, Floats]:
        """Spend of prompts that were not asked anything yet, at falling prices; `counts` says how many of each
        class.
        """
        tables = [
            (self._curve(klass), count)
            for klass, count in counts.items()
            if count > 0 and klass in self._fresh
        ]
        tables = [(table, count) for table, count in tables if len(table[0])]
        if not tables:
            return _EMPTY, _EMPTY
        if len(tables) == 1:
            (levels, cost), count = tables[0]
            return levels, count * cost
        levels = np.sort(np.concatenate([table[0] for table, _ in tables]))[::-1]
        spend = np.zeros(len(levels))
        for (level, cost), count in tables:
            spend += count * np.interp(-levels, -level, cost, left=0.0)
        return levels, spend

    def _curve(self, klass: int) -> tuple[Floats, Floats]:
        """Falling prices, and what one fresh prompt of the class would spend at each."""
        known = self._curves.get(klass)
        if known is not None:
            return known
        row, offers = self._fresh[klass]
        belief = self._setting.belief
        top = float(belief.value(pack([row], [()], [()], [offers]), 0.0).until_O.max(initial=0.0))
        if top <= 0:
            self._curves[klass] = (_EMPTY, _EMPTY)
            return self._curves[klass]
        levels = top * LEVELS
        count = len(levels)
        rows = [row._replace(stake=1.0 / level) for level in levels]
        batch = pack(rows, [()] * count, [()] * count, [offers] * count)
        values = belief.value(batch, 1.0)
        net_O = batch.stake_P[batch.point_O] * values.gain_O - values.cost_O
        best_P = np.zeros(count)
        np.maximum.at(best_P, batch.point_O, net_O)
        chosen = np.nonzero((net_O > 0) & (net_O >= best_P[batch.point_O]))[0]
        cost = np.zeros(count)
        cost[batch.point_O[chosen]] = values.cost_O[chosen]
        self._curves[klass] = (levels, np.maximum.accumulate(cost))
        return self._curves[klass]
