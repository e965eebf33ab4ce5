"""The ledger never loses a unit, never lends what it does not have, and gives everything back."""

import itertools
import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from outlay.ledger import MemoryLedger
from outlay.types import FREE, Budget, Cost

UNITS = ("tok", "outtok", "usd")
MANY = 1 << 61
"""More than any amount in these tests, less than what stands for no limit."""

amounts = st.builds(Cost, *(st.integers(0, 60) for _ in UNITS))


def everything(ledger: MemoryLedger, chains: list[str]) -> tuple[object, ...]:
    """All that can be seen of a ledger."""
    held = tuple(ledger.chain(chain) for chain in chains)
    return ledger.left, ledger.held, ledger.spent, ledger.overdraft, held


def each(cost: Cost) -> tuple[int, int, int]:
    return cost.tok, cost.outtok, cost.usd


def fits(need: Cost, there: Cost) -> bool:
    return all(a <= b for a, b in zip(each(need), each(there), strict=True))


class Accounts(RuleBasedStateMachine):
    """A ledger beside the plainest model of it: what was budgeted, what is open, what was spent."""

    @initialize(
        budget=st.builds(Budget, *(st.one_of(st.none(), st.integers(0, 200)) for _ in UNITS)),
        honest=st.booleans(),
    )
    def begin(self, budget: Budget, honest: bool) -> None:
        self.ledger, self.budget, self.honest = MemoryLedger(budget), budget, honest
        self.open: dict[str, Cost] = {}
        self.chains: list[str] = []
        self.spent, self.over, self.count = FREE, FREE, itertools.count()

    @rule(amount=amounts, keep=amounts, data=st.data())
    def reserve(self, amount: Cost, keep: Cost, data: st.DataObject) -> None:
        chain = data.draw(st.sampled_from(["", *self.chains]))
        before = everything(self.ledger, self.chains)
        held, left = self.ledger.chain(chain), self.ledger.left
        lends = Cost(*(max(h - k, 0) for h, k in zip(each(held), each(keep), strict=True)))
        from_chain = Cost(*(min(a, b) for a, b in zip(each(amount), each(lends), strict=True)))
        expected = fits(amount - from_chain, left)
        key = f"call{next(self.count)}"
        assert self.ledger.fits(amount, chain, keep) == expected
        assert self.ledger.reserve(key, amount, chain, keep) == expected
        if expected:
            self.open[key] = amount
            assert self.ledger.chain(chain) == held - from_chain, "a chain lends first, down to what it keeps"
            assert self.ledger.left == left - (amount - from_chain)
        else:
            assert everything(self.ledger, self.chains) == before, "a refusal changes nothing"

    @rule(amount=amounts, data=st.data())
    def hold(self, amount: Cost, data: st.DataObject) -> None:
        chain = data.draw(st.sampled_from([*self.chains, f"chain{len(self.chains)}"]))
        parent = "" if chain in self.chains else data.draw(st.sampled_from(["", *self.chains]))
        chains = list(dict.fromkeys([*self.chains, chain]))
        before = everything(self.ledger, chains)
        if self.ledger.hold(chain, amount, parent):
            self.chains = chains
            assert self.ledger.chain(chain) == amount
        else:
            assert everything(self.ledger, chains) == before, "a refusal changes nothing"

    @rule(share=st.sampled_from([0.0, 0.4, 1.0, 1.7]), data=st.data())
    def settle(self, share: float, data: st.DataObject) -> None:
        if not self.open:
            return
        key = data.draw(st.sampled_from(sorted(self.open)))
        held = self.open.pop(key)
        share = min(share, 1.0) if self.honest else share
        actual = Cost(*(int(unit * share) for unit in each(held)))
        over = Cost(*(max(a - h, 0) for a, h in zip(each(actual), each(held), strict=True)))
        assert self.ledger.settle(key, actual) == over
        self.spent, self.over = self.spent + actual, self.over + over

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        keys = [*sorted(self.open), *self.chains]
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        self.ledger.release(key)
        self.open.pop(key, None)
        if key in self.chains:
            self.chains.remove(key)

    @rule(more=amounts)
    def top_up(self, more: Cost) -> None:
        before = everything(self.ledger, self.chains)
        old = (self.budget.tok, self.budget.outtok, self.budget.usd)
        grown = (None if was is None else was + by for was, by in zip(old, each(more), strict=True))
        self.budget = Budget(*grown)
        self.ledger.top_up(self.budget)
        assert everything(self.ledger, self.chains)[1:] == before[1:], "only what is free grows"

    @rule()
    def release_what_is_not_there(self) -> None:
        before = everything(self.ledger, self.chains)
        self.ledger.release("nobody")
        assert everything(self.ledger, self.chains) == before

    @invariant()
    def nothing_is_lost(self) -> None:
        self.ledger.audit()
        left, held, spent = each(self.ledger.left), each(self.ledger.held), each(self.ledger.spent)
        limits = (self.budget.tok, self.budget.outtok, self.budget.usd)
        for number, limit in enumerate(limits):
            if limit is None:
                assert left[number] > MANY
            else:
                assert left[number] + held[number] + spent[number] == limit
                assert left[number] >= 0 or each(self.ledger.overdraft)[number] > 0
                if self.honest:
                    assert spent[number] <= limit
        assert self.ledger.spent == self.spent
        assert self.ledger.overdraft == self.over

    def teardown(self) -> None:
        for key in [*sorted(self.open), *reversed(self.chains)] if hasattr(self, "ledger") else []:
            self.ledger.release(key)
        if hasattr(self, "ledger"):
            self.ledger.audit()
            assert self.ledger.held == FREE, "every hold ends"


