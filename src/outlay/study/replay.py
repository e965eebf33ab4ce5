"""Replay of rules on a recording: all see the same draws in the same orders, and labels join afterwards.

A rule is a pure function of what may be seen (`Seen`) to what it buys and answers (`Choice`), computed for
all prompts and orders at once. Labels join in `Bed.grade`, so no rule can read them.

Axes in names: P prompts, O orders of the sampled draws, D slots (the draws of all arms), C kinds of
confidence, K settings of a rule, F folds.
"""

import gzip
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol, final

import numpy as np
import numpy.typing as npt

from outlay.study.statistics import Floats, Ints, mixture

Bools = npt.NDArray[np.bool_]
Flags = npt.NDArray[np.int8]

CONFIDENCES = ("mean", "low", "tail")
GREEDY = ":greedy"


@final
@dataclass(frozen=True, eq=False)
class Seen:
    """What a rule may see of a draw that it buys, for all prompts and orders.

    Attributes:
        slots: Arm and rank of each slot: `("small", 0)` is the first sample of `small`.
        there_POD: Whether that many draws were recorded.
        cost_POD: Cost of the draw.
        check_POD: 1 the check passed, -1 it failed, 0 it said nothing.
        confidence_PODC: Mean, lowest window and tail of the log-probabilities.
        cut_POD: The answer was cut at the token limit.
        checked_P: Whether the prompt has a check at all.
    """

    slots: tuple[tuple[str, int], ...]
    there_POD: Bools
    cost_POD: Floats
    check_POD: Flags
    confidence_PODC: Floats
    cut_POD: Bools
    checked_P: Bools

    def line(self, model: str, greedy: bool) -> list[int]:
        """The slots of a model in the order in which they are bought: greedy first, or samples only."""
        arms = {model: 1, model + GREEDY: 0} if greedy else {model: 1}
        own = [(arms[arm], rank, slot) for slot, (arm, rank) in enumerate(self.slots) if arm in arms]
        return [slot for _, _, slot in sorted(own)]

    def buy(self, line: Sequence[int], most: int, open_PO: Bools, *, patient: bool = False) -> Bools:
        """Which slots are bought along `line` where `open_PO`.

        Up to `most`, until the check passes; `patient`: whatever it says.
        """
        bought_POD = np.zeros(self.there_POD.shape, dtype=np.bool_)
        going_PO = open_PO.copy()
        for slot in line[:most]:
            going_PO = going_PO & self.there_POD[:, :, slot]
            bought_POD[:, :, slot] = going_PO
            if not patient:
                going_PO = going_PO & (self.check_POD[:, :, slot] != 1)
        return bought_POD

    def passed(self, bought_POD: Bools) -> Bools:
        """Whether any bought draw passed."""
        return np.asarray((bought_POD & (self.check_POD == 1)).any(axis=2))

    def best(self, bought_POD: Bools, confidence: str = "low") -> Ints:
        """The bought draw that one would answer with, -1 where none was bought.

        Passed before not checked before failed; whole before cut; then the most confident; then the earlier.
        """
        sure_POD = np.maximum(self.confidence_PODC[..., CONFIDENCES.index(confidence)], -100.0)
        rank_POD = self.check_POD * 1e4 - self.cut_POD * 1e3 + sure_POD
        slot_PO = np.where(bought_POD, rank_POD, -np.inf).argmax(axis=2)
        return np.where(bought_POD.any(axis=2), slot_PO, -1)


class Choice(NamedTuple):
    """What a rule did: the slots it bought, and the one it answers with (-1: none)."""

    slot_PO: Ints
    bought_POD: Bools


class Rule(Protocol):
    """A rule of today, with its settings as fields."""

    def __call__(self, seen: Seen) -> Choice:
        """Buy and answer, for all prompts and orders. May use of a draw only what it buys."""
        ...


class Outcome(NamedTuple):
    """Score and cost of each prompt, as means over the orders."""

    score_P: Floats
    cost_P: Floats


