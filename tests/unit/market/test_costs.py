"""What purchases are expected to cost."""

from hypothesis import given
from hypothesis import strategies as st

from outlay.market.costs import ENOUGH, Costs
from outlay.types import FREE, Cost

GUESS = Cost(500, 500)


def settled(*rows: tuple[int, int, int]) -> Costs:
    """Class, tokens, and how many such answers."""
    costs = Costs()
    for klass, tok, times in rows:
        for _ in range(times):
            costs.settle(klass, 0, Cost(tok, tok), 1)
    return costs


def test_before_anything_came_back_the_guess_of_the_engine_holds():
    assert Costs().mean(1, 0, GUESS) == GUESS


def test_a_class_that_nothing_was_bought_for_is_thought_to_cost_what_the_others_do():
    costs = settled((1, 100, ENOUGH))
    assert costs.known(0)
    assert costs.mean(2, 0, GUESS).tok == 100, "and not the ten times as much that the engine guessed"


def test_one_runaway_answer_does_not_price_its_class_out():
    costs = settled((1, 100, 400), (2, 100, 29), (2, 20_000, 1))
    own = (29 * 100 + 20_000) / 30
    assert own > 700
    assert 100 < costs.mean(2, 0, FREE).tok < 250


def test_a_class_whose_answers_are_always_longer_is_known_by_a_few():
    costs = settled((1, 100, 60), (2, 300, 12))
    assert 260 <= costs.mean(2, 0, FREE).tok <= 300


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 10_000), st.integers(1, 5)), min_size=1, max_size=30)
)
def test_a_mean_lies_between_those_of_its_class_and_of_all_once_enough_is_settled(rows):
    costs = settled((1, 50, ENOUGH), *rows)
    everything = [(1, 50)] * ENOUGH + [(klass, tok) for klass, tok, times in rows for _ in range(times)]
    all_mean = sum(tok for _, tok in everything) / len(everything)
    for klass in {klass for klass, _ in everything}:
        own = [tok for k, tok in everything if k == klass]
        low, high = sorted((all_mean, sum(own) / len(own)))
        assert low - 1 <= costs.mean(klass, 0, GUESS).tok <= high + 1
