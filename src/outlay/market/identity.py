"""Who is who: question classes, models, the seeds of calls, and which prompts are bought evenly."""

import hashlib
from collections.abc import Sequence

from outlay.types import Arm, Prompt

EVEN_SHARE = 0.05
"""The evenly bought share of prompts."""


def class_of(prompt: Prompt, arms: Sequence[Arm]) -> str:
    """The question class: the user's group, or the kind of answer; and which checks exist."""
    group = prompt.metadata.get("group")
    checks = "+".join(sorted(arm.name for arm in arms if arm.role == "check"))
    return f"{prompt.answer if group is None else group}|{checks}"


def places(arms: Sequence[Arm]) -> dict[str, int]:
    """The place of each model arm's model, from cheap to dear; arms of one model share it."""
    models = list(dict.fromkeys(arm.who for arm in arms if arm.role == "model"))
    return {arm.name: models.index(arm.who) for arm in arms if arm.role == "model"}


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def seed_of(key: str, run_seed: int) -> int:
    """A hash of a call's key and the run's seed, 63 bits."""
    return _hash(f"{run_seed}\x00{key}") >> 1


def is_held_out(prompt_id: str, run_seed: int, share: float) -> bool:
    """Whether a prompt belongs to the share that is compared with the dearest model, likewise by a hash."""
    return _hash(f"held\x00{run_seed}\x00{prompt_id}") < share * 2**64


def is_even(prompt_id: str, run_seed: int) -> bool:
    """Whether a prompt belongs to the evenly bought share: a hash of its id and the run's seed."""
    return _hash(f"even\x00{run_seed}\x00{prompt_id}") < EVEN_SHARE * 2**64
