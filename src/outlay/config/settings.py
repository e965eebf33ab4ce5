"""What a run is told, and the arms that follow from it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from outlay.config.amounts import dollars
from outlay.errors import UsageError
from outlay.types import Arm, Budget, Price

SAMPLED: Final = 0.8
"""Temperature of the sampled arm of a model where none is set."""
UNKNOWN: Final = Price()
FREE: Final = Price(0, 0, 0)
UNLIMITED: Final = Budget()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint. The key is read from the environment, never written in a file.

    Attributes:
        name: What a model refers to.
        url: Base URL, up to and including `/v1`.
        key_env: The environment variable that holds the key.
    """

    name: str
    url: str
    key_env: str = "OPENAI_API_KEY"


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the user names it; gives a greedy and a sampled arm, or the one that `temperature` says.

    Attributes:
        name: What `--models` and receipts say.
        model: The endpoint's name for it; `name` where empty.
        engine: Name of an endpoint, `http` for `OPENAI_BASE_URL`, or `pocket`.
        mode: `think`, `short`, an effort, or empty.
        temperature: None for both arms; 0 is greedy.
        max_tokens: Most output tokens of one answer.
        price: In nano-dollars per million tokens.
    """

    name: str
    model: str = ""
    engine: str = "http"
    mode: str = ""
    temperature: float | None = None
    max_tokens: int = 1024
    price: Price = UNKNOWN

    def arms(self) -> tuple[Arm, ...]:
        """The greedy arm before the sampled one: what is bought once at most comes first."""
        heats = (0.0, SAMPLED) if self.temperature is None else (self.temperature,)
        return tuple(self._arm(heat, both=len(heats) == 2) for heat in heats)

    def _arm(self, heat: float, *, both: bool) -> Arm:
        return Arm(
            name=f"{self.name}:greedy" if both and heat == 0 else self.name,
            engine=self.engine,
            model=self.model or self.name,
            mode=self.mode,
            temperature=heat,
            deterministic=heat == 0,
            max_tokens=self.max_tokens,
            price=self.price,
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a run is told, except its input.

    Attributes:
        models: Those of the config file, cheap to dear.
        endpoints: Those of the config file.
        pick: Names of the models to use, in order; empty for all.
        budget: What may be spent.
        check: The user's checks, as they are written.
        policy: Name of the rule that buys.
        strategy: Name of what may be bought.
        answer: The kind of answer of rows that name none.
        seed: Of every random choice.
        abstain: Below this confidence a prompt is left without an answer.
        concurrency: Most calls under way at once, at one endpoint.
        limit: Rows to read; None for all.
        grade: Whether settled rows are compared with the gold answers in the input.
        directory: Where the run lives; None for beside the input.
    """

    models: tuple[Model, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    pick: tuple[str, ...] = ()
    budget: Budget = UNLIMITED
    check: tuple[str, ...] = ()
    policy: str = "priced"
    strategy: str = "auto"
    answer: str = "text"
    seed: int = 0
    abstain: float = 0.0
    concurrency: int = 32
    limit: int | None = None
    grade: bool = False
    directory: Path | None = None


def pocket_arms() -> tuple[Arm, ...]:
    """The arms of the model in the package, cheap to dear. It runs in the process and costs no dollars."""
    rows = (("short", 0.0, 32), ("short", 1.0, 32), ("think", 0.0, 96), ("think", SAMPLED, 96))
    return tuple(
        Arm(
            name=f"{mode}:greedy" if heat == 0 else mode,
            engine="pocket",
            model="pocket",
            mode=mode,
            temperature=heat,
            deterministic=heat == 0,
            max_tokens=most,
            price=FREE,
        )
        for mode, heat, most in rows
    )


def arms_for(settings: Settings, *, endpoint: bool) -> tuple[Arm, ...]:
    """The arms of a run, cheap to dear: of the config file, of the endpoint, or of the model in the package.

    Args:
        settings: `models` and `pick` decide. A name in `pick` may carry a price, `small@0.15/0.60`: dollars
            per million input and output tokens.
        endpoint: Whether `OPENAI_BASE_URL` is set.

    Raises:
        UsageError: No model is named, or one that is not there.
    """
    if not settings.models and endpoint:
        if not settings.pick:
            raise UsageError(
                "name the models to use, cheap to dear: --models small,big; `outlay models` lists them"
            )
        return _unique([arm for text in settings.pick for arm in _named(text)])
    known = (
        tuple(arm for model in settings.models for arm in model.arms()) if settings.models else pocket_arms()
    )
    if not settings.pick:
        return _unique(known)
    return _unique([arm for name in settings.pick for arm in _picked(name, known, bool(settings.models))])


_PRICED = re.compile(r"(.+)@([0-9.]+)/([0-9.]+)")


def _named(text: str) -> tuple[Arm, ...]:
    """Arms of a model that only the endpoint knows; `:greedy` asks for that arm alone."""
    priced = _PRICED.fullmatch(text)
    name = priced.group(1) if priced else text
    price = Price(dollars(priced.group(2)), dollars(priced.group(3))) if priced else Price()
    greedy = name.endswith(":greedy")
    arms = Model(name.removesuffix(":greedy"), price=price).arms()
    return arms[:1] if greedy else arms


def _picked(name: str, known: Sequence[Arm], configured: bool) -> list[Arm]:
    arms = [arm for arm in known if name in (arm.name, arm.name.removesuffix(":greedy"))]
    if arms:
        return arms
    names = ", ".join(dict.fromkeys(arm.name.removesuffix(":greedy") for arm in known))
    if configured:
        raise UsageError(f"unknown model {name!r}; the config file has: {names}")
    raise UsageError(
        f"unknown model {name!r}: no endpoint is set, so the model in the package answers, as {names}; "
        "set OPENAI_BASE_URL (and OPENAI_API_KEY) to use your own"
    )


def _unique(arms: Sequence[Arm]) -> tuple[Arm, ...]:
    seen: set[str] = set()
    for arm in arms:
        if arm.name in seen:
            raise UsageError(f"model {arm.name!r} is named twice; name it once, cheap to dear")
        seen.add(arm.name)
    return tuple(arms)


def checked(settings: Settings) -> Settings:
    """The same settings, or an error that names the one that cannot be kept."""
    for name, low, high in (
        ("abstain", 0, 1),
        ("seed", 0, 2**63 - 1),
        ("concurrency", 1, 4096),
    ):
        if not low <= getattr(settings, name) <= high:
            raise UsageError(f"{name} is {getattr(settings, name)}; it must lie between {low} and {high}")
    if settings.limit is not None and settings.limit < 1:
        raise UsageError(f"limit is {settings.limit}; it must be 1 or more")
    return settings
