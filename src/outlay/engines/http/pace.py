"""How fast an endpoint may be asked: requests in flight, and requests and tokens a minute.

No clock and no network: `now` is an argument, in seconds. In flight, after Inspect's adaptive connections:

    start        20 requests, or the ceiling where that is less
    clean reply  one more, so that each round doubles; after the first 429 a twentieth of a round, at least one
    429          a fifth less, once an episode: all that was sent before the cut belongs to it
    5xx, network no growth until a whole round has come back clean
    Retry-After  nobody is asked before that

A limit grows only while it binds: a round of replies for each time that it was reached. What an endpoint says of its
limits a minute (`x-ratelimit-*`) fills a bucket for each model, less what is still on its way; a request larger than a
whole bucket waits for a full one.
"""

import math
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Literal, NamedTuple, final

START, CUT, GROWTH = 20, 0.8, 0.05
MINUTE_S = 60.0

Sign = Literal["clean", "limited", "broken", "none"]
"""How a request ended: answered, 429, 5xx or lost, or given up by ourselves."""


class Ticket(NamedTuple):
    """A request that was sent: when, to which model, and the tokens that it may use."""

    sent_at: float
    model: str
    tokens: int


@final
class Bucket:
    """What may still be sent of an allowance that refills steadily; without limit until somebody names one."""

    __slots__ = ("_at", "_level", "_rate", "limit", "out")

    def __init__(self, per_minute: int = 0) -> None:
        """`per_minute` 0 is no limit. A tenth may go at once and the rest steadily: no minute sees more."""
        self.limit = per_minute / 10 if per_minute else math.inf
        self._rate = per_minute * 0.9 / MINUTE_S
        self._level, self._at, self.out = self.limit, 0.0, 0

    def wait(self, now: float, amount: int) -> float:
        """Seconds until `amount` may be sent."""
        if self.limit == math.inf:
            return 0.0
        short = min(amount, self.limit) - self._now(now)
        return short / self._rate if short > 1e-9 else 0.0

    def take(self, now: float, amount: int) -> None:
        """`amount` is sent; a large request leaves a debt."""
        self.out += amount
        if self.limit < math.inf:
            self._level, self._at = self._now(now) - amount, now

    def back(self, amount: int) -> None:
        """It came back: what the endpoint says from now on counts it."""
        self.out -= amount

    def told(self, now: float, limit: float, remaining: float, reset_s: float) -> None:
        """The endpoint says what is left and when all is; what is on its way it may not have counted."""
        missing = limit - remaining
        self._rate = missing / reset_s if missing > 0 and reset_s > 0 else limit / MINUTE_S
        self.limit, self._level, self._at = limit, remaining - self.out, now

    def _now(self, now: float) -> float:
        return min(self.limit, self._level + self._rate * (now - self._at))


@final
class Allowance:
    """Requests and tokens a minute of one model: the user's limits, and what the endpoint says."""

    __slots__ = ("_buckets", "_said")

    def __init__(self, requests_per_minute: int, tokens_per_minute: int) -> None:
        self._buckets = (Bucket(requests_per_minute), Bucket(tokens_per_minute))
        self._said = (Bucket(), Bucket())

    def wait(self, now: float, tokens: int) -> float:
        """Seconds until a request for so many tokens may be sent."""
        (requests, all_tokens), (said_requests, said_tokens) = self._buckets, self._said
        return max(
            requests.wait(now, 1), all_tokens.wait(now, tokens),
            said_requests.wait(now, 1), said_tokens.wait(now, tokens),
        )  # fmt: skip

    def take(self, now: float, tokens: int) -> None:
        """One is sent."""
        for requests, all_tokens in (self._buckets, self._said):
            requests.take(now, 1)
            all_tokens.take(now, tokens)

    def back(self, tokens: int) -> None:
        """One came back."""
        for requests, all_tokens in (self._buckets, self._said):
            requests.back(1)
            all_tokens.back(tokens)

    def told(self, now: float, headers: Mapping[str, str]) -> None:
        """Read the headers of a reply; those that are missing or make no sense say nothing."""
        for bucket, unit in zip(self._said, ("requests", "tokens"), strict=True):
            limit = _number(headers.get(f"x-ratelimit-limit-{unit}", ""))
            remaining = _number(headers.get(f"x-ratelimit-remaining-{unit}", ""))
            if limit is not None and remaining is not None and limit >= 1:
                reset_s = seconds(headers.get(f"x-ratelimit-reset-{unit}", ""))
                bucket.told(now, limit, min(remaining, limit), reset_s)


@final
class Pace:
    """How many requests may be in flight, and when the next may be sent."""

    def __init__(self, ceiling: int, *, requests_per_minute: int = 0, tokens_per_minute: int = 0) -> None:
        """`ceiling` is the most in flight at once; the others are for each model, 0 for no limit."""
        self.in_flight = 0
        self._ceiling, self._limit = ceiling, float(min(START, ceiling))
        self._step = 1.0
        self._bound = self._unclean = 0  # clean replies that may still let it grow; that must come first
        self._cut_at = self._closed_until = -math.inf
        self._allowances = defaultdict[str, Allowance](
            lambda: Allowance(requests_per_minute, tokens_per_minute)
        )

    @property
    def limit(self) -> int:
        """Requests in flight that are allowed now."""
        return int(self._limit)

    def wait(self, now: float, model: str, tokens: int) -> float:
        """Seconds until a request may be sent; infinite until one comes back."""
        if self.in_flight >= int(self._limit):
            return math.inf
        return max(self._closed_until - now, self._allowances[model].wait(now, tokens), 0.0)

    def send(self, now: float, model: str, tokens: int) -> Ticket:
        """A request is sent."""
        self.in_flight += 1
        if self.in_flight >= int(self._limit):
            self._bound = self.in_flight
        self._allowances[model].take(now, tokens)
        return Ticket(now, model, tokens)

    def back(self, now: float, ticket: Ticket, sign: Sign, wait_s: float = 0.0) -> None:
        """It ended; `wait_s` is how long the endpoint wants not to be asked."""
        self.in_flight -= 1
        self._allowances[ticket.model].back(ticket.tokens)
        if sign == "limited":
            self._closed_until = max(self._closed_until, now + wait_s)
            if ticket.sent_at > self._cut_at:
                self._limit = max(1.0, CUT * self._limit)
                self._step, self._cut_at = GROWTH, now
        if sign in ("limited", "broken"):
            self._unclean = int(self._limit)
        elif sign == "clean" and self._unclean > 0:
            self._unclean -= 1
        elif sign == "clean" and self._bound > 0:
            self._bound -= 1
            self._limit = min(self._ceiling, self._limit + max(self._step, 1 / self._limit))

    def told(self, now: float, model: str, headers: Mapping[str, str]) -> None:
        """Read what a reply says of the limits of its model."""
        if "x-ratelimit-limit-requests" in headers or "x-ratelimit-limit-tokens" in headers:
            self._allowances[model].told(now, headers)


_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|)")
_UNITS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(said: str) -> float:
    """A duration as endpoints write it; 0 where it is none.

    >>> seconds("6m0s"), seconds("20ms"), seconds("1.5"), seconds("tomorrow")
    (360.0, 0.02, 1.5, 0.0)
    """
    text = said.strip()
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return 0.0
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _number(said: str) -> float | None:
    try:
        number = float(said)
    except ValueError:
        return None
    return number if 0 <= number < math.inf else None
