"""Words sent to a model that judges an answer.

Source: P(True), "Language Models (Mostly) Know What They Know", arXiv 2207.05221, in the plain form of one question.
"""

from __future__ import annotations

from outlay.types import Message

_ASK = (
    "Here is a task and a proposed answer. Decide whether the answer is correct.\n\n"
    "Task:\n{task}\n\nProposed answer:\n{answer}\n\n"
    "Reply with one word: yes if the answer is correct, no if it is not."
)


def ask(messages: tuple[Message, ...], answer: str) -> tuple[Message, ...]:
    """The question to the judge about `answer` to the last user message."""
    task = next((m.content for m in reversed(messages) if m.role == "user"), "")
    return (Message("user", _ASK.format(task=task, answer=answer)),)


def verdict(text: str) -> bool | None:
    """The judge's word: True, False, or None where it said neither."""
    words = text.strip().lower().lstrip("*\"'(").split()
    first = words[0].strip("*\"'.,:;!)") if words else ""
    return {"yes": True, "no": False}.get(first)
