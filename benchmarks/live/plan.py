"""Which tasks, which models, which runs: what `PROTOCOL.md` lays down, as values."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, final

from outlay.api import Check
from outlay.driver import Job
from outlay.engines.base import Engine
from outlay.types import NANO, Arm, Budget, Price, Prompt

RULE: Final = "small_then_big"
"""The name under which `run.py` registers `rivals.SmallThenBig`."""
TASKS: Final = 60
MAX_TOKENS: Final = 256
HEAT: Final = 0.8
SHA256: Final = {
    "small": "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    "big": "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
}
BILLIONS: Final = {"small": 0.49, "big": 1.54}
PRICES: Final = {
    name: Price(input=round(size * NANO / 10), output=round(size * NANO)) for name, size in BILLIONS.items()
}
"""Notional: a dollar per billion parameters and million output tokens, a tenth of that for input."""

BUDGETS: Final = (
    *(("s", 1.0), ("tok", 1.0), ("usd", 1.0)),
    *(("s", 0.5), ("tok", 0.5), ("s", 1.25), ("tok", 1.25)),
)
"""Unit and multiple of what always-big used, in the order in which the runs are made."""


class Spent(NamedTuple):
    """What always-big used, which the budgets are multiples of."""

    tok: int
    usd: int
    ms: int


@final
@dataclass(frozen=True, slots=True)
class Run:
    """One run of the protocol.

    Attributes:
        name: Of its folder and its row.
        policy: As in `outlay policies`, or `RULE`.
        strategy: As in `outlay strategies`.
        arms: Names of the arms that it may buy.
        unit: Of its budget, `tok`, `usd` or `s`; empty for none.
        level: Its budget as a multiple of what always-big used.
    """

    name: str
    policy: str
    strategy: str = "auto"
    arms: tuple[str, ...] = ("small:greedy", "small", "big:greedy", "big")
    unit: str = ""
    level: float = 0.0

    def budget(self, yard: Spent | None) -> Budget:
        """What it may spend; the rules that people use are not limited.

        Raises:
            ValueError: It needs what always-big used, and that was not run.
        """
        if not self.unit:
            return Budget()
        if yard is None:
            raise ValueError(f"run {self.name!r} needs what always-big used; run always-big first")
        field = "ms" if self.unit == "s" else self.unit
        return Budget(**{field: round(self.level * getattr(yard, field))})


BIG: Final = "always-big"


def runs(strategy: str = "auto") -> tuple[Run, ...]:
    """All runs, in the order in which they are made.

    >>> [run.name for run in runs()][3:5]
    ['outlay-s-1.00', 'outlay-tok-1.00']
    """
    tail = "" if strategy == "auto" else f"-{strategy}"
    ours = tuple(
        Run(f"outlay-{unit}-{level:.2f}{tail}", "priced", strategy, unit=unit, level=level)
        for unit, level in BUDGETS
    )
    rivals = (
        Run(BIG, "uniform:1", "best_of", arms=("big:greedy",)),
        Run("always-small", "uniform:1", "best_of", arms=("small:greedy",)),
        Run("small-then-big", RULE, "best_of"),
    )
    mends = Run("outlay-usd-1.00-revise", "priced", "revise", unit="usd", level=1.0)
    after = 1 + BUDGETS.index(("usd", 1.0))
    return (*rivals, *dict.fromkeys((*ours[:after], mends, *ours[after:])), *loops())


def loops() -> tuple[Run, ...]:
    """One model until its check passes, at most four answers: drawn anew each time, or mended with the check's word."""
    return tuple(
        Run(f"{name}-until-4{tail}", "until_pass:4", strategy, arms=(f"{name}:greedy", name))
        for name in BILLIONS
        for tail, strategy in (("", "best_of"), ("-revise", "revise"))
    )


def chosen(prompts: Sequence[Prompt]) -> tuple[tuple[Prompt, ...], tuple[Prompt, ...]]:
    """The tasks of the protocol, and those left for pilots, both in the order of a hash."""
    order = sorted(prompts, key=lambda p: hashlib.sha256(f"outlay live {p.id}".encode()).hexdigest())
    return tuple(order[:TASKS]), tuple(order[TASKS:])


def arms() -> tuple[Arm, ...]:
    """Greedy and sampled answers of both models, cheap to dear."""
    return tuple(
        Arm(
            name + (":greedy" if greedy else ""),
            name,
            model=name,
            temperature=0.0 if greedy else HEAT,
            deterministic=greedy,
            max_tokens=MAX_TOKENS,
            price=PRICES[name],
        )
        for name in BILLIONS
        for greedy in (True, False)
    )


def job_of(
    run: Run,
    prompts: Sequence[Prompt],
    engines: Mapping[str, Engine],
    check: Check,
    *,
    yard: Spent | None,
    directory: Path,
) -> Job:
    """The run as the driver takes it."""
    bought = tuple(arm for arm in arms() if arm.name in run.arms)
    visible = replace(check.arm, name="visible")
    return Job(
        prompts=tuple(prompts),
        arms=(*bought, visible),
        engines={**{arm.engine: engines[arm.engine] for arm in bought}, visible.engine: check.engine},
        strategy=run.strategy,
        policy=run.policy,
        budget=run.budget(yard),
        directory=directory,
        checks={p.id: frozenset({visible.name} if p.id in check.covers else ()) for p in prompts},
    )


def sha256_of(path: Path) -> str:
    """Of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
