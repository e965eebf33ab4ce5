"""The Python API: `run`, `stream`, what they give back, and the parts of a run, which the command line shares."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from outlay.api.given import job_from
from outlay.api.parts import (
    BASE_URL,
    Check,
    CheckFunction,
    Same,
    checks_for,
    engines_for,
    job_of,
    known,
    models_for,
    priced,
)
from outlay.api.result import Result
from outlay.api.streaming import Stream, at_once, result_of
from outlay.engines.base import Engine
from outlay.flow import Start
from outlay.types import Arm, Budget, Prompt

Row = str | Mapping[str, Any] | Prompt


def run(
    prompts: Row | Iterable[Row],
    *,
    budget: str | Sequence[str] | Budget,
    models: str | Arm | Sequence[str] | Sequence[Arm] | None = None,
    check: CheckFunction | str | Sequence[CheckFunction | str] | None = None,
    same: Same | None = None,
    engines: Mapping[str, Engine] | None = None,
    policy: str = "priced",
    strategy: str | Start = "auto",
    answer: str | None = None,
    abstain: float = 0.0,
    holdout: float | str = 0.0,
    directory: Path | str | None = None,
    on_crash: str = "charge",
    seed: int = 0,
) -> Result:
    """Answer prompts within a budget.

    Args:
        prompts: Texts, rows as in an input file (`{"prompt": …, "answer": "number"}`), or `Prompt`s.
        budget: `"40ktok"`, or several limits: `["2usd", "10min"]`.
        models: Names at your endpoint (`OPENAI_BASE_URL`), cheap to dear; `small@0.15/0.60` adds dollars per
            million tokens in and out. Or `Arm`s. Without an endpoint the model in the package answers.
        check: Your own check of an answer: a function of any of `prompt`, `answer`, `text`, or the place of
            one, `"module:function"`, which then runs in a process of its own with limits. A list for several.
        same: Whether two answers are the same, in place of the rule of their kind. It sees the answers as they
            were taken out of the texts, and must say the same each time.
        engines: Your own engines, by the name that `Arm.engine` says. They are closed when the run ends.
        policy: How purchases are chosen; see `outlay policies`.
        strategy: What may be bought; see `outlay strategies`. Or a flow of your own, `outlay.flow.loop(offers)`.
        answer: The kind of answer of rows that name none: `number`, `choice:A-D`, `code`, …
        abstain: Below this confidence, 0 to 1, a prompt is left without an answer.
        holdout: On this share of the prompts, `"5%"` or `0.05`, the dearest model is asked beside the run, and
            `Result.held_out` says how often the run answers the same, and at what part of the cost. At most twice that
            share of the budget goes there.
        directory: Where the run lives; the same call with the same directory goes on where it was stopped, and with a
            larger budget of the same units also where it ended for want of it. None keeps it in memory.
        on_crash: What becomes of calls to an endpoint, or to an engine that is not in lockstep, that were under way
            when a run in a directory was killed: `"charge"` them at the most that they could cost, or `"release"` them
            where nobody bills them, as at a server of your own.
        seed: Of every random choice.

    Raises:
        UsageError: Something is missing or means nothing; says what to write.
        CheckError: The check cannot be used, or `same` raised something.
        ResumeError: The directory holds another run, or had a larger budget or one in other units.
        UpstreamError: The endpoint cannot serve at all.
    """
    job = job_from(
        prompts, budget=budget, models=models, check=check, same=same, engines=engines, policy=policy,
        strategy=strategy, answer=answer, abstain=abstain, holdout=holdout, directory=directory,
        on_crash=on_crash, seed=seed,
    )  # fmt: skip
    return result_of(job, *at_once(job))


def stream(
    prompts: Row | Iterable[Row],
    *,
    budget: str | Sequence[str] | Budget,
    models: str | Arm | Sequence[str] | Sequence[Arm] | None = None,
    check: CheckFunction | str | Sequence[CheckFunction | str] | None = None,
    same: Same | None = None,
    engines: Mapping[str, Engine] | None = None,
    policy: str = "priced",
    strategy: str | Start = "auto",
    answer: str | None = None,
    abstain: float = 0.0,
    holdout: float | str = 0.0,
    directory: Path | str | None = None,
    on_crash: str = "charge",
    seed: int = 0,
) -> Stream:
    """Answer prompts within a budget, each answer as it is settled: `async for answer in outlay.stream(…)`.

    The arguments are those of `run`. All prompts must be known at the start, since they share the budget. What is
    wrong with an argument is raised at once, what ends the run comes out of the loop.
    """
    return Stream(
        job_from(
            prompts, budget=budget, models=models, check=check, same=same, engines=engines, policy=policy,
            strategy=strategy, answer=answer, abstain=abstain, holdout=holdout, directory=directory,
            on_crash=on_crash, seed=seed,
        )
    )  # fmt: skip


__all__ = [
    "BASE_URL",
    "Check",
    "CheckFunction",
    "Result",
    "Stream",
    "checks_for",
    "engines_for",
    "job_of",
    "known",
    "models_for",
    "priced",
    "run",
    "stream",
]
