"""Probes against llama.cpp's own server and a real, tiny model; the fixture is that of `test_llama`."""

import asyncio
import importlib.util
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest

from outlay.engines.http.asking import Line, Purse
from outlay.engines.http.probe import Report, at_most, probe
from outlay.engines.http.roster import served
from outlay.types import Budget

pytestmark = pytest.mark.real

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("the package xllamacpp, which holds llama.cpp's server, is not installed")
    model = runpy.run_path(str(HERE / "test_llama.py"), run_name="test_llama")["weights"]()
    serving = runpy.run_path(str(HERE.parent / "servers" / "llama_server.py"), run_name="llama_server")[
        "serving"
    ]
    with serving(model, 4, 1024, tmp_path_factory.mktemp("llama") / "log") as url:
        yield url


def look(url: str, budget: Budget) -> Report:
    async def run() -> Report:
        line = Line(url)
        try:
            [listed] = await served(line)
            return await probe(line, listed, purse=Purse(budget))
        finally:
            await line.close()

    return asyncio.run(run())


def test_a_real_server_is_seen_as_it_is(llama: str):
    report = look(llama, Budget())
    found = {one.capability: one.status for one in report.findings}
    told = {one.capability: one.evidence for one in report.findings}
    honoured = ("max_tokens", "n", "seed", "logprobs", "usage", "greedy", "cached tokens", "stop", "prefix")
    assert [name for name in (*honoured, "json schema", "context") if found[name] != "honoured"] == []
    # It counts one choice of n, cuts its samples, and knows no efforts.
    assert told["usage with n"] == "It says 16 tokens, and the two copies hold 32."
    assert [found[name] for name in ("usage with n", "plain samples", "effort")] == ["ignored"] * 3
    assert found["think mode"] in ("ignored", "refused")
    assert (report.server, report.context, report.thinks) == ("llama.cpp", 1024, False)
    calls, worst = at_most()
    assert report.calls <= calls
    assert report.spent.tok <= worst.tok


def test_a_budget_holds_against_a_real_server(llama: str):
    assert look(llama, Budget(tok=600)).spent.tok <= 600
