"""Free text: all of it after the thought; the same when its words are."""

from outlay.answers.cues import after_thought


def extract(text: str) -> str | None:
    """The text without the thought before it."""
    return after_thought(text).strip() or None


def canonical(answer: str) -> str:
    """White space is not meaning; case is."""
    return " ".join(answer.split())
