"""The ledger in memory, rebuilt from the journal by applying the same reservations and settlements again.

Anchors: TigerBeetle asserts its invariants on both sides of a write; the Cycles protocol never overdraws, has no
second terminal state, and ends every hold.
"""

from __future__ import annotations

from typing import NamedTuple, final

from outlay.types import ACCOUNTS, Budget, Cost

_WIDTH = len(ACCOUNTS)
_Vector = tuple[int, int, int]
_ZERO: _Vector = (0, 0, 0)
UNLIMITED = 1 << 62
"""Stands for no limit: above any sum of tokens or nano-dollars that a run can reach (9.2e9 USD is 2^63)."""


def _vector(cost: Cost) -> _Vector:
    return (cost.tok, cost.outtok, cost.usd)


def _cost(vector: _Vector) -> Cost:
    return Cost(*vector)


def _add(a: _Vector, b: _Vector) -> _Vector:
    return (a[0] + b[0], a[1] + b[1], a[2] + b[2])


def _sub(a: _Vector, b: _Vector) -> _Vector:
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def _lower(a: _Vector, b: _Vector) -> _Vector:
    return (min(a[0], b[0]), min(a[1], b[1]), min(a[2], b[2]))


def _upper(a: _Vector, b: _Vector) -> _Vector:
    return (max(a[0], b[0]), max(a[1], b[1]), max(a[2], b[2]))


class _Hold(NamedTuple):
    """What is held, and from where it came: `chain` gave `lent`, what is free gave the rest."""

    amount: _Vector
    chain: str = ""
    lent: _Vector = _ZERO