Accounts.TestCase.settings = settings(max_examples=150, stateful_step_count=30)
TestAccounts = Accounts.TestCase


def budget(unit: str, limit: int) -> Budget:
    return Budget(**{unit: limit})


@pytest.mark.parametrize("unit", UNITS)
def test_an_exact_fit_is_admitted_and_one_more_is_refused(unit: str):
    ledger = MemoryLedger(budget(unit, 100))
    assert not ledger.reserve("more", Cost(**{unit: 101}))
    assert ledger.reserve("exact", Cost(**{unit: 100}))
    assert not ledger.reserve("one", Cost(**{unit: 1}))
    assert ledger.reserve("nothing", FREE)
    assert (getattr(ledger.left, unit), getattr(ledger.held, unit)) == (0, 100)


def test_one_unit_that_does_not_fit_refuses_all_of_them():
    ledger = MemoryLedger(Budget(tok=100, outtok=10, usd=50))
    assert not ledger.reserve("a", Cost(tok=50, outtok=11, usd=10))
    assert ledger.left == Cost(100, 10, 50)


@given(st.lists(st.integers(1, 60), min_size=2, max_size=30), st.integers(0, 300))
def test_of_reservations_made_together_those_admitted_fit(amounts: list[int], limit: int):
    """Checked and held in one step: none of them is admitted on what another one already has."""
    ledger = MemoryLedger(Budget(tok=limit))
    admitted = [a for key, a in enumerate(amounts) if ledger.reserve(str(key), Cost(tok=a))]
    assert sum(admitted) <= limit
    assert ledger.held.tok == sum(admitted)
    refused = [a for a in amounts if a not in admitted]
    assert all(a > limit - sum(admitted) for a in refused), "what still fits is not refused"


def test_a_reserved_key_cannot_be_reserved_again():
    ledger = MemoryLedger(Budget(tok=10))
    assert ledger.reserve("a", Cost(tok=1))
    with pytest.raises(AssertionError, match="held already"):
        ledger.reserve("a", Cost(tok=1))


def test_a_settlement_without_a_reservation_is_a_bug_of_ours():
    with pytest.raises(KeyError):
        MemoryLedger(Budget(tok=10)).settle("a", Cost(tok=1))


@pytest.mark.parametrize(("actual", "left", "over"), [(0, 100, 0), (30, 70, 0), (60, 40, 0), (75, 25, 15)])
def test_the_actual_cost_is_booked_in_full_even_above_the_hold(actual: int, left: int, over: int):
    ledger = MemoryLedger(Budget(tok=100))
    assert ledger.reserve("a", Cost(tok=60))
    assert ledger.settle("a", Cost(tok=actual)) == Cost(tok=over)
    assert (ledger.left.tok, ledger.held.tok, ledger.spent.tok) == (left, 0, actual)
    assert ledger.overdraft.tok == over


def test_an_overdraft_may_take_what_is_left_below_zero_and_then_nothing_is_admitted():
    ledger = MemoryLedger(Budget(tok=10))
    assert ledger.reserve("a", Cost(tok=10))
    assert ledger.settle("a", Cost(tok=14)) == Cost(tok=4)
    assert ledger.left.tok == -4
    assert not ledger.reserve("b", Cost(tok=1))
    assert not ledger.reserve("free", FREE), "below zero not even nothing is admitted"


def test_a_unit_without_a_limit_admits_anything_and_is_still_counted():
    ledger = MemoryLedger(Budget(tok=10))
    assert ledger.reserve("a", Cost(tok=1, usd=10**15))
    ledger.settle("a", Cost(tok=1, usd=10**15))
    assert ledger.spent.usd == 10**15


