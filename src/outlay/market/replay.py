"""A journal read again: its decisions are carried out once more, and none is made anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from outlay.errors import NotDeterministic
from outlay.flow import Offer
from outlay.market.floor import Floor
from outlay.market.point import Point, Wanted
from outlay.market.purchase import Holds, believe
from outlay.market.topup import top_up
from outlay.types import Budget, Cost

_ADVICE = (
    "the strategy or an engine's worst case is not what it was when the run began; start again in a new directory, "
    "or restore what changed"
)


def replay(floor: Floor, kind: str, body: Any) -> None:
    """Repeat one journaled line: a step, what was learned, a top-up. What came back is given to `deliver`."""
    if kind == "learn":
        floor.setting.belief.load(body["belief"])
        floor.setting.pricing.restore(body["pricing"])
        floor.learned()
        return
    if kind == "topup":
        top_up(floor, Budget(*body["to"]), [*body["again"], *body["beside"]])
        floor.setting.pricing.restore(body["pricing"])
        return
    floor.deadline.at(body.get("ms", 0))
    for op in body["ops"]:
        _repeat(floor, op)
    floor.setting.pricing.restore(body["pricing"])
    floor.clock.mark(floor.deadline.elapsed, floor.deadline.busy)
    floor.new.clear()
    floor.ops.clear()
    floor.lines.clear()


def _repeat(floor: Floor, op: list[Any]) -> None:
    if op[0] == "open":
        floor.open_next()
        return
    if op[0] == "reopen":
        floor.reopen(next(settled for settled in floor.settled if settled.prompt.id == op[1]))
        return
    if op[0] == "go_on":
        floor.go_on_next()
        return
    if op[0] == "retry":
        floor.retry()
        return
    if op[0] == "slot":
        floor.appraisal.slot(op[1], op[2])
        return
    if op[0] == "wake":
        floor.set_price(op[1])
        floor.wake(fresh=op[2])
        return
    point = floor.points.get(op[1])
    if point is None:
        raise NotDeterministic(f"the journal speaks of {op[1]!r}, which is not open: {_ADVICE}")
    if op[0] == "compare":
        _, _, held, *price = op
        for each in price:  # a journal may be older than this
            floor.set_price(each)
        if not floor.hold_out(point, Cost(*held)):
            raise NotDeterministic(f"the comparison of {point.path!r} can no longer be reserved: {_ADVICE}")
    elif op[0] == "without":
        floor.begin_without(point)
    elif op[0] == "reveal":
        _, _, best, leader = op
        believe(point, best, leader)
        floor.reveal(point)
    elif op[0] == "probe":
        floor.probe_flows(point, list(point.offers))
    elif op[0] == "behind":
        floor.wait_behind(point)
    elif op[0] == "idle":
        _, _, why, best, leader, point.until, point.remaining, *wanted = op
        believe(point, best, leader)
        if wanted:
            point.wanted = Wanted(_offered(point, *wanted[0]), *wanted[1:-1])
        floor.set_idle(point, why, wanted[-1] if wanted else 0.0)
    elif op[0] == "end":
        _, _, reason, best, leader = op
        believe(point, best, leader)
        floor.finish(point, reason)
    else:
        _buy_again(floor, point, *op[2:])


def _offered(point: Point, kind: str, arm: str, about: int) -> Offer:
    for offer in point.offers:
        if (offer.kind, offer.arm, offer.about) == (kind, arm, about):
            return offer
    raise NotDeterministic(f"{kind} of {arm} at {point.path!r} is no longer offered: {_ADVICE}")


def _buy_again(
    floor: Floor, point: Point, kind: str, arm: str, about: int, copies: int, max_tokens: int, best: float, leader: int,
    until: float, remaining: float, gain: float, cost: float, forced: bool, propensity: float, price: float,
    held: Sequence[Sequence[int]], stakes: Sequence[float] = (),
) -> None:  # fmt: skip
    """Repeat a purchase as it was journaled."""
    offer = _offered(point, kind, arm, about)
    floor.set_price(price)
    believe(point, best, leader)
    point.until, point.remaining = until, remaining
    holds = Holds(*(Cost(*amounts) for amounts in held))
    if not floor.buy(point, offer, copies, gain, cost, forced, max_tokens, stakes, holds):
        raise NotDeterministic(f"{kind} of {arm} at {point.path!r} can no longer be reserved: {_ADVICE}")
