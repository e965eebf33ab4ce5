"""`outlay init` against a real server process; its file is one that `run` takes."""

import json
import runpy
from pathlib import Path

import pytest

from outlay.cli import exits, main
from outlay.cli.checkup import Seen
from outlay.cli.proposal import config_text, tiers
from outlay.config import Endpoint, arms_for, load, settings_of
from outlay.engines.http.chat import LLAMA_PLAIN
from outlay.engines.http.probe import CAPABILITIES, Finding, Report, thinking
from outlay.engines.http.probe.findings import Status
from outlay.engines.http.roster import Listed
from outlay.types import Cost, Price

SERVER = Path(__file__).parents[2] / "servers" / "picky_server.py"
serving = runpy.run_path(str(SERVER), run_name="picky_server")["serving"]
KEY = "sk-canary-4711"


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)


def seen_with(*reports: Report, prices: tuple[Price, ...] = (), listed: tuple[Listed, ...] = ()) -> Seen:
    given = prices or (Price(),) * len(reports)
    return Seen(
        endpoint=Endpoint("http", "http://api.example.com/v1"),
        shown="http://api.example.com/v1",
        key_set=True,
        listed=listed,
        unlisted="",
        reports=reports,
        failed={},
        prices={report.model: price for report, price in zip(reports, given, strict=True)},
        sources={report.model: "as written" for report in reports},
    )


def report(model: str, *, context: int = 0, thinks: bool = False, **statuses: Status) -> Report:
    known = {name.replace("_", " "): status for name, status in statuses.items()}
    findings = tuple(
        Finding(name, known.get(name, "unknown"), 'said "so"\nand\x1b so') for name in CAPABILITIES
    )
    return Report(model, findings, Cost(), 1, context=context, thinks=thinks)


def test_what_is_written_is_a_config_that_a_run_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    models = ["7b", "max-ignored", "0.5b+think-switch+effort-honoured+seed-refused", "1.5b+think-switch"]
    with serving(models=models, llama=True) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert main(["init"]) == exits.DONE
        out, err = capsys.readouterr()
    text = (tmp_path / "outlay.toml").read_text()
    assert KEY not in text + out + err
    settings = load(tmp_path / "outlay.toml")
    assert [arm.name for arm in arms_for(settings, endpoint=False)] == [
        "0.5b+think-switch+effort-honoured+seed-refused-short:greedy",
        "0.5b+think-switch+effort-honoured+seed-refused-short",
        "0.5b+think-switch+effort-honoured+seed-refused-low",
        "0.5b+think-switch+effort-honoured+seed-refused-high",
        "1.5b+think-switch-short:greedy",
        "1.5b+think-switch-short",
        "1.5b+think-switch-think",
        "7b:greedy",
        "7b",
    ]
    [endpoint] = settings.endpoints
    assert (endpoint.name, endpoint.url, endpoint.key_env) == ("local", url, "OPENAI_API_KEY")
    assert endpoint.extra == LLAMA_PLAIN
    assert endpoint.modes == {"short": thinking(False), "think": thinking(True)}
    assert "# max-ignored is left out: max_tokens is ignored. 16 tokens were allowed, 40 came back." in text
    assert "3 models, cheap to dear, by size" in out
    assert "max-ignored is left out; the file says why" in out


def test_a_file_is_never_replaced_without_being_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    mine = tmp_path / "mine.toml"
    mine.write_text("seed = 3\n")
    with serving() as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert main(["init", "-o", "mine.toml"]) == exits.USAGE
        out, err = capsys.readouterr()
        assert (out, mine.read_text()) == ("", "seed = 3\n")
        assert err == "outlay: mine.toml is there already; --force replaces it, -o FILE writes another\n"
        assert main(["init", "-o", "mine.toml", "--force"]) == exits.DONE
        assert [model.name for model in load(mine).models] == ["sound"]


def test_json_says_what_was_written_and_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    with serving() as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert main(["init", "--models", "sound@0.15/0.60", "--json"]) == exits.DONE
    said = json.loads(capsys.readouterr().out)
    assert said["file"] == "outlay.toml"
    assert said["models"] == [
        {"name": "sound", "model": "sound", "mode": "", "temperature": [0.0, 0.8], "max_tokens": 1024}
    ]
    assert len(said["endpoint"]["models"][0]["findings"]) == len(CAPABILITIES)
    assert load(Path("outlay.toml")).models[0].price == Price(150_000_000, 600_000_000)


