"""What an engine returns is looked at before it is booked: an engine may be anybody's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from outlay.errors import EngineError
from outlay.types import Call, Completion, Delivery, Usage


def looked_at(name: str, calls: Sequence[Call], deliveries: object) -> list[Delivery]:
    """The deliveries of one `complete`, such that they can be booked and written down.

    Half a surrogate pair, which no file can hold, becomes a question mark; a negative count, which would give
    budget back, is none.

    Raises:
        EngineError: These are no deliveries, one for each call; names the engine.
    """
    if not isinstance(deliveries, Sequence) or len(deliveries) != len(calls):
        said = f"{len(deliveries)} things" if isinstance(deliveries, Sequence) else repr(deliveries)[:80]
        raise EngineError(
            f"engine {name!r} returned {said} for {len(calls)} calls; return one Delivery for each"
        )
    for each in deliveries:
        if not isinstance(each, Delivery):
            raise EngineError(f"engine {name!r} returned {repr(each)[:80]} where a Delivery was due")
    return [_sound(each) for each in deliveries]


def _sound(delivery: Delivery) -> Delivery:
    usage = delivery.usage
    if min(usage.input, usage.output, usage.cached, usage.reasoning) < 0:
        usage = Usage(
            max(usage.input, 0),
            max(usage.output, 0),
            max(usage.cached, 0),
            max(usage.reasoning, 0),
            estimated=True,
        )
    copies = delivery.completions
    if not all(map(_writable, copies)):
        copies = tuple(_written(copy) for copy in copies)
    if usage is delivery.usage and copies is delivery.completions and delivery.error.isascii():
        return delivery
    return replace(delivery, usage=usage, completions=copies, error=_text(delivery.error))


def _writable(copy: Completion) -> bool:
    """Whether a file can hold it; most texts are plain, which is quick to see."""
    if copy.text.isascii() and not copy.reasoning:
        return True
    return _text(copy.text) == copy.text and _text(copy.reasoning) == copy.reasoning


def _written(copy: Completion) -> Completion:
    return replace(copy, text=_text(copy.text), reasoning=_text(copy.reasoning), handle=_text(copy.handle))


def _text(text: str) -> str:
    return text.encode(errors="replace").decode()
