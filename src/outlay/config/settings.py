"""What a run is told, and the arms that follow from it."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from outlay.config.amounts import dollars, shown
from outlay.errors import UsageError
from outlay.types import NOTHING, Arm, Budget, Price

SAMPLED: Final = 0.8
"""Temperature of the sampled arm of a model where none is set."""
UNKNOWN: Final = Price()
FREE: Final = Price(0, 0, 0)
UNLIMITED: Final = Budget()
ON_CRASH: Final = ("charge", "release")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An OpenAI-compatible endpoint. The key is read from the environment, never written in a file.

    Attributes:
        name: What a model refers to.
        url: Base URL, up to and including `/v1`.
        key_env: The environment variable that holds the key.
        extra: Fields added to every request.
        modes: For each mode the fields that ask for it.
        concurrency: Most calls under way at once; None for that of the run.
        rpm: Most requests a minute; None where the endpoint says it itself or does not limit them.
        tpm: Most tokens a minute, likewise.
    """

    name: str
    url: str
    key_env: str = "OPENAI_API_KEY"
    extra: Mapping[str, Any] = field(default_factory=lambda: NOTHING, hash=False)
    modes: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: NOTHING, hash=False)
    concurrency: int | None = None
    rpm: int | None = None
    tpm: int | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the user names it; gives an arm for each temperature.

    Attributes:
        name: What `--models` and receipts say.
        model: The endpoint's name for it; `name` where empty.
        engine: Name of an endpoint, `http` for `OPENAI_BASE_URL`, or `pocket`.
        mode: `think`, `short`, an effort, or empty.
        temperatures: 0 is greedy.
        max_tokens: Most output tokens of one answer.
        price: In nano-dollars per million tokens.
        fields: What a request says to ask for `mode`.
        role: `model`, or `judge`: it looks at the answers of others.
    """

    name: str
    model: str = ""
    engine: str = "http"
    mode: str = ""
    temperatures: tuple[float, ...] = (0.0, SAMPLED)
    max_tokens: int = 1024
    price: Price = UNKNOWN
    fields: Mapping[str, Any] = field(default_factory=lambda: NOTHING, hash=False)
    role: str = "model"

    def arms(self) -> tuple[Arm, ...]:
        """The greedy arm before the sampled ones: what is bought once at most comes first."""
        return tuple(self._arm(heat) for heat in sorted(self.temperatures))

    def _arm(self, heat: float) -> Arm:
        return Arm(
            name=self.name + self._suffix(heat),
            engine=self.engine,
            model=self.model or self.name,
            mode=self.mode,
            temperature=heat,
            deterministic=heat == 0,
            max_tokens=self.max_tokens,
            price=self.price,
            role=self.role,
        )

    def _suffix(self, heat: float) -> str:
        """What tells the arms of one model apart: the only sampled one has the plain name."""
        if len(self.temperatures) == 1:
            return ""
        if heat == 0:
            return ":greedy"
        return f":t{heat:g}" if sum(one > 0 for one in self.temperatures) > 1 else ""


def model_name(arm: str) -> str:
    """The model's name in that of its arm.

    >>> model_name("small:greedy"), model_name("qwen:7b:t0.5"), model_name("qwen:7b")
    ('small', 'qwen:7b', 'qwen:7b')
    """
    return re.sub(r":(greedy|t[0-9.]+)$", "", arm)


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a run is told, except its input.

    Attributes:
        models: Those of the config file, cheap to dear.
        judges: Models that look at answers.
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
        prices: A file of prices, or `table`: then the price tables count for every endpoint. None: for the hosts of
            the providers alone.
        holdout: The share of prompts on which the run is compared with always asking the dearest model.
        on_crash: What becomes of a call that was under way when the run was killed: `charge` it at the most that it
            could cost, or `release` it. None: charge at endpoints, release in the process.
    """

    models: tuple[Model, ...] = ()
    judges: tuple[Model, ...] = ()
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
    prices: str | None = None
    holdout: float = 0.0
    on_crash: str | None = None


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
    judges = [arm for judge in settings.judges for arm in judge.arms()]
    if not settings.models and endpoint:
        if not settings.pick:
            raise UsageError(
                "name the models to use, cheap to dear: --models small,big; `outlay models` lists them"
            )
        return _unique([*(arm for text in settings.pick for arm in _named(text)), *judges])
    known = (
        tuple(arm for model in settings.models for arm in model.arms()) if settings.models else pocket_arms()
    )
    if not settings.pick:
        return _unique([*known, *judges])
    picked = [arm for name in settings.pick for arm in _picked(name, known, bool(settings.models))]
    return _unique([*picked, *judges])


