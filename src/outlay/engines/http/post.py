"""One request over the network, and how it ended.

A completion that is not streamed is silent while it is computed, so nothing but the whole time-out limits the wait
for the first byte. Once the answer has begun it is finished, and only the network is left: silence then, or a
trickle, is a fault long before. Empty lines are no beginning: some endpoints send them to keep a connection open.
"""

import asyncio
import email.utils
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, final

from outlay.engines.http.gate import Gate

if TYPE_CHECKING:
    import aiohttp

IDLE_S = 4
"""Shorter than servers keep an idle connection: a request on a closed one is charged as lost."""


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
        silent_s: No byte more of an answer that has begun.
        trickle_s: An answer that has begun is not whole.
        outage_s: Nothing comes through, for several prompts in a row: the endpoint is down; see `outage`.
    """

    limited: int = 6
    broken: int = 3
    lost: int = 2
    refused: int = 2
    backoff_s: float = 0.5
    longest_wait_s: float = 120.0
    timeout_s: float = 600.0
    silent_s: float = 30.0
    trickle_s: float = 60.0
    outage_s: float = 15.0


PATIENCE = Patience()


MOST_BYTES = 256 * 2**20
"""Of one answer; a flood is cut off there."""

OWN_KEY = 16
"""A key of so many characters stands in no answer by chance."""


class Answer(NamedTuple):
    """What came back from one post, whatever its status."""

    status: int
    headers: Mapping[str, str]
    raw: bytes


class Lost(NamedTuple):
    """No whole answer came back: why, whether the request was sent at all, and what came of the answer."""

    reason: str
    sent: bool = True
    raw: bytes = b""


@final
class Post:
    """Sends requests to one address. Its key is sent there and shown nowhere."""

    def __init__(self, url: str, key: str, patience: Patience, gate: Gate) -> None:
        self._url, self._key, self._patience, self._gate = url, key, patience, gate
        self._session: aiohttp.ClientSession | None = None

    async def send(self, data: bytes, model: str, tokens: int) -> Answer | Lost:
        """Post one request that may use so many `tokens`, when the pace allows it."""
        ticket = await self._gate.enter(model, tokens)
        got: Answer | Lost | None = None
        try:
            got = await self._send(data)
        finally:
            if isinstance(got, Answer) and got.status == 429:
                wait = retry_after(got.headers) or 0.0
                # Longer than we would wait: that call fails, and the others find out for themselves.
                wait = wait if wait <= self._patience.longest_wait_s else 0.0
                self._gate.leave(ticket, "limited", wait, got.headers)
            elif isinstance(got, Answer):
                self._gate.leave(ticket, "broken" if got.status >= 500 else "clean", headers=got.headers)
            else:
                self._gate.leave(ticket, "none" if got is None else "broken")
        return got

    async def close(self) -> None:
        """Release the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(self, data: bytes) -> Answer | Lost:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_S),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=10),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "outlay"}
                | ({"Authorization": f"Bearer {self._key}"} if self._key else {}),
            )
        body, clock, patience = bytearray(), asyncio.get_running_loop().time, self._patience
        begun, until = 0.0, clock() + patience.timeout_s
        # A payload, since bytes would be matched with every type that aiohttp knows.
        payload = aiohttp.BytesPayload(data, content_type="application/json")
        try:
            async with (
                asyncio.timeout_at(until) as limit,
                # A redirect could carry prompts and key elsewhere.
                self._session.post(self._url, data=payload, allow_redirects=False) as response,
            ):
                content = response.content
                while chunk := await content.readany():
                    # Mostly all is there at once, and needs no limit.
                    if not content.at_eof() and (begun or not chunk.isspace()):
                        begun = begun or clock()
                        limit.reschedule(min(clock() + patience.silent_s, begun + patience.trickle_s, until))
                    body += chunk
                    if len(body) > MOST_BYTES:
                        return Lost(f"the answer is longer than {MOST_BYTES:,} bytes", raw=bytes(body))
                return Answer(response.status, response.headers, self._safe(body, response.status))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            why = getattr(error, "strerror", None) or "no answer"
            return Lost(f"cannot connect ({why})", sent=False)
        except TimeoutError:
            why = f"no answer within {patience.timeout_s:g} s"
            if begun and begun + patience.trickle_s <= clock() < until:
                why = f"the answer was not whole {patience.trickle_s:g} s after it began"
            elif begun and clock() < until:
                why = f"the answer stopped midway: nothing more for {patience.silent_s:g} s"
        except (aiohttp.ClientError, ConnectionError) as error:
            midway = f" after {len(body)} bytes of the answer" if body else ""
            why = f"the connection broke{midway} ({type(error).__name__})"
        return Lost(why, raw=bytes(body))

    def _safe(self, body: bytearray, status: int) -> bytes:
        """Servers are known to repeat the key that they refuse."""
        key = self._key.encode()
        known = key and (status != 200 or len(key) >= OWN_KEY)
        return bytes(body.replace(key, b"***") if known else body)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the endpoint wants to be left alone; None where it does not say."""
    said = headers.get("Retry-After", "")
    try:
        return max(0.0, float(said))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None
