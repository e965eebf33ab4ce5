"""Probes against a real server process that honours, ignores or refuses on demand."""

import asyncio
import functools
import json
import runpy
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlay.engines.http.asking import Line, Purse
from outlay.engines.http.chat import LLAMA_PLAIN
from outlay.engines.http.probe import CAPABILITIES, Report, at_most, probe
from outlay.engines.http.roster import Listed, served
from outlay.errors import UpstreamError, UsageError
from outlay.types import Budget, Price

SERVER = Path(__file__).parents[2] / "servers" / "picky_server.py"
serving = runpy.run_path(str(SERVER), run_name="picky_server")["serving"]
KEY = "sk-canary-4711"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as address:
        yield address


FREE = Price()


def asked(url: str, name: str, purse: Purse | None = None, price: Price = FREE, key: str = "") -> Report:
    async def run() -> Report:
        line = Line(url, key)
        try:
            return await probe(line, Listed(name), purse=purse, price=price)
        finally:
            await line.close()

    return asyncio.run(run())


@functools.cache
def report_on(url: str, name: str) -> Report:
    return asked(url, name)


def listed(url: str, key: str = "") -> list[Listed]:
    async def run() -> list[Listed]:
        line = Line(url, key)
        try:
            return await served(line)
        finally:
            await line.close()

    return asyncio.run(run())


def requests_for(url: str, name: str) -> int:
    with urllib.request.urlopen(url.replace("/v1", "/seen")) as got:
        return int(json.load(got).get(name, 0))


def test_a_sound_server_honours_what_it_honours_and_nothing_is_believed_beyond(url: str):
    report = asked(url, "sound")
    assert [one.capability for one in report.findings] == list(CAPABILITIES)
    honoured = {one.capability for one in report.findings if one.status == "honoured"}
    assert honoured == {
        "max_tokens",
        "n",
        "seed",
        "logprobs",
        "usage",
        "usage with n",
        "greedy",
        "stop",
        "prefix",
        "json schema",
    }
    assert (report.status("effort"), report.status("think mode")) == ("ignored", "ignored")
    assert (report.status("thinking cap"), report.status("context")) == ("unknown", "unknown")
    assert not report.thinks
    assert not report.stopped


