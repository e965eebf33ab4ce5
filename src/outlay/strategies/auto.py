"""`auto`: every way to spend, over one shared evidence; a sample bought for voting is there to be checked."""

from __future__ import annotations

from collections.abc import Callable

from outlay.flow import Arms, Evidence, Offer, Offers, Start, loop
from outlay.strategies.best_of import offers as best_of
from outlay.types import Prompt


def union(*parts: Offers) -> Start:
    """One strategy whose menu is that of all parts; the same purchase is offered once."""

    def offers(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
        """What any part offers."""
        menu: dict[tuple[str, str, int], Offer] = {}
        for part in parts:
            for offer in part(prompt, arms, evidence):
                menu.setdefault((offer.kind, offer.arm, offer.about), offer)
        return tuple(menu.values())

    return loop(offers)


PARTS: tuple[Callable[[Prompt, Arms, Evidence], tuple[Offer, ...]], ...] = (best_of,)
auto = union(*PARTS)
