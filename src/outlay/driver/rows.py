"""What goes out for a prompt: the answer, its outcome, and its row in `answers.jsonl`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from outlay.market import DEADLINE, GAVE_UP, NO_MONEY, Settled
from outlay.types import FREE, NANO, Answer, Prompt


def outcome_of(settled: Settled, abstain: float = 0.0) -> str:
    """What became of a prompt, in a word; answers believed less than `abstain` are left out."""
    if settled.candidate is not None:
        return "abstained" if settled.belief < abstain else "answered"
    if settled.drawn:
        return "no_answer_found"
    if settled.reason in (NO_MONEY, GAVE_UP, DEADLINE):
        return "out_of_budget"
    return "failed" if any("error" in line for line in settled.lines) else "abstained"


def answer_of(settled: Settled, abstain: float, twins: Sequence[Prompt] = ()) -> list[Answer]:
    """The answer for a prompt, and after it those for the prompts that are the same."""
    return _with_twins(_answer(settled, outcome_of(settled, abstain)), twins)


def provisional_of(settled: Settled, twins: Sequence[Prompt] = ()) -> list[Answer]:
    """The best so far of a prompt that is still open, and after it that of the prompts that are the same."""
    return _with_twins(_answer(settled, "provisional"), twins)


def _with_twins(answer: Answer, twins: Sequence[Prompt]) -> list[Answer]:
    same = {"same_as": answer.id, "purchases": [], "stopped": f"the same prompt as {answer.id}"}
    return [answer, *(replace(answer, id=twin.id, cost=FREE, receipt=same) for twin in twins)]


def _answer(settled: Settled, outcome: str) -> Answer:
    prompt, candidate = settled.prompt, settled.candidate
    purchases = [{**line, "usd": line["usd"] / NANO} for line in settled.lines]
    given = candidate if outcome in ("answered", "provisional") else None
    return Answer(
        prompt.id,
        given.answer if given is not None else None,
        given.text if given is not None else "",
        outcome, round(settled.belief, 6), settled.cost,
        {"purchases": purchases, "stopped": settled.reason},
    )  # fmt: skip


def answer_row(answer: Answer) -> dict[str, Any]:
    """The row of `answers.jsonl`."""
    return {
        "id": answer.id,
        "answer": answer.answer,
        "text": answer.text,
        "outcome": answer.outcome,
        "confidence": answer.confidence,
        "cost": answer.cost.row(),
        "receipt": answer.receipt,
    }
