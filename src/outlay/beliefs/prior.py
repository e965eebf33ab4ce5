"""`prior`: the belief that works from the first prompt on and learns during the run, without labels.

Every class begins with a wide law of difficulty and stays tied to it by pseudo-prompts. Skills are learned only from
the evenly bought share, against what the *other* arms and the verdicts say: agreement with a leader that the arm
itself made is circular, and an arm that is bought only where prompts are hard looks worse than it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, final

import numpy as np

from outlay.batch import Batch, DrawRow, Floats, Valuation, draws_made, pack, top
from outlay.beliefs import plans
from outlay.beliefs.base import Record
from outlay.beliefs.model import (
    GRID,
    THETA,
    Parameters,
    Tables,
    confidence_shift,
    draw_logits,
    evidence,
    log_success,
    posterior,
    standardised,
    tables,
)

PSEUDO_PROMPTS = 2.0
SUREST = 1 - 1e-6
SPREAD = 2.2
"""Standard deviation of the prior law of difficulty, logit scale: nearly uniform in success, with both ends alive."""
SKILL, SKILL_STEP, SKILL_SD = 0.3, 0.8, 1.2
"""Skill of the cheapest arm, what each dearer one is thought to add, and how unsure that is."""
SLOPE, SLOPE_SD, STEEPEST = 0.6, 0.6, 1.0
"""Prior of how much a confidence says, and the most: a model that repeats itself would vouch for its confidence."""
OWN, OWN_WEIGHT = 0.5, 1.0
VERDICTS = {"check": (0.98, 0.93), "judge": (0.7, 0.7)}
"""Sensitivity and specificity thought of a verdict kind before anything is known; other kinds like a judge."""
VERDICT_WEIGHT, LOOK_WEIGHT = 4.0, 20.0
MEMORY = 3000
"""Most points of a class from which its parameters are learned; the latest count."""
ROUNDS, MIXING = 1, 30
DOUBT, DOUBTED = 0.8, 0.2
"""From votes alone a hopeless prompt with a loved wrong answer looks like a solvable one with a majority. So what is
seldom right must earn its share: each round of learning it keeps only a part of what it explains, from all of it at
success `DOUBTED` down to `DOUBT` at success 0."""


@final
class Prior:
    """See the module. `rank` gives the place of each arm from cheap (0) to dear in steps of skill; `known` the
    sensitivity and specificity of verdict arms for which they are known, which are then not learned.
    """

    def __init__(
        self, rank: Mapping[str, float] | None = None, known: Mapping[str, tuple[float, float]] | None = None
    ) -> None:
        self._rank = dict(rank or {})
        self._known = dict(known or {})
        self._slots: dict[tuple[str, str], int] = {}
        self._classes: dict[str, int] = {}
        law = np.exp(-0.5 * (GRID / SPREAD) ** 2)
        self._law_G = law / law.sum()
        success_G = 1 / (1 + np.exp(GRID - SKILL))
        self._keep_G = 1 - (1 - DOUBT) * np.maximum(0.0, 1 - success_G / DOUBTED)
        self._ease_G = np.where(np.arange(len(GRID)) == 1, 1.0, 0.0)  # success .98
        self._gather_J = np.full(len(THETA), 1 / len(THETA))
        self._p = self._room(4, 8)
        self._tables: Tables | None = None  # of the parameters as they are; None when they changed

    def _room(self, classes: int, slots: int) -> Parameters:
        """Parameters at their priors; slots are refined when they are named."""
        sens, spec = VERDICTS["judge"]
        return Parameters(
            mix_KG=np.tile(self._law_G, (classes, 1)),
            gather_KJ=np.tile(self._gather_J, (classes, 1)),
            skill_KS=np.full((classes, slots), SKILL),
            slope_S=np.full(slots, SLOPE),
            center_S=np.full(slots, np.nan),
            scale_S=np.ones(slots),
            sens_KS=np.full((classes, slots), sens),
            spec_KS=np.full((classes, slots), spec),
            own_KS=np.full((classes, slots), OWN),
            shift_S=np.zeros(slots),
            ease_KG=np.tile(self._ease_G, (classes, 1)),
            hits_KS=np.full((classes, slots), 0.5),
            seen_K=np.zeros(classes),
        )

    def slot(self, kind: str, arm: str) -> int:
        """See the contract."""
        known = self._slots.get((kind, arm))
        if known is not None:
            return known
        slot = self._slots[(kind, arm)] = len(self._slots)
        self._tables = None
        self._grow()
        p = self._p
        p.skill_KS[:, slot] = self._skill_prior(arm)
        sens, spec = self._known.get(arm, VERDICTS.get(kind, VERDICTS["judge"]))
        p.sens_KS[:, slot], p.spec_KS[:, slot] = sens, spec
        return slot

    def _skill_prior(self, arm: str) -> float:
        return SKILL + SKILL_STEP * self._rank.get(arm, 0)

    def klass(self, name: str) -> int:
        """See the contract."""
        known = self._classes.get(name)
        if known is not None:
            return known
        klass = self._classes[name] = len(self._classes)
        self._tables = None
        self._grow()
        return klass

    def _grow(self) -> None:
        old = self._p
        classes, slots = old.skill_KS.shape
        if len(self._slots) <= slots and len(self._classes) <= classes:
            return
        self._p = self._room(
            classes * 2 if len(self._classes) > classes else classes,
            slots * 2 if len(self._slots) > slots else slots,
        )
        for name in Parameters.__dataclass_fields__:
            kept: Floats = getattr(old, name)
            getattr(self._p, name)[tuple(slice(n) for n in kept.shape)] = kept
        for (kind, arm), slot in self._slots.items():  # classes that are new here
            self._p.skill_KS[classes:, slot] = self._skill_prior(arm)
            sens, spec = self._known.get(arm, VERDICTS.get(kind, VERDICTS["judge"]))
            self._p.sens_KS[classes:, slot], self._p.spec_KS[classes:, slot] = sens, spec

    def value(self, batch: Batch, price: float) -> Valuation:
        """See the contract."""
        return self._value(batch, price, self._p.mix_KG)

    def _value(self, batch: Batch, price: float, mix_KG: Floats) -> Valuation:
        shift_D = confidence_shift(batch, self._p)
        post = posterior(batch, self._p, mix_KG, shift_D)
        belief_C = post.right_CG.sum(axis=1)
        first = top(batch, belief_C)
        best_P = np.append(belief_C, 0.0)[first.leader_P]
        if price == math.inf:  # nothing is worth it, so there is nothing to look ahead for
            none_O = np.zeros(len(batch.point_O))
            return Valuation(
                belief_C, first.leader_P, best_P, none_O, none_O, none_O, none_O.astype(np.int64)
            )
        if self._tables is None:
            self._tables = tables(self._p)
        worth = plans.worth(batch, post, first, shift_D, self._p, self._tables, price)
        return Valuation(
            belief_C, first.leader_P, best_P, worth.gain_O, worth.cost_O, worth.until_O, worth.copies_O
        )

    def standard(self, batch: Batch, exchange: float) -> tuple[float, float]:
        """See the contract. A class of which little is known has the benefit of the doubt (it is thought easy until
        something was seen, and better by two standard errors afterwards), or no chain of many parts would ever be
        begun: with the present belief in 200 parts of a class never seen nothing is bought.
        """
        value = self._value(batch, 1.0 / max(exchange, 1e-12), self._p.ease_KG)
        if not len(value.gain_O):
            return 0.0, 0.0
        best = int(np.argmax(exchange * value.gain_O - value.cost_O))
        if exchange * value.gain_O[best] <= value.cost_O[best]:
            return float(value.best_P[0]), 0.0
        right = float(value.best_P[0] + value.gain_O[best])
        seen = float(self._p.seen_K[batch.klass_P[0]])
        return min(right + 2 * float(np.sqrt((1 - right) / max(seen, 1.0))), SUREST), float(
            value.cost_O[best]
        )

    def own(self, klass: int, slot: int) -> float:
        """The belief with which a sub-flow of this kind is expected to end."""
        return float(self._p.own_KS[klass, slot])

    def load(self, parameters: dict[str, Any]) -> None:
        """See the contract."""
        for kind, arm in parameters["slots"]:
            self.slot(kind, arm)
        for name in parameters["classes"]:
            self.klass(name)
        for name in Parameters.__dataclass_fields__:
            values = np.array(parameters[name], dtype=np.float64)
            getattr(self._p, name)[tuple(slice(n) for n in values.shape)] = values
        self._tables = None

    def _dump(self) -> dict[str, Any]:
        classes, slots = len(self._classes), len(self._slots)
        size = {"K": classes, "S": slots, "G": len(GRID), "J": len(THETA)}
        dump: dict[str, Any] = {"slots": [list(pair) for pair in self._slots], "classes": list(self._classes)}
        for name in Parameters.__dataclass_fields__:
            shape = name.rsplit("_", 1)[1]
            values: Floats = getattr(self._p, name)
            dump[name] = values[tuple(slice(size[letter]) for letter in shape)].tolist()
        return dump

    def learn(self, records: Sequence[Record]) -> dict[str, Any]:
        """See the contract."""
        by_class: dict[int, list[Record]] = {}
        for record in records:
            if record.draws:
                by_class.setdefault(record.point.klass, []).append(record)
        recent = {klass: of_class[-MEMORY:] for klass, of_class in by_class.items()}
        everything = [record for of_class in recent.values() for record in of_class]
        if everything:
            self._scales(everything)
            batches = {klass: _packed(of_class) for klass, of_class in recent.items()}
            for _ in range(ROUNDS):
                for klass, batch in batches.items():
                    self._mixture(klass, batch)
                for batch in batches.values():
                    self._slopes(batch)
            for klass, of_class in recent.items():
                self._subflows(klass, of_class)
                self._verdicts(klass, of_class)
                even = [record for record in of_class if record.even]
                if even:
                    self._skills(klass, even)
        self._tables = None
        return self._dump()

    def _scales(self, records: Sequence[Record]) -> None:
        """Mean and spread of the confidence of each slot."""
        of_slot: dict[int, list[float]] = {}
        for record in records:
            for draw in record.draws:
                if draw.confidence == draw.confidence:
                    of_slot.setdefault(draw.slot, []).append(draw.confidence)
        for slot, values in of_slot.items():
            if len(values) >= 8:
                self._p.center_S[slot] = float(np.mean(values))
                self._p.scale_S[slot] = max(float(np.std(values)), 1e-3)

    def _mixture(self, klass: int, batch: Batch) -> None:
        """Difficulty and how wrong answers gather, by EM, tied to the prior by pseudo-prompts."""
        p = self._p
        likely_PGJ = evidence(batch, p)
        gathered_P = batch.exclusive_P & (draws_made(batch) > 1)
        keep_PG = np.where(gathered_P[:, None], self._keep_G, 1.0)
        # From the prior each time: what was learned from few votes would hold what many say.
        mix_G, gather_J, ease_G = self._law_G, self._gather_J, self._law_G
        for _ in range(MIXING):
            weight_PGJ = likely_PGJ * mix_G[:, None] * gather_J
            weight_PGJ /= np.maximum(weight_PGJ.sum(axis=(1, 2)), 1e-300)[:, None, None]
            sum_G = (weight_PGJ.sum(axis=2) * keep_PG).sum(axis=0)
            ease_G = sum_G / sum_G.sum()
            mix_G = sum_G + PSEUDO_PROMPTS * self._law_G
            mix_G /= mix_G.sum()
            if gathered_P.any():
                gather_J = weight_PGJ[batch.exclusive_P].sum(axis=(0, 1)) + PSEUDO_PROMPTS * self._gather_J
                gather_J /= gather_J.sum()
        p.mix_KG[klass], p.gather_KJ[klass], p.ease_KG[klass] = mix_G, gather_J, ease_G
        p.seen_K[klass] = batch.points

    def _subflows(self, klass: int, records: Sequence[Record]) -> None:
        """With what belief sub-flows end in this class."""
        of_slot: dict[int, list[float]] = {}
        for record in records:
            for draw in record.draws:
                if draw.own == draw.own:
                    of_slot.setdefault(draw.slot, []).append(draw.own)
        for slot, values in of_slot.items():
            self._p.own_KS[klass, slot] = (sum(values) + OWN * OWN_WEIGHT) / (len(values) + OWN_WEIGHT)

    def _verdicts(self, klass: int, records: Sequence[Record]) -> None:
        """Sensitivity and specificity, from points where the votes alone say who is right."""
        self._looks(klass, [r for r in records if len(r.verdicts) > 1 and not r.point.exclusive])
        told = [r for r in records if r.verdicts and r.point.exclusive and len(r.draws) > 1]
        if not told:
            return
        p = self._p
        with_verdicts = _packed(told)
        belief_C = posterior(_packed([r._replace(verdicts=()) for r in told]), p).right_CG.sum(axis=1)
        y_V, ok_V = belief_C[with_verdicts.candidate_V], with_verdicts.value_V
        for slot in np.unique(with_verdicts.slot_V):
            kind, arm = list(self._slots)[slot]
            if arm in self._known:
                continue
            sens0, spec0 = VERDICTS.get(kind, VERDICTS["judge"])
            of = with_verdicts.slot_V == slot
            # The votes leave doubt about who is right, so shares of passes would be drawn to the middle; passes are
            # regressed on the belief instead: E[pass] = y · sens + (1 − y) · (1 − spec), with the prior as a ridge.
            design = np.column_stack([y_V[of], 1 - y_V[of]])
            ridge = VERDICT_WEIGHT * np.eye(2)
            told_by = design.T @ ok_V[of] + VERDICT_WEIGHT * np.array([sens0, 1 - spec0])
            sens, false_pass = np.clip(np.linalg.solve(design.T @ design + ridge, told_by), 0.02, 0.98)
            p.sens_KS[klass, slot], p.spec_KS[klass, slot] = sens, 1 - false_pass

    def _looks(self, klass: int, told: Sequence[Record]) -> None:
        """Sensitivity and specificity where answers stand alone, from prompts of which several answers were looked at:
        a verdict that passes wrong answers now and then would in the end pass one of every hopeless prompt. One step
        of EM, held by the prior.
        """
        if not told:
            return
        p, batch = self._p, _packed(told)
        y_V = posterior(batch, p).right_CG.sum(axis=1)[batch.candidate_V]
        for slot in np.unique(batch.slot_V):
            kind, arm = list(self._slots)[slot]
            if arm in self._known:
                continue
            sens0, spec0 = VERDICTS.get(kind, VERDICTS["judge"])
            of = batch.slot_V == slot
            y, ok, weight = y_V[of], batch.value_V[of], LOOK_WEIGHT
            sens = (weight * sens0 + (y * ok).sum()) / (weight + y.sum())
            spec = (weight * spec0 + ((1 - y) * (1 - ok)).sum()) / (weight + (1 - y).sum())
            p.sens_KS[klass, slot], p.spec_KS[klass, slot] = np.clip((sens, spec), 0.02, 0.995)

    def _skills(self, klass: int, even: Sequence[Record]) -> None:
        """Skill of each arm in this class, and the shift of sub-flows, from the evenly bought share: one draw of the
        arm, against all that others said.
        """
        p = self._p
        slots = sorted({draw.slot for record in even for draw in record.draws})
        for slot in slots:
            told = [thin for record in even if (thin := _thinned(record, slot)) is not None]
            if not told:
                continue
            batch = _packed(told)
            post = posterior(batch, p)
            of = np.nonzero(batch.slot_D == slot)[0]
            at = batch.point_D[of]
            right_XG = np.vstack([post.right_CG, np.zeros((1, len(GRID)))])[batch.candidate_D[of]]
            total_XG = post.total_PG[at]
            own = ~np.isnan(batch.own_D[of])
            if own.all():
                offset = draw_logits(batch, p)[of] - p.shift_S[slot]
                p.shift_S[slot] = _fit_level(right_XG, total_XG, offset, 0.0, 1.0)
            else:
                level = p.skill_KS[klass, slot]
                offset = draw_logits(batch, p)[of] - level
                arm = list(self._slots)[slot][1]
                p.skill_KS[klass, slot] = _fit_level(
                    right_XG, total_XG, offset, self._skill_prior(arm), SKILL_SD, start=level
                )

    def _slopes(self, batch: Batch) -> None:
        """How much a confidence says, by slot over all classes: one Newton step of EM on the likelihood. A draw about
        which nothing else speaks is believed as its confidence says, and so teaches nothing.
        """
        p = self._p
        known = np.nonzero(~np.isnan(batch.confidence_D))[0]
        if not len(known):
            return
        post = posterior(batch, p)
        right_XG = np.vstack([post.right_CG, np.zeros((1, len(GRID)))])[batch.candidate_D[known]]
        total_XG = post.total_PG[batch.point_D[known]]
        shift_X = confidence_shift(batch, p)[known]
        hit_XG = np.exp(log_success(draw_logits(batch, p)[known] + shift_X[:, None])[0])
        z_X = standardised(batch.confidence_D[known], batch.slot_D[known], p)
        slope_X = z_X * (right_XG - total_XG * hit_XG).sum(axis=1)
        curve_X = z_X**2 * (total_XG * hit_XG * (1 - hit_XG)).sum(axis=1)
        klass_X = batch.klass_P[batch.point_D[known]]
        for pair in {*zip(klass_X.tolist(), batch.slot_D[known].tolist(), strict=True)}:
            of = (klass_X == pair[0]) & (batch.slot_D[known] == pair[1])
            p.hits_KS[pair] = (right_XG[of].sum() + 1.0) / (of.sum() + 2.0)
        for slot in np.unique(batch.slot_D[known]):
            of = batch.slot_D[known] == slot
            beta = p.slope_S[slot]
            step = (slope_X[of].sum() - (beta - SLOPE) / SLOPE_SD**2) / (curve_X[of].sum() + 1 / SLOPE_SD**2)
            p.slope_S[slot] = float(np.clip(beta + np.clip(step, -0.5, 0.5), 0.0, STEEPEST))


def _packed(records: Sequence[Record]) -> Batch:
    return pack(
        [r.point for r in records],
        [r.draws for r in records],
        [r.verdicts for r in records],
        [()] * len(records),
    )


def _thinned(record: Record, slot: int) -> Record | None:
    """The point with one draw of this slot only; None where nothing else speaks."""
    own = [draw for draw in record.draws if draw.slot == slot]
    others = [draw for draw in record.draws if draw.slot != slot]
    if not own or not (others or record.verdicts):
        return None
    kept: list[DrawRow] = [*others, own[0]]
    number = {
        candidate: i
        for i, candidate in enumerate(dict.fromkeys(d.candidate for d in kept if d.candidate >= 0))
    }
    return record._replace(
        point=record.point._replace(candidates=len(number)),
        draws=[d._replace(candidate=number.get(d.candidate, -1)) for d in kept],
        verdicts=[
            v._replace(candidate=number[v.candidate]) for v in record.verdicts if v.candidate in number
        ],
    )


def _fit_level(
    right_XG: Floats, total_XG: Floats, offset_XG: Floats, prior: float, sd: float, start: float = 0.0
) -> float:
    """Newton's method for the level of a logistic law with soft labels and a normal prior."""
    level = start
    for _ in range(8):
        q = np.exp(log_success(offset_XG + level)[0])
        slope = (right_XG - total_XG * q).sum() - (level - prior) / sd**2
        curve = (total_XG * q * (1 - q)).sum() + 1 / sd**2
        level += float(np.clip(slope / curve, -1.0, 1.0))
    return float(np.clip(level, -6.0, 6.0))
