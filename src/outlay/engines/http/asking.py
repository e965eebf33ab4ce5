"""Single requests to an endpoint, seen raw: the connection, the purse they are paid from, and fields refused.

The engine hides what a server does with a request. Here it is looked at: what came back, word for word, and
which of the fields sent were refused.
"""

import asyncio
import contextlib
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from outlay.config.settings import UNKNOWN
from outlay.engines.http import chat
from outlay.errors import UpstreamError, UsageError
from outlay.types import NOTHING, Arm, Ask, Budget, Call, Cost, Message, Price, Usage, cost_of

if TYPE_CHECKING:
    import aiohttp

LIST_S: Final = 20.0
"""Seconds for a list."""
ASK_S: Final = 300.0
"""Seconds for an answer: a big model on a small machine reads slowly."""
FRAME: Final = 128
"""Tokens that a server may add to a prompt: templates of thinking models hold a page of their own."""
TRIES: Final = 3
BUDGET_SPENT: Final = "--budget leaves no room for it"
"""The error of a question that was not sent."""
LONGEST_WAIT_S: Final = 30.0

REMEDIES: Final[Mapping[int, str]] = {
    401: "set {key} to a valid key",
    402: "pay its bill, or take another endpoint",
    403: "the key may not do this: take another key or model",
    404: "mend {url} (it ends before /chat/completions) or the name of the model",
}
"""Nothing more can be found out after these."""


class Answer(NamedTuple):
    """What came back, whatever its status."""

    status: int
    headers: Mapping[str, str]
    raw: bytes


