"""What was bought and has not come back, what it reserves, and its line on the receipt."""

from __future__ import annotations

from typing import Any, NamedTuple

from outlay.flow import Offer
from outlay.market.point import Point
from outlay.types import Call, Cost

MESSAGE = 300
"""Characters of a check's message on a receipt line."""


Began = tuple[int, float, float]
"""When a call was bought, and what the run's and its engine's meter showed then."""


class Purchase(NamedTuple):
    """Something bought that has not come back. `ms` is what it is expected to take of a run whose time is limited,
    `began` what the run's clock showed when it was bought; `hidden`: the run is compared with it, and does not see it
    yet.
    """

    point: Point
    offer: Offer
    slot: int
    line: dict[str, Any]
    call: Call | None
    children: tuple[Point, ...]
    hidden: bool = False
    ms: int = 0
    began: Began = (0, 0.0, 0.0)


class Holds(NamedTuple):
    """What one purchase reserves: the worst case of its call, and the price of the rest of its chain."""

    call: Cost
    rest: Cost


def receipt_line(
    point: Point, offer: Offer, copies: int, price: float, *, max_tokens: int = 0, forced: bool = False
) -> dict[str, Any]:
    """A receipt line; what it cost and brought is filled in later."""
    line: dict[str, Any] = {
        "kind": offer.kind, "arm": offer.arm, "copies": copies, "tok": 0, "outtok": 0, "usd": 0, "s": 0.0,
        "belief": [round(point.best, 4), None], "price": price,
    }  # fmt: skip
    if point.parent is not None:
        line["part"] = point.path[len(point.root.path) + 1 :]
    if max_tokens:
        line["capped"] = max_tokens
    if forced:
        line["even"] = True
    return line


def charge(line: dict[str, Any], cost: Cost) -> None:
    """Book what was settled on a receipt line."""
    line["tok"] += cost.tok
    line["outtok"] += cost.outtok
    line["usd"] += cost.usd
    line["s"] = round(line["s"] + cost.ms / 1000, 3)


def believe(point: Point, best: float, leader: int) -> None:
    """A new belief at a point; the last receipt line learns what it brought."""
    point.best, point.leader = best, leader
    if point.last is not None:
        point.last["belief"][1] = round(best, 4)
        point.last = None


def home_of(point: Point) -> str:
    """The nearest chain hold up the path."""
    at: Point | None = point
    while at is not None:
        if at.chain:
            return at.chain
        at = at.parent
    return ""


def amounts(cost: Cost) -> list[int]:
    """A cost for the journal."""
    return [cost.tok, cost.outtok, cost.usd, cost.ms]


def per_copy(worst: Cost, copies: int) -> Cost:
    """The worst case of one copy of several."""
    if copies == 1:
        return worst
    return Cost(-(-worst.tok // copies), -(-worst.outtok // copies), -(-worst.usd // copies), worst.ms)