@pytest.mark.parametrize(
    ("address", "args", "code", "says"),
    [
        ("", (), exits.USAGE, "no endpoint is set: set OPENAI_BASE_URL"),
        ("http://me:secret@127.0.0.1:9/v1", (), exits.USAGE, "holds a login or a query"),
        ("http://127.0.0.1:9/v1?key=secret", (), exits.USAGE, "holds a login or a query"),
        ("http://127.0.0.1:9/v1", ("-o", "no/such/c.toml"), exits.USAGE, "no/such is no folder"),
        ("http://127.0.0.1:9/v1", (), exits.UPSTREAM, "cannot be reached: Connection refused"),
        ("127.0.0.1:9", (), exits.USAGE, "is no endpoint"),
    ],
)
def test_what_keeps_it_from_writing_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    address: str,
    args: tuple[str, ...],
    code: int,
    says: str,
):
    if address:
        monkeypatch.setenv("OPENAI_BASE_URL", address)
    assert main(["init", *args]) == code
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1
    assert "secret" not in err
    assert not list(Path().glob("*.toml"))


@pytest.mark.parametrize(
    ("models", "args", "code", "says"),
    [
        (["broken"], (), exits.UPSTREAM, "500 out of memory; nothing was written"),
        (["gone"], (), exits.UPSTREAM, "404 no such model"),
        ([], (), exits.UPSTREAM, "serves no model"),
        ([*"abcde"], (), exits.USAGE, "lists 5 models; name those to use"),
        (["sound"], ("--budget", "9tok"), exits.USAGE, "--budget is too small to ask sound; 10.8 ktok"),
    ],
)
def test_without_a_usable_model_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    models: list[str],
    args: tuple[str, ...],
    code: int,
    says: str,
):
    with serving(models=models) as url:
        monkeypatch.setenv("OPENAI_BASE_URL", url)
        assert main(["init", *args]) == code
    assert says in capsys.readouterr().err
    assert not list(Path().glob("*.toml"))


def test_tiers_go_by_price_then_by_size_then_as_given():
    big, small = report("big-7b"), report("small-70b")
    dear, cheap = Price(2, 8), Price(1, 4)
    by_price, why = tiers(seen_with(big, small, prices=(dear, cheap)))
    assert ([tier.report.model for tier in by_price], why) == (["small-70b", "big-7b"], "by price")
    by_size, why = tiers(seen_with(small, big, prices=(cheap, Price())))
    assert ([tier.report.model for tier in by_size], why) == (["big-7b", "small-70b"], "by size")
    told = (Listed("a", parameters=9), Listed("b", parameters=3))
    by_told, why = tiers(seen_with(report("a"), report("b"), listed=told))
    assert ([tier.report.model for tier in by_told], why) == (["b", "a"], "by size")
    as_given, why = tiers(seen_with(report("gpt-x"), big))
    assert [tier.report.model for tier in as_given] == ["gpt-x", "big-7b"]
    assert why.startswith("in the order given")


def test_ways_follow_from_findings():
    def ways(one: Report) -> list[tuple[str, tuple[float, ...], int]]:
        [tier], _ = tiers(seen_with(one))
        return [(way.mode, way.temperatures, way.max_tokens) for way in tier.ways]

    both = (0.0, 0.8)
    assert ways(report("m")) == [("", both, 1024)]
    assert ways(report("m", thinks=True)) == [("", (0.8,), 4096)]
    assert ways(report("m", context=1000)) == [("", both, 500)]
    assert ways(report("m", greedy="refused", thinks=True)) == [("", (1.0,), 4096)]
    assert ways(report("m", effort="honoured")) == [("low", both, 4096), ("high", both, 4096)]
    assert ways(report("m", effort="unknown", think_mode="ignored")) == [("", both, 1024)]
    assert ways(report("m", think_mode="honoured", thinks=True)) == [
        ("short", both, 1024),
        ("think", (0.8,), 4096),
    ]


def test_odd_names_and_words_of_a_server_stay_inside_their_quotes_and_comments():
    import tomllib

    odd = ['/models/a "b"\\c.gguf', "x,y@1\nz", "naïve\x7f[[model]]", "plain"]
    seen = seen_with(*(report(name, seed="refused", n="ignored") for name in odd))
    chosen, order = tiers(seen)
    settings = settings_of(tomllib.loads(config_text(seen, chosen, order)))
    assert [model.model or model.name for model in settings.models] == odd


def test_a_price_of_the_table_is_told_and_not_frozen():
    seen = seen_with(report("m"), prices=(Price(150_000_000, 600_000_000),))
    seen = Seen(**{name: getattr(seen, name) for name in Seen.__slots__} | {"sources": {"m": "by the table"}})
    chosen, order = tiers(seen)
    text = config_text(seen, chosen, order)
    assert "# price: 0.15 in, 0.6 out, dollars per million tokens, by the table" in text
    assert "price_in =" not in text
