"""`cascade`: a model is offered once the one below it was tried.

Source: FrugalGPT, arXiv 2305.05176. Where the look at the cheap model is not cheap, a cascade loses to asking the dear
one at once: the other strategies offer every model from the start.
"""

from __future__ import annotations

from outlay.flow import Arms, Evidence, Offer, loop
from outlay.strategies import menu
from outlay.types import Prompt


def offers(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
    """One more answer of a model whose turn has come, or a look at one that is there."""
    tiers = list(dict.fromkeys(arm.who for arm in arms if arm.role == "model"))
    tried = {draw.arm for draw in evidence.draws} | {failure.arm for failure in evidence.failures}
    highest = max(
        (tiers.index(arm.who) for arm in arms if arm.name in tried and arm.role == "model"), default=-1
    )
    turn = set(tiers[: highest + 2])
    allowed = tuple(arm for arm in arms if arm.role != "model" or arm.who in turn)
    return menu.draws(prompt, allowed, evidence, menu.looker(arms)) + menu.verdicts(prompt, arms, evidence)


cascade = loop(offers)