@final
@dataclass(frozen=True, eq=False)
class Bed:
    """A recording with its labels apart: `seen` goes to the rules, `right_POD` only to `grade`."""

    ids: tuple[str, ...]
    seen: Seen
    right_POD: Bools

    def grade(self, choice: Choice) -> Outcome:
        """Score and cost of what a rule did."""
        right_PO = np.take_along_axis(self.right_POD, np.maximum(choice.slot_PO, 0)[..., None], axis=2)[
            ..., 0
        ]
        cost_PO = np.where(choice.bought_POD, self.seen.cost_POD, 0.0).sum(axis=2)
        return Outcome((right_PO & (choice.slot_PO >= 0)).mean(axis=1), cost_PO.mean(axis=1))


class Settings(NamedTuple):
    """The outcomes of all settings of a family of rules, and what each setting is."""

    score_KP: Floats
    cost_KP: Floats
    labels: tuple[str, ...]

    def chosen(self, weight_FK: Floats) -> str:
        """The settings that most folds chose."""
        picks = [" + ".join(self.labels[k] for k in np.flatnonzero(row_K)) for row_K in weight_FK]
        most = max(sorted(set(picks)), key=picks.count)
        return f"{most} ({picks.count(most)} of {len(picks)} folds)"


def lines_of(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a JSON lines file, compressed or not."""
    with (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8") as file
    ):
        for line in file:
            if line.strip():
                yield json.loads(line)


def load(
    prompts: Path,
    answers: Path,
    labels: Path,
    *,
    rates: Mapping[str, float],
    check: str,
    orders: int,
    seed: int = 0,
) -> Bed:
    """Read a recording and lay it out for replay.

    Args:
        prompts: Rows with `id` and `metadata.check`.
        answers: Rows of the `recorded` engine.
        labels: Rows of `prompt`, `arm`, `draw`, `correct`.
        rates: Cost per output token of each arm.
        check: Name of the verdict that rules may see.
        orders: How many orders of the sampled draws.
        seed: Same seed, same orders.
    """
    checks = {str(row["id"]): bool(row["metadata"]["check"]) for row in lines_of(prompts)}
    ids = tuple(checks)
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in lines_of(answers):
        rows.setdefault((row["prompt"], row["arm"]), []).append(row)
    right = {(row["prompt"], row["arm"], row["draw"]): bool(row["correct"]) for row in lines_of(labels)}
    deep = {arm: max((len(found) for (_, a), found in rows.items() if a == arm), default=0) for arm in rates}
    slots = tuple((arm, rank) for arm in rates for rank in range(deep[arm]))
    shape = (len(ids), orders, len(slots))
    seen = Seen(
        slots=slots,
        there_POD=np.zeros(shape, dtype=np.bool_),
        cost_POD=np.zeros(shape),
        check_POD=np.zeros(shape, dtype=np.int8),
        confidence_PODC=np.zeros((*shape, len(CONFIDENCES))),
        cut_POD=np.zeros(shape, dtype=np.bool_),
        checked_P=np.array([checks[i] for i in ids], dtype=np.bool_),
    )
    right_POD = np.zeros(shape, dtype=np.bool_)
    rng = np.random.default_rng(seed)
    verdict = {True: 1, False: -1, None: 0}
    for p, prompt in enumerate(ids):
        for arm in rates:
            found = sorted(rows.get((prompt, arm), []), key=lambda row: int(row["draw"]))
            start, count = slots.index((arm, 0)) if deep[arm] else 0, len(found)
            if not count:
                continue
            # one order per row: the same draws, shuffled apart for each order
            shuffled_OD = rng.permuted(np.tile(np.arange(count), (orders, 1)), axis=1)
            here = (p, slice(None), slice(start, start + count))
            seen.there_POD[here] = True
            seen.cost_POD[here] = np.array([row["output"] * rates[arm] for row in found])[shuffled_OD]
            seen.check_POD[here] = np.array([verdict[row["verdicts"][check]] for row in found])[shuffled_OD]
            seen.confidence_PODC[here] = np.array([row["confidence"] for row in found])[shuffled_OD]
            seen.cut_POD[here] = np.array([row["finish"] == "length" for row in found])[shuffled_OD]
            right_POD[here] = np.array([right[prompt, arm, row["draw"]] for row in found])[shuffled_OD]
    return Bed(ids, seen, right_POD)


# ── tuning: choices on some folds, figures on the others


def folds_of(ids: Sequence[str], count: int = 5) -> Ints:
    """The fold of each prompt, by a hash of its id: it depends on nothing else."""
    hashes = (hashlib.sha256(i.encode()).digest()[:8] for i in ids)
    return np.array([int.from_bytes(h, "big") % count for h in hashes], dtype=np.intp)


class Yardstick(NamedTuple):
    """Mean score and cost of the rule that others are held against, on the prompts at hand."""

    score: float
    cost: float


Pick = Callable[[Floats, Floats, Yardstick], Floats]
"""From the mean scores and costs of K settings, and the yardstick, to a weight per setting (one or two)."""


def _first(order_K: Ints, length: int) -> Floats:
    weight_K = np.zeros(length)
    weight_K[order_K[0]] = 1.0
    return weight_K


def at_cost(score_K: Floats, cost_K: Floats, yard: Yardstick) -> Floats:
    """The highest score at most at the yardstick's cost; ties to the cheaper, then the earlier."""
    fits_K = cost_K <= yard.cost * (1 + 1e-9)
    if not fits_K.any():
        return _first(np.lexsort((-score_K, cost_K)), len(cost_K))
    return _first(np.lexsort((cost_K, -np.where(fits_K, score_K, -np.inf))), len(cost_K))


def at_score(score_K: Floats, cost_K: Floats, yard: Yardstick) -> Floats:
    """The lowest cost at least at the yardstick's score; none: the highest score."""
    fits_K = score_K >= yard.score - 1e-9
    if not fits_K.any():
        return _first(np.lexsort((cost_K, -score_K)), len(cost_K))
    return _first(np.lexsort((-score_K, np.where(fits_K, cost_K, np.inf))), len(cost_K))


def mixed_at_cost(share: float) -> Pick:
    """Mixing of two settings at `share` of the yardstick's cost."""
    return lambda score_K, cost_K, yard: mixture(cost_K, score_K, cost=share * yard.cost)


def spent_up(share: float) -> Pick:
    """One setting, unmixed: the dearest that costs at most `share` of the yardstick, whatever it scores."""

    def pick(score_K: Floats, cost_K: Floats, yard: Yardstick) -> Floats:
        fits_K = cost_K <= share * yard.cost * (1 + 1e-9)
        return _first(np.lexsort((-score_K, -np.where(fits_K, cost_K, -cost_K))), len(cost_K))

    return pick


def mixed_at_score(score_K: Floats, cost_K: Floats, yard: Yardstick) -> Floats:
    """Mixing of two settings at the yardstick's score."""
    return mixture(cost_K, score_K, score=yard.score)


class Tuned(NamedTuple):
    """Held-out figures of a tuned family, and the weights of its settings in each fold."""

    outcome: Outcome
    weight_FK: Floats


def tune(score_KP: Floats, cost_KP: Floats, yard: Outcome, fold_P: Ints, pick: Pick) -> Tuned:
    """Choose on all folds but one, grade on that one, in turn.

    Settings have no fitted parameters, so the held-out mean of an inner loop over the training folds is their
    mean over these folds, and the choice rests on that.
    """
    count = int(fold_P.max()) + 1
    weight_FK = np.zeros((count, len(score_KP)))
    score_P, cost_P = np.zeros(len(fold_P)), np.zeros(len(fold_P))
    for fold in range(count):
        out_P = fold_P == fold
        train_P = ~out_P
        stick = Yardstick(float(yard.score_P[train_P].mean()), float(yard.cost_P[train_P].mean()))
        weight_FK[fold] = pick(score_KP[:, train_P].mean(axis=1), cost_KP[:, train_P].mean(axis=1), stick)
        score_P[out_P] = weight_FK[fold] @ score_KP[:, out_P]
        cost_P[out_P] = weight_FK[fold] @ cost_KP[:, out_P]
    return Tuned(Outcome(score_P, cost_P), weight_FK)
