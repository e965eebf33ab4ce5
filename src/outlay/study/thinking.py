"""One model with and without a thought: who should think, and for how long (`benchmarks/mmlu_pro/PROTOCOL.md`).

Rivals are families of settings, each a score and a cost per prompt; labels have joined already, so the choice of a
setting is made by `replay.tune`, on other folds than it is graded on. Axes: P prompts, K settings, R resamples.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, final

import msgspec
import numpy as np

from outlay.engines.recorded import Row
from outlay.study.recording import Recording, arms_of, scorer
from outlay.study.replay import Bools, Outcome, Pick, Settings, folds_of, mixed_at_cost, spent_up, tune
from outlay.study.statistics import Floats, Interval, Resamples

TARGETS = (0.10, 0.15, 0.25, 0.35, 0.50, 0.75, 1.00)
"""Shares of the cost of always thinking."""
CAPS = (*(round(256 * 2 ** (k / 2)) for k in range(15)), 10**9)
"""Most tokens of a thought: steps of √2 up to 32,768, and none."""
QUANTILES = 41
RESAMPLES = 2_000


@final
@dataclass(frozen=True, eq=False)
class Pair:
    """The two answers to each prompt.

    Attributes:
        ids: The prompts.
        plain, thought: Whether each answer is right, and its output tokens.
        sure_P: Mean log-probability of the plain answer; minus infinity where there is none.
    """

    ids: tuple[str, ...]
    plain: Outcome
    thought: Outcome
    sure_P: Floats


def outcome_of(recording: Recording, arm: str) -> Outcome:
    """Score and output tokens of the first draw of an arm, in the order of the recording's prompts.

    Raises:
        KeyError: A prompt has no draw of the arm.
        ValueError: There are no labels.
    """
    score = scorer(recording)
    if score is None:
        raise ValueError(f"{recording.path.name} has no labels beside it")
    rows = {row.prompt: row for row in recording.rows if row.arm == arm and row.draw == 0}
    own = [rows[prompt.id] for prompt in recording.prompts]
    marks = [score(prompt, row.answer) or 0.0 for prompt, row in zip(recording.prompts, own, strict=True)]
    return Outcome(np.array(marks), np.array([row.output for row in own], dtype=np.float64))


def pair_of(recording: Recording, plain: str, thought: str) -> Pair:
    """The pair of two arms of a recording."""
    sure = {
        row.prompt: row.confidence[0] if row.confidence is not None else -np.inf
        for row in recording.rows
        if row.arm == plain
    }
    ids = tuple(prompt.id for prompt in recording.prompts)
    return Pair(
        ids,
        outcome_of(recording, plain),
        outcome_of(recording, thought),
        np.array([sure[i] for i in ids], dtype=np.float64),
    )


def with_caps(recording: Recording, arm: str, caps: Sequence[int]) -> Recording:
    """The recording with further arms `ARM:CAP`: what the arm would have given up to so many tokens."""

    def cut(row: Row, cap: int) -> Row:
        whole = row.output <= cap
        return msgspec.structs.replace(
            row,
            arm=f"{arm}:{cap}",
            output=min(row.output, cap),
            answer=row.answer if whole else None,
            text=row.text if whole else "",
            confidence=row.confidence if whole else None,
            finish=row.finish if whole else "length",
        )

    more = tuple(cut(row, cap) for cap in caps for row in recording.rows if row.arm == arm)
    rows = (*recording.rows, *more)
    return replace(recording, rows=rows, arms=arms_of(rows))


# ── rivals


def _settings(outcomes: Sequence[tuple[str, Floats, Floats]]) -> Settings:
    return Settings(
        np.array([score_P for _, score_P, _ in outcomes]),
        np.array([cost_P for _, _, cost_P in outcomes]),
        tuple(label for label, _, _ in outcomes),
    )


def capped(pair: Pair, cap: int, think_P: Bools, *, asked_P: Bools) -> tuple[Floats, Floats]:
    """Score and cost where `think_P` thinks up to a cap; a cut thought falls back to the plain answer.

    `asked_P`: where the plain answer was bought beforehand; it is bought wherever it is given.
    """
    cut_P = pair.thought.cost_P > cap
    given_P = think_P & ~cut_P
    score_P = np.where(given_P, pair.thought.score_P, pair.plain.score_P)
    cost_P = np.where(think_P, np.minimum(pair.thought.cost_P, cap), 0.0)
    return score_P, cost_P + np.where(asked_P | ~given_P, pair.plain.cost_P, 0.0)


def blind(pair: Pair) -> Settings:
    """Nobody thinks, or everybody does, unlooked: mixing the two is the rule."""
    return _settings([("no thought", *pair.plain), ("thought", *pair.thought)])


def least_confident(pair: Pair, caps: Sequence[int] = CAPS[-1:]) -> Settings:
    """Everybody answers without thinking; those below a confidence think too, up to a cap."""
    everyone_P = np.ones(len(pair.ids), dtype=np.bool_)
    found = []
    levels = np.quantile(pair.sure_P, np.linspace(0, 1, QUANTILES), method="lower")
    for level in dict.fromkeys(levels.tolist()):
        for cap in caps:
            label = f"below {level:.3f}{_cap(cap)}"
            found.append((label, *capped(pair, cap, pair.sure_P < level, asked_P=everyone_P)))
    found += [(f"all{_cap(cap)}", *capped(pair, cap, everyone_P, asked_P=everyone_P)) for cap in caps]
    return _settings(found)


def fall_back(pair: Pair) -> Settings:
    """Everybody thinks up to a cap; a plain answer is bought where the thought was cut, or nobody thinks."""
    everyone_P = np.ones(len(pair.ids), dtype=np.bool_)
    nobody_P = ~everyone_P
    found = [("no thought", *pair.plain)]
    found += [(f"thought{_cap(cap)}", *capped(pair, cap, everyone_P, asked_P=nobody_P)) for cap in CAPS]
    return _settings(found)


def _cap(cap: int) -> str:
    return "" if cap == CAPS[-1] else f" to {cap:,}"


FAMILIES: Mapping[str, Callable[[Pair], Settings]] = {
    "blind": blind,
    "least confident first": least_confident,
    "cap, fall back": fall_back,
    "cap, least confident": lambda pair: least_confident(pair, CAPS),
}
UNMIXED = "least confident, unmixed"


# ── comparisons


class Line(NamedTuple):
    """One rule at one target or budget, beside always thinking.

    Attributes:
        name: The rule.
        target: Share of the cost of always thinking that was wanted or given.
        score: Share of right answers.
        cost: Cost over that of always thinking.
        points: Right answers minus those of always thinking, in points.
        setting: What most folds chose, or empty.
    """

    name: str
    target: float
    score: float
    cost: Interval
    points: Interval
    setting: str


class Gap(NamedTuple):
    """One rule minus a rival's curve at the rule's own cost, in points."""

    name: str
    budget: float
    rival: str
    points: Interval


class Table(NamedTuple):
    """All figures of a pair."""

    plain: Line
    thought: Line
    lines: tuple[Line, ...]
    gaps: tuple[Gap, ...]


@final
class Comparison:
    """A pair, its folds and its resamples."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._fold_P = folds_of(pair.ids)
        self._resamples = Resamples(len(pair.ids), RESAMPLES)

    def line(self, name: str, target: float, outcome: Outcome, setting: str = "") -> Line:
        """A rule beside always thinking."""
        yard, of = self._pair.thought, self._resamples
        return Line(
            name,
            target,
            float(outcome.score_P.mean()),
            of.ratio(outcome.cost_P, yard.cost_P),
            of.difference(outcome.score_P * 100, yard.score_P * 100),
            setting,
        )

    def tuned(
        self, name: str, family: Settings, pick: Callable[[float], Pick] = mixed_at_cost
    ) -> tuple[tuple[Line, ...], tuple[Outcome, ...]]:
        """Held-out lines and outcomes of a family at every target."""
        lines, outcomes = [], []
        for target in TARGETS:
            got = tune(family.score_KP, family.cost_KP, self._pair.thought, self._fold_P, pick(target))
            lines.append(self.line(name, target, got.outcome, family.chosen(got.weight_FK)))
            outcomes.append(got.outcome)
        return tuple(lines), tuple(outcomes)

    def over(self, ours: Outcome, curve: Sequence[Outcome]) -> Interval:
        """Ours minus a curve at our own cost, in points; the end without a thought belongs to every curve."""
        ends = (self._pair.plain, *curve)
        score_PK = np.array([end.score_P for end in ends]).T
        cost_PK = np.array([end.cost_P for end in ends]).T
        return self._resamples.over_curve(ours.score_P * 100, ours.cost_P, score_PK * 100, cost_PK)


