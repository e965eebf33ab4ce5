"""What may be bought for a prompt, by name."""

from outlay.flow import Start
from outlay.strategies.auto import auto, union
from outlay.strategies.best_of import best_of
from outlay.strategies.cascade import cascade
from outlay.strategies.revise import revise
from outlay.strategies.vote import vote

STRATEGIES: dict[str, tuple[Start, str]] = {
    "auto": (
        auto,
        "every way to spend: answers of all models, and your check or judge on them (the default)",
    ),
    "vote": (vote, "answers of all models; what they agree on counts"),
    "best_of": (best_of, "answers of all models, each looked at by your check or a judge"),
    "cascade": (cascade, "like best_of, but a model only once the one below it was tried"),
    "revise": (revise, "like best_of, and what failed a check goes back with its message to be mended"),
}
"""Name → the flow, and what may be bought in it."""

__all__ = ["STRATEGIES", "auto", "best_of", "cascade", "revise", "union", "vote"]
