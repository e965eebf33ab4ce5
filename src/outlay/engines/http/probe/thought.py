"""Thought: whether an effort, a mode and a cap change how long a model thinks. Measured in tokens, not believed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from outlay.engines.http.asking import Got
from outlay.engines.http.probe.subject import GLANCE, PUZZLE, Subject, cut, own, text, thought_of
from outlay.techniques import probe as words

TINY: Final = 16
"""The cap on thinking that is tried."""
MARGIN: Final = 1.25
"""More thought must be longer by so much; twice, on two questions."""
CAPS: Final = ("thinking_token_budget", "thinking_budget_tokens", "reasoning_budget_tokens")
"""What servers call a cap on thinking (vLLM, llama.cpp); they go out together."""
LOW, HIGH = "low", "high"


def thinking(on: bool) -> dict[str, Any]:
    """The fields that switch thinking in chat templates: Qwen's name for it and DeepSeek's."""
    return {"chat_template_kwargs": {"enable_thinking": on, "thinking": on}}


async def effort(subject: Subject) -> None:
    """Low against high on a fixed question; on a second one where the first looks right."""
    remedy = "Leave mode empty: it would buy the same answer."
    field = "reasoning_effort"
    low, high = {field: LOW}, {field: HIGH}
    glance = await _pair(subject, words.PUZZLES[0], GLANCE, low, high)
    if _no_pair(subject, "effort", glance, field, remedy) or _same(subject, "effort", glance, remedy):
        return
    pairs: list[tuple[Got, Got]] = []
    for puzzle in words.PUZZLES:
        pairs.append(await _pair(subject, puzzle, PUZZLE, low, high))
        if _no_pair(subject, "effort", pairs[-1], field, remedy):
            return
        if not more(*pairs[-1]):
            break
    told = f"{lengths(pairs, 0)} tokens at low, {lengths(pairs, 1)} at high"
    if more(*pairs[-1]):
        subject.say("effort", "honoured", f"{told}.")
    elif all(cut(got) for got in pairs[-1]):
        subject.say(
            "effort",
            "unknown",
            f"{told}: both are cut, so nothing can be told.",
            "Compare them on prompts of yours.",
        )
    elif len(pairs) > 1:
        subject.say("effort", "unknown", f"{told}: longer on one question only.", remedy)
    else:
        subject.say("effort", "ignored", f"{told}: no more thought.", remedy)


async def modes(subject: Subject) -> None:
    """Thinking off against on."""
    remedy = "Leave mode empty: it would buy the same answer."
    field = "chat_template_kwargs"
    for most in (GLANCE, PUZZLE):
        off, on = await _pair(subject, words.PUZZLES[0], most, thinking(False), thinking(True))
        pair = (off, on)
        if _no_pair(subject, "think mode", pair, field, remedy) or _same(subject, "think mode", pair, remedy):
            return
    subject.thought = max(thought_of(off), thought_of(on))
    told = f"{length(off)} with thinking off, {own(on, PUZZLE):,} with it on"
    if thought_of(on) and not thought_of(off):
        subject.say("think mode", "honoured", f"{told}; thoughts only with it on.")
        subject.quiet = thinking(False)
    elif subject.thought:
        subject.say("think mode", "ignored", f"{told}; it thinks either way.", remedy)
    else:
        subject.say("think mode", "ignored", f"{told}; no thought is seen.", remedy)


async def cap(subject: Subject) -> None:
    """A tiny cap on a thought that was long without it."""
    remedy = "max_tokens caps thought and answer together."
    if not subject.thinks:
        subject.say("thinking cap", "unknown", "No thought is seen: there is nothing to cap.")
        return
    on = thinking(True) if subject.quiet else {}
    if not subject.thought:
        free = await subject.ask(words.PUZZLES[0], PUZZLE, {**subject.cold, **on})
        subject.thought = thought_of(free)
    if subject.thought <= 3 * TINY:
        told = f"It thinks {subject.thought} tokens: too few to see a cap at work."
        subject.say("thinking cap", "unknown", told, remedy)
        return
    got = await subject.ask(words.PUZZLES[0], PUZZLE, {**subject.cold, **on, **dict.fromkeys(CAPS, TINY)})
    taken = [name for name in CAPS if name not in got.refused]
    told = f"Capped at {TINY} tokens it thinks {thought_of(got)}, else {subject.thought}."
    if not taken:
        subject.refused("thinking cap", got, CAPS[0], remedy)
    elif got.error:
        subject.failed("thinking cap", got)
    elif thought_of(got) > 2 * TINY:
        subject.say("thinking cap", "ignored", told, remedy)
    else:
        subject.say("thinking cap", "honoured", told, f"A mode of yours may send {' or '.join(taken)}.")


async def _pair(
    subject: Subject, puzzle: str, most: int, less: Mapping[str, Any], more: Mapping[str, Any]
) -> tuple[Got, Got]:
    pair = (
        await subject.ask(puzzle, most, {**subject.cold, **less}),
        await subject.ask(puzzle, most, {**subject.cold, **more}),
    )
    if any("temperature" in got.refused for got in pair):
        subject.cold = {}
    return pair


def _no_pair(subject: Subject, capability: str, pair: tuple[Got, Got], name: str, remedy: str) -> bool:
    """Whether there is nothing to compare, since one was refused or failed; says so."""
    for got in pair:
        if name in got.refused:
            subject.refused(capability, got, name, remedy)
            return True
        if got.error:
            subject.failed(capability, got)
            return True
    return False


def _same(subject: Subject, capability: str, pair: tuple[Got, Got], remedy: str) -> bool:
    """Whether words and counts are alike: what is to come cannot hang on the field; says so."""
    less, much = pair
    alike = bool(text(less)) and text(less) == text(much) and own(less, PUZZLE) == own(much, PUZZLE)
    if alike:
        subject.say(capability, "ignored", "Both ways the same text came back.", remedy)
    return alike


def more(less: Got, much: Got) -> bool:
    """Whether the second answer took clearly more tokens than the first."""
    return own(much, PUZZLE) >= MARGIN * own(less, PUZZLE)


def length(got: Got) -> str:
    """The tokens of an answer, in words."""
    return f"{own(got, PUZZLE):,} tokens"


def lengths(pairs: Sequence[tuple[Got, Got]], side: int) -> str:
    """The tokens of one side of each pair."""
    return " and ".join(f"{own(pair[side], PUZZLE):,}" for pair in pairs)
