"""What the engines measure alike: how sure a completion was, and how long a call may write."""

from collections.abc import Sequence
from itertools import accumulate

from outlay.types import Call, Confidence

WINDOW = 16


def cap(call: Call) -> int:
    """Most output tokens of one copy; the arm's, for a call that the market has not filled in yet."""
    return min(call.max_tokens or call.arm.max_tokens, call.arm.max_tokens)


def confidence(logprobs: Sequence[float]) -> Confidence | None:
    """Summary of token log-probabilities; None without any. Fewer than 16 are one window.

    >>> confidence([-1.0, -3.0])
    Confidence(mean=-2.0, low=-2.0, tail=-2.0)
    >>> confidence([0.0] * 16 + [-16.0])
    Confidence(mean=-0.9411764705882353, low=-1.0, tail=-1.0)
    """
    count = len(logprobs)
    if not count:
        return None
    width = min(WINDOW, count)
    total = [0.0, *accumulate(logprobs)]
    windows = [(total[end] - total[end - width]) / width for end in range(width, count + 1)]
    return Confidence(total[-1] / count, min(windows), windows[-1])
