"""What the HTTP engine says and hears: a call as a chat request, a reply as copies and counted tokens.

Pure functions over the OpenAI shapes. A count is never trusted blindly: servers leave `usage` out, or count
one choice of n. Where log-probabilities came back there is one entry per token, and the larger count is
booked. Without them text is counted by its UTF-8 bytes:

    prompt, at most    every byte a token, 16 more a message for its frame, 32 for the rest (byte-level BPE)
    prompt, guessed    a third of that: Latin text takes about four bytes a token
    output, uncounted  two bytes a token, which prose and code stay above; a cut copy has exactly its cap
"""

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from outlay.engines.measure import cap, confidence
from outlay.types import Ask, Call, Completion, Message, Usage

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh")
"""Modes of an arm that are sent as `reasoning_effort`."""

LLAMA_PLAIN: Mapping[str, Any] = {"top_k": 0, "min_p": 0.0}
"""`extra` for llama.cpp: without these its own sampler cuts the distribution, at any temperature."""

OPTIONAL = ("logprobs", "seed", "top_p", "n")
"""Left out for good where a server refuses the name; copies are then asked for one by one."""

BYTES_IN, BYTES_OUT, LONGEST_TOKEN = 3, 2, 6


class Entry(msgspec.Struct):
    """One token and its log-probability."""

    token: str = ""
    logprob: float = 0.0


class Logprobs(msgspec.Struct):
    """One entry per token that was generated."""

    content: list[Entry] | None = None


class Text(msgspec.Struct):
    """The message of a choice."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None


class Choice(msgspec.Struct):
    """One copy as it came back."""

    message: Text
    finish_reason: str | None = None
    logprobs: Logprobs | None = None

    def entries(self) -> list[Entry]:
        """Its tokens, where the server tells."""
        return (self.logprobs and self.logprobs.content) or []

    def text(self, prefix: str) -> str:
        """What is new: llama.cpp repeats the beginning of an answer that it was given, others do not.

        Where it looks repeated but is what the tokens say, the model itself said it again.
        """
        said = self.message.content or self.message.refusal or ""
        new = "".join(entry.token for entry in self.entries())
        repeated = prefix and said.startswith(prefix) and not (new and new.startswith(said))
        return said.removeprefix(prefix) if repeated else said

    def tokens(self, most: int) -> int:
        """The own count of what this copy wrote."""
        if entries := self.entries():
            return len(entries)
        return most if self.finish_reason == "length" else -(-self.size() // BYTES_OUT)

    def size(self) -> int:
        """Bytes of all that was written."""
        said = self.message
        return sum(len((part or "").encode()) for part in (said.content, self.thought(), said.refusal))

    def thought(self) -> str:
        """What was thought aloud; servers disagree on its name."""
        return self.message.reasoning_content or self.message.reasoning or ""


class InputDetails(msgspec.Struct):
    """Parts of the prompt."""

    cached_tokens: int | None = None


class OutputDetails(msgspec.Struct):
    """Parts of the output."""

    reasoning_tokens: int | None = None


class Counted(msgspec.Struct):
    """`usage` as the server says it."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None


class Reply(msgspec.Struct):
    """The body of a 200; a fault may hold its `usage` too."""

    choices: list[Choice] = []
    usage: Counted | None = None


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
    return 32 + sum(16 + len(message.content.encode()) for message in _messages(ask))


def guessed_input(call: Call) -> int:
    """The likely tokens of the prompt; see the module."""
    return -(-most_input(call) // BYTES_IN)


def hear(raw: bytes, call: Call, size: int) -> Heard:
    """Copies and usage of a reply to a request for `size` copies; surplus copies are counted and dropped.

    Raises:
        msgspec.MsgspecError: Not a chat completion.
    """
    reply = msgspec.json.decode(raw, type=Reply)
    if not reply.choices:
        raise msgspec.ValidationError("no choices")
    assert isinstance(call.payload, Ask)
    own = [choice.tokens(cap(call)) for choice in reply.choices]
    usage = _usage(reply, call, sum(own))
    copies = []
    for choice, count in zip(reply.choices[:size], own, strict=False):
        # What is billed beyond the own count, such as thoughts that are not shown, is shared out like it.
        share = count * usage.output // sum(own) if sum(own) else usage.output // len(own)
        copies.append(_copy(choice, share, call.payload.prefix))
    return Heard(tuple(copies), usage)


def uncounted(raw: bytes, call: Call, size: int) -> Usage:
    """The use of a 200 without copies that can be read: what came back is not settled as nothing."""
    with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
        if not msgspec.json.decode(raw, type=Reply).choices:
            return charged(raw, call)
    return Usage(guessed_input(call), min(size * cap(call), -(-len(raw) // BYTES_OUT)), estimated=True)


def charged(raw: bytes, call: Call) -> Usage:
    """The use of an attempt that failed but may have run: what the fault says, or else the guessed prompt."""
    try:
        reply = msgspec.json.decode(raw, type=Reply)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Usage(guessed_input(call), estimated=True)
    return _usage(reply, call, 0)


def complaint(raw: bytes) -> Complaint:
    """The error in a body, in any of the shapes that servers use."""
    try:
        said = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
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
    # A negative count would give back what was spent: it is no count at all.
    counted = said.completion_tokens is not None and said.completion_tokens >= 0
    output, estimated = (said.completion_tokens or 0) if counted else 0, not counted
    sure = all(choice.entries() for choice in reply.choices if choice.size())
    size = sum(choice.size() for choice in reply.choices)
    # Several copies at more than six bytes a token: the server counted one of them.
    too_few = output * LONGEST_TOKEN < size if len(reply.choices) > 1 else output == 0 < size
    if own > output and (sure or too_few):
        output, estimated = own, True
    prompt = said.prompt_tokens if said.prompt_tokens and said.prompt_tokens > 0 else guessed_input(call)
    cached = max((said.prompt_tokens_details and said.prompt_tokens_details.cached_tokens) or 0, 0)
    thought = max(
        (said.completion_tokens_details and said.completion_tokens_details.reasoning_tokens) or 0, 0
    )
    return Usage(
        prompt, output, min(cached, prompt), min(thought, output), estimated or not said.prompt_tokens
    )


FINISHES = {"length": "length", "content_filter": "content_filter"}


def _copy(choice: Choice, tokens: int, prefix: str) -> Completion:
    finish = "refusal" if choice.message.refusal else FINISHES.get(choice.finish_reason or "", "stop")
    sure = confidence([entry.logprob for entry in choice.entries()])
    return Completion(choice.text(prefix), finish, tokens, sure, reasoning=choice.thought())


def _messages(ask: Ask) -> tuple[Message, ...]:
    said = (*ask.messages, Message("assistant", ask.prefix)) if ask.prefix else ask.messages
    # Half a surrogate pair, which JSON input may hold, cannot be sent.
    return tuple(Message(role, content.encode(errors="replace").decode()) for role, content in said)


def _short(words: str) -> str:
    flat = " ".join(words.split())
    return flat if len(flat) <= 300 else flat[:300] + "…"
