"""What came back, read in the OpenAI shape: strictly where it is sound, else as much of it as makes sense.

A paid answer is not thrown away for a field of the wrong type: `"completion_tokens": "7"` is seven, 7.5 are
eight, and null, a negative count or one beyond 2^31 is no count. Only a body without any choice is no answer.
"""

import json
import math
import re
from typing import Annotated, Any

import msgspec

Count = Annotated[int, msgspec.Meta(ge=0, lt=2**31)] | None
"""Tokens, where the server says how many."""

CERTAIN, LIKELY, PROSE, LONGEST_TOKEN = 2, 6, 4, 16
"""Bytes a token: text stays above the first; hardly any has more than the second on average, and none more
than the last once runs of one character are left out; prose has about `PROSE`."""


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
        if not (prefix and said.startswith(prefix)):
            return said
        new = "".join(entry.token for entry in self.entries())
        return said if new and new.startswith(said) else said.removeprefix(prefix)

    def thought(self) -> str:
        """What was thought aloud; servers disagree on its name."""
        return self.message.reasoning_content or self.message.reasoning or ""

    def written(self, prefix: str = "") -> str:
        """All that was generated."""
        return self.text(prefix) + self.thought()

    def size(self, prefix: str = "") -> int:
        """Bytes of all that was generated."""
        return _bytes(self.written(prefix))

    def certain(self, prefix: str = "") -> bool:
        """Whether its tokens were told one by one, and are not far too few for what was written."""
        told = len(self.entries())
        return told > 0 and not too_few(told, self.written(prefix))

    def tokens(self, most: int, prefix: str = "") -> int:
        """The own count of what this copy wrote; see `chat`."""
        if self.certain(prefix):
            return len(self.entries())
        size = self.size(prefix)
        if size > LIKELY * most:
            return -(-size // PROSE)
        return most if self.finish_reason == "length" else min(most, -(-size // CERTAIN))


class InputDetails(msgspec.Struct):
    """Parts of the prompt."""

    cached_tokens: Count = None


class OutputDetails(msgspec.Struct):
    """Parts of the output."""

    reasoning_tokens: Count = None


class Counted(msgspec.Struct):
    """`usage` as the server says it."""

    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None

    def cached(self) -> int:
        """Tokens of the prompt that were read from a cache."""
        return (self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens) or 0

    def thought(self) -> int:
        """Tokens of the output that were thought."""
        return (self.completion_tokens_details and self.completion_tokens_details.reasoning_tokens) or 0


class Reply(msgspec.Struct):
    """The body of a 200; a fault may hold its `usage` too."""

    choices: list[Choice] = []
    usage: Counted | None = None


_strict = msgspec.json.Decoder(Reply).decode


def read(raw: bytes) -> Reply:
    """The reply in `raw`; without choices where it holds none that can be read.

    Raises:
        msgspec.DecodeError: Not JSON.
    """
    try:
        return _strict(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = anything(raw)
    fields = said if isinstance(said, dict) else {}
    listed = fields.get("choices")
    choices = listed if isinstance(listed, list) else [listed]
    readable = [
        one for one in choices if isinstance(one, dict) and isinstance(one.get("message"), dict | str)
    ]
    return Reply([_choice(one) for one in readable], _counted(fields.get("usage")))


def anything(raw: bytes) -> Any:
    """Any JSON, also what the strict reader refuses: NaN, half a surrogate pair, bytes that are no UTF-8.

    Raises:
        msgspec.DecodeError: Not JSON, or nested too deep.
    """
    try:
        return json.loads(raw.decode(errors="replace"))
    except (ValueError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None


def too_few(tokens: int, *texts: str) -> bool:
    """Whether no tokenizer could write these texts in so few tokens.

    >>> too_few(7, "word " * 20), too_few(7, "word " * 30), too_few(2, "=" * 4000)
    (False, True, False)
    """
    most = LONGEST_TOKEN * tokens
    # Tokenizers do merge long runs of one character.
    return sum(map(_bytes, texts)) > most and sum(_bytes(_RUN.sub(r"\1", text)) for text in texts) > most


_RUN = re.compile(r"(.)\1{7,}", re.DOTALL)


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _choice(fields: dict[str, Any]) -> Choice:
    message = fields["message"]
    said = message if isinstance(message, dict) else {"content": message}
    names = ("content", "reasoning_content", "reasoning", "refusal")
    finish, logprobs = fields.get("finish_reason"), fields.get("logprobs")
    listed = logprobs.get("content") if isinstance(logprobs, dict) else None
    return Choice(
        Text(*(_text(said.get(name)) for name in names)),
        finish if isinstance(finish, str) else None,
        Logprobs(_entries(listed)),
    )


def _entries(listed: object) -> list[Entry] | None:
    """All of them, or none: a list with holes counts and measures nothing."""
    if not isinstance(listed, list):
        return None
    made = []
    for one in listed:
        token, logprob = (one.get("token"), one.get("logprob")) if isinstance(one, dict) else ("", None)
        if not isinstance(logprob, int | float) or not -math.inf < logprob < math.inf:
            return None
        made.append(Entry(_text(token) or "", float(logprob)))
    return made


def _text(value: object) -> str | None:
    """A text; the parts of one put together; or whatever stands in its place, as JSON."""
    if value is None:
        return None
    if isinstance(value, list):
        parts = [part.get("text", part) if isinstance(part, dict) else part for part in value]
        return "".join(_text(part) or "" for part in parts)
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode(errors="replace").decode()


def _counted(said: object) -> Counted | None:
    if not isinstance(said, dict):
        return None
    inside, outside = said.get("prompt_tokens_details"), said.get("completion_tokens_details")
    return Counted(
        _count(said.get("prompt_tokens")),
        _count(said.get("completion_tokens")),
        InputDetails(_count(inside.get("cached_tokens"))) if isinstance(inside, dict) else None,
        OutputDetails(_count(outside.get("reasoning_tokens"))) if isinstance(outside, dict) else None,
    )


def _count(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return math.ceil(number) if 0 <= number < 2**31 else None
