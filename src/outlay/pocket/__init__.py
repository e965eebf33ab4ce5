"""The pocket model: a tiny language model that runs on numpy alone, and the problems it was trained on.

It is the laboratory of the package: real sampling, real log probabilities, exact checkers, no network.
"""

from outlay.pocket.model import Model, load
from outlay.pocket.problems import (
    Problem,
    answer_of,
    blind_plan,
    check,
    check_chain,
    check_countdown,
    hit_rate,
)
from outlay.pocket.sampler import Request, Sample, count_tokens, generate
from outlay.pocket.sets import chain_problems, countdown_problems

__all__ = [
    "Model",
    "Problem",
    "Request",
    "Sample",
    "answer_of",
    "blind_plan",
    "chain_problems",
    "check",
    "check_chain",
    "check_countdown",
    "count_tokens",
    "countdown_problems",
    "generate",
    "hit_rate",
    "load",
]
