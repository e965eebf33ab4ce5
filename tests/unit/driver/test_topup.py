"""A budget is written into the journal to the last unit, and read again as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.config import parse_budget
from outlay.driver.topup import BUDGET, budget_before, first_budget, written
from outlay.errors import ResumeError
from outlay.journal import Journal, JournalLine, encode
from outlay.types import Budget

limits = st.one_of(st.none(), st.integers(0, 2**62))
budgets = st.builds(Budget, limits, limits, limits, limits)


def journal_with(budget: Budget) -> Journal:
    journal = Journal(":memory:")
    journal.identify({BUDGET: written(budget)})
    return journal


@given(budgets)
def test_a_budget_is_read_as_it_was_written(budget: Budget):
    assert budget_before(journal_with(budget), budget) == budget


@given(budgets, st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_a_larger_budget_tops_up_and_a_smaller_one_is_refused(budget: Budget, more: list[int]):
    had = (budget.tok, budget.outtok, budget.usd, budget.ms)
    larger = Budget(*(None if a is None else a + b for a, b in zip(had, more, strict=True)))
    assert budget_before(journal_with(budget), larger) == budget
    if larger != budget:
        with pytest.raises(ResumeError, match="is smaller"):
            budget_before(journal_with(larger), budget)


def test_what_may_be_given_is_said_as_a_user_writes_it():
    journal = journal_with(Budget(usd=2 * 10**9, ms=90_000))
    with pytest.raises(
        ResumeError, match=r"a budget of 2usd, 90s, and 1\.5usd, 90s is smaller; give 2usd, 90s to"
    ):
        budget_before(journal, parse_budget("1.5usd", "90s"))
    with pytest.raises(ResumeError, match=r"and 5000tok limits other units; .* with -o"):
        budget_before(journal, parse_budget("5ktok"))


def test_the_first_budget_is_that_of_the_first_top_up():
    journal = journal_with(Budget(tok=3))
    assert first_budget(journal) is None
    for was in (1, 2):
        journal.append([JournalLine("topup", "", encode({"from": [was, None, None, None]}))])
    assert first_budget(journal) == Budget(tok=1)
    journal.append([JournalLine("topup", "", b"{")])
    assert first_budget(journal) == Budget(tok=1), "later ones are read in their turn"


def test_a_damaged_top_up_is_named():
    journal = journal_with(Budget(tok=3))
    journal.append([JournalLine("topup", "", b'{"from": 3')])
    with pytest.raises(ResumeError, match="line 1, topup '', is damaged"):
        first_budget(journal)
