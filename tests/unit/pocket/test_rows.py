import re

import numpy as np
import pytest

from outlay.pocket import check_countdown
from outlay.pocket.draws import draw_chains, draw_countdowns, held_out_chains, held_out_countdowns
from outlay.pocket.problems import (
    CHAIN_HIS,
    COUNTDOWN_HIS,
    LOSSES,
    chain_key,
    chain_trace,
    countdown_key,
    held_out,
    parse_countdown,
)
from outlay.pocket.rows import Writer
from outlay.pocket.tokenizer import BOS, EOS, SHORT, THINK, load_tokenizer

TOKENIZER = load_tokenizer()
WRITER = Writer(TOKENIZER)


def texts(rows):
    """Return control token, prompt and completion of each row, and check its frame."""
    for ids, control, length in zip(*rows, strict=True):
        assert ids[0] == BOS
        assert ids[length - 1] == EOS
        assert not ids[length:].any()
        prompt, completion = ids[1:control].tolist(), ids[control + 1 : length - 1].tolist()
        yield ids[control], prompt, completion


def chains(count, seed):
    rng = np.random.default_rng(seed)
    return draw_chains(rng.integers(1, 11, count), rng.choice(CHAIN_HIS, count), rng), rng


def steps_of(drawn, row):
    pairs = zip(drawn.operation_RK[row].tolist(), drawn.number_RK[row].tolist(), strict=True)
    return [(operation, number) for operation, number in pairs if operation >= 0]


@pytest.mark.parametrize(("mode", "control"), [("short", SHORT), ("think", THINK)])
def test_ids_of_chained_rows_are_those_of_the_tokenizer(mode, control):
    drawn, rng = chains(300, 1)
    for row, (token, prompt, completion) in enumerate(texts(WRITER.chains(drawn, mode, rng))):
        assert token == control
        trace = chain_trace(int(drawn.start_R[row]), steps_of(drawn, row))
        assert TOKENIZER.decode(completion) == (trace if mode == "think" else trace.rsplit(";", 1)[1])
        assert list(TOKENIZER.encode(TOKENIZER.decode(completion))) == completion
        question = TOKENIZER.decode(prompt)
        assert list(TOKENIZER.encode(question)) == prompt
        assert re.fullmatch(r"[A-Z]\w+ has \d+ \w+(, \w+ (\d+|them))+\. How many\?", question)
        said = [int(number) for number in re.findall(r"\d+", question)]
        assert said == [drawn.start_R[row], *(n for operation, n in steps_of(drawn, row) if operation < 2)]


@pytest.mark.parametrize("m", [2, 3, 4, 5])
def test_ids_of_countdown_rows_are_those_of_the_tokenizer_and_solve_the_problem(m):
    rng = np.random.default_rng(m)
    drawn = draw_countdowns(m, rng.choice(COUNTDOWN_HIS, 300), rng)
    for token, prompt, completion in texts(WRITER.countdowns(drawn)):
        question, expression = TOKENIZER.decode(prompt), TOKENIZER.decode(completion)
        assert token == SHORT
        assert list(TOKENIZER.encode(question)) == prompt
        assert list(TOKENIZER.encode(expression)) == completion
        assert check_countdown(question, expression), (question, expression)


def test_the_split_of_arrays_is_that_of_single_problems():
    drawn, rng = chains(600, 2)
    keys = [chain_key(int(start), steps_of(drawn, row)) for row, start in enumerate(drawn.start_R)]
    assert held_out_chains(drawn).tolist() == [held_out(key) for key in keys]
    countdowns = draw_countdowns(4, rng.choice(COUNTDOWN_HIS, 600), rng)
    pairs = zip(countdowns.number_RM.tolist(), countdowns.target_R.tolist(), strict=True)
    assert held_out_countdowns(countdowns).tolist() == [held_out(countdown_key(*pair)) for pair in pairs]
    assert 10 < held_out_chains(drawn).sum() < 80


def test_values_of_a_chain_stay_in_range_and_every_operation_occurs():
    rng = np.random.default_rng(3)
    hi_R = rng.choice(CHAIN_HIS, 2000)
    drawn = draw_chains(np.full(2000, 10), hi_R, rng)
    assert (drawn.value_RK >= 1).all()
    assert (drawn.value_RK <= hi_R[:, None]).all()
    assert np.bincount(drawn.operation_RK.ravel(), minlength=5).min() > 200


def step_of(verb, number):
    fixed = {"doubles": (2, 2), "triples": (3, 3), "halves": (4, 2)}
    return fixed[verb] if verb in fixed else (int(verb in LOSSES), int(number))


def test_training_and_test_problems_share_nothing():
    pytest.importorskip("torch")
    from outlay.train.pocket import Source

    source = Source(TOKENIZER, 0)
    for part in (source.chains(1.0), source.countdowns(1.0), source.chains(1.0)):
        for _, prompt, _ in texts(part.rows):
            question = TOKENIZER.decode(prompt)
            if ":" in question:
                assert not held_out(countdown_key(*parse_countdown(question)))
            else:
                start, *clauses = question.removesuffix(". How many?").split(", ")
                steps = [step_of(*clause.split()) for clause in clauses]
                assert not held_out(chain_key(int(start.split()[2]), steps))
