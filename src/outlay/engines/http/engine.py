"""Any endpoint that speaks the OpenAI chat API, over the network.

What a call used is charged, failed attempts included. A failed attempt is tried again only while what has
been charged leaves room for another in the worst case that was promised: a flood of faults cannot overdraw.
Copies are counted on what came back, and the rest is asked for one by one. What a server does not keep to (`n`,
a field, `max_tokens`, the size of the prompt) is found out from what came back, and remembered.

While nothing at all comes through, no call fails on its own: see `outage`.
"""

import asyncio
import os
import random
import time
from collections import defaultdict
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Self, TypeVar, final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from outlay.engines.http import chat
from outlay.engines.http.gate import Gate
from outlay.engines.http.outage import Outage
from outlay.engines.http.pace import Pace
from outlay.engines.http.post import PATIENCE, Answer, Lost, Patience, Post, retry_after
from outlay.engines.measure import cap
from outlay.errors import UpstreamError, UsageError
from outlay.types import Ask, Call, Completion, Cost, Delivery, Usage, cost_of

T = TypeVar("T")

NONE = Usage()

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


class Room(NamedTuple):
    """What one request and its repetitions may use together."""

    input: int
    output: int


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
    repeated: tuple[str, ...] = ()


@dataclass(slots=True)
class Habits:
    """What was learned about one model of the endpoint. `honours_n` is None until n > 1 was tried; `longest` is the
    most tokens of a copy that went over its `max_tokens`, `beside` the most that a prompt had over its bound.
    """

    refused: set[str] = field(default_factory=set)
    honours_n: bool | None = None
    longest: int = 0
    beside: int = 0
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
        requests_per_minute: int = 0,
        tokens_per_minute: int = 0,
        patience: Patience = PATIENCE,
    ) -> None:
        """Name the endpoint; nothing is sent yet.

        Args:
            base_url: Up to and without `/chat/completions`.
            api_key: Sent as a bearer token; empty where none is needed.
            extra: Fields to add to every request, such as `chat.LLAMA_PLAIN`.
            modes: For each mode of an arm the fields that ask for it; efforts are known.
            concurrency: The most requests in flight; fewer where the endpoint wants it, see `pace`.
            requests_per_minute: Sent to one model; 0 where only the endpoint limits them.
            tokens_per_minute: The same for tokens, prompt and `max_tokens` together.
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
        url = base_url.rstrip("/")
        self._key, self._patience, self._shown = api_key, patience, _shown(url)
        self._extra = dict(extra or {})
        self._modes = {effort: {"reasoning_effort": effort} for effort in chat.EFFORTS} | dict(modes or {})
        self._habits: dict[str, Habits] = defaultdict(Habits)
        pace = Pace(concurrency, requests_per_minute=requests_per_minute, tokens_per_minute=tokens_per_minute)
        self._post = Post(f"{url}/chat/completions", api_key, patience, Gate(pace))
        self._outage, self._down = Outage(), ""

    @classmethod
    def from_env(cls, *, extra: Mapping[str, Any] | None = None) -> Self:
        """From `OPENAI_BASE_URL` and `OPENAI_API_KEY`; a key alone means OpenAI's own endpoint."""
        url, key = os.environ.get("OPENAI_BASE_URL", ""), os.environ.get("OPENAI_API_KEY", "")
        if not (url or key):
            raise UsageError("no endpoint: set OPENAI_BASE_URL (and OPENAI_API_KEY if it wants a key)")
        return cls(url or "https://api.openai.com/v1", key, extra=extra)

    def worst(self, call: Call) -> Cost:
        """Input by the byte bound, for every copy until the server has been seen to honour `n`; all output, or
        what the server has been seen to write against its cap.

        Nobody can promise how long a network takes: the time is the longest seen so far.
        """
        habits = self._habits[call.arm.model]
        prompt = (chat.most_input(call) + habits.beside) * habits.prompts(call.n)
        usage = Usage(prompt, call.n * max(cap(call), habits.longest))
        return cost_of(call.arm.price, usage, habits.most_ms)

    def expected(self, call: Call) -> Cost:
        habits = self._habits[call.arm.model]
        prompts = call.n if habits.honours_n is False else 1
        usage = Usage(chat.guessed_input(call) * prompts, call.n * cap(call) // 2)
        return cost_of(call.arm.price, usage, habits.ms // max(1, habits.calls))

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        if len(calls) == 1:
            return [await self._deliver(calls[0])]
        return await _all(self._deliver(call) for call in calls)

    async def close(self) -> None:
        await self._post.close()

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
        repeated = tuple(reason for part in parts for reason in part.repeated)
        return Delivery(copies[: call.n], usage, ms, error, repeated=repeated)

    async def _parts(self, call: Call, habits: Habits) -> list[Part]:
        """All copies in one request where `n` may be honoured; then, or from the start, one by one."""
        bound, most = chat.most_input(call) + habits.beside, cap(call)
        if call.n > 1 and habits.honours_n is False:
            return await self._one_by_one(call, range(call.n), Room(bound, most))
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
        return [whole, *await self._one_by_one(call, range(got, call.n), left, whole.usage)]

    async def _one_by_one(
        self, call: Call, places: Iterable[int], room: Room, used: Usage = NONE
    ) -> list[Part]:
        """One request for each place; a fault that ends the run tells what all of them used, and `used` before."""
        asked = (self._ask(call, 1, place, room) for place in places)
        done = await asyncio.gather(*asked, return_exceptions=True)
        parts = [one for one in done if isinstance(one, Part)]
        for fault in done:
            if isinstance(fault, UpstreamError):
                more = (other.usage or NONE for other in done if isinstance(other, Part | UpstreamError))
                raise UpstreamError(str(fault), sum(more, used)) from None
            if isinstance(fault, BaseException):
                raise fault
        return parts

    async def _ask(self, call: Call, size: int, place: int, room: Room) -> Part:
        """One request, repeated while patience and room last."""
        used, tries, most, failed = NONE, dict[str, int](), cap(call), list[str]()
        began = time.monotonic()
        while True:
            try:
                got = await self._attempt(call, size, place)
            except UpstreamError as fault:
                raise UpstreamError(str(fault), used + (fault.usage or NONE)) from None
            used = used + got.usage if tries else got.usage
            if isinstance(got, Part):
                self._outage.worked(time.monotonic())
                self._down = ""
                return got if not tries else got._replace(usage=used, repeated=tuple(failed))
            self._outage.failed(time.monotonic(), call.prompt_id)
            if self._down:
                raise UpstreamError(self._down, used)
            past = tries.get(got.allowed, 0)
            tries[got.allowed] = past + 1
            failed.append(got.reason)
            wait = got.wait_s
            if wait is None:
                # Spreads retries, decides nothing else.
                dice = random.Random(f"{call.key} {call.seed} {place} {sum(tries.values())}")
                wait = self._patience.backoff_s * 2**past * dice.uniform(0.75, 1.25)
            # What a cut-off answer had written is gone; the next may be shorter, but not by more than half.
            left = min(most, (room.output - used.output) // size)
            no_room = used.input + chat.guessed_input(call) > room.input or 2 * left < most
            why = ""
            if past >= getattr(self._patience, got.allowed) or wait > self._patience.longest_wait_s:
                why = f"gave up after {_times(sum(tries.values()))}"
            elif no_room:
                why = "no room for another attempt in what was reserved"
            if why:
                nobody = got.allowed == "refused" and self._outage.worked_at < began
                stuck = no_room or wait > self._patience.longest_wait_s
                if not await self._holds_out(got.reason, used, wait, nobody=nobody, stuck=stuck):
                    return Part((), used, f"{got.reason}; {why}")
            else:
                await asyncio.sleep(wait)
            if left < most:
                call = replace(call, max_tokens=left)

    async def _holds_out(self, reason: str, used: Usage, wait: float, *, nobody: bool, stuck: bool) -> bool:
        """Wait while the endpoint seems to be down; True to try again, False where the call itself fails.

        Args:
            reason: Of the last failure.
            used: By the call up to now.
            wait: Before another attempt, in seconds.
            nobody: Nobody listens there, which is no prompt's fault.
            stuck: Another attempt cannot be made.

        Raises:
            UpstreamError: It is down.
        """
        outage = self._outage
        if stuck:  # at once, perhaps: others that fail too may not be back yet
            await asyncio.sleep(self._patience.backoff_s)
        while nobody or outage.suspected:
            lasted = outage.lasted(time.monotonic())
            if nobody and not outage.worked_at:
                self._down = f"{reason}; start the server or mend OPENAI_BASE_URL, then run again"
            elif lasted >= self._patience.outage_s:
                self._down = (
                    f"endpoint unavailable: nothing has come through for {lasted:.0f} s, last: {reason}; once it "
                    "serves again, give the same command to go on"
                )
            if self._down:
                raise UpstreamError(self._down, used)
            await asyncio.sleep(min(wait if not stuck else 1.0, self._patience.outage_s - lasted))
            if not stuck:
                return True
        return False

    async def _attempt(self, call: Call, size: int, place: int) -> Part | Again:
        """One request; a field that the server says it does not know is left out from then on, uncharged."""
        refused = self._habits[call.arm.model].refused
        while True:
            fields = {
                **chat.body(call, size=size, place=place, refused=refused),
                **self._mode(call),
                **self._extra,
            }
            may_use = chat.guessed_input(call) + size * cap(call)
            answer = await self._post.send(msgspec.json.encode(fields), call.arm.model, may_use)
            if isinstance(answer, Lost):
                return self._lost(answer, call, size)
            if answer.status == 200:
                return self._heard(answer.raw, call, size)
            said = chat.complaint(answer.raw)
            unknown = said.field if said.unsupported and answer.status in (400, 422) else ""
            if unknown not in fields or unknown not in ("max_tokens", *chat.OPTIONAL):
                return self._failed(answer, said, call, size)
            refused.add(unknown)

    def _lost(self, lost: Lost, call: Call, size: int) -> Again:
        reason = f"{self._shown}: {lost.reason}"
        if not lost.sent:
            return Again("refused", reason)
        return Again("lost", reason, chat.cut_off(lost.raw, call, size))

    def _heard(self, raw: bytes, call: Call, size: int) -> Part | Again:
        try:
            part = Part(*chat.hear(raw, call, size))
            self._learn(part, call, size)
            return part
        except msgspec.DecodeError:
            why = f"{self._shown}: the reply is no chat completion: {chat.complaint(raw).message}"
            return Again("lost", self._safe(why), chat.uncounted(raw, call, size))

    def _learn(self, part: Part, call: Call, size: int) -> None:
        """A cap or a bound on the prompt that did not hold is not promised again."""
        habits, copies = self._habits[call.arm.model], max(size, len(part.copies))
        if part.usage.output > copies * cap(call):
            habits.longest = max(habits.longest, -(-part.usage.output // copies))
        over = part.usage.input - chat.most_input(call) * habits.prompts(size)
        habits.beside = max(habits.beside, over)

    def _failed(self, answer: Answer, said: chat.Complaint, call: Call, size: int) -> Part | Again:
        status = answer.status
        reason = self._safe(f"{self._shown}: {status} {said.code} {said.message}".rstrip())
        wait = retry_after(answer.headers)
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
