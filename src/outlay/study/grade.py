"""How many answers are right, beside how sure the run was of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from outlay.answers import kind
from outlay.study.labels import Gold
from outlay.study.statistics import Interval, wilson
from outlay.types import Answer, Prompt

Grader = Callable[[Prompt, Answer], bool | None]
"""Whether an answer is right; None where nobody can say."""


class Grade(NamedTuple):
    """One group of prompts.

    Attributes:
        group: What they share.
        graded: Prompts with a known right answer.
        right: Those answered right; a prompt without an answer is not.
        confidence: Mean confidence over the same prompts.
    """

    group: str
    graded: int
    right: int
    confidence: float

    @property
    def accuracy(self) -> Interval:
        """Share of right answers, with its 95 % Wilson interval."""
        return wilson(self.right, self.graded)


class Grades(NamedTuple):
    """All that can be graded: together, and by group in the order of the input."""

    all: Grade
    groups: tuple[Grade, ...]


def by_gold(gold: Mapping[str, Gold]) -> Grader:
    """Compares with gold answers, in the canonical form of the prompt's kind of answer."""

    def right(prompt: Prompt, answer: Answer) -> bool | None:
        if prompt.id not in gold:
            return None
        if answer.answer is None:
            return False
        form = kind(prompt.answer)
        said = form.canonical(answer.answer)
        # A gold answer may be written as an answer alone or as a text that ends in one ("… #### 18").
        return any(said in (form.canonical(g), form.canonical(form.extract(g) or g)) for g in gold[prompt.id])

    return right


def group_of(prompt: Prompt) -> str:
    """The question class that the belief pools by: `metadata.group`, else the kind of answer."""
    return str(prompt.metadata.get("group") or prompt.answer)


def grade(
    prompts: Iterable[Prompt],
    answers: Iterable[Answer],
    grader: Grader,
    *,
    by: Callable[[Prompt], str] = group_of,
) -> Grades | None:
    """Grade what is settled; None where nothing can be graded.

    Args:
        prompts: The input.
        answers: The rows of the run; a prompt without one is left out.
        grader: Says what is right.
        by: Names the group of a prompt.
    """
    settled = {answer.id: answer for answer in answers}
    marks: dict[str, list[tuple[bool, float]]] = {}
    for prompt in prompts:
        answer = settled.get(prompt.id)
        right = None if answer is None else grader(prompt, answer)
        if answer is not None and right is not None:
            marks.setdefault(by(prompt), []).append((right, answer.confidence))
    if not marks:
        return None
    return Grades(
        _grade("all", [mark for group in marks.values() for mark in group]),
        tuple(_grade(group, mark) for group, mark in marks.items()),
    )


def _grade(group: str, marks: Sequence[tuple[bool, float]]) -> Grade:
    count = len(marks)
    return Grade(group, count, sum(right for right, _ in marks), sum(sure for _, sure in marks) / count)
