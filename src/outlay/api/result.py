"""What comes of a run, and how it looks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, final

from outlay.config import amount_of, show_amount
from outlay.types import Answer, Budget, Cost

SHOWN: Final = 12
"""Answers that `print(result)` shows."""


@final
@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """What came of a run: `print(result)` shows it, `for answer in result` gives the answers, `result["id"]` one.

    Attributes:
        answers: One for each prompt, in the order of the prompts; each holds its receipt.
        spent: By all of them together.
        budget: What might be spent.
        ended: Why nothing more was bought, in a sentence.
        checked: Whether a check looked at the answers; without one the confidence is unchecked.
        elapsed_ms: Wall-clock time.
    """

    answers: tuple[Answer, ...]
    spent: Cost
    budget: Budget
    ended: str
    checked: bool
    elapsed_ms: int
    _by_id: Mapping[str, Answer] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {answer.id: answer for answer in self.answers})

    def __iter__(self) -> Iterator[Answer]:
        return iter(self.answers)

    def __len__(self) -> int:
        return len(self.answers)

    def __contains__(self, id: object) -> bool:
        return id in self._by_id

    def __getitem__(self, id: str) -> Answer:
        if id not in self._by_id:
            first = f"the first id is {self.answers[0].id!r}" if self.answers else "there are no answers"
            raise KeyError(f"no answer has the id {id!r}; {first}; by position: result.answers[0]")
        return self._by_id[id]

    @property
    def summary(self) -> str:
        """How many were answered at what cost, and why buying stopped."""
        given = [answer for answer in self.answers if answer.outcome == "answered"]
        cost = " and ".join(self._spent())
        said = f"{len(given):,} of {len(self.answers):,} answered for {cost}; {self.ended}."
        if not given:
            return said
        mean = sum(answer.confidence for answer in given) / len(given)
        unchecked = "" if self.checked else ", unchecked: without a check a favorite mistake looks right"
        return f"{said} Confidence {mean:.2f} on average{unchecked}."

    def _spent(self) -> Iterator[str]:
        for unit, limit in self.budget.limits().items():
            used = self.elapsed_ms if unit == "s" else amount_of(self.spent, unit)
            yield f"{show_amount(unit, used)} of {show_amount(unit, limit)}"

    def __str__(self) -> str:
        shown = self.answers if len(self.answers) <= SHOWN else self.answers[: SHOWN - 1]
        rows = [("prompt", "answer", "confidence", "tokens"), *map(_row, shown)]
        left, wide = (max(len(row[at]) for row in rows) for at in (0, 1))
        lines = [f"{a:<{left}}  {b:<{wide}}  {c:>10}  {d:>7}" for a, b, c, d in rows]
        if len(shown) < len(self.answers):
            lines.append(f"… and {len(self.answers) - len(shown):,} more")
        return "\n".join([*lines, "", self.summary])

    __repr__ = __str__


def _row(answer: Answer) -> tuple[str, str, str, str]:
    """One line of the table: the answer, or in parentheses why there is none."""
    given = answer.text if answer.answer is None else answer.answer
    said = given if answer.outcome == "answered" else f"({answer.outcome.replace('_', ' ')})"
    return _short(answer.id), _short(said), f"{answer.confidence:.2f}", f"{answer.cost.tok:,}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:39]}…"
