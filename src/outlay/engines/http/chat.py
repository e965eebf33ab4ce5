"""What the HTTP engine says and hears: a call as a chat request, a reply as copies and counted tokens.

Pure functions over the OpenAI shapes. A count is never trusted blindly: servers leave `usage` out, or count
one choice of n. Where log-probabilities came back there is one entry per token, and the larger count is
booked. Without them text is counted by its UTF-8 bytes:

    prompt, at most    every byte a token, 16 more a message for its frame, 32 for the rest (byte-level BPE)
    prompt, guessed    a third of that: Latin text takes about four bytes a token
    output, uncounted  two bytes a token, which prose and code stay above, but no more than the cap allows; a cut
                       copy has exactly its cap; text that no cap of that size can hold, four bytes a token

A count that is said is replaced, and the usage marked as estimated, where the tokens told one by one are more,
or where the text has over 16 bytes a token (several copies: over six).
"""

import contextlib
import functools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec

from outlay.engines.http.reply import CERTAIN, LIKELY, PROSE, Choice, Counted, Reply, anything, read, too_few
from outlay.engines.measure import cap, confidence
from outlay.types import Ask, Call, Completion, Message, Usage

__all__ = [
    "EFFORTS", "LLAMA_PLAIN", "OPTIONAL", "Choice", "Complaint", "Counted", "Heard", "Reply", "body", "charged",
    "complaint", "cut_off", "guessed_input", "hear", "most_input", "uncounted",
]  # fmt: skip

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
"""Modes of an arm that are sent as `reasoning_effort`."""

LLAMA_PLAIN: Mapping[str, Any] = {"top_k": 0, "min_p": 0.0}
"""`extra` for llama.cpp: without these its own sampler cuts the distribution, at any temperature."""

OPTIONAL = ("logprobs", "seed", "top_p", "n")
"""Left out for good where a server refuses the name; copies are then asked for one by one."""

BYTES_IN = 3


class Heard(NamedTuple):
    """What a reply came to."""

    copies: tuple[Completion, ...]
    usage: Usage


class Complaint(NamedTuple):
    """What a server says is wrong."""

    message: str
    code: str = ""
    field: str = ""
    unsupported: bool = False


def body(call: Call, *, size: int, place: int, refused: Iterable[str]) -> dict[str, Any]:
    """The request for `size` copies from copy number `place` of the call on, less the `refused` fields."""
    ask = call.payload
    assert isinstance(ask, Ask)
    fields: dict[str, Any] = {
        "model": call.arm.model,
        "messages": [message._asdict() for message in _messages(ask)],
        "max_tokens": cap(call),
        "temperature": 0.0 if call.arm.deterministic else call.arm.temperature,
        "top_p": 1,
        "seed": (call.seed + place) % 2**31,
        "logprobs": True,
    }
    if size > 1:
        fields["n"] = size
    if ask.stop:
        fields["stop"] = list(ask.stop)
    for name in refused:
        value = fields.pop(name, None)
        if name == "max_tokens":
            fields["max_completion_tokens"] = value
    return fields


def most_input(call: Call) -> int:
    """The most tokens that the prompt can have; see the module."""
    ask = call.payload
    if not isinstance(ask, Ask):
        return 0
    return _bound(ask)


@functools.lru_cache(maxsize=4096)
def _bound(ask: Ask) -> int:
    return 32 + sum(16 + len(message.content.encode()) for message in _messages(ask))


