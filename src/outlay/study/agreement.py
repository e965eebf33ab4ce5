"""Two cheap models answer; where they differ the dear one is asked (`benchmarks/mmlu_pro/PROTOCOL.md`, part 2)."""

from typing import NamedTuple

import numpy as np

from outlay.study.recording import Recording, answer_of
from outlay.study.replay import Bools, Outcome
from outlay.study.statistics import Interval, Resamples
from outlay.study.thinking import RESAMPLES, outcome_of


class Trio(NamedTuple):
    """Two cheap models and a dear one, with what a token of each costs."""

    first: str
    second: str
    dear: str
    rates: tuple[float, float, float]


class Line(NamedTuple):
    """Agreement beside always asking the dear model.

    Attributes:
        agreed: Share of prompts on which the cheap ones agree.
        right: Share of right answers among these.
        dear: Share of right answers of the dear model.
        cost: Cost over that of the dear model.
        points: Right answers minus those of the dear model, in points.
        over_mix: The same against asking the first or the dear model at random, at its own cost.
        ours_cost: As `cost`, of the market's run; None without one.
        ours: The market's run minus the dear model, in points.
        ours_over: The market's run minus agreement, in points.
    """

    trio: Trio
    agreed: float
    right: float
    dear: float
    cost: Interval
    points: Interval
    over_mix: Interval
    ours_cost: Interval | None
    ours: Interval | None
    ours_over: Interval | None


def answers(recording: Recording, arm: str) -> list[str | None]:
    """What an arm answers to each prompt."""
    rows = {row.prompt: row for row in recording.rows if row.arm == arm and row.draw == 0}
    return [answer_of(rows[prompt.id], prompt) for prompt in recording.prompts]


def agree(recording: Recording, trio: Trio) -> tuple[Outcome, Bools]:
    """Score and cost of the rule, and where the cheap ones agree; no answer agrees with nothing."""
    first, second, dear = (_priced(recording, trio, at) for at in range(3))
    said = zip(answers(recording, trio.first), answers(recording, trio.second), strict=True)
    same_P = np.array([one is not None and one == other for one, other in said], dtype=np.bool_)
    score_P = np.where(same_P, first.score_P, dear.score_P)
    cost_P = first.cost_P + second.cost_P + np.where(same_P, 0.0, dear.cost_P)
    return Outcome(score_P, cost_P), same_P


def _priced(recording: Recording, trio: Trio, at: int) -> Outcome:
    outcome = outcome_of(recording, (trio.first, trio.second, trio.dear)[at])
    return Outcome(outcome.score_P, outcome.cost_P * trio.rates[at])


def line(recording: Recording, trio: Trio, ours: Outcome | None = None) -> Line:
    """Agreement, blind mixing and a run of the market beside always-dear, paired over prompts.

    Args:
        recording: With one draw of each arm for every prompt, and labels.
        trio: The arms.
        ours: A run of the market over the three, its cost in the same unit.
    """
    of = Resamples(len(recording.prompts), RESAMPLES)
    outcome, same_P = agree(recording, trio)
    first, dear = _priced(recording, trio, 0), _priced(recording, trio, 2)
    ends = (first, dear)
    score_PK = np.array([end.score_P for end in ends]).T
    cost_PK = np.array([end.cost_P for end in ends]).T
    return Line(
        trio,
        float(same_P.mean()),
        float(first.score_P[same_P].mean()),
        float(dear.score_P.mean()),
        of.ratio(outcome.cost_P, dear.cost_P),
        of.difference(outcome.score_P * 100, dear.score_P * 100),
        of.over_curve(outcome.score_P * 100, outcome.cost_P, score_PK * 100, cost_PK),
        None if ours is None else of.ratio(ours.cost_P, dear.cost_P),
        None if ours is None else of.difference(ours.score_P * 100, dear.score_P * 100),
        None if ours is None else of.difference(ours.score_P * 100, outcome.score_P * 100),
    )
