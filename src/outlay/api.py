"""The Python API: `run`, what it gives back, and the parts of a run, which the command line shares."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from outlay.config import Endpoint, Settings, amount_of, arms_for, checked, parse_budget, show_amount
from outlay.config.settings import FREE
from outlay.engines.base import Engine
from outlay.errors import BudgetError, UnknownName, UsageError
from outlay.inputs import prompts_of
from outlay.types import Answer, Arm, Budget, Cost, Prompt

if TYPE_CHECKING:
    from outlay.driver import Job, Summary

BASE_URL: Final = "OPENAI_BASE_URL"
SHOWN: Final = 12
"""Answers that `print(result)` shows."""

CheckFunction = Callable[..., bool | None]
"""A check: takes any of `prompt`, `answer` and `text` by name; None where it does not apply."""


def run(
    prompts: Sequence[str | Mapping[str, Any] | Prompt],
    *,
    budget: str | Sequence[str] | Budget,
    models: str | Sequence[str] | Sequence[Arm] | None = None,
    check: CheckFunction | str | None = None,
    policy: str = "priced",
    strategy: str = "auto",
    answer: str | None = None,
    directory: Path | str | None = None,
    seed: int = 0,
) -> "Result":
    """Answer prompts within a budget.

    Args:
        prompts: Texts, rows as in an input file (`{"prompt": …, "answer": "number"}`), or `Prompt`s.
        budget: `"40ktok"`, or several limits: `["2usd", "10min"]`.
        models: Names at your endpoint (`OPENAI_BASE_URL`), cheap to dear; `small@0.15/0.60` adds dollars per
            million tokens in and out. Without an endpoint the model in the package answers.
        check: Your own check of an answer: a function of any of `prompt`, `answer`, `text`, or the place of
            one, `"module:function"`, which then runs in a process of its own with limits.
        policy: How purchases are chosen; see `outlay policies`.
        strategy: What may be bought; see `outlay strategies`.
        answer: The kind of answer of rows that name none: `number`, `choice:A-D`, `code`, …
        directory: Where the run lives; the same call with the same directory goes on where it was stopped.
            None keeps it in memory.
        seed: Of every random choice.

    Raises:
        UsageError: Something is missing or means nothing; says what to write.
        CheckError: The check cannot be used.
        ResumeError: The directory holds another run.
        UpstreamError: The endpoint cannot serve at all.
    """
    limits = budget if isinstance(budget, Budget) else parse_budget(*_texts(budget))
    named = _texts(models) if models is not None else ()
    arms = tuple(model for model in named if isinstance(model, Arm))
    settings = checked(
        Settings(
            pick=tuple(model for model in named if isinstance(model, str)),
            budget=limits,
            policy=policy,
            strategy=strategy,
            answer=answer or "text",
            seed=seed,
            directory=None if directory is None else Path(directory),
        )
    )
    if arms and settings.pick:
        raise UsageError("models are names or arms, not both; give arms for all of them")
    if not limits.limits():
        raise BudgetError('say what may be spent: budget="40ktok"')
    arms = models_for(settings, arms)
    read = prompts_of([prompts] if isinstance(prompts, str) else prompts, default_answer=settings.answer)
    if not read:
        raise UsageError("there are no prompts; give at least one")
    digest = hashlib.sha256(repr(read).encode()).hexdigest()
    job = job_of(settings, arms, read, () if check is None else (check,), digest)
    return _result(job, *_perform(job))


@final
@dataclass(frozen=True, slots=True, repr=False)
class Result:
    """What came of a run; `print(result)` shows it.

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


def _texts(given: Any) -> tuple[Any, ...]:
    """A list, or a text that holds one, as on the command line."""
    return tuple(part.strip() for part in given.split(",")) if isinstance(given, str) else tuple(given)


def _perform(job: "Job") -> "tuple[Summary, tuple[Answer, ...]]":
    """Run a job to its end, also from where an event loop runs already, such as a notebook."""
    from outlay.driver import run_job

    async def perform() -> "tuple[Summary, tuple[Answer, ...]]":
        try:
            return await run_job(job)
        finally:  # also of a run that could not begin
            for engine in job.engines.values():
                await engine.close()

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(perform())
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(perform())).result()


def _result(job: "Job", summary: "Summary", answers: Sequence[Answer]) -> Result:
    by_id = {answer.id: answer for answer in answers}
    in_order = tuple(by_id[prompt.id] for prompt in job.prompts if prompt.id in by_id)
    return Result(
        in_order, summary.spent, summary.budget, summary.end_sentence, summary.checked, summary.elapsed_ms
    )


# ── the parts of a run ─────────────────────────────────────────────────────────────────────────────────────