def guessed_input(call: Call) -> int:
    """The likely tokens of the prompt; see the module."""
    return -(-most_input(call) // BYTES_IN)


def hear(raw: bytes, call: Call, size: int) -> Heard:
    """Copies and usage of a reply to a request for `size` copies; surplus copies are counted and dropped.

    Raises:
        msgspec.DecodeError: Not a chat completion.
    """
    said = read(raw)
    if not said.choices:
        raise msgspec.ValidationError("no choices")
    assert isinstance(call.payload, Ask)
    prefix = call.payload.prefix
    own = [choice.tokens(cap(call), prefix) for choice in said.choices]
    usage = _usage(said, call, sum(own))
    if not usage.output and usage.estimated:
        usage = replace(usage, output=uncounted(raw, call, size).output)
    copies = []
    for choice, count in zip(said.choices[:size], own, strict=False):
        # What is billed beyond the own count, such as thoughts that are not shown, is shared out like it.
        share = count * usage.output // sum(own) if sum(own) else usage.output // len(own)
        copies.append(_copy(choice, share, prefix))
    return Heard(tuple(copies), usage)


def uncounted(raw: bytes, call: Call, size: int) -> Usage:
    """The use of a 200 without copies that can be read: what came back is not settled as nothing."""
    with contextlib.suppress(msgspec.DecodeError):
        said = anything(raw)
        if isinstance(said, dict) and "error" in said:
            return charged(raw, call)
    return Usage(guessed_input(call), min(size * cap(call), -(-len(raw) // CERTAIN)), estimated=True)


def cut_off(raw: bytes, call: Call, size: int) -> Usage:
    """The use of an answer of which only the beginning `raw` came, if anything: what can be seen was written."""
    begun = sum(len(part) for part in _WRITTEN.findall(raw))
    return Usage(guessed_input(call), min(cap(call) * size, -(-begun // PROSE)), estimated=True)


_WRITTEN = re.compile(rb'"(?:content|reasoning_content|reasoning|refusal)"\s*:\s*"((?:[^"\\]|\\.)*)')


def charged(raw: bytes, call: Call) -> Usage:
    """The use of an attempt that failed but may have run: what the fault says, or else the guessed prompt."""
    try:
        said = read(raw)
    except msgspec.DecodeError:
        return Usage(guessed_input(call), estimated=True)
    told = said.usage or Counted()
    prompt, output = told.prompt_tokens or guessed_input(call), told.completion_tokens or 0
    sure = bool(told.prompt_tokens) and told.completion_tokens is not None
    return Usage(prompt, output, min(told.cached(), prompt), min(told.thought(), output), not sure)


def complaint(raw: bytes) -> Complaint:
    """The error in a body, in any of the shapes that servers use."""
    try:
        said = anything(raw)
    except msgspec.DecodeError:
        return Complaint(_short(raw.decode(errors="replace")))
    inner = said.get("error", said) if isinstance(said, dict) else said
    if not isinstance(inner, dict):
        return Complaint(_short(str(inner)))
    message = _short(str(inner.get("message") or inner.get("detail") or inner))
    code = next((str(inner[name]) for name in ("code", "type") if isinstance(inner.get(name), str)), "")
    words = f"{code} {message}".lower()
    return Complaint(
        message, code, _field(inner.get("param"), message), any(sign in words for sign in REFUSING)
    )


REFUSING = (
    "unsupported",
    "not supported",
    "not support",
    "unrecognized",
    "unknown",
    "not permitted",
    "unexpected",
)
"""How servers say that they do not know a field, rather than that its value is wrong."""


def _field(param: object, message: str) -> str:
    if isinstance(param, str):
        return param
    return next(
        (name for name in ("max_tokens", *OPTIONAL) if f"'{name}'" in message or f'"{name}"' in message), ""
    )


def _usage(reply: Reply, call: Call, own: int) -> Usage:
    said = reply.usage or Counted()
    output, estimated = said.completion_tokens or 0, said.completion_tokens is None
    if own > output and _undercounted(output, reply.choices, call):
        output, estimated = own, True
    prompt = said.prompt_tokens or 0
    assert isinstance(call.payload, Ask)
    if not prompt or too_few(prompt, *(message.content for message in _messages(call.payload))):
        prompt, estimated = guessed_input(call), True
    return Usage(prompt, output, min(said.cached(), prompt), min(said.thought(), output), estimated)


def _undercounted(output: int, choices: Sequence[Choice], call: Call) -> bool:
    """Whether more came back than `output` tokens: by the tokens told one by one, or by the length of the text."""
    assert isinstance(call.payload, Ask)
    prefix = call.payload.prefix
    texts = [choice.written(prefix) for choice in choices]
    if all(choice.certain(prefix) for choice, text in zip(choices, texts, strict=True) if text):
        return True
    # Several copies at more than six bytes a token: the server counted one of them.
    several = len(choices) > 1 and output * LIKELY < sum(len(text.encode()) for text in texts)
    return several or too_few(output, *texts)


FINISHES = {"length": "length", "content_filter": "content_filter"}


def _copy(choice: Choice, tokens: int, prefix: str) -> Completion:
    finish = "refusal" if choice.message.refusal else FINISHES.get(choice.finish_reason or "", "stop")
    # A positive logarithm is no probability.
    logprobs = [min(entry.logprob, 0.0) for entry in choice.entries()]
    sure = confidence(logprobs) if choice.certain(prefix) else None
    return Completion(choice.text(prefix), finish, tokens, sure, reasoning=choice.thought())


@functools.lru_cache(maxsize=4096)  # asked for several times a call
def _messages(ask: Ask) -> tuple[Message, ...]:
    said = (*ask.messages, Message("assistant", ask.prefix)) if ask.prefix else ask.messages
    # Half a surrogate pair, which JSON input may hold, cannot be sent.
    return tuple(Message(role, content.encode(errors="replace").decode()) for role, content in said)


def _short(words: str) -> str:
    flat = " ".join(words.split())
    return flat if len(flat) <= 300 else flat[:300] + "…"