def chained(limit: int = 100, hold: int = 40) -> MemoryLedger:
    ledger = MemoryLedger(Budget(tok=limit))
    assert ledger.hold("chain", Cost(tok=hold))
    return ledger


def test_what_a_chain_holds_is_lent_first_and_spent_first():
    ledger = chained()
    assert ledger.reserve("call", Cost(tok=50), "chain")
    assert (ledger.chain("chain").tok, ledger.left.tok, ledger.held.tok) == (0, 50, 50)
    ledger.settle("call", Cost(tok=30))
    # 40 came from the chain, 10 from what is free; 30 of the chain's were spent.
    assert (ledger.chain("chain").tok, ledger.left.tok) == (10, 60)


def test_what_was_borrowed_and_not_spent_returns_to_both_lenders():
    ledger = chained()
    assert ledger.reserve("call", Cost(tok=50), "chain")
    ledger.release("call")
    assert (ledger.chain("chain").tok, ledger.left.tok) == (40, 60)


def test_a_chain_lends_down_to_what_it_must_keep():
    ledger = chained()
    assert ledger.reserve("call", Cost(tok=50), "chain", keep=Cost(tok=25))
    assert (ledger.chain("chain").tok, ledger.left.tok) == (25, 25)


def test_a_chain_makes_room_where_nothing_else_is_free():
    ledger = chained(limit=40)
    assert not ledger.reserve("other", Cost(tok=1))
    assert ledger.reserve("call", Cost(tok=40), "chain")
    assert not ledger.reserve("more", Cost(tok=1), "chain")


def test_what_a_call_gives_back_to_a_chain_that_has_ended_is_free():
    ledger = chained()
    assert ledger.reserve("call", Cost(tok=50), "chain")
    ledger.release("chain")
    ledger.settle("call", Cost(tok=5))
    assert (ledger.left.tok, ledger.held.tok, ledger.spent.tok) == (95, 0, 5)


def test_a_hold_within_a_hold_is_paid_by_the_outer_one_and_returns_to_it():
    ledger = chained()
    assert ledger.hold("inner", Cost(tok=30), "chain")
    assert (ledger.chain("chain").tok, ledger.chain("inner").tok, ledger.left.tok) == (10, 30, 60)
    assert ledger.reserve("call", Cost(tok=20), "inner")
    ledger.settle("call", Cost(tok=15))
    assert ledger.chain("inner").tok == 15
    ledger.release("inner")
    assert (ledger.chain("chain").tok, ledger.left.tok, ledger.spent.tok) == (25, 60, 15)


def test_a_hold_that_grows_takes_from_its_parent_and_one_that_shrinks_gives_back():
    ledger = chained()
    assert ledger.hold("inner", Cost(tok=10), "chain")
    assert ledger.hold("inner", Cost(tok=50))
    assert (ledger.chain("chain").tok, ledger.left.tok) == (0, 50)
    assert ledger.hold("inner", Cost(tok=5))
    assert (ledger.chain("chain").tok, ledger.left.tok) == (40, 55)
    ledger.audit()


def test_a_hold_that_cannot_grow_stays_as_it_was():
    ledger = chained()
    assert not ledger.hold("chain", Cost(tok=101))
    assert (ledger.chain("chain").tok, ledger.left.tok) == (40, 60)
    assert ledger.hold("chain", Cost(tok=100))


def spoiled(ledger: MemoryLedger, spoil: Callable[[MemoryLedger], None]) -> None:
    spoil(ledger)
    ledger.audit()


def test_a_dropped_reservation_is_found_by_the_audit():
    ledger = MemoryLedger(Budget(tok=100))
    assert ledger.reserve("a", Cost(tok=10))
    with pytest.raises(AssertionError, match="open holds sum to"):
        spoiled(ledger, lambda spoiled: spoiled._holds.clear())  # type: ignore[attr-defined]


def test_a_thousand_calls_in_any_order_leave_no_hold():
    rng, ledger = random.Random(3), MemoryLedger(Budget(tok=5_000, usd=9_000))
    flying: list[tuple[str, Cost]] = []
    admitted = 0
    for number in range(1_000):
        most = Cost(tok=rng.randrange(200), usd=rng.randrange(300))
        if ledger.reserve(str(number), most):
            admitted += 1
            flying.append((str(number), most))
        if flying and rng.random() < 0.7:
            key, most = flying.pop(rng.randrange(len(flying)))
            ledger.settle(key, Cost(tok=rng.randint(0, most.tok), usd=rng.randint(0, most.usd)))
    for key, _ in flying:
        ledger.release(key)
    ledger.audit()
    assert ledger.held == FREE
    assert 50 < admitted < 1_000
    assert ledger.spent.tok <= 5_000
    assert ledger.spent.usd <= 9_000
