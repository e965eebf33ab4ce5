"""Any endpoint that speaks the OpenAI chat API, over the network.

What a call used is charged, failed attempts included. A failed attempt is tried again only while what has
been charged leaves room for another in the worst case that was promised: a flood of faults cannot overdraw.
Copies are counted on what came back, and the rest is asked for one by one; a server that ignores `n`, or
refuses a field, is remembered.
"""

import asyncio
import email.utils
import os
import random
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeVar, final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from outlay.engines.http import chat
from outlay.engines.measure import cap
from outlay.errors import UpstreamError, UsageError
from outlay.types import Ask, Call, Completion, Cost, Delivery, Usage, cost_of

if TYPE_CHECKING:
    import aiohttp

T = TypeVar("T")

HOPELESS = {
    401: "set OPENAI_API_KEY to a valid key",
    402: "pay its bill, or take another endpoint",
    403: "the key may not do this: take another key or model",
    404: "mend OPENAI_BASE_URL (it ends before /chat/completions) or the name of the model",
    405: "mend OPENAI_BASE_URL (it ends before /chat/completions)",
}
"""No prompt can succeed after these; what to do next."""

FILTERED = ("content_filter", "content_policy_violation")

OWN_FIELDS = ("model", "messages", "max_tokens", "n", "stream", "seed", "stop")
"""What a call says itself; `extra` may not."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on with an endpoint that fails.

    Attributes:
        limited: Further attempts after a 429; they cost nothing.
        broken: Further attempts after a 5xx.
        lost: Further attempts after a timeout, a reset, or a reply that cannot be read.
        refused: Further attempts to connect.
        backoff_s: First wait, doubled each time, where the server does not say how long.
        longest_wait_s: A server that wants us to wait longer is not waited for.
        timeout_s: One attempt.
    """

    limited: int = 6
    broken: int = 3
    lost: int = 2
    refused: int = 2
    backoff_s: float = 0.5
    longest_wait_s: float = 120.0
    timeout_s: float = 600.0


PATIENCE = Patience()


class Room(NamedTuple):
    """What one request and its repetitions may use together."""

    input: int
    output: int


class Answer(NamedTuple):
    """What came back from one post, whatever its status."""

    status: int
    headers: Mapping[str, str]
    raw: bytes


class Again(NamedTuple):
    """An attempt that failed and may be repeated; `allowed` names the patience it draws on."""

    allowed: Literal["limited", "broken", "lost", "refused"]
    reason: str
    usage: Usage = Usage()
    wait_s: float | None = None


class Part(NamedTuple):
    """What one request, repeated as needed, came to."""

    copies: tuple[Completion, ...]
    usage: Usage
    error: str = ""


@dataclass(slots=True)
class Habits:
    """What was learned about one model of the endpoint. `honours_n` is None until n > 1 was tried."""

    refused: set[str] = field(default_factory=set)
    honours_n: bool | None = None
    calls: int = 0
    ms: int = 0
    most_ms: int = 0

    def prompts(self, copies: int) -> int:
        """How often the prompt may be billed for so many copies."""
        return 1 if self.honours_n else copies


