"""Words sent to a model that mends an answer which a check rejected.

Source: self-debugging with the feedback of tests, arXiv 2304.05128; self-refinement, arXiv 2303.17651.
"""

from __future__ import annotations

from outlay.types import Message

LONGEST = 2000
"""Characters of a check's message that are sent; its end tells most."""

_ASK = "This answer did not pass a check.{said}\n\nFind the mistake, then write the whole answer again, corrected."
_SAID = " The check says:\n\n{message}"


def ask(messages: tuple[Message, ...], draft: str, message: str) -> tuple[Message, ...]:
    """The conversation that asks for a better answer than `draft`; `message` is the check's, or empty."""
    said = _SAID.format(message=message[-LONGEST:]) if message.strip() else ""
    return (*messages, Message("assistant", draft), Message("user", _ASK.format(said=said)))
