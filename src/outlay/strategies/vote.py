"""`vote`: answers of the models, and which of them agree.

Source: self-consistency, arXiv 2203.11171.
"""

from __future__ import annotations

from outlay.flow import Arms, Evidence, Offer, loop
from outlay.strategies import menu
from outlay.types import Prompt


def offers(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
    """One more answer of any model."""
    return menu.draws(prompt, arms, evidence)


vote = loop(offers)
