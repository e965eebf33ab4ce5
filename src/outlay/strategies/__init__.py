"""What may be bought for a prompt, by name."""

from outlay.flow import Start
from outlay.strategies.auto import auto, union
from outlay.strategies.best_of import best_of
from outlay.strategies.vote import vote

STRATEGIES: dict[str, tuple[Start, str]] = {
    "auto": (
        auto,
        "every way to spend: answers of all models, and your check or judge on them (the default)",
    ),
    "vote": (vote, "answers of all models; what they agree on counts"),
    "best_of": (best_of, "answers of all models, each looked at by your check or a judge"),
}
"""Name → the flow, and what may be bought in it."""

__all__ = ["STRATEGIES", "auto", "best_of", "union", "vote"]