def models_for(settings: Settings, given: Sequence[Arm] = ()) -> tuple[Arm, ...]:
    """The arms of a run, cheap to dear: those given, or those that the settings name.

    Raises:
        UsageError: A model, policy or strategy means nothing, or a price is missing.
    """
    models = tuple(given) or arms_for(settings, endpoint=BASE_URL in os.environ)
    priced(models, settings.budget)
    known(settings, models)
    return models


def job_of(
    settings: Settings,
    models: Sequence[Arm],
    prompts: Sequence[Prompt],
    checks: Sequence[CheckFunction | str],
    digest: str,
) -> "Job":
    """The job for the driver; nothing is asked yet.

    Raises:
        CheckError: A check cannot be loaded.
    """
    from outlay.driver import Job

    looking = checks_for(checks, prompts)
    return Job(
        prompts=tuple(prompts),
        arms=(*models, *(check.arm for check in looking)),
        engines=engines_for(models, settings) | {check.arm.engine: check.engine for check in looking},
        strategy=settings.strategy,
        policy=settings.policy,
        budget=settings.budget,
        directory=settings.directory,
        seed=settings.seed,
        abstain=settings.abstain,
        input_digest=digest,
        checks={
            prompt.id: frozenset(check.arm.name for check in looking if prompt.id in check.covers)
            for prompt in prompts
        },
    )


def known(settings: Settings, models: Sequence[Arm]) -> None:
    """Refuse a strategy or policy that is none.

    Raises:
        UsageError: Names the known ones.
    """
    from outlay.policies import policy
    from outlay.strategies import STRATEGIES

    policy(settings.policy, [arm.name for arm in models])
    if settings.strategy not in STRATEGIES:
        raise UnknownName("strategy", settings.strategy, STRATEGIES)


def priced(models: Sequence[Arm], budget: Budget) -> None:
    """Refuse a dollar budget for a model of unknown price: it would be read as free.

    Raises:
        BudgetError: Names the models, and where a price is written.
    """
    if budget.usd is None:
        return
    unknown = dict.fromkeys(arm.name.removesuffix(":greedy") for arm in models if not arm.price.known())
    if unknown:
        first = next(iter(unknown))
        raise BudgetError(
            f"a budget in dollars needs the price of {', '.join(unknown)}; "
            f"write --models {first}@0.15/0.60 (dollars per million tokens in and out), "
            "or price_in and price_out in a config file"
        )


def engines_for(models: Sequence[Arm], settings: Settings) -> dict[str, Engine]:
    """The engines that the models name."""
    endpoints = {endpoint.name: endpoint for endpoint in settings.endpoints}
    return {name: _engine(name, endpoints, settings) for name in dict.fromkeys(arm.engine for arm in models)}


def _engine(name: str, endpoints: Mapping[str, Endpoint], settings: Settings) -> Engine:
    if name == "pocket":
        from outlay.engines.pocket import Pocket

        return Pocket()
    endpoint = endpoints.get(name) or Endpoint(name, os.environ.get(BASE_URL, ""))
    if not endpoint.url:
        raise UsageError(f"no endpoint is set; set {BASE_URL}, or write [[endpoint]] in a config file")
    from outlay.engines.http import Http

    return Http(endpoint.url, os.environ.get(endpoint.key_env, ""), concurrency=settings.concurrency)


class Check(NamedTuple):
    """One of the user's checks, and the ids of the prompts that it applies to."""

    arm: Arm
    engine: Engine
    covers: frozenset[str]


def checks_for(checks: Sequence[CheckFunction | str], prompts: Sequence[Prompt]) -> tuple[Check, ...]:
    """Load the user's checks; each is asked once which prompts it applies to.

    Raises:
        CheckError: A check cannot be loaded.
    """
    return tuple(_check(*pair, prompts) for pair in zip(checks, _short_names(checks), strict=True))


def _check(check: CheckFunction | str, name: str, prompts: Sequence[Prompt]) -> Check:
    if isinstance(check, str):
        from outlay.engines.checker import Checker

        looks: Any = Checker(check)
    else:
        from outlay.engines.function import Function

        looks = Function(check)
    covers = frozenset(p.id for p, here in zip(prompts, looks.applies(prompts), strict=True) if here)
    arm = Arm(
        name, f"check {name}", temperature=0.0, deterministic=True, max_tokens=0, price=FREE, role="check"
    )
    return Check(arm, looks, covers)


def _short_names(checks: Sequence[CheckFunction | str]) -> list[str]:
    """The functions' names, or the specs in full where two functions share one."""
    if len(set(checks)) < len(checks):
        raise UsageError("a check is named twice; name it once")
    full = [check if isinstance(check, str) else getattr(check, "__name__", "check") for check in checks]
    short = [name.rpartition(":")[2].replace("<lambda>", "check") for name in full]
    return short if len(set(short)) == len(short) else full
