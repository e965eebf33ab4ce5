"""What a user may write for a policy, and what is said where it cannot be read."""

import pytest

from outlay.errors import UnknownName, UsageError
from outlay.policies import POLICIES, policy
from outlay.policies.priced import Priced
from outlay.policies.rules import Agree, Lead, Uniform, UntilPass

MODELS = ("small", "big")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("priced", Priced()),
        ("uniform:5", Uniform(5)),
        ("uniform:5@small", Uniform(5, 0)),
        ("lead:3@big", Lead(3, 1)),
        ("until_pass:12", UntilPass(12)),
        ("agree", Agree()),
    ],
)
def test_a_spec_is_a_name_a_number_and_a_model(spec: str, expected: object):
    assert policy(spec, MODELS) == expected


@pytest.mark.parametrize(
    "spec", ["uniform", "uniform:", "uniform:0", "lead:-1", "lead:two", "until_pass:1.5", "uniform@small"]
)
def test_a_missing_or_wrong_number_is_refused_with_an_example(spec: str):
    name = spec.split(":")[0].split("@")[0]
    with pytest.raises(UsageError, match=rf"needs a number of at least 1, got '{spec}'.*{name}:3"):
        policy(spec, MODELS)


@pytest.mark.parametrize("spec", ["priced:3", "agree:2", "agree@small", "priced@big"])
def test_a_number_or_model_that_is_not_wanted_is_refused(spec: str):
    with pytest.raises(UsageError, match=rf"takes no number and no model, got '{spec}'"):
        policy(spec, MODELS)


def test_an_unknown_policy_lists_the_known_ones():
    with pytest.raises(UnknownName, match=r"'best'.*agree") as told:
        policy("best")
    assert all(name in str(told.value) for name in POLICIES)


def test_an_unknown_model_lists_the_known_ones():
    with pytest.raises(UnknownName, match=r"'huge'.*(big|small)"):
        policy("lead:3@huge", MODELS)


def test_a_policy_describes_itself_in_one_line():
    for name, (_, line) in POLICIES.items():
        assert line, name
        assert "\n" not in line, name