@pytest.mark.parametrize(
    ("name", "capability", "status", "evidence"),
    [
        ("n-ignored", "n", "ignored", "2 copies were asked for, 1 came back"),
        ("n-refused", "n", "refused", "'n' is not supported"),
        ("n-refused+shape-detail", "n", "refused", "Extra inputs are not permitted"),
        ("n-refused+shape-silent", "n", "refused", "bad request"),
        ("n-alike", "n", "ignored", "the same text"),
        ("seed-ignored", "seed", "ignored", "The same seed gave two texts"),
        ("seed-refused", "seed", "refused", "'seed' is not supported"),
        ("seed-refused+shape-detail", "seed", "refused", "422 "),
        ("seed-refused+shape-silent", "seed", "refused", "bad request"),
        ("seed-dull", "seed", "unknown", "Every seed gave the same text"),
        ("logprobs-ignored", "logprobs", "ignored", "No log-probabilities"),
        ("logprobs-refused", "logprobs", "refused", "'logprobs' is not supported"),
        ("usage-none", "usage", "ignored", "No count of tokens"),
        ("usage-none", "usage with n", "ignored", "No count of tokens"),
        ("usage-zero", "usage", "ignored", "It says 0 tokens"),
        ("usage-one", "usage with n", "ignored", "It says 16 tokens, and the two copies hold 32"),
        ("usage-one+logprobs-ignored", "usage with n", "ignored", "the two copies hold 32"),
        ("max-completion", "max_tokens", "honoured", "as max_completion_tokens"),
        ("max-ignored", "max_tokens", "ignored", "16 tokens were allowed, 40 came back"),
        ("greedy-noisy", "greedy", "ignored", "two texts came back"),
        ("greedy-refused", "greedy", "refused", "does not support 0"),
        ("cached", "cached tokens", "honoured", "when asked again"),
        ("stop-ignored", "stop", "ignored", "It went on beyond"),
        ("stop-refused", "stop", "refused", "'stop' is not supported"),
        ("prefix-ignored", "prefix", "ignored", "A new answer began: 'one, two,"),
        ("prefix-refused", "prefix", "refused", "the last message must come from the user"),
        ("prefix-repeats", "prefix", "honoured", "went on with 'FIVE'"),
        ("schema-ignored", "json schema", "ignored", "It answered 'Hello there"),
        ("schema-refused", "json schema", "refused", "'response_format' is not supported"),
        ("effort-refused", "effort", "refused", "'reasoning_effort' is not supported"),
        ("effort-honoured", "effort", "honoured", "24 and 24 tokens at low, 154 and 154 at high"),
        ("effort-honoured+hidden", "effort", "honoured", "24 and 24 tokens at low, 154 and 154"),
        ("effort-once+think", "effort", "unknown", "longer on one question only"),
        ("think", "effort", "ignored", "the same text"),
        ("think", "think mode", "ignored", "the same text"),
        ("think-switch", "think mode", "honoured", "4 tokens with thinking off, 64 with it on"),
        ("think-switch+inline", "think mode", "honoured", "64 with it on"),
        ("think-switch+hidden", "think mode", "honoured", "64 with it on"),
        ("kwargs-refused", "think mode", "refused", "'chat_template_kwargs' is not supported"),
        ("think", "thinking cap", "ignored", "Capped at 16 tokens it thinks 60, else 60"),
        ("think+cap-honoured", "thinking cap", "honoured", "it thinks 16, else 60"),
        ("think+cap-refused", "thinking cap", "refused", "not supported"),
        ("think-switch+cap-honoured", "thinking cap", "honoured", "it thinks 16, else 60"),
        ("think", "json schema", "honoured", "the form"),
        ("think", "stop", "honoured", "It stopped before"),
        ("limited", "n", "honoured", "2 copies"),
    ],
)
def test_what_comes_back_decides(url: str, name: str, capability: str, status: str, evidence: str):
    report = report_on(url, name)
    found = next(one for one in report.findings if one.capability == capability)
    assert (found.status, evidence in found.evidence) == (status, True), found
    assert found.remedy or status in ("honoured", "unknown")


EVERYTHING = "+".join(
    f"{name}-refused"
    for name in ["n", "seed", "logprobs", "effort", "kwargs", "cap", "stop", "schema", "greedy"]
)


@pytest.mark.parametrize(
    "name",
    [
        "sound",
        "think",
        "think-switch+effort-honoured",
        "usage-none",
        "n-ignored",
        f"{EVERYTHING}+think",
        f"{EVERYTHING}+think+shape-silent",
        f"{EVERYTHING}+think+shape-detail",
    ],
)
def test_a_probe_stays_below_what_it_announces(url: str, name: str):
    calls, worst = at_most()
    report = report_on(url, name)
    assert report.calls <= calls
    assert report.spent.tok <= worst.tok
    assert report.spent.outtok <= worst.outtok


@pytest.mark.parametrize("name", ["sound", "think", "seed-refused+shape-silent", "broken", "usage-none"])
@pytest.mark.parametrize("limit", [1, 300, 700, 1500, 4000])
def test_a_probe_never_exceeds_its_budget(url: str, name: str, limit: int):
    purse = Purse(Budget(tok=limit))
    report = asked(url, name, purse)
    assert report.spent.tok <= limit
    assert purse.spent == report.spent
    if limit == 1:
        assert report.calls == 0
        assert {one.status for one in report.findings} == {"unknown"}
        assert "--budget" in report.stopped


