"""What every strategy of the registry keeps: it only says what may be bought, the same each time it is asked."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import outlay.strategies
from outlay.flow import Candidate, Decision, Draw, Evidence, Flow, Note, Offer, Verdict
from outlay.strategies import STRATEGIES
from outlay.types import Arm, Call, Completion, Message, Prompt

SMALL, BIG = Arm("small", "models", "small"), Arm("big", "models", "big")
GREEDY = Arm("small:greedy", "models", "small", temperature=0.0, deterministic=True)
CHECK, OTHER = Arm("check", "checks", role="check"), Arm("other", "checks", role="check")
JUDGE = Arm("judge", "models", "small", role="judge")
ARMS = {
    "models": (SMALL, BIG),
    "greedy": (GREEDY, SMALL),
    "checked": (GREEDY, SMALL, BIG, CHECK, OTHER),
    "judged": (SMALL, BIG, JUDGE, CHECK),
}
PROMPT = Prompt("p", (Message("system", "Be brief."), Message("user", "What is 6 times 7?")), "number")
every_strategy = pytest.mark.parametrize("name", sorted(STRATEGIES))
every_roster = pytest.mark.parametrize("arms", sorted(ARMS))
buys = st.lists(
    st.tuples(st.integers(0, 99), st.integers(-1, 3), st.sampled_from([True, False, None])), max_size=12
)


def longer(evidence: Evidence, offer: Offer, answer: int, value: bool | None) -> Evidence:
    """The evidence once an offer was bought and `answer` (-1: none) or `value` came back."""
    draws, verdicts, notes = evidence.draws, evidence.verdicts, evidence.notes
    if offer.effect == "verdict":
        return Evidence(draws, (*verdicts, Verdict(offer.about, offer.kind, offer.arm, value)), notes)
    if offer.effect == "note":
        return Evidence(draws, verdicts, (*notes, Note(offer.kind, offer.arm, f"step {answer}")))
    # Answers are numbered as they come, equal ones alike.
    known = {draw.answer: draw.candidate for draw in draws if draw.answer is not None}
    said = None if answer < 0 else str(answer)
    number = -1 if said is None else known.get(said, len(known))
    draw = Draw(number, said, f"It is {said}.", offer.kind, offer.arm, len(draws), parent=offer.about)
    return Evidence((*draws, draw), verdicts, notes)


class Played:
    """One flow and a twin of it, which must offer the same at every stop."""

    def __init__(self, name: str, arms: str) -> None:
        start, _ = STRATEGIES[name]
        self.flows: tuple[Flow, Flow] = (start(PROMPT, ARMS[arms]), start(PROMPT, ARMS[arms]))
        self.menu = self._same(tuple(next(flow) for flow in self.flows))
        self.evidence = Evidence()

    @staticmethod
    def _same(menus: tuple[tuple[Offer, ...], ...]) -> tuple[Offer, ...]:
        assert menus[0] == menus[1]
        assert [hash(offer) for offer in menus[0]] == [hash(offer) for offer in menus[1]]
        assert [offer.read for offer in menus[0]] == [offer.read for offer in menus[1]]
        return menus[0]

    def buy(self, offer: Offer, answer: int, value: bool | None) -> bool:
        """False once the flow has ended of its own."""
        self.evidence = longer(self.evidence, offer, answer, value)
        try:
            self.menu = self._same(tuple(flow.send(self.evidence) for flow in self.flows))
        except StopIteration:
            return False
        return True


@every_strategy
@every_roster
@settings(max_examples=25)
@given(buys)
def test_offers_are_the_same_each_time_and_none_stands_twice_on_a_menu(
    name: str, arms: str, buys: list[tuple[int, int, bool | None]]
):
    played = Played(name, arms)
    for at, answer, value in buys:
        triples = [(offer.kind, offer.arm, offer.about) for offer in played.menu]
        assert len(set(triples)) == len(triples) == len(set(played.menu))
        if not played.menu or not played.buy(played.menu[at % len(played.menu)], answer, value):
            return


@every_strategy
@every_roster
@settings(max_examples=25)
@given(buys)
def test_a_greedy_arm_is_asked_the_same_at_most_once_and_for_one_copy(
    name: str, arms: str, buys: list[tuple[int, int, bool | None]]
):
    played = Played(name, arms)
    asked: set[object] = set()
    for at, answer, value in buys:
        greedy = [offer for offer in played.menu if offer.arm == GREEDY.name and offer.effect == "draw"]
        assert all(offer.most == 1 for offer in greedy)
        assert not asked & {offer.do for offer in greedy}
        assert all(offer.most >= 1 for offer in played.menu)
        bought = played.menu[at % len(played.menu)] if played.menu else None
        if bought is None or not played.buy(bought, answer, value):
            return
        asked |= {bought.do} if bought in greedy else set()


@every_strategy
@every_roster
@settings(max_examples=25)
@given(buys)
def test_a_verdict_is_offered_only_on_an_answer_that_the_arm_has_not_yet_looked_at(
    name: str, arms: str, buys: list[tuple[int, int, bool | None]]
):
    played = Played(name, arms)
    for at, answer, value in buys:
        looks = [offer for offer in played.menu if offer.effect == "verdict"]
        for offer in looks:
            about = played.evidence.draws[offer.about]
            assert about.candidate >= 0, "there is nothing to look at"
            assert not played.evidence.judged(about, offer.arm)
        # Equal answers are one: no two looks of one arm at them.
        pairs = [(played.evidence.draws[offer.about].candidate, offer.arm) for offer in looks]
        assert len(set(pairs)) == len(pairs)
        if not played.menu or not played.buy(played.menu[at % len(played.menu)], answer, value):
            return


@every_strategy
@every_roster
def test_offers_name_arms_of_the_roster_and_call_them(name: str, arms: str):
    played, roster = Played(name, arms), {arm.name: arm for arm in ARMS[arms]}
    for answer in (3, 3, 4):
        for offer in played.menu:
            if isinstance(offer.do, Call):
                assert offer.do.arm == roster[offer.arm]
                assert offer.effect == ("draw" if offer.do.arm.role == "model" else "verdict")
                assert (offer.do.key, offer.do.seed, offer.do.ordinal) == ("", 0, 0), "the market's to say"
                offer.read(Completion("yes", passed=True))
        if not played.buy(played.menu[0], answer, True):
            return


@every_strategy
def test_a_flow_that_is_sent_a_decision_ends_with_its_candidate(name: str):
    start, _ = STRATEGIES[name]
    flow = start(PROMPT, ARMS["checked"])
    next(flow)
    with pytest.raises(StopIteration) as end:
        flow.send(Decision(Candidate("42", "It is 42."), 0.9, "enough"))
    assert end.value.value == Candidate("42", "It is 42.")


FOREIGN = {
    *(
        "asyncio",
        "concurrent",
        "threading",
        "multiprocessing",
        "subprocess",
        "socket",
        "ssl",
        "http",
        "urllib",
    ),
    *("aiohttp", "requests", "openai", "time", "datetime", "random", "secrets", "numpy", "os", "sqlite3"),
}
BELOW = {
    "outlay.flow",
    "outlay.types",
    "outlay.strategies",
    "outlay.techniques",
    "outlay.answers",
    "outlay.errors",
}
MODULES = sorted(
    f"outlay.strategies.{each.name}" for each in pkgutil.iter_modules(outlay.strategies.__path__)
)


@pytest.mark.parametrize("module", MODULES)
def test_no_strategy_imports_a_clock_a_client_a_generator_or_anything_that_knows_prices(module: str):
    tree = ast.parse(Path(str(importlib.import_module(module).__file__)).read_text())
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert names
    for name in names:
        assert name.split(".")[0] not in FOREIGN, name
        assert not name.startswith("outlay") or ".".join(name.split(".")[:2]) in BELOW, name