@final
class Line:
    """A connection to one endpoint. The key is sent to it and shown nowhere."""

    def __init__(
        self, url: str, key: str = "", *, url_env: str = "OPENAI_BASE_URL", key_env: str = "OPENAI_API_KEY"
    ) -> None:
        """Name the endpoint; nothing is sent yet.

        Args:
            url: Up to and without `/chat/completions`.
            key: Sent as a bearer token; empty where none is needed.
            url_env: What to mend where the address is wrong, in the user's words.
            key_env: The variable that holds the key.
        """
        parts = urlsplit(url.rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{shown(url)!r} is no endpoint; write it like http://127.0.0.1:8000/v1")
        self.url, self.shown, self.key_env, self.url_env = url.rstrip("/"), shown(url), key_env, url_env
        self.has_key = bool(key)
        self._key = key
        self._session: aiohttp.ClientSession | None = None

    async def get(self, path: str) -> Answer:
        """Read a list; `path` begins with a slash, or is a whole address at the same host.

        Raises:
            UpstreamError: It cannot be reached.
        """
        return await self._send("GET", path if "://" in path else f"{self.url}{path}", b"", LIST_S)

    async def post(self, fields: Mapping[str, Any], limit_s: float = ASK_S) -> Answer:
        """Ask for a chat completion, and wait so long for it.

        Raises:
            UpstreamError: It cannot be reached.
            TimeoutError: No answer.
            ConnectionError: The connection broke.
        """
        data = msgspec.json.encode(fields)
        return await self._send("POST", f"{self.url}/chat/completions", data, limit_s)

    def safe(self, words: str) -> str:
        """Servers are known to repeat the key that they refuse."""
        return words.replace(self._key, "***") if self._key else words

    async def close(self) -> None:
        """Hang up."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(self, method: str, url: str, data: bytes, limit_s: float) -> Answer:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Content-Type": "application/json", "User-Agent": "outlay"}
                | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            )
        patience = aiohttp.ClientTimeout(total=limit_s, sock_connect=10)
        try:
            # A redirect could carry prompts and key elsewhere.
            async with self._session.request(
                method, url, data=data, timeout=patience, allow_redirects=False
            ) as response:
                return Answer(response.status, response.headers, await response.read())
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            cause = getattr(error, "os_error", None)
            why = os.strerror(cause.errno) if isinstance(cause, ConnectionError) and cause.errno else ""
            why = why or getattr(error, "strerror", None) or "no answer"
            raise UpstreamError(f"{self.shown} cannot be reached: {why}; is {self.url_env} right?") from None
        except aiohttp.ClientError as error:
            raise ConnectionError(f"the connection broke ({type(error).__name__})") from None


@final
@dataclass(slots=True)
class Purse:
    """What may be spent on finding out, and what was.

    Attributes:
        budget: No request is sent whose worst case does not fit in what is left of it.
        spent: All that was used, failed requests included.
        calls: Requests that were charged.
    """

    budget: Budget = field(default_factory=Budget)
    spent: Cost = field(default_factory=Cost)
    calls: int = 0
    began: float = field(default_factory=time.monotonic)

    def holds(self, worst: Cost) -> bool:
        """Whether so much more may be spent."""
        after = self.spent + worst
        used = {"tok": after.tok, "outtok": after.outtok, "usd": after.usd}
        used["s"] = round(1000 * (time.monotonic() - self.began))
        return all(used[unit] <= limit for unit, limit in self.budget.limits().items())

    def patience_s(self, wanted: float) -> float:
        """So long, or as long as the time of the budget allows."""
        if self.budget.ms is None:
            return wanted
        return min(wanted, max(0.001, self.budget.ms / 1000 - (time.monotonic() - self.began)))

    def pay(self, cost: Cost) -> None:
        """Charge one request."""
        self.spent, self.calls = self.spent + cost, self.calls + 1


class Got(NamedTuple):
    """What a request came to.

    Attributes:
        choices: As the server gave them.
        said: Its own count.
        usage: The count that was charged.
        fingerprint: What it calls itself.
        refused: Fields that it refused, each with its words; the answer came without them.
        error: Why there is no answer.
        broke: The answer is longer than `max_tokens` allows.
    """

    choices: tuple[chat.Choice, ...] = ()
    said: chat.Counted = chat.Counted()
    usage: Usage = Usage()
    fingerprint: str = ""
    refused: Mapping[str, str] = {}
    error: str = ""
    broke: bool = False


class _Signed(msgspec.Struct):
    system_fingerprint: str | None = None


@final
class Asker:
    """Asks one model; remembers the fields that it refuses, and never asks for more than the purse holds."""

    def __init__(
        self,
        line: Line,
        model: str,
        purse: Purse,
        price: Price = UNKNOWN,
        extra: Mapping[str, Any] = NOTHING,
    ) -> None:
        """Nothing is asked yet. `extra` is added to every request, as in a run."""
        self.line, self.model, self.purse, self._price, self._extra = line, model, purse, price, extra
        self.cap_name = "max_tokens"
        self._refused: dict[tuple[str, str], str] = {}
        self._frame = FRAME

    async def ask(
        self, messages: tuple[Message, ...], most: int, fields: Mapping[str, Any], *, beside: int = 0
    ) -> Got:
        """Send one request; a field that is refused is left out, at no cost, and the request sent again.

        Args:
            messages: The prompt.
            most: Cap on the tokens of one copy.
            fields: What else to send; each of them may be refused.
            beside: Tokens that a field may add to the prompt.

        Raises:
            UpstreamError: The endpoint cannot serve at all.
        """
        size = fields.get("n", 1)
        call = Call(
            Arm(self.model, "http", model=self.model, max_tokens=most, price=self._price),
            Ask(messages),
            n=size,
            max_tokens=most,
        )
        prompt = sum(len(message.content.encode()) for message in messages) + self._frame + beside
        worst = cost_of(self._price, Usage(prompt * size, most * size), 0)
        refused: dict[str, str] = {}
        left = self._known(fields, refused)
        failed = 0
        while True:
            if not self.purse.holds(worst):
                return Got(refused=refused, error=BUDGET_SPENT)
            try:
                answer = await self._post(messages, most, left)
            except (TimeoutError, ConnectionError) as error:
                why = str(error) or "no answer in time"
                answer = Answer(599, {}, why.encode())
            if answer.status == 200:
                return self._heard(answer.raw, call, left.get("n", 1), refused)
            said = chat.complaint(answer.raw)
            words = self.line.safe(f"{answer.status} {said.message}")
            if answer.status == 429 or answer.status >= 500:
                failed += 1
                if answer.status not in (429, 503):
                    self._pay(chat.charged(answer.raw, call))
                if failed < TRIES:
                    await asyncio.sleep(self.purse.patience_s(_wait(answer.headers, failed)))
                    continue
                return Got(refused=refused, error=words.removeprefix("599 "))
            if answer.status not in (400, 422):
                remedy = REMEDIES.get(answer.status, "is the address right?")
                remedy = remedy.format(key=self.line.key_env, url=self.line.url_env)
                raise UpstreamError(f"{self.line.shown}: {words}; {remedy}")
            if "max_completion_tokens" in words and self.cap_name == "max_tokens":
                self.cap_name = "max_completion_tokens"
                continue
            if names := _named(said, answer.raw, left):
                for name in names:
                    self._refused[name, repr(left[name])] = refused[name] = words
                left = self._known(fields, refused)
                continue
            for fewer in _fewer(left):
                if not self.purse.holds(worst):
                    return Got(refused=refused, error=BUDGET_SPENT)
                taken = await self._taken(messages, most, fewer, call)
                if taken is not None:
                    for name in left.keys() - fewer.keys():
                        self._refused[name, repr(left[name])] = refused[name] = words
                    return self._heard(taken, call, fewer.get("n", 1), refused)
            return Got(refused=refused, error=words)

    def _known(self, fields: Mapping[str, Any], refused: dict[str, str]) -> dict[str, Any]:
        """The fields that were not refused before."""
        refused |= {
            name: self._refused[name, repr(value)]
            for name, value in fields.items()
            if (name, repr(value)) in self._refused
        }
        return {name: value for name, value in fields.items() if name not in refused}

    async def _taken(
        self, messages: tuple[Message, ...], most: int, fields: Mapping[str, Any], call: Call
    ) -> bytes | None:
        """The answer to a request, if it is taken."""
        try:
            answer = await self._post(messages, most, fields)
        except (TimeoutError, ConnectionError):
            self._pay(chat.charged(b"", call))
            return None
        return answer.raw if answer.status == 200 else None

    async def _post(self, messages: tuple[Message, ...], most: int, fields: Mapping[str, Any]) -> Answer:
        said = [message._asdict() for message in messages]
        asked = {"model": self.model, "messages": said, self.cap_name: most, **fields, **self._extra}
        return await self.line.post(asked, self.purse.patience_s(ASK_S))

    def _heard(self, raw: bytes, call: Call, size: int, refused: Mapping[str, str]) -> Got:
        try:
            usage = chat.hear(raw, call, size).usage
            reply = msgspec.json.decode(raw, type=chat.Reply)
            signed = msgspec.json.decode(raw, type=_Signed).system_fingerprint or ""
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._pay(chat.uncounted(raw, call, size))
            said = self.line.safe(chat.complaint(raw).message)
            return Got(refused=refused, error=f"the reply is no chat completion: {said}")
        self._pay(usage)
        assert isinstance(call.payload, Ask)
        own = sum(len(message.content.encode()) for message in call.payload.messages)
        self._frame = max(self._frame, usage.input - own + 16)
        most = call.max_tokens
        told = (reply.usage and reply.usage.completion_tokens) or 0
        counts = [len(choice.entries()) for choice in reply.choices]
        # A token of plain text has some four bytes: three times as many cannot have kept to the cap.
        long = max(choice.size() for choice in reply.choices) > 12 * most
        broke = told > most * size or max(counts) > most or long
        counted = reply.usage or chat.Counted()
        return Got(tuple(reply.choices), counted, usage, signed, dict(refused), broke=broke)

    def _pay(self, usage: Usage) -> None:
        self.purse.pay(cost_of(self._price, usage, 0))


def _named(said: chat.Complaint, raw: bytes, fields: Mapping[str, Any]) -> list[str]:
    """The field that a complaint names."""
    named = said.field.partition(".")[0]
    if named in fields:
        return [named]
    text = raw.decode(errors="replace")
    # A name of one letter is a word of many sentences: it counts in quotes alone.
    edges = {name: r"\b" if len(name) > 1 else "['\"`]" for name in fields}
    return [name for name, edge in edges.items() if re.search(f"{edge}{re.escape(name)}{edge}", text)][:1]


def _fewer(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Without each one of the fields, then without any: what to try where a complaint names none."""
    if len(fields) > 1:
        for gone in fields:
            yield {name: value for name, value in fields.items() if name != gone}
    if fields:
        yield {}


def shown(url: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(url.rstrip("/"))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _wait(headers: Mapping[str, str], failed: int) -> float:
    with contextlib.suppress(ValueError):
        return min(max(0.0, float(headers.get("Retry-After", ""))), LONGEST_WAIT_S)
    return 0.5 * 2.0**failed