def table(pair: Pair, market: Mapping[tuple[str, float], Outcome]) -> Table:
    """The rivals by cross-validation, and the runs of the market beside them.

    Args:
        pair: The two answers to each prompt.
        market: What runs gave, by name and budget (a share of the cost of always thinking).
    """
    study = Comparison(pair)
    lines: list[Line] = []
    curves: dict[str, tuple[Outcome, ...]] = {}
    for name, family in FAMILIES.items():
        own, curves[name] = study.tuned(name, family(pair))
        lines += own
    # its hull leaves out every threshold where mixing no thought and all thought is better
    own, curves[UNMIXED] = study.tuned(UNMIXED, least_confident(pair), spent_up)
    lines += own
    gaps = [
        Gap(name, target, "blind", study.over(outcome, curves["blind"]))
        for name in ("cap, fall back", UNMIXED)
        for target, outcome in zip(TARGETS, curves[name], strict=True)
    ]
    for (name, budget), outcome in market.items():
        lines.append(study.line(name, budget, outcome))
        gaps += [Gap(name, budget, rival, study.over(outcome, curve)) for rival, curve in curves.items()]
    return Table(
        study.line("no thought", 0.0, pair.plain),
        study.line("thought", 1.0, pair.thought),
        tuple(lines),
        tuple(gaps),
    )
