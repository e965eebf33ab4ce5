"""The parts of a run, which the Python API and the command line share: settings to arms, engines, checks and a job."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from outlay.config import Endpoint, Settings, arms_for, is_address, model_name
from outlay.config.settings import FREE
from outlay.engines.base import Engine
from outlay.errors import UnknownName, UsageError
from outlay.flow import Start
from outlay.types import NOTHING, Arm, Prompt

if TYPE_CHECKING:
    from outlay.driver import Job

BASE_URL: Final = "OPENAI_BASE_URL"

CheckFunction = Callable[..., bool | tuple[bool | None, str] | None]
"""A check: takes any of `prompt`, `answer` and `text` by name; None where it does not apply. It may say why not:
`(False, "the total is missing")`."""
Same = Callable[[str, str], bool]
"""Whether two answers are the same."""


def models_for(settings: Settings, given: Sequence[Arm] = ()) -> tuple[Arm, ...]:
    """The arms of a run, cheap to dear: those given, or those that the settings name.

    Raises:
        UsageError: A model, policy or strategy means nothing, or a price is missing.
    """
    models = priced(tuple(given) or arms_for(settings, endpoint=BASE_URL in os.environ), settings)
    known(settings, models)
    return models


def job_of(
    settings: Settings,
    models: Sequence[Arm],
    prompts: Sequence[Prompt],
    checks: Sequence[CheckFunction | str],
    digest: str,
    *,
    own: Mapping[str, Engine] = NOTHING,
    strategy: Start | None = None,
    same: Same | None = None,
) -> "Job":
    """The job for the driver; nothing is asked yet. `own` are engines of the caller's by the name that their arms
    give, `strategy` a flow of the caller's in place of the one that the settings name.

    Raises:
        UsageError: The rule asks until a check passes, and nothing can.
        CheckError: A check cannot be loaded.
    """
    from outlay.driver import Job

    if settings.budget.usd is not None:
        from outlay.config.prices import no_longer

        no_longer(prompts, models, settings, os.environ)
    looking = checks_for(checks, prompts)
    if strategy is None:  # one of the caller's may look at answers in its own way
        _may_pass(settings.policy, models, looking)
    served = engines_for([arm for arm in models if arm.engine not in own], settings)
    everywhere = frozenset(arm.name for arm in models if arm.role == "check")
    return Job(
        prompts=tuple(prompts),
        arms=(*models, *(check.arm for check in looking)),
        engines=served | dict(own) | {check.arm.engine: check.engine for check in looking},
        strategy=settings.strategy if strategy is None else strategy,
        policy=settings.policy,
        budget=settings.budget,
        directory=settings.directory,
        seed=settings.seed,
        abstain=settings.abstain,
        input_digest=digest,
        check_files=files_digest(checks),
        checks={
            prompt.id: everywhere | {check.arm.name for check in looking if prompt.id in check.covers}
            for prompt in prompts
        },
        same=same,
        at_once=most_at_once(settings),
        on_crash=settings.on_crash or "charge",
        holdout=settings.holdout,
        endpoints=_addresses(served, settings),
    )


def _may_pass(policy: str, models: Sequence[Arm], looking: "Sequence[Check]") -> None:
    """Refuse a rule that waits for a pass where nobody looks at answers: it would draw one each and stop."""
    name, _, number = policy.partition(":")
    looks = any(arm.role != "model" for arm in models) or any(check.covers for check in looking)
    if name != "until_pass" or looks:
        return
    what = "none of yours applies to any prompt" if looking else "there is none"
    raise UsageError(
        f"policy {policy!r} asks until a check passes, and {what}; add --check tests.py:passes (in Python check=), or "
        f"use uniform:{number} or lead:3"
    )


def known(settings: Settings, models: Sequence[Arm]) -> None:
    """Refuse a strategy or policy that is none, or that has too few models.

    Raises:
        UsageError: Names the known ones.
    """
    from outlay.policies import policy
    from outlay.strategies import STRATEGIES

    answering = [arm for arm in models if arm.role == "model"]
    policy(settings.policy, list(dict.fromkeys(model_name(arm.name) for arm in answering)))
    count = len({arm.who for arm in answering})
    if settings.policy == "agree" and count < 3:
        raise UsageError(
            f"policy 'agree' asks the dearest model where the others differ, so it needs three or more, and there "
            f"are {count}; name another, or use priced or lead:3"
        )
    if settings.strategy not in STRATEGIES:
        raise UnknownName("strategy", settings.strategy, STRATEGIES)


def priced(models: Sequence[Arm], settings: Settings) -> tuple[Arm, ...]:
    """The models as a run may buy them: under a dollar budget all have a price, written or of a table.

    Raises:
        BudgetError: A price is unknown; it would be read as free.
    """
    from outlay.config import prices

    return prices.priced(models, settings, os.environ)


def engines_for(models: Sequence[Arm], settings: Settings) -> dict[str, Engine]:
    """The engines that the models name.

    Raises:
        UsageError: No endpoint is set, or it was not told how to ask for a mode.
    """
    endpoints = {endpoint.name: endpoint for endpoint in settings.endpoints}
    for arm in models:
        if arm.mode and arm.engine != "pocket":
            _asked_for(arm, endpoints.get(arm.engine))
    return {name: _engine(name, endpoints, settings) for name in dict.fromkeys(arm.engine for arm in models)}


def _asked_for(arm: Arm, endpoint: Endpoint | None) -> None:
    from outlay.engines.http.chat import EFFORTS

    told = endpoint.modes if endpoint else {}
    if arm.mode not in EFFORTS and arm.mode not in told:
        raise UsageError(
            f"model {arm.name!r} has the mode {arm.mode!r}, which is no effort ({', '.join(EFFORTS)}); say what to "
            "send for it, in [[model]]: fields = {…}, or in [[endpoint]]: modes = {…}"
        )


def most_at_once(settings: Settings) -> dict[str, int]:
    """For each endpoint the calls that may be under way at the same time."""
    own = {each.name: each.concurrency or settings.concurrency for each in settings.endpoints}
    return {"http": settings.concurrency, **own}


def _engine(name: str, endpoints: Mapping[str, Endpoint], settings: Settings) -> Engine:
    if name == "pocket":
        from outlay.engines.pocket import Pocket

        return Pocket()
    endpoint = endpoints.get(name) or Endpoint(name, "")
    url = endpoint.url or os.environ.get(BASE_URL, "")
    if not url:
        raise UsageError(f"no endpoint is set; set {BASE_URL}, or write [[endpoint]] in a config file")
    if not is_address(url):
        raise UsageError(f"{BASE_URL} is no address of an endpoint; write it like http://localhost:8000/v1")
    from outlay.engines.http import Http

    return Http(
        url,
        os.environ.get(endpoint.key_env, ""),
        extra=endpoint.extra,
        modes=endpoint.modes,
        concurrency=endpoint.concurrency or settings.concurrency,
        requests_per_minute=endpoint.rpm or 0,
        tokens_per_minute=endpoint.tpm or 0,
    )


def _addresses(served: Mapping[str, Engine], settings: Settings) -> tuple[str, ...]:
    """Of the endpoints that are asked, without what may be secret in them."""
    urls = {each.name: each.url for each in settings.endpoints}
    asked = [urls.get(name) or os.environ.get(BASE_URL, "") for name in served if name != "pocket"]
    if not asked:
        return ()
    from outlay.engines.http.asking import shown

    return tuple(dict.fromkeys(shown(url) for url in asked))


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


def files_digest(checks: Sequence[CheckFunction | str]) -> str:
    """Of the files that checks name: a verdict of another version of a check is not a verdict of this one."""
    named = [Path(part) for check in checks if isinstance(check, str) for part in check.split(":")]
    files = [path.read_bytes() for path in named if path.suffix and path.is_file()]
    return hashlib.sha256(b"\0".join(files)).hexdigest()[:16] if files else ""


def _short_names(checks: Sequence[CheckFunction | str]) -> list[str]:
    """The functions' names or the kinds of check, or the specs in full where two share one."""
    from outlay.engines.checker.kinds import spec_of

    if len(set(checks)) < len(checks):
        raise UsageError("a check is named twice; name it once")
    full = [check if isinstance(check, str) else getattr(check, "__name__", "check") for check in checks]
    short = [
        spec_of(check).name if isinstance(check, str) else name.replace("<lambda>", "check")
        for check, name in zip(checks, full, strict=True)
    ]
    return short if len(set(short)) == len(short) else full
