"""What a caller may give to `run` and `stream`, read into a job. Every error names the argument and what to write."""

import hashlib
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from outlay.api.own import Looked, flow_of, sameness
from outlay.api.parts import CheckFunction, job_of, models_for
from outlay.config import Settings, checked, parse_budget, share_of
from outlay.engines.base import Engine
from outlay.errors import BudgetError, CheckError, UnknownName, UsageError
from outlay.inputs import prompts_of
from outlay.types import NOTHING, Arm, Budget, Prompt

if TYPE_CHECKING:
    from outlay.driver import Job

CONTRACT: Final = ("lockstep", "chunk", "worst", "expected", "complete", "close")
"""What an engine has; see `outlay.engines.base.Engine`."""


def job_from(
    prompts: Any,
    *,
    budget: Any,
    models: Any,
    check: Any,
    same: Any,
    engines: Any,
    policy: Any,
    strategy: Any,
    answer: Any,
    abstain: Any,
    holdout: Any,
    directory: Any,
    on_crash: Any,
    seed: Any,
) -> "Job":
    """The job of a call of `run` or `stream`; see there."""
    from outlay.driver.begin import moved

    _typed("policy", policy, (str,), "give its name; `outlay policies` lists them")
    _typed("answer", answer, (str, type(None)), 'give a kind of answer, such as "number"')
    _typed("abstain", abstain, (int, float), "give a confidence from 0 to 1")
    _typed("holdout", holdout, (int, float, str), 'give a share of the prompts, such as "5%" or 0.05')
    _typed("directory", directory, (str, os.PathLike, type(None)), "give a path")
    _typed("on_crash", on_crash, (str,), 'give "charge" or "release"')
    _typed("seed", seed, (int,), "give a whole number")
    names, arms = _models(models)
    settings = checked(
        Settings(
            pick=names,
            budget=_budget(budget),
            policy=policy,
            strategy=strategy if isinstance(strategy, str) else "auto",
            answer=answer or "text",
            abstain=abstain,
            holdout=share_of(holdout),
            on_crash=on_crash,
            seed=seed,
            directory=None if directory is None else Path(directory),
        )
    )
    own = _engines(engines, arms)
    served = models_for(settings, arms)
    read = prompts_of(_rows(prompts), default_answer=settings.answer)
    if not read:
        raise UsageError("there are no prompts; give at least one")
    job = job_of(
        settings,
        served,
        read,
        _checks(check),
        hashlib.sha256(repr(read).encode()).hexdigest(),
        own=own,
        strategy=None if isinstance(strategy, str) else flow_of(strategy),
        same=None if same is None else sameness(same),
    )
    if note := moved(job):
        warnings.warn(note, stacklevel=3)
    return job


def _typed(name: str, value: object, kinds: tuple[type, ...], remedy: str) -> None:
    if not isinstance(value, kinds):
        raise UsageError(f"{name} is {_what(value)}; {remedy}")


def _what(value: object) -> str:
    return "missing" if value is None else f"of type {type(value).__name__}"


def _rows(prompts: Any) -> Iterable[Any]:
    if isinstance(prompts, str | Mapping | Prompt):
        return [prompts]
    if hasattr(prompts, "__aiter__"):
        raise UsageError(
            "prompts is an async iterator, but a run shares its budget among all prompts and must know them at "
            "the start; collect them first: [prompt async for prompt in prompts]"
        )
    if isinstance(prompts, Iterable) and not isinstance(prompts, bytes | bytearray):
        return prompts
    raise UsageError(
        f'prompts is {_what(prompts)}; give a list of texts, of rows like {{"prompt": "…"}}, or of Prompts '
        "(those of a file: outlay.inputs.read(FILE).prompts)"
    )


def _budget(given: Any) -> Budget:
    if isinstance(given, Budget):
        limits = given
        if any(type(limit) is not int or limit < 0 for limit in given.limits().values()):
            raise BudgetError(
                f"{given} cannot be kept: a Budget holds whole tokens, nano-dollars and milliseconds; "
                'a text is easier: budget="2usd"'
            )
    else:
        limits = parse_budget(*map(_limit, _parts(given)))
    if not limits.limits():
        raise BudgetError('say what may be spent: budget="40ktok"')
    return limits


def _limit(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, int | float):
        raise BudgetError(f"budget {part}: {part} what? write '{part}usd' or '{part}ktok'")
    raise BudgetError(f"budget is {_what(part)}; write '2usd', or several limits: ['2usd', '10min']")


def _models(given: Any) -> tuple[tuple[str, ...], tuple[Arm, ...]]:
    """Names or arms, cheap to dear; neither for those that are there."""
    if given is None:
        return (), ()
    parts = _parts(given)
    names = tuple(part for part in parts if isinstance(part, str))
    arms = tuple(part for part in parts if isinstance(part, Arm))
    if not parts:
        raise UsageError("models is empty; name one, or leave it out")
    if len(names) + len(arms) < len(parts):
        odd = next(part for part in parts if not isinstance(part, str | Arm))
        raise UsageError(f'a model is {_what(odd)}; give names, cheap to dear, such as "small", or Arms')
    if names and arms:
        raise UsageError("models are names or arms, not both; give arms for all of them")
    twice = [arm.name for at, arm in enumerate(arms) if arm.name in {other.name for other in arms[:at]}]
    if twice:
        raise UsageError(f"two arms are named {twice[0]!r}; give each a name of its own")
    return names, arms


def _engines(given: Any, arms: tuple[Arm, ...]) -> Mapping[str, Engine]:
    """The caller's own engines: whole, each serving an arm, and with those that are there serving all arms."""
    own = NOTHING if given is None else given
    _typed("engines", own, (Mapping,), 'give a dict: engines={"mine": engine}')
    for name, engine in own.items():
        lacking = [part for part in CONTRACT if not hasattr(engine, part)]
        if lacking or isinstance(engine, type):
            missing = f"has no {', '.join(lacking)}" if lacking else "is a class; give an instance of it"
            raise UsageError(f"engine {name!r} {missing}; see outlay.engines.base.Engine")
        if all(arm.engine != name for arm in arms):
            raise UsageError(f'engine {name!r} serves no model; give models=[Arm("small", engine="{name}")]')
    for arm in arms:
        if arm.engine not in {"http", "pocket", *own}:
            raise UnknownName("engine", arm.engine, {"http", "pocket", *own})
    return {name: Looked(name, engine) for name, engine in own.items()}


def _checks(given: Any) -> tuple[CheckFunction | str, ...]:
    checks = () if given is None else (given,) if callable(given) or isinstance(given, str) else _parts(given)
    for check in checks:
        if not (callable(check) or isinstance(check, str)):
            raise CheckError(
                f"a check is {_what(check)}; give a function of any of prompt, answer and text, "
                'or the place of one: "tests.py:passes"'
            )
    return checks


def _parts(given: Any) -> tuple[Any, ...]:
    """A list, a text that holds one, as on the command line, or one thing alone."""
    if isinstance(given, str):
        return tuple(part.strip() for part in given.split(","))
    if isinstance(given, Iterable) and not isinstance(given, Mapping | bytes):
        return tuple(given)
    return (given,)
