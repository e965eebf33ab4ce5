"""What may be bought from a log: its arms, cheap to dear, with their prices; and the rules that it can show."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import numpy as np

from outlay.answers import kind
from outlay.config import dollars, model_name
from outlay.driver import Job
from outlay.engines.recorded import Recorded, Row
from outlay.errors import UnknownName, UsageError
from outlay.study.bench_log import Log, only
from outlay.study.recording import Recording
from outlay.types import MILLION, NANO, Arm, Budget, Price

ENGINE = "recorded"
MOST_MODELS = 8
"""More than these are named, not taken: every further one is a rule of its own and an offer at every stop."""
NUMBERS = (2, 4, 8, 16)
VOTES = (3, 5, 9, 17)
"""Draws where a check can tell, and where they only vote: an even vote is no better than the odd one below it."""
LEADS = (2, 3)
_PRICED = re.compile(r"(.+)@([0-9.]+)/([0-9.]+)")


@final
@dataclass(frozen=True, eq=False)
class Bed:
    """A log and the arms that rules may buy from it, cheap to dear; checks come last and are free.

    `flat`: models of which the log's dollars do not follow the tokens, so that their mean price is used.
    """

    log: Log
    arms: tuple[Arm, ...]
    flat: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The models, cheap to dear."""
        return tuple(dict.fromkeys(arm.model for arm in self.arms if arm.role == "model"))

    @property
    def repeats(self) -> bool:
        """Whether any arm has more than one draw for a prompt, so that orders differ."""
        return any(not arm.deterministic for arm in self.arms if arm.role == "model")

    @property
    def votes(self) -> bool:
        """Whether any prompt's answers exclude each other, so that equal ones are votes."""
        return any(kind(prompt.answer).exclusive for prompt in self.log.prompts)

    @property
    def checked(self) -> bool:
        """Whether the log has verdicts of any check."""
        return any(arm.role == "check" for arm in self.arms)

    def depth(self, model: str) -> int:
        """Draws of a model that every prompt with any has."""
        count: dict[str, int] = defaultdict(int)
        for row in self.log.rows:
            if model_name(row.arm) == model or row.arm == model:
                count[row.prompt] += 1
        return min(count.values(), default=0)

    def job(self, engine: Recorded, policy: str, budget: Budget, seed: int) -> Job:
        """A run on the log. No label is within its reach."""
        names = [arm.name for arm in self.arms if arm.role == "check"]
        checks = {p.id: frozenset(n for n in names if engine.has_check(p.id, n)) for p in self.log.prompts}
        return Job(
            self.log.prompts,
            self.arms,
            {ENGINE: engine},
            policy=policy,
            budget=budget,
            seed=seed,
            checks=checks,
        )


def picked(recording: Recording, models: Sequence[str]) -> Recording:
    """The recording with the arms of some models; a long log is read faster so.

    Raises:
        UnknownName: The recording holds nothing of a model.
    """
    names = {arm.name: (arm.name, model_name(arm.name)) for arm in recording.arms}
    wanted = {_named(text)[0] for text in models}
    for name in sorted(wanted.difference(*names.values()) if names else wanted):
        raise UnknownName("model", name, dict.fromkeys(model for _, model in names.values()))
    return only(recording, {arm for arm, known in names.items() if wanted.intersection(known)})


def bed_of(log: Log, models: Sequence[str]) -> Bed:
    """The arms of a log that the models name.

    Args:
        log: The recording.
        models: Cheap to dear; `small` stands for the arms `small:greedy` and `small`, and `small@0.15/0.60` gives
            dollars per million input and output tokens. Without, the log's own dollars give the price.

    Raises:
        UsageError: Too many models, one of which the log holds nothing or no tokens, or a price that is no number.
    """
    if len(models) > MOST_MODELS:
        raise UsageError(
            f"{len(models)} models at once; name at most {MOST_MODELS}, cheap to dear: --models "
            f"{','.join(models[:2])}"
        )
    own: dict[str, list[Row]] = defaultdict(list)
    for row in log.rows:
        own[row.arm].append(row)
    arms: list[Arm] = []
    flat: list[str] = []
    for text in models:
        name, price = _named(text)
        found = sorted(arm for arm in own if name in (arm, model_name(arm)))
        # the greedy arm is bought before the sampled one
        found.sort(key=lambda arm: not arm.endswith(":greedy"))
        if not found:
            raise UnknownName("model", name, dict.fromkeys(map(model_name, own)))
        draws = [row for arm in found for row in own[arm]]
        if not any(row.output for row in draws):
            raise UsageError(
                f"no tokens of {name} were recorded, so its cost is unknown; leave it out of --models"
            )
        if price is None and (fitted := _fitted(draws)) is not None:
            price = fitted.price
            flat += [name] * (not fitted.exact)
        arms += [_arm(arm, model_name(name), own[arm], price or Price()) for arm in found]
    if len({arm.name for arm in arms}) < len(arms):
        raise UsageError(f"a model is named twice in {', '.join(models)}; name each once, cheap to dear")
    bought = {arm.name for arm in arms}
    checks = dict.fromkeys(name for row in log.rows if row.arm in bought for name in row.verdicts)
    free = tuple(Arm(name, ENGINE, price=Price(0, 0), role="check") for name in checks)
    rows = [row for row in log.rows if row.arm in bought]
    return Bed(replace(log, rows=tuple(rows)), (*arms, *free), tuple(flat))


