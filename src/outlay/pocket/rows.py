"""Token ids of many problems, written without running the tokenizer.

No merge of the tokenizer crosses a digit or a punctuation mark, so the ids of a text are the ids of its
pieces, one after another, as long as pieces meet at such a boundary. Training needs this: encoding text one
by one is slower than the training step it feeds.

Shape suffixes: `R` rows, `T` tokens; see `draws` for the others.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from outlay.pocket import problems
from outlay.pocket.draws import Chains, Countdowns, Ints
from outlay.pocket.tokenizer import BOS, EOS, SHORT, THINK, Tokenizer


class Rows(NamedTuple):
    """Token ids to train on.

    Attributes:
        ids_RT: Right-padded with 0, the pad id.
        control_R: Position of the control token, the first supervised one.
        length_R: Tokens, the end token included.
    """

    ids_RT: Ints
    control_R: Ints
    length_R: Ints


class Writer:
    """Writes rows of ids from tables of pieces; one per tokenizer."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        texts: list[str] = [""]
        self._empty = 0

        def add(pieces: Sequence[str]) -> Ints:
            texts.extend(pieces)
            return np.arange(len(texts) - len(pieces), len(texts))

        self._number = add([str(number) for number in range(problems.MAX_VALUE + 1)])
        self._name = add([f"{name} has " for name in problems.NAMES])
        self._thing = add([f" {thing}" for thing in problems.THINGS])
        verbs = [[f", {verb} " for verb in group] for group in (problems.GAINS, problems.LOSSES)]
        verbs += [[f", {verb} them"] * 4 for verb in problems.SCALES]
        self._verb = add([verb for group in verbs for verb in group]).reshape(5, 4)
        self._asks = add([". How many?"])[0]
        self._symbol = add(problems.SYMBOLS)
        self._mark = {mark: add([mark])[0] for mark in "=;,:+-*()"}
        ids = [list(tokenizer.encode(text)) for text in texts]
        self._control = {token: len(ids) + at for at, token in enumerate((BOS, EOS, SHORT, THINK))}
        ids += [[token] for token in (BOS, EOS, SHORT, THINK)]
        width = max(map(len, ids))
        self._ids = np.array([piece + [-1] * (width - len(piece)) for piece in ids])
        self._length = np.array([len(piece) for piece in ids])

    def chains(self, chains: Chains, mode: str, rng: np.random.Generator) -> Rows:
        """Write chained problems with random wording, and their completions in a mode."""
        rows, most = chains.operation_RK.shape
        live = chains.operation_RK >= 0
        number = self._number_or_empty(chains.number_RK)
        said = np.where(chains.operation_RK >= 2, self._empty, number)
        verb = np.where(live, self._verb[chains.operation_RK, rng.integers(0, 4, (rows, most))], self._empty)
        clauses = np.stack([verb, said], 2).reshape(rows, 2 * most)
        prompt = [
            self._column(rows, self._control[BOS]),
            self._name[rng.integers(0, len(self._name), (rows, 1))],
            self._number[chains.start_R][:, None],
            self._thing[rng.integers(0, len(self._thing), (rows, 1))],
            clauses,
            self._column(rows, self._asks),
        ]
        last = live.sum(1) - 1
        answer = self._number[chains.value_RK[np.arange(rows), last]][:, None]
        if mode == "short":
            completion = [self._column(rows, self._control[SHORT]), answer]
        else:
            symbol = np.where(live, self._symbol[chains.operation_RK], self._empty)
            equals = np.where(live, self._mark["="], self._empty)
            value = self._number_or_empty(chains.value_RK)
            trace = np.stack([symbol, number, equals, value], 2).reshape(rows, 4 * most)
            completion = [
                self._column(rows, self._control[THINK]),
                self._number[chains.start_R][:, None],
                trace,
                self._column(rows, self._mark[";"]),
                answer,
            ]
        return self._rows(prompt, completion)

    def countdowns(self, countdowns: Countdowns) -> Rows:
        """Write Countdown problems, and their plans with the fewest parentheses that keep the order."""
        rows, m = countdowns.number_RM.shape
        joined = np.full((rows, 2 * m), self._mark[","])
        joined[:, ::2] = self._number[countdowns.number_RM]
        joined[:, -1] = self._mark[":"]
        prompt = [
            self._column(rows, self._control[BOS]),
            joined,
            self._number[countdowns.target_R][:, None],
        ]
        return self._rows(prompt, [self._column(rows, self._control[SHORT]), self._expressions(countdowns)])

    def _expressions(self, countdowns: Countdowns) -> Ints:
        rows, m = countdowns.number_RM.shape
        at = np.arange(rows)
        width = 4 * m
        text = np.full((rows, m, width), self._empty)
        text[:, :, 0] = self._number[countdowns.number_RM]
        top = np.full((rows, m), -1)  # operation at the top of each slot, -1 for a number
        falls = np.zeros((rows, m), bool)  # whether a slot is a sum with a minus outside parentheses
        operators = np.array([self._mark[mark] for mark in "+-*"])
        merges = zip(countdowns.first_RS.T, countdowns.second_RS.T, countdowns.operation_RS.T, strict=True)
        for first, second, operation in merges:
            left, right = top[at, first], top[at, second]
            times = operation == 2
            wrap_left = times & ((left == 0) | (left == 1))
            # `a + (b - c)` keeps its parentheses: without them the intermediate result could leave 1..99.
            wrap_right = ((operation != 0) & ((right == 0) | (right == 1))) | (
                (operation == 0) & falls[at, second]
            )
            parts = [
                np.where(wrap_left, self._mark["("], self._empty)[:, None],
                text[at, first],
                np.where(wrap_left, self._mark[")"], self._empty)[:, None],
                operators[operation][:, None],
                np.where(wrap_right, self._mark["("], self._empty)[:, None],
                text[at, second],
                np.where(wrap_right, self._mark[")"], self._empty)[:, None],
            ]
            text[at, first] = _squeeze(np.concatenate(parts, 1), self._empty)[:, :width]
            top[at, first] = operation
            falls[at, first] = (operation == 1) | ((operation == 0) & falls[at, first])
        return text[at, countdowns.first_RS[:, -1]]

    def _rows(self, prompt: list[Ints], completion: list[Ints]) -> Rows:
        pieces = np.concatenate([*prompt, *completion, self._column(len(prompt[0]), self._control[EOS])], 1)
        length = self._length[pieces]
        before = sum(part.shape[1] for part in prompt)
        ids = self._ids[pieces].reshape(len(pieces), -1)
        total = length.sum(1)
        packed = _squeeze(ids, -1)[:, : total.max()]
        return Rows(np.maximum(packed, 0), length[:, :before].sum(1), total)

    def _number_or_empty(self, number: Ints) -> Ints:
        return np.where(number >= 0, self._number[number], self._empty)

    def _column(self, rows: int, piece: int) -> Ints:
        return np.full((rows, 1), piece)


def _squeeze(values: Ints, empty: int) -> Ints:
    """Move each row's entries other than `empty` to the left, in order."""
    order = np.argsort(values == empty, axis=1, kind="stable")
    return np.take_along_axis(values, order, 1)