_PRICED = re.compile(r"(.+)@([0-9.]+)/([0-9.]+)")
_MISTYPED = re.compile(r".+@(?:|[^/@]*/.*|[0-9]{0,2}|[0-9]*[.,][0-9]*)")
"""What follows an @ and is no price, but no version either: `@20250514`, `@001` and `@latest` are part of names."""


def _named(text: str) -> tuple[Arm, ...]:
    """Arms of a model that only the endpoint knows; `:greedy` asks for that arm alone."""
    priced = _PRICED.fullmatch(text)
    if priced is None and _MISTYPED.fullmatch(text):
        raise UsageError(
            f"model {shown(text)}: after @ come two prices, dollars per million tokens in and out: small@0.15/0.60; a "
            'model whose name is really so is named in a config file: [[model]] name = "…"'
        )
    name = priced.group(1) if priced else text
    price = Price(dollars(priced.group(2)), dollars(priced.group(3))) if priced else Price()
    greedy = name.endswith(":greedy")
    arms = Model(name.removesuffix(":greedy"), price=price).arms()
    return arms[:1] if greedy else arms


def _picked(name: str, known: Sequence[Arm], configured: bool) -> list[Arm]:
    arms = [arm for arm in known if name in (arm.name, model_name(arm.name))]
    if arms:
        return arms
    names = ", ".join(dict.fromkeys(model_name(arm.name) for arm in known))
    if configured:
        priced = "; prices are written there: price_in, price_out" if "@" in name else ""
        raise UsageError(f"unknown model {shown(name)}; the config file has: {names}{priced}")
    raise UsageError(
        f"unknown model {shown(name)}: no endpoint is set, so the model in the package answers, as {names}; "
        "set OPENAI_BASE_URL (and OPENAI_API_KEY) to use your own"
    )


def _unique(arms: Iterable[Arm]) -> tuple[Arm, ...]:
    seen: set[str] = set()
    for arm in arms:
        if arm.name in seen and arm.role == "judge":
            raise UsageError(
                f"judge {shown(arm.name)} has the name of another; give it its own, and the endpoint's in model: "
                f'name = "{arm.name}-judge", model = "{arm.model}"'
            )
        if arm.name in seen:
            raise UsageError(f"model {shown(arm.name)} is named twice; name it once, cheap to dear")
        seen.add(arm.name)
    return tuple(arms)


def checked(settings: Settings) -> Settings:
    """The same settings, or an error that names the one that cannot be kept."""
    for name, low, high in (
        ("abstain", 0, 1),
        ("holdout", 0, 1),
        ("seed", 0, 2**63 - 1),
        ("concurrency", 1, 4096),
    ):
        if not low <= getattr(settings, name) <= high:
            raise UsageError(f"{name} is {getattr(settings, name)}; it must lie between {low} and {high}")
    if settings.limit is not None and settings.limit < 1:
        raise UsageError(f"limit is {settings.limit}; it must be 1 or more")
    if not all(name.strip() and name.isprintable() for name in settings.pick):
        raise UsageError("a model without a name: write --models small,big, cheap to dear")
    if settings.on_crash not in (None, *ON_CRASH):
        raise UsageError(f"on_crash is {shown(settings.on_crash)}; it must be {' or '.join(ON_CRASH)}")
    if settings.prices == "":
        raise UsageError('prices is empty; write prices = "table", or the name of a file of prices')
    return settings


def is_address(url: str) -> bool:
    """Whether this can be the address of an endpoint."""
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.port != 0
            and url.isprintable()
        )
    except ValueError:  # half an IPv6 address, a port that is none
        return False
