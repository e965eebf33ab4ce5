"""What comes of a run, and how it looks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, final

from outlay.config import amount_of, show_amount
from outlay.types import Answer, Budget, Cost

if TYPE_CHECKING:
    from outlay.driver import Compared

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
        troubles: Who failed, a model or a check, how often, and what the first failure said; the most frequent first.
        compared: With `holdout`, how the held-out share fared beside the dearest model; `held_out` says it in words.
    """

    answers: tuple[Answer, ...]
    spent: Cost
    budget: Budget
    ended: str
    checked: bool
    elapsed_ms: int
    troubles: tuple[str, ...] = ()
    compared: "Compared | None" = None
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
        """How many were answered at what cost, and why buying stopped; below it what was held out and who failed."""
        lines = [self._summary()]
        if self.held_out:
            lines.append(f"Held out: {self.held_out}.")
        lines += (f"Trouble: {' '.join(trouble.split())}" for trouble in self.troubles)
        return "\n".join(lines)

    @property
    def held_out(self) -> str:
        """How often the run answered as the dearest model would, in a sentence; empty without `holdout`."""
        return "" if self.compared is None else beside(self.compared)

    def _summary(self) -> str:
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


MISSING: Final = {
    "unaffordable": "could not be afforded when they began",
    "failed": "failed",
    "open": "still open",
    "incomparable": "with answers that nothing can compare: name their kind, or in Python give same=",
}
"""Why a held-out prompt was not compared."""


def beside(compared: "Compared") -> str:
    """How the run fared beside always asking the dearest model, without any label."""
    if not compared.held:
        return "no prompt fell into the held-out share; hold out a larger one"
    most = (
        f" (at most {100 * compared.most:.3g}% of the budget goes there; a smaller max_tokens makes room)"
        if compared.most < 1
        else ""
    )
    others = ", ".join(
        f"{compared.missing[why]:,} {words}{most if why == 'unaffordable' else ''}"
        for why, words in MISSING.items()
        if compared.missing.get(why)
    )
    if not compared.prompts:
        return f"nothing could be compared with {compared.arm}; of {compared.held:,} held out, {others}"
    from outlay.study.statistics import wilson

    share, low, high = wilson(compared.same, compared.prompts)
    unit = {"usd": "dollars", "tok": "tokens", "outtok": "output tokens"}[compared.unit]
    cost = f", for {compared.spent / compared.dearest:.0%} of its {unit}" if compared.dearest else ""
    number = f"{compared.prompts:,} held-out prompt{'' if compared.prompts == 1 else 's'}"
    said = f"same answers as always {compared.arm} on {share:.0%} [{low:.0%}, {high:.0%}] of {number}{cost}"
    if compared.unanswered:
        said += f"; on {compared.unanswered:,} of them the run had no answer of its own"
    if compared.before:
        said += f"; {compared.before:,} of them compared before the budget grew"
    return f"{said}; of {compared.held:,} held out, {others}" if others else said


def _row(answer: Answer) -> tuple[str, str, str, str]:
    """One line of the table: the answer, or in parentheses why there is none."""
    given = answer.text if answer.answer is None else answer.answer
    said = given if answer.outcome == "answered" else f"({answer.outcome.replace('_', ' ')})"
    return _short(answer.id), _short(said), f"{answer.confidence:.2f}", f"{answer.cost.tok:,}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else f"{line[:39]}…"