def test_dollars_are_charged_at_the_price(url: str):
    price = Price(1_000_000_000, 2_000_000_000)
    report = asked(url, "sound", price=price)
    assert report.spent.usd == (report.spent.tok + report.spent.outtok) * 1_000
    small = Purse(Budget(usd=report.spent.usd // 2))
    assert asked(url, "sound", small, price).spent.usd <= report.spent.usd // 2


def test_time_is_a_limit_too(url: str):
    report = asked(url, "sound+slow", Purse(Budget(ms=600)))
    assert report.calls <= 2  # one answer, and one that was given up
    assert report.status("json schema") == "unknown"


def test_where_max_tokens_is_ignored_nothing_more_is_asked(url: str):
    report = asked(url, "max-ignored+x")
    assert requests_for(url, "max-ignored+x") == 1
    assert "max_tokens is ignored" in report.stopped
    assert report.spent.outtok == 40


def test_refused_requests_cost_nothing(url: str):
    sound, picky = asked(url, "sound"), asked(url, "seed-refused")
    assert picky.calls == sound.calls


def test_a_server_that_fails_is_named_and_asked_no_more(url: str):
    report = asked(url, "broken+y")
    assert "500 out of memory" in report.stopped
    assert requests_for(url, "broken+y") == 3
    assert report.spent.tok > 0


def test_a_missing_model_and_a_wrong_key_say_what_to_mend(url: str):
    with pytest.raises(UpstreamError, match="404 no such model; mend OPENAI_BASE_URL"):
        asked(url, "gone")
    with serving(key="right") as strict:
        with pytest.raises(
            UpstreamError, match=r"401 Incorrect API key provided: Bearer \*\*\*; set OPENAI_API_KEY"
        ) as caught:
            asked(strict, "sound", key=KEY)
        assert KEY not in str(caught.value)
        with pytest.raises(
            UpstreamError, match="answers 401 when asked for its models; check OPENAI_API_KEY"
        ):
            listed(strict, KEY)
        assert [one.name for one in listed(strict, "right")] == ["sound"]


def test_what_an_endpoint_tells_about_its_models_is_read():
    rows = [
        {"id": "a", "owned_by": "vllm", "max_model_len": 4096},
        {"id": "b", "pricing": {"prompt": "0.00000015", "completion": "0.0000006"}, "context_length": 8000},
        {"id": "c", "pricing": {"prompt": "-1", "completion": "free"}, "meta": {"n_params": 135}},
    ]
    with serving(models=rows) as told:
        assert listed(told) == [
            Listed("a", "vLLM", 4096),
            Listed("b", "", 8000, 0, Price(150_000_000, 600_000_000)),
            Listed("c", "", 0, 135),
        ]


def test_llama_cpp_is_recognized_and_tells_its_context():
    with serving(llama=True) as llama:
        [one] = listed(llama)
        assert one.server == "llama.cpp"

        async def run(extra: dict[str, float]) -> Report:
            line = Line(llama)
            try:
                return await probe(line, one, extra=extra)
            finally:
                await line.close()

        report = asyncio.run(run({}))
        assert report.context == 2048
        assert "cuts its samples, by top_k 40 and min_p 0.05" in str(report.findings)
        assert asyncio.run(run(dict(LLAMA_PLAIN))).status("plain samples") == "honoured"


def test_an_endpoint_that_is_not_there_or_lists_nothing_says_so():
    with pytest.raises(UpstreamError, match=r"http://127.0.0.1:9/v1 cannot be reached: .*OPENAI_BASE_URL"):
        listed("http://127.0.0.1:9/v1")
    missing = pytest.raises(UpstreamError, match="answers 404 when asked for its models; name models")
    with serving(no_list=True) as silent, missing:
        listed(silent)
    with pytest.raises(UsageError, match="is no endpoint"):
        Line("localhost:8000")


def test_a_login_in_the_address_is_not_shown():
    assert Line("http://user:secret@127.0.0.1:9/v1?token=x").shown == "http://127.0.0.1:9/v1"
