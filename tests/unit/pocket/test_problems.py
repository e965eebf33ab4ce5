import ast
import doctest
import json
import operator
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.pocket import (
    answer_of,
    blind_plan,
    chain_problems,
    check,
    check_countdown,
    countdown_problems,
    hit_rate,
    problems,
    tokenizer,
)
from outlay.pocket.problems import (
    CHAIN_HIS,
    COUNTDOWN_HIS,
    apply,
    chain_key,
    chain_trace,
    countdown_key,
    held_out,
    parse_countdown,
    reached,
)
from outlay.train.problems import example_rows

EXAMPLES = Path(__file__).parents[3] / "examples" / "problems.jsonl"
OPERATIONS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul}


def judge(numbers, target, text):
    """Judge an expression with Python's own parser: value, numbers used, every intermediate in 1..99."""
    used = []

    def value(node):
        if isinstance(node, ast.Constant):
            used.append(node.value)
            return node.value
        result = OPERATIONS[type(node.op)](value(node.left), value(node.right))
        if not 1 <= result <= 99:
            raise ArithmeticError
        return result

    try:
        total = value(ast.parse(text, mode="eval").body)
    except (SyntaxError, ArithmeticError, AttributeError, KeyError):
        return False
    return total == target and sorted(used) == sorted(numbers)


@pytest.mark.parametrize("module", [problems, tokenizer])
def test_the_examples_in_docstrings_hold(module):
    assert doctest.testmod(module).failed == 0


def test_the_checker_agrees_with_pythons_parser_on_every_short_expression():
    numbers = (3, 4, 7)
    for order, signs, form in product(
        permutations(numbers), product("+-*", repeat=2), ("{}{}{}{}{}", "({}{}{}){}{}", "{}{}({}{}{})")
    ):
        text = form.format(order[0], signs[0], order[1], signs[1], order[2])
        for target in (10, 14, 19, 25, 31, 49, 84):
            assert check_countdown(f"4,7,3:{target}", text) == judge(numbers, target, text), (text, target)


@given(st.text(alphabet="0123456789+-*() ,.e_x", max_size=14))
def test_the_checker_never_raises_and_never_accepts_what_python_rejects(text):
    if check_countdown("4,7,3:25", text):
        assert judge((4, 7, 3), 25, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "25",
        "4*7",
        "4*7-3-0",
        "4*7-3+",
        "(4*7-3",
        "4*7-3)",
        "4**7-3",
        "-3+4*7",
        "4*7-03",
        "4*७-3",
        "4*7 - 3 0",
        "2 5",
        "(" * 9999,
    ],
)
def test_the_checker_rejects(text):
    assert not check_countdown("4,7,3:25", text)


def test_intermediate_results_must_stay_in_range():
    assert check_countdown("90,20,15:95", "90 + (20 - 15)")
    assert not check_countdown("90,20,15:95", "90+20-15")
    assert not check_countdown("3,4,20:19", "3-4+20")


def test_a_prompt_of_another_form_is_refused():
    with pytest.raises(ValueError, match="not a Countdown prompt"):
        parse_countdown("what is 3+4?")


@given(st.lists(st.integers(1, 50), min_size=2, max_size=5), st.integers(0, 2**32))
def test_a_blind_plan_follows_the_rules_and_ends_where_enumeration_says(numbers, seed):
    text = blind_plan(numbers, np.random.default_rng(seed))
    if text:
        value = eval(text)
        assert check_countdown(f"{','.join(map(str, numbers))}:{value}", text)
        assert hit_rate(numbers, value) > 0


def test_the_hit_rate_is_the_frequency_of_blind_plans():
    rng = np.random.default_rng(0)
    numbers = [9, 4, 7]
    values = [eval(blind_plan(numbers, rng)) for _ in range(4000)]
    for value, chance in reached((4, 7, 9)).items():
        assert abs(values.count(value) / 4000 - chance) < 4 * (chance * (1 - chance) / 4000) ** 0.5 + 1e-9
    assert sum(reached((4, 7, 9)).values()) == pytest.approx(1)


@given(
    st.integers(1, 99),
    st.lists(
        st.tuples(st.sampled_from([0, 1]), st.integers(2, 20)) | st.sampled_from([(2, 2), (3, 3), (4, 2)]),
        min_size=1,
    ),
)
def test_the_trace_ends_with_the_answer(start, steps):
    value = start
    for operation, number in steps:
        value = apply(operation, value, number)
    assert answer_of(chain_trace(start, steps), "think") == str(value)


def test_answers_are_read_by_mode():
    assert answer_of("1+2=3;3", "think") == "3"
    assert answer_of("1+2=3", "think") == "1+2=3"
    assert answer_of("4*7-3", "short") == "4*7-3"


@pytest.mark.parametrize("hi", CHAIN_HIS)
def test_gold_answers_follow_from_the_wording(hi):
    signs = {"buys": 1, "finds": 1, "gets": 1, "wins": 1, "eats": -1, "gives": -1, "loses": -1, "sells": -1}
    for problem in chain_problems(6, hi, 20, np.random.default_rng(hi)):
        first, *clauses = problem.question.removesuffix(". How many?").split(", ")
        value = int(first.split()[2])
        for verb, number in (clause.split() for clause in clauses):
            factor = {"doubles": 2, "triples": 3}.get(verb, 1)
            value = (
                value // 2
                if verb == "halves"
                else value * factor + signs.get(verb, 0) * int(number.replace("them", "0"))
            )
            assert 1 <= value <= hi
        assert problem.gold == str(value)
        assert check(problem, problem.gold)
        assert not check(problem, problem.gold + "0")


@pytest.mark.parametrize("hi", COUNTDOWN_HIS)
def test_countdown_problems_can_be_solved_and_are_on_their_side_of_the_split(hi):
    rng = np.random.default_rng(hi)
    for test in (True, False):
        for problem in countdown_problems(3, hi, 10, rng, test=test):
            numbers, target = parse_countdown(problem.question)
            assert hit_rate(numbers, target) > 0
            assert held_out(countdown_key(numbers, target)) == test
            plans = (blind_plan(numbers, rng) for _ in range(100_000))
            assert any(check(problem, plan) for plan in plans)


def test_a_kind_with_few_problems_gives_those_it_has():
    few = countdown_problems(2, 9, 1000, np.random.default_rng(0))
    assert 0 < len(few) < 20
    assert len({problem.question for problem in few}) == len(few)


def test_wording_and_order_do_not_move_a_problem_to_the_other_side():
    assert countdown_key([7, 3, 4], 25) == countdown_key([4, 7, 3], 25)
    assert chain_key(14, [(0, 23), (2, 2)]) == bytes([14, 0, 23, 2, 2])


def test_the_examples_are_held_out_and_their_gold_is_right():
    rows = [json.loads(line) for line in EXAMPLES.read_text().splitlines()]
    assert len(rows) == 500
    assert len({row["id"] for row in rows}) == 500
    assert rows == list(example_rows(300, 200, seed=0)), "write them again: python -m outlay.train.problems"
    for row in rows:
        if row["metadata"]["group"] == "countdown":
            assert held_out(countdown_key(*parse_countdown(row["prompt"])))
            assert "gold" not in row
        else:
            assert int(row["gold"]) <= row["metadata"]["hi"]
