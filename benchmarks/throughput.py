"""Requests per second of a whole run against those of the OpenAI SDK's async client, on the same mock endpoint.

    python -m venv SDK && SDK/bin/pip install openai uvloop
    python benchmarks/throughput.py --sdk SDK/bin/python [--in-flight 64,256] [--calls 4000] [--profile FILE]

The endpoint is a server of its own in another process, answers after 20 ms, and logs nothing. Ours is what `outlay.run`
starts, with `uniform:1`, a journal on disk and a budget in tokens: everything that a run does. The SDK's is its client
in its default setting in a loop of as many workers, on asyncio's own event loop, as ours, and once more on uvloop; `x`
and `x uv` say how many times its rate ours is. The bare row is aiohttp posting the same bytes. All take turns in one
call of this script, each in a process of its own, after a warm-up that is not counted; the median of `--rounds` is
printed, and what the mock itself can do is above all of them.
"""

import argparse
import asyncio
import cProfile
import json
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

REPLY = {
    "id": "x",
    "object": "chat.completion",
    "created": 0,
    "model": "mock",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "The answer is 42."},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 30, "completion_tokens": 6, "total_tokens": 36},
}
DELAY_S = 0.02


class Rate(NamedTuple):
    """Calls per second of wall clock, and processor milliseconds a call."""

    per_s: float
    cpu_ms: float