@final
class MemoryLedger:
    """One budget, one owner, integers only. See `outlay.ledger.base.Ledger` for the contract."""

    __slots__ = ("_caps", "_chains", "_held", "_holds", "_left", "_overdraft", "_spent", "budget")

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._caps = self._caps_of(budget)
        self._left = self._caps
        self._held = _ZERO
        self._spent = _ZERO
        self._overdraft = _ZERO
        self._holds: dict[str, _Hold] = {}
        self._chains: dict[str, _Hold] = {}

    @staticmethod
    def _caps_of(budget: Budget) -> _Vector:
        limits = budget.limits()
        tok, outtok, usd = (limits.get(unit, UNLIMITED) for unit in ACCOUNTS)
        return tok, outtok, usd

    left = property(lambda self: _cost(self._left))
    held = property(lambda self: _cost(self._held))
    spent = property(lambda self: _cost(self._spent))
    overdraft = property(lambda self: _cost(self._overdraft))

    def chain(self, chain: str) -> Cost:
        """What a chain holds now; nothing where it has no hold."""
        held = self._chains.get(chain)
        return _cost(held.amount) if held else _cost(_ZERO)

    def held_for(self, key: str) -> Cost:
        """What is held for a call, in every unit, whoever lent it."""
        return _cost(self._holds[key].amount)

    def fits(self, amount: Cost, chain: str = "", keep: Cost | None = None) -> bool:
        """Whether `reserve` would succeed."""
        need, _ = self._split(_vector(amount), chain, _vector(keep) if keep else _ZERO)
        return need[0] <= self._left[0] and need[1] <= self._left[1] and need[2] <= self._left[2]

    def _split(self, amount: _Vector, chain: str, keep: _Vector) -> tuple[_Vector, _Vector]:
        """What must come from the free part, and what the chain lends."""
        held = self._chains.get(chain) if chain else None
        if held is None:
            return amount, _ZERO
        lent = _lower(amount, _upper(_sub(held.amount, keep), _ZERO))
        return _sub(amount, lent), lent

    def reserve(self, key: str, amount: Cost, chain: str = "", keep: Cost | None = None) -> bool:
        """See the contract."""
        assert key not in self._holds, f"{key} is held already"
        whole = _vector(amount)
        need, lent = self._split(whole, chain, _vector(keep) if keep else _ZERO)
        if any(need[r] > self._left[r] for r in range(_WIDTH)):
            return False
        self._left = _sub(self._left, need)
        self._held = _add(self._held, need)
        if lent != _ZERO:
            self._chains[chain] = self._chains[chain]._replace(amount=_sub(self._chains[chain].amount, lent))
        self._holds[key] = _Hold(whole, chain, lent)
        self.check()
        return True

    def hold(self, chain: str, amount: Cost, parent: str = "") -> bool:
        """See the contract."""
        held = self._chains.get(chain) or _Hold(_ZERO, parent)
        wanted = _vector(amount)
        back = _upper(_sub(held.amount, wanted), _ZERO)
        more, lent = self._split(_upper(_sub(wanted, held.amount), _ZERO), held.chain, _ZERO)
        if any(more[r] > self._left[r] for r in range(_WIDTH)):
            return False
        self._give(back, held)
        if lent != _ZERO:
            up = self._chains[held.chain]
            self._chains[held.chain] = up._replace(amount=_sub(up.amount, lent))
        self._left = _sub(self._left, more)
        self._held = _add(self._held, more)
        owed = _add(_upper(_sub(held.lent, back), _ZERO), lent)
        self._chains[chain] = _Hold(wanted, held.chain, owed)
        self.check()
        return True

    def _give(self, back: _Vector, held: _Hold) -> None:
        """Return `back` of a hold: first what its chain lent (if that chain is still open), then what was free."""
        home = self._chains.get(held.chain) if held.chain else None
        to_chain = _lower(back, held.lent) if home is not None else _ZERO
        if home is not None and to_chain != _ZERO:
            self._chains[held.chain] = home._replace(amount=_add(home.amount, to_chain))
        free = _sub(back, to_chain)
        self._left = _add(self._left, free)
        self._held = _sub(self._held, free)

    def settle(self, key: str, actual: Cost) -> Cost:
        """See the contract."""
        held = self._holds.pop(key)
        used = _vector(actual)
        over = _upper(_sub(used, held.amount), _ZERO)
        within = _lower(used, held.amount)
        self._held = _sub(self._held, within)
        self._left = _sub(self._left, over)
        self._spent = _add(self._spent, used)
        self._overdraft = _add(self._overdraft, over)
        # The chain set its part aside for exactly this call, so that part is what is spent first.
        self._give(_sub(held.amount, within), held._replace(lent=_upper(_sub(held.lent, within), _ZERO)))
        self.check()
        return _cost(over)

    def top_up(self, budget: Budget) -> None:
        """See the contract."""
        assert budget.limits().keys() == self.budget.limits().keys(), "a top-up keeps the units"
        caps = self._caps_of(budget)
        assert all(new >= old for new, old in zip(caps, self._caps, strict=True)), (
            "a top-up takes nothing away"
        )
        self.budget = budget
        self._left = _add(self._left, _sub(caps, self._caps))
        self._caps = caps
        self.check()

    def release(self, key: str) -> None:
        """See the contract."""
        held = self._holds.pop(key, None) or self._chains.pop(key, None)
        if held is not None:
            self._give(held.amount, held)
        self.check()

    def check(self) -> None:
        """Assert the invariants that need no walk over the holds."""
        for r in range(_WIDTH):
            assert self._left[r] + self._held[r] + self._spent[r] == self._caps[r], (
                "the ledger does not balance"
            )
            assert self._held[r] >= 0, "more was released than held"
            assert self._left[r] >= 0 or self._overdraft[r] > 0, "overdrawn without an overdraft"

    def audit(self) -> None:
        """Assert that what is held is the sum of open holds: linear in their number, for tests and for the end."""
        self.check()
        total = _ZERO
        for held in (*self._holds.values(), *self._chains.values()):
            total = _add(total, held.amount)
        assert total == self._held, f"open holds sum to {total}, held is {self._held}"
