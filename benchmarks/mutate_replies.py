"""Replies of an endpoint, mutated at random: each is a result or a clear error, and no text is settled as nothing.

    python benchmarks/mutate_replies.py [--count 10000] [--seed 0]

Sound replies with one or two fields deleted, of another type, nested, blown up or cut, sent over a real connection to
the engine. Fails where `complete` raises, a delivery has neither copies nor an error, or words of the answer are in
the reply and no output is charged.
"""

import argparse
import asyncio
import copy
import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from outlay.engines.http import Http, Patience
from outlay.types import Arm, Ask, Call, Message

WORDS = "because forty two is the answer to the rule"
CALL = Call(
    Arm("m", "http", "m", max_tokens=64),
    Ask((Message("user", "six times seven?"),)),
    prompt_id="p",
    max_tokens=64,
)
PATIENCE = Patience(lost=0, broken=0, outage_s=1e9, silent_s=5, timeout_s=20)
STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 7.5, 1e308, 10**30, -(10**30), "", "7", "NaN", "\ud800", "x" * 100_000, [], {}, [[]],
    {"content": None}, [None, 3, "x"], {"text": WORDS}, [{"type": "text", "text": WORDS}],
)  # fmt: skip


def sound(dice: random.Random) -> dict[str, Any]:
    """A reply as it should be."""
    entries = [{"token": word + " ", "logprob": -0.1, "bytes": None} for word in WORDS.split()]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": WORDS},
        "finish_reason": "stop",
        "logprobs": {"content": entries} if dice.random() < 0.5 else None,
    }
    if dice.random() < 0.3:
        choice["message"]["reasoning_content"] = "let me see"  # type: ignore[index]
    usage: dict[str, Any] = {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 21}
    if dice.random() < 0.5:
        usage["prompt_tokens_details"] = {"cached_tokens": 4}
        usage["completion_tokens_details"] = {"reasoning_tokens": 2}
    return {"id": "x", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to everything in it."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from places(inner, (*path, key))


def mutant(dice: random.Random) -> bytes:
    """The bytes of a reply with something wrong."""
    said = sound(dice)
    for _ in range(dice.choice((1, 1, 2))):
        *way, last = dice.choice(list(places(said)))
        holder: Any = said
        for step in way:
            holder = holder[step]
        kind = dice.randrange(5)
        if kind == 0:
            del holder[last]
        elif kind == 1:
            holder[last] = copy.deepcopy(dice.choice(STRANGE))
        elif kind == 2:
            holder[last] = [holder[last]] if dice.random() < 0.5 else {"value": holder[last]}
        elif kind == 3:
            holder[last] = json.dumps(holder[last])
        elif isinstance(holder, dict):
            holder[str(last) + "_"] = holder.pop(last)
        if not list(places(said)):
            break
    raw = json.dumps(said).encode()
    odd = dice.random()
    if odd < 0.1:
        return raw[: dice.randrange(len(raw))]
    if odd < 0.15:
        at = dice.randrange(len(raw))
        return raw[:at] + bytes([dice.randrange(256)]) + raw[at + 1 :]
    if odd < 0.17:
        return b"[" * 50_000 + raw
    return raw


def fault_of(raw: bytes, done: Any) -> str:
    """What is wrong with a delivery for this reply, if anything."""
    if isinstance(done, BaseException):
        return f"raised {done!r}"
    [delivery] = done
    if not delivery.completions and not delivery.error:
        return "neither a copy nor an error"
    if "Traceback" in delivery.error or len(delivery.error) > 600:
        return f"an error that is none: {delivery.error[:200]}"
    if min(delivery.usage.input, delivery.usage.output, delivery.usage.cached, delivery.usage.reasoning) < 0:
        return f"negative usage {delivery.usage}"
    if WORDS.encode() in raw and not delivery.usage.output:
        return f"text settled as nothing: {delivery}"
    if any(copy.text for copy in delivery.completions) and not delivery.usage.output:
        return f"text settled as nothing: {delivery}"
    return ""


async def attack(count: int, seed: int, at_once: int = 32) -> tuple[Counter[str], list[tuple[bytes, str]]]:
    """How the deliveries ended, and every reply that did harm."""
    dice = random.Random(seed)
    todo = [mutant(dice) for _ in range(count)]
    serving: dict[str, bytes] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
                body = json.loads(await reader.readexactly(size))
                raw = serving[body["messages"][0]["content"]]
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(raw) + raw)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    engine = Http(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", patience=PATIENCE)
    ends, harm = Counter[str](), list[tuple[bytes, str]]()
    numbers = iter(range(count))

    async def work() -> None:
        for at in numbers:
            name = f"reply {at}"
            serving[name] = todo[at]
            call = Call(CALL.arm, Ask((Message("user", name),)), name, "p", max_tokens=64)
            try:
                done: Any = await engine.complete([call])
            except Exception as error:  # noqa: BLE001 (any at all is what is looked for)
                done = error
            if fault := fault_of(todo[at], done):
                harm.append((todo[at][:2000], fault))
            elif not isinstance(done, BaseException):
                [one] = done
                kind = "an error" if one.error else "an answer"
                ends[f"{kind}, {'own count' if one.usage.estimated else 'as told'}"] += 1

    await asyncio.gather(*(work() for _ in range(at_once)))
    await engine.close()
    server.close()
    return ends, harm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    began = time.perf_counter()
    ends, harm = asyncio.run(attack(asked.count, asked.seed))
    for kind, count in ends.most_common():
        print(f"{count:>8,}  {kind}")
    for raw, fault in harm[:5]:
        print(f"{fault}\n    {raw[:500]!r}")
    print(f"{len(harm):>8,}  did harm, of {asked.count:,} in {time.perf_counter() - began:.0f} s")
    raise SystemExit(bool(harm))


if __name__ == "__main__":
    main()
