"""The check of the demo: whether an expression solves a Countdown prompt. A check of your own looks like it.

outlay run problems.jsonl --check countdown.py:solves
"""

from outlay.pocket.problems import check_countdown
from outlay.types import Prompt


def applies(prompt: Prompt) -> bool:
    """For which prompts the check exists at all."""
    return prompt.metadata.get("group") == "countdown"


def solves(prompt: Prompt, answer: str) -> bool:
    """Whether the answer uses each number once and reaches the target."""
    return check_countdown(prompt.messages[-1].content, answer)