@final
class Http:
    """One endpoint. Its key is sent to it and shown nowhere."""

    def __init__(
        self,
        base_url: str,
        api_key: str = "",
        *,
        extra: Mapping[str, Any] | None = None,
        modes: Mapping[str, Mapping[str, Any]] | None = None,
        concurrency: int = 32,
        patience: Patience = PATIENCE,
    ) -> None:
        """Name the endpoint; nothing is sent yet.

        Args:
            base_url: Up to and without `/chat/completions`.
            api_key: Sent as a bearer token; empty where none is needed.
            extra: Fields to add to every request, such as `chat.LLAMA_PLAIN`.
            modes: For each mode of an arm the fields that ask for it; efforts are known.
            concurrency: Requests in flight.
            patience: How long to go on with failures.
        """
        parts = urlsplit(base_url.rstrip("/"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{_shown(base_url)!r} is no endpoint; write it like http://127.0.0.1:8000/v1")
        if parts.username and api_key:
            raise UsageError(
                f"{_shown(base_url)}: a login in the address and a key exclude each other; drop one"
            )
        if taken := set(extra or ()) & set(OWN_FIELDS):
            raise UsageError(f"extra may not set {', '.join(sorted(taken))}: the run decides them")
        self.lockstep, self.chunk = False, 1
        self._url, self._key, self._patience = base_url.rstrip("/"), api_key, patience
        self._shown = _shown(self._url)
        self._extra = dict(extra or {})
        self._modes = {effort: {"reasoning_effort": effort} for effort in chat.EFFORTS} | dict(modes or {})
        self._habits: dict[str, Habits] = defaultdict(Habits)
        self._free = asyncio.Semaphore(concurrency)
        self._paused_until = 0.0
        self._session: aiohttp.ClientSession | None = None

    @classmethod
    def from_env(cls, *, extra: Mapping[str, Any] | None = None) -> Self:
        """From `OPENAI_BASE_URL` and `OPENAI_API_KEY`; a key alone means OpenAI's own endpoint."""
        url, key = os.environ.get("OPENAI_BASE_URL", ""), os.environ.get("OPENAI_API_KEY", "")
        if not (url or key):
            raise UsageError("no endpoint: set OPENAI_BASE_URL (and OPENAI_API_KEY if it wants a key)")
        return cls(url or "https://api.openai.com/v1", key, extra=extra)

    def worst(self, call: Call) -> Cost:
        """Input by the byte bound, for every copy until the server has been seen to honour `n`; all output.

        Nobody can promise how long a network takes: the time is the longest seen so far.
        """
        habits = self._habits[call.arm.model]
        usage = Usage(chat.most_input(call) * habits.prompts(call.n), call.n * cap(call))
        return cost_of(call.arm.price, usage, habits.most_ms)

    def expected(self, call: Call) -> Cost:
        habits = self._habits[call.arm.model]
        prompts = call.n if habits.honours_n is False else 1
        usage = Usage(chat.guessed_input(call) * prompts, call.n * cap(call) // 2)
        return cost_of(call.arm.price, usage, habits.ms // max(1, habits.calls))

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        return await _all(self._deliver(call) for call in calls)

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _deliver(self, call: Call) -> Delivery:
        if not isinstance(call.payload, Ask):
            return Delivery((), error="an endpoint answers prompts; give checks to a check's engine")
        habits = self._habits[call.arm.model]
        began = time.monotonic()
        parts = await self._parts(call, habits)
        ms = round(1000 * (time.monotonic() - began))
        habits.calls, habits.ms, habits.most_ms = habits.calls + 1, habits.ms + ms, max(habits.most_ms, ms)
        copies = tuple(copy for part in parts for copy in part.copies)
        usage = sum((part.usage for part in parts), Usage())
        error = next((part.error for part in parts if part.error), "") if len(copies) < call.n else ""
        return Delivery(copies[: call.n], usage, ms, error)

    async def _parts(self, call: Call, habits: Habits) -> list[Part]:
        """All copies in one request where `n` may be honoured; then, or from the start, one by one."""
        bound, most = chat.most_input(call), cap(call)
        if call.n > 1 and habits.honours_n is False:
            return await _all(self._ask(call, 1, place, Room(bound, most)) for place in range(call.n))
        room = Room(bound * habits.prompts(call.n), call.n * most)
        whole = await self._ask(call, call.n, 0, room)
        got, rest = len(whole.copies), call.n - len(whole.copies)
        if whole.error or call.n == 1:
            return [whole]
        # Once seen to honour n it stays so: calls in flight were reserved on that.
        habits.honours_n = habits.honours_n or not rest
        if not rest:
            return [whole]
        left = Room((room.input - whole.usage.input) // rest, most)
        if left.input < whole.usage.input:
            error = (
                f"{self._shown} returned {got} of {call.n} copies, and there is no room to ask for the others"
            )
            return [whole._replace(error=error)]
        return [whole, *await _all(self._ask(call, 1, place, left) for place in range(got, call.n))]

    async def _ask(self, call: Call, size: int, place: int, room: Room) -> Part:
        """One request, repeated while patience and room last."""
        used, tries = Usage(), Counter[str]()
        dice = random.Random(f"{call.key} {call.seed} {place}")  # spreads retries, decides nothing else
        while True:
            got = await self._attempt(call, size, place)
            used += got.usage
            if isinstance(got, Part):
                return got._replace(usage=used)
            past = tries[got.allowed]
            tries[got.allowed] += 1
            wait = got.wait_s
            if wait is None:
                wait = self._patience.backoff_s * 2**past * dice.uniform(0.75, 1.25)
            if past >= getattr(self._patience, got.allowed) or wait > self._patience.longest_wait_s:
                if got.allowed == "refused":
                    raise UpstreamError(
                        f"{got.reason}; start the server or mend OPENAI_BASE_URL, then run again"
                    )
                return Part((), used, f"{got.reason}; gave up after {_times(tries.total())}")
            next_input, next_output = chat.guessed_input(call), size * cap(call)
            if used.input + next_input > room.input or used.output + next_output > room.output:
                return Part((), used, f"{got.reason}; no room for another attempt in what was reserved")
            if got.allowed == "limited":
                self._paused_until = max(self._paused_until, time.monotonic() + wait)
            await asyncio.sleep(wait)

    async def _attempt(self, call: Call, size: int, place: int) -> Part | Again:
        """One request; a field that the server says it does not know is left out from then on, uncharged."""
        refused = self._habits[call.arm.model].refused
        while True:
            fields = {
                **chat.body(call, size=size, place=place, refused=refused),
                **self._mode(call),
                **self._extra,
            }
            answer = await self._post(fields, call)
            if isinstance(answer, Again):
                return answer
            if answer.status == 200:
                return self._heard(answer.raw, call, size)
            said = chat.complaint(answer.raw)
            unknown = said.field if said.unsupported and answer.status in (400, 422) else ""
            if unknown not in fields or unknown not in ("max_tokens", *chat.OPTIONAL):
                return self._failed(answer, said, call, size)
            refused.add(unknown)

    async def _post(self, fields: Mapping[str, Any], call: Call) -> Answer | Again:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                # Shorter than servers keep an idle connection: a request on a closed one is charged as lost.
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=4),
                timeout=aiohttp.ClientTimeout(total=self._patience.timeout_s, sock_connect=10),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Content-Type": "application/json", "User-Agent": "outlay"}
                | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            )
        url, data = f"{self._url}/chat/completions", msgspec.json.encode(fields)
        async with self._free:
            while (pause := self._paused_until - time.monotonic()) > 0:
                await asyncio.sleep(pause)
            try:
                # A redirect could carry prompts and key elsewhere.
                async with self._session.post(url, data=data, allow_redirects=False) as response:
                    return Answer(response.status, response.headers, await response.read())
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
                why = getattr(error, "strerror", None) or "no answer"
                return Again("refused", f"cannot connect to {self._shown} ({why})")
            except TimeoutError:
                why = f"no answer within {self._patience.timeout_s:g} s"
            except (aiohttp.ClientError, ConnectionError) as error:
                why = f"the connection broke ({type(error).__name__})"
        return Again("lost", f"{self._shown}: {why}", chat.charged(b"", call))

    def _heard(self, raw: bytes, call: Call, size: int) -> Part | Again:
        try:
            return Part(*chat.hear(raw, call, size))
        except msgspec.DecodeError:
            why = f"{self._shown}: the reply is no chat completion: {chat.complaint(raw).message}"
            return Again("lost", self._safe(why), chat.uncounted(raw, call, size))

    def _failed(self, answer: Answer, said: chat.Complaint, call: Call, size: int) -> Part | Again:
        status = answer.status
        reason = self._safe(f"{self._shown}: {status} {said.code} {said.message}".rstrip())
        wait = _retry_after(answer.headers)
        if status == 429 and said.code != "insufficient_quota":
            return Again("limited", reason, wait_s=wait)
        if status in (408, 425) or status >= 500:
            # 503 and 529 turn away at the door; behind any other the prompt may have been read.
            usage = Usage() if status in (503, 529) else chat.charged(answer.raw, call)
            return Again("lost" if status < 500 else "broken", reason, usage, wait)
        if status < 400:
            raise UpstreamError(f"{reason}; it points elsewhere: set OPENAI_BASE_URL to the final address")
        if status in HOPELESS or status == 429:
            raise UpstreamError(f"{reason}; {HOPELESS.get(status, HOPELESS[402])}")
        if said.code in FILTERED:
            return Part((Completion("", "content_filter"),) * size, Usage())
        return Part((), Usage(), reason)

    def _mode(self, call: Call) -> Mapping[str, Any]:
        mode = call.arm.mode
        if mode and mode not in self._modes:
            raise UsageError(
                f"arm {call.arm.name!r} has the mode {mode!r}, and {self._shown} was not told what to send "
                f"for it; known: {', '.join(self._modes)}; or give modes={{{mode!r}: {{…}}}}"
            )
        return self._modes.get(mode, {})

    def _safe(self, words: str) -> str:
        """Servers are known to repeat the key that they refuse."""
        return words.replace(self._key, "***") if self._key else words


async def _all(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results in order; the first fault is raised when all are over, so that none is left behind."""
    done = await asyncio.gather(*work, return_exceptions=True)
    for one in done:
        if isinstance(one, BaseException):
            raise one
    return [one for one in done if not isinstance(one, BaseException)]


def _times(count: int) -> str:
    return "1 attempt" if count == 1 else f"{count} attempts"


def _shown(url: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    said = headers.get("Retry-After", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError):
        return None
