"""Who decides what is bought: ours by price, and the rules that people use today, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from outlay.errors import UnknownName, UsageError
from outlay.policies.base import Choice, Policy, View
from outlay.policies.every import Every
from outlay.policies.priced import Priced
from outlay.policies.rules import Agree, Lead, Uniform, UntilPass

POLICIES: dict[str, tuple[Callable[..., Policy], str]] = {
    "priced": (Priced, "buy what is worth most at one price for the whole budget (the default)"),
    "uniform": (Uniform, "uniform:N, N answers of one model for every prompt, then the best-supported one"),
    "lead": (Lead, "lead:K, ask one model until one answer is K votes ahead, at most 40 times"),
    "until_pass": (UntilPass, "until_pass:N, ask one model until your check passes, at most N times"),
    "agree": (
        Agree,
        "ask all models but the dearest once; where they differ, ask that one too; needs three or more",
    ),
    "every": (
        Every,
        "every:N, N answers of every model, each looked at by your checks; what a recording is made of",
    ),
}
"""Name → what makes it, and what it does. A number follows a colon, a model follows an @: `lead:3@small`."""

_NUMBERED = {"uniform", "lead", "until_pass", "every"}
_OF_ONE_MODEL = _NUMBERED - {"every"}


def policy(spec: str, models: Sequence[str] = ()) -> Policy:
    """A policy from its spec.

    Args:
        spec: `name`, `name:N` or `name:N@MODEL`.
        models: Names of the arms from cheap to dear, for `@MODEL`.

    Raises:
        UnknownName: No such policy, or no such model.
        UsageError: A number is missing, is not positive, or is not wanted.
    """
    head, _, model = spec.partition("@")
    name, _, number = head.partition(":")
    if name not in POLICIES:
        raise UnknownName("policy", name, POLICIES)
    make, _ = POLICIES[name]
    if name not in _NUMBERED:
        if number or model:
            raise UsageError(
                f"policy {name!r} takes no number and no model, got {spec!r}; write just {name!r}"
            )
        return make()
    if not number.isdecimal() or int(number) < 1:
        raise UsageError(
            f"policy {name!r} needs a number of at least 1, got {spec!r}; write for example {name}:3"
        )
    if name not in _OF_ONE_MODEL:
        if model:
            raise UsageError(f"policy {name!r} asks every model, got {spec!r}; write just {head!r}")
        return make(int(number))
    if model and model not in models:
        raise UnknownName("model", model, models)
    return make(int(number), list(models).index(model) if model else -1)


__all__ = ["POLICIES", "Choice", "Policy", "View", "policy"]