def _named(text: str) -> tuple[str, Price | None]:
    priced = _PRICED.fullmatch(text)
    if priced is None:
        return text, None
    return priced[1], Price(dollars(priced[2]), dollars(priced[3]))


def _arm(name: str, model: str, rows: Sequence[Row], price: Price) -> Arm:
    once = len({row.prompt for row in rows}) == len(rows)
    return Arm(
        name,
        ENGINE,
        model,
        temperature=0.0 if once else 1.0,
        deterministic=once,  # what was drawn once can be bought once
        max_tokens=max(max(row.output for row in rows), 1),
        price=price,
    )


class _Fit(NamedTuple):
    price: Price
    exact: bool


def _fitted(rows: Sequence[Row]) -> _Fit | None:
    """The price that a log's dollars follow, by least squares; None where a draw has none.

    Where they follow no price of input and output tokens to 2 % of their mean, the mean price of a token.
    """
    billed = [(row.input, row.output, row.usd) for row in rows if row.usd is not None]
    if len(billed) < len(rows):
        return None
    tokens = np.array([row[:2] for row in billed], dtype=np.float64)
    usd = np.array([row[2] for row in billed], dtype=np.float64)
    used = tokens.any(axis=0)
    rate = np.zeros(2)
    rate[used] = np.linalg.lstsq(tokens[:, used], usd, rcond=None)[0]
    exact = bool((rate >= 0).all() and np.abs(tokens @ rate - usd).mean() <= 0.02 * usd.mean())
    if not exact:
        rate[:] = usd.sum() / max(tokens.sum(), 1.0)
    input_price, output_price = (round(float(one) * MILLION * NANO) for one in rate)
    return _Fit(Price(input_price, output_price), exact)


def rules_of(bed: Bed) -> tuple[str, ...]:
    """The rules of this package that the log can show: those that need more draws than it holds are left out."""
    names = bed.names
    depth = {name: bed.depth(name) for name in names}
    rules = [f"uniform:1@{name}" for name in names]
    numbers = NUMBERS if bed.checked else VOTES
    if bed.checked or bed.votes:
        rules += [f"uniform:{n}@{name}" for name in names for n in numbers if n <= depth[name]]
    if bed.votes:
        rules += [f"lead:{k}@{name}" for name in names for k in LEADS if 2 * k - 1 <= depth[name]]
    if bed.checked:
        rules += [f"until_pass:{n}@{name}" for name in names for n in NUMBERS if n <= depth[name]]
    # with one cheap model there is nobody to agree with
    return (*rules, *(("agree",) if len(names) > 2 else ()))


def notes_of(bed: Bed, unit: str) -> list[str]:
    """What the log cannot tell, a sentence each."""
    models = [arm for arm in bed.arms if arm.role == "model"]
    prompts, rows, labelled = bed.log.prompts, bed.log.rows, len(bed.log.right)
    said = []
    if not labelled:
        said.append("No labels: how many answers are right is not known, only how many are the same.")
    elif labelled < len(prompts):
        said.append(f"Labels speak about {labelled:,} of {len(prompts):,} prompts; accuracy is of those.")
    once = [arm.name for arm in models if arm.deterministic and not arm.name.endswith(":greedy")]
    if once:
        said.append(f"One draw a prompt of {_few(once)}: it cannot be asked again, so no votes of it.")
    sure = {row.arm for row in rows if row.confidence is not None}
    if unsure := [arm.name for arm in models if arm.name not in sure]:
        said.append(f"No confidence recorded of {_few(unsure)}.")
    if not bed.checked:
        said.append("No check recorded: until_pass cannot be shown.")
    if not any(row.input for row in rows):
        said.append("No input tokens recorded: cost is that of the output.")
    if any(row.estimated for row in rows):
        said.append("Tokens are no bill: whoever made the log counted them in another way.")
    if bed.flat and unit == "usd":
        said.append(
            f"Dollars of {_few(bed.flat)} follow no price of tokens; the mean price of a token is used."
        )
    if unit != "usd" and len(bed.names) > 1:
        said.append(
            "A token counts the same from every model; to weigh them, give prices "
            f"(--models {bed.names[0]}@0.15/0.60,…) and a budget in usd."
        )
    there = {(row.prompt, model_name(row.arm)) for row in rows} | {(row.prompt, row.arm) for row in rows}
    gaps = {model: sum((prompt.id, model) not in there for prompt in prompts) for model in bed.names}
    said += [
        f"{gap:,} of {len(prompts):,} prompts have no draw of {model}." for model, gap in gaps.items() if gap
    ]
    if mute := sum(not row.text for row in rows):
        said.append(f"{mute:,} of {len(rows):,} draws answer nothing that can be read; they count as wrong.")
    return said


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
