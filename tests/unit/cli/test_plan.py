import json
from pathlib import Path

import pytest

from outlay.cli import main
from outlay.cli.estimate import answers_each, estimate
from outlay.config import Settings, parse_budget

ROWS = [{"id": "a", "prompt": "4,7,3:25"}, {"id": "b", "prompt": "4,7,3:25"}, {"id": "b", "prompt": "again"}]


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return "rows.jsonl"


def test_a_plan_orders_low_expected_and_worst(file: str):
    plan = estimate(file, Settings())
    assert [offer.model for offer in plan.offers] == ["short", "think"]
    for offer in plan.offers:
        assert 0 < offer.all.low.tok < offer.all.expected.tok < offer.all.worst.tok


def test_a_plan_says_what_the_budget_buys(file: str):
    plan = estimate(file, Settings(budget=parse_budget("1ktok", "2usd")))
    short = plan.offers[0]
    assert answers_each(plan, short, "tok") == pytest.approx(1000 / short.all.expected.tok)
    assert answers_each(plan, short, "usd") is None


def test_a_plan_spends_nothing_and_writes_nothing(file: str, capsys: pytest.CaptureFixture[str]):
    assert main(["plan", file, "--budget", "1ktok"]) == 0
    assert sorted(path.name for path in Path().iterdir()) == [file]
    text = capsys.readouterr().out
    assert "2 read, 1 row refused" in text
    assert "is the id of line 2 already" in text
    assert "estimates" in text
    assert text.count("unknown without a fit or a paid pilot") == 1


def test_a_plan_knows_dollars_where_there_are_prices(
    file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    assert main(["plan", file, "--models", "small@0.15/0.60", "--budget", "2usd"]) == 0
    assert "$" in capsys.readouterr().out


def test_a_plan_as_json_is_data_alone(file: str, capsys: pytest.CaptureFixture[str]):
    assert main(["plan", file, "--budget", "1ktok", "--json"]) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["prompts"], plan["refused_rows"], plan["estimated"]) == (2, 1, True)
    assert plan["one_answer_each"][0]["expected"]["tok"] > 0


@pytest.mark.parametrize(
    ("budget", "words"), [("10Mtok", "{:,.0f}"), ("2ktok", "{:.2g}"), ("1tok", "under 0.01")]
)
def test_answers_a_prompt_are_plain_numbers(
    file: str, capsys: pytest.CaptureFixture[str], budget: str, words: str
):
    plan = estimate(file, Settings(budget=parse_budget(budget)))
    each = answers_each(plan, plan.offers[0], "tok")
    assert main(["plan", file, "--budget", budget]) == 0
    bought = capsys.readouterr().out.partition("of one model alone")[2]
    assert f" {words.format(each)}\n" in bought
    assert "e+" not in bought
    assert "e-" not in bought