SDKS = ("sdk", "sdk-uv")
SDK = """
import asyncio, sys, time
from openai import AsyncOpenAI

async def main(url, in_flight, calls):
    async with AsyncOpenAI(base_url=url, api_key="none") as client:
        async def some(numbers):
            for at in numbers:
                await client.chat.completions.create(
                    model="mock", messages=[{"role": "user", "content": f"What is {at} plus one?"}], max_tokens=64
                )
        async def all_of(count):
            numbers = iter(range(count))
            await asyncio.gather(*(some(numbers) for _ in range(in_flight)))
        await all_of(in_flight)
        began, worked = time.perf_counter(), time.process_time()
        await all_of(calls)
        print(calls / (time.perf_counter() - began), 1000 * (time.process_time() - worked) / calls)

if sys.argv[4] == "sdk-uv":
    import uvloop
    run = uvloop.run
else:
    run = asyncio.run
run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


def serve() -> None:
    """The mock: a bare protocol, so that it is as little of the machine as can be."""
    raw = json.dumps(REPLY).encode()
    said = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(raw),
        raw,
    )

    class Mock(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport, self.buffer = transport, b""

        def data_received(self, data: bytes) -> None:
            self.buffer += data
            while (at := self.buffer.find(b"\r\n\r\n")) >= 0:
                head = self.buffer[:at].lower()
                start = head.find(b"content-length:")
                size = int(head[start + 15 :].split(b"\r\n", 1)[0]) if start >= 0 else 0
                if len(self.buffer) < at + 4 + size:
                    return
                self.buffer = self.buffer[at + 4 + size :]
                asyncio.get_running_loop().call_later(DELAY_S, self.answer)

        def answer(self) -> None:
            if not self.transport.is_closing():
                self.transport.write(said)

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Mock, "127.0.0.1", 0, backlog=1024)
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

    asyncio.run(main())


async def bare(url: str, in_flight: int, calls: int) -> Rate:
    """Of aiohttp alone."""
    import aiohttp

    def body(at: int) -> bytes:
        messages = [{"role": "user", "content": f"What is {at} plus one?"}]
        return json.dumps({"model": "mock", "messages": messages, "max_tokens": 64}).encode()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def some(numbers: "asyncio.Queue[int]") -> None:
            while not numbers.empty():
                data = body(numbers.get_nowait())
                headers = {"Content-Type": "application/json"}
                async with session.post(f"{url}/chat/completions", data=data, headers=headers) as got:
                    json.loads(await got.read())

        async def all_of(count: int) -> None:
            numbers: asyncio.Queue[int] = asyncio.Queue()
            for at in range(count):
                numbers.put_nowait(at)
            await asyncio.gather(*(some(numbers) for _ in range(in_flight)))

        await all_of(in_flight)
        began, worked = time.perf_counter(), time.process_time()
        await all_of(calls)
        return Rate(calls / (time.perf_counter() - began), 1000 * (time.process_time() - worked) / calls)


def ours(url: str, in_flight: int, calls: int, profile: str) -> Rate:
    """Of a run."""
    from outlay.api.streaming import at_once
    from outlay.driver import Job
    from outlay.engines.http import Http
    from outlay.types import Arm, Budget, Message, Prompt

    def job(count: int, directory: Path) -> Job:
        prompts = tuple(
            Prompt(f"p{at}", (Message("user", f"What is {at} plus one?"),), "number") for at in range(count)
        )
        engine = Http(url, "none", concurrency=in_flight)
        return Job(
            prompts,
            (Arm("mock", "http", model="mock", max_tokens=64),),
            {"http": engine},
            policy="uniform:1",
            budget=Budget(tok=count * 1_000),
            directory=directory,
            at_once={"http": in_flight},
        )

    with tempfile.TemporaryDirectory() as folder:
        at_once(job(in_flight, Path(folder) / "warm"))
        whole = job(calls, Path(folder) / "run")
        profiler = cProfile.Profile() if profile else None
        began, worked = time.perf_counter(), time.process_time()
        if profiler:
            profiler.enable()
        summary, answers = at_once(whole)
        took, worked = time.perf_counter() - began, time.process_time() - worked
        if profiler:
            profiler.disable()
            with Path(profile).open("w") as out:
                pstats.Stats(profiler, stream=out).sort_stats("tottime").print_stats(45)
        assert len(answers) == calls
        assert summary.outcomes == {"answered": calls}, summary.outcomes
    return Rate(calls / took, 1000 * worked / calls)


def one(what: str, url: str, in_flight: int, calls: int, sdk: str, profile: str) -> Rate:
    """One measurement in a process of its own."""
    args = [url, str(in_flight), str(calls)]
    if what in SDKS:
        command = [sdk, "-c", SDK, *args, what]
    else:
        command = [
            sys.executable,
            __file__,
            "--one",
            what,
            *args,
            *(["--profile", profile] if profile else []),
        ]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return Rate(*map(float, said.split()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sdk", default="", help="a Python that has the package openai")
    parser.add_argument("--in-flight", default="64,256")
    parser.add_argument("--calls", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", default="", help="write the profile of our run to this file")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve()
        return
    if asked.one:
        what, url, in_flight, calls = asked.one
        if what == "aiohttp":
            print(*asyncio.run(bare(url, int(in_flight), int(calls))))
        else:
            print(*ours(url, int(in_flight), int(calls), asked.profile))
        return
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        url = f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        rows = ["aiohttp", "outlay", *(SDKS if asked.sdk else ())]
        print(
            f"{'in flight':>9}"
            + "".join(f"  {row + '/s':>8}  {'cpu ms':>6}" for row in rows)
            + ("     x  x uv" if asked.sdk else "")
        )
        for in_flight in map(int, asked.in_flight.split(",")):
            seen: dict[str, list[Rate]] = {row: [] for row in rows}
            for _ in range(asked.rounds):
                for row in rows:
                    calls = asked.calls // 4 if row in SDKS else asked.calls
                    seen[row].append(one(row, url, in_flight, calls, asked.sdk, asked.profile))
            mid = {
                row: Rate(*(statistics.median(column) for column in zip(*rates, strict=True)))
                for row, rates in seen.items()
            }
            cells = "".join(f"  {mid[row].per_s:>8,.0f}  {mid[row].cpu_ms:>6.2f}" for row in rows)
            times = (mid["outlay"].per_s / mid[row].per_s for row in SDKS if asked.sdk)
            print(f"{in_flight:>9}{cells}" + "".join(f"  {ratio:>4.1f}" for ratio in times), flush=True)
        if not asked.sdk:
            print("without --sdk there is no SDK to compare with; see the head of this script")
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


if __name__ == "__main__":
    main()
