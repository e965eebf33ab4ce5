"""From settings and a file to a job: the rows, the models and checks, the engines that serve them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, final

from outlay.config import Endpoint, Settings, arms_for
from outlay.config.settings import FREE
from outlay.engines.base import Engine
from outlay.errors import BudgetError, UnknownName, UsageError
from outlay.inputs import Rows, read
from outlay.types import Arm, Budget, Prompt

if TYPE_CHECKING:
    from outlay.driver import Job

BASE_URL: Final = "OPENAI_BASE_URL"


@final
@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a run needs.

    Attributes:
        file: The input, or `-`.
        rows: What was read.
        settings: What was asked for.
        arms: Models, then checks.
        engines: By name.
        checks: Names of the checks that exist for a prompt, by its id.
        directory: Where the run lives.
    """

    file: str
    rows: Rows
    settings: Settings
    arms: tuple[Arm, ...]
    engines: Mapping[str, Engine]
    checks: Mapping[str, frozenset[str]]
    directory: Path

    def job(self) -> "Job":
        """The job for the driver."""
        from outlay.driver import Job

        return Job(
            prompts=self.rows.prompts,
            arms=self.arms,
            engines=self.engines,
            strategy=self.settings.strategy,
            policy=self.settings.policy,
            budget=self.settings.budget,
            directory=self.directory,
            seed=self.settings.seed,
            abstain=self.settings.abstain,
            input_digest=self.rows.digest,
            checks=self.checks,
        )

    async def close(self) -> None:
        """Release connections and processes."""
        for engine in self.engines.values():
            await engine.close()


def prepare(file: str, settings: Settings) -> Prepared:
    """Read the rows and set up what serves them; nothing is asked yet.

    Raises:
        UsageError: Something is missing or means nothing; says what to write.
        CheckError: A check cannot be loaded.
    """
    if not settings.budget.limits():
        raise BudgetError(
            "say what may be spent: --budget 40ktok, 2usd or 10min; give it again for another unit"
        )
    if settings.grade and file == "-":
        raise UsageError(
            "--grade reads the file twice, and standard input can be read once; write it to a file"
        )
    models = arms_for(settings, endpoint=BASE_URL in os.environ)
    priced(models, settings.budget)
    known(settings, models)
    rows = read(file, default_answer=settings.answer, limit=settings.limit)
    if not rows.prompts and not rows.errors:
        raise UsageError(f'{file} holds no rows; write one object a line: {{"prompt": "…"}}')
    checks = checks_for(settings.check, rows.prompts)
    return Prepared(
        file,
        rows,
        settings,
        (*models, *(check.arm for check in checks)),
        engines_for(models, settings) | {check.arm.engine: check.engine for check in checks},
        {
            prompt.id: frozenset(check.arm.name for check in checks if prompt.id in check.covers)
            for prompt in rows.prompts
        },
        settings.directory or directory_beside(file),
    )


def known(settings: Settings, models: Sequence[Arm]) -> None:
    """Refuse a strategy or policy that is none, before anything is read.

    Raises:
        UsageError: Names the known ones.
    """
    from outlay.policies import policy
    from outlay.strategies import STRATEGIES

    policy(settings.policy, [arm.name for arm in models])
    if settings.strategy not in STRATEGIES:
        raise UnknownName("strategy", settings.strategy, STRATEGIES)


def directory_beside(file: str) -> Path:
    """`tasks.outlay` beside `tasks.jsonl`."""
    return Path("stdin.outlay") if file == "-" else Path(file).with_suffix(".outlay")


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


def checks_for(specs: Sequence[str], prompts: Sequence[Prompt]) -> tuple[Check, ...]:
    """Load the user's checks; each is asked once which prompts it applies to.

    Raises:
        CheckError: A check cannot be loaded.
    """
    if not specs:
        return ()
    from outlay.engines.checker import Checker

    names = _short_names(specs)
    made = []
    for spec, name in zip(specs, names, strict=True):
        engine = Checker(spec)
        covers = frozenset(p.id for p, here in zip(prompts, engine.applies(prompts), strict=True) if here)
        arm = Arm(
            name, f"check {name}", temperature=0.0, deterministic=True, max_tokens=0, price=FREE, role="check"
        )
        made.append(Check(arm, engine, covers))
    return tuple(made)


def _short_names(specs: Sequence[str]) -> list[str]:
    """The functions' names, or the specs in full where two functions share one."""
    if len(set(specs)) < len(specs):
        raise UsageError("a check is named twice; name it once")
    short = [spec.rpartition(":")[2] for spec in specs]
    return short if len(set(short)) == len(short) else list(specs)
