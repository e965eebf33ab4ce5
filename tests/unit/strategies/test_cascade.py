"""`cascade`: a model's turn comes once the one below was tried."""

from outlay.flow import Draw, Evidence, Failure
from outlay.strategies.cascade import offers
from outlay.types import Arm, Message, Prompt

PROMPT = Prompt("p", (Message("user", "What is 6 times 7?"),), "number")
ARMS = (
    Arm("small:greedy", "http", "small", temperature=0.0, deterministic=True),
    Arm("small", "http", "small"),
    Arm("small:think", "http", "small", mode="think"),
    Arm("big", "http", "big"),
    Arm("check", "checks", role="check"),
)


def offered(evidence: Evidence) -> list[str]:
    return [offer.arm for offer in offers(PROMPT, ARMS, evidence) if offer.effect == "draw"]


def drawn(*arms: str) -> tuple[Draw, ...]:
    return tuple(Draw(0, "42", "42", "sample", arm, at) for at, arm in enumerate(arms))


def test_a_fresh_prompt_has_the_cheapest_model_only():
    assert offered(Evidence()) == ["small:greedy", "small"]


def test_a_mode_is_a_tier_of_its_own():
    assert offered(Evidence(drawn("small:greedy"))) == ["small", "small:think"]
    assert offered(Evidence(drawn("small", "small:think"))) == ["small:greedy", "small", "small:think", "big"]


def test_a_model_that_failed_was_tried():
    """A small model whose window is too small must not bar the way to the big one."""
    failed = Evidence(failures=(Failure("sample", "small", "400 context overflow"),))
    assert "small:think" in offered(failed)


def test_looks_are_offered_whatever_the_tier():
    menu = offers(PROMPT, ARMS, Evidence(drawn("small")))
    assert [offer.kind for offer in menu if offer.effect == "verdict"] == ["check"]
