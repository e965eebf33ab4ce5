"""`best_of`: answers of the models, each looked at by a check or a judge.

Source: best-of-n with a verifier, arXiv 2110.14168.
"""

from __future__ import annotations

from outlay.flow import Arms, Evidence, Offer, loop
from outlay.strategies import menu
from outlay.types import Prompt


def offers(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
    """One more answer of any model, or a look at one that is there."""
    return menu.draws(prompt, arms, evidence, menu.looker(arms)) + menu.verdicts(prompt, arms, evidence)


best_of = loop(offers)
