"""A budget that grows: what it had stopped goes on, with all that was bought for it (decision 0016)."""

from __future__ import annotations

from collections.abc import Collection

from outlay.market.floor import GAVE_UP, Floor
from outlay.types import Budget


def going_on(floor: Floor) -> tuple[list[str], list[str]]:
    """The ids of the prompts that a larger budget lets go on: those that had wanted more, and where there are any also
    those on which nothing was worth any price, since what the others teach may change that. In the order of the
    prompts, those without any answer first: a rule buys in this order. An engine that broke its own worst case ends
    the buying whatever the budget.
    """
    kept = {} if floor.overdrawn_by else floor.stopped
    wanted = {prompt_id for prompt_id, each in kept.items() if each.wanted}
    others = kept.keys() - wanted if wanted else set[str]()
    ids = [prompt.id for prompt in floor.prompts if prompt.id in kept]
    ids.sort(key=lambda prompt_id: bool(kept[prompt_id].point.draw_rows))
    return [each for each in ids if each in wanted], [each for each in ids if each in others]


def top_up(floor: Floor, budget: Budget, again: Collection[str]) -> None:
    """Have a larger budget from now on, and let these prompts, which were kept, go on in this order. What is held in
    shares of the budget (how much is worth buying, what was spent on the evenly bought part) becomes shares of the new
    one.
    """
    part = floor.setting.pricing.top_up(budget)
    floor.ledger.top_up(budget)
    floor.beside.top_up(budget)
    floor.even_spent *= part
    floor.ran_into_budget = False
    for kept in [floor.stopped.pop(prompt_id) for prompt_id in again]:
        point = kept.point
        point.flow, point.offers, point.done = kept.flow, kept.offers, False
        floor.gave_up -= kept.reason == GAVE_UP
        if not point.bought:
            floor.seen.count_fresh(point, 1)
        floor.queue.append(point)
    going = set(again)
    floor.settled[:] = [settled for settled in floor.settled if settled.prompt.id not in going]
    for point in (*floor.points.values(), *floor.queue):
        point.until, point.remaining = point.until / part, point.remaining * part
    floor.retry()
    floor.renew()
