import asyncio
import gzip
import json
from pathlib import Path

import pytest

from outlay.engines.recorded import Recorded, Row, read
from outlay.errors import InputError, UsageError
from outlay.types import Arm, Ask, Call, Completion, Confidence, Delivery, Price, Prompt, Test, Usage

SMALL = Arm("small", "recorded", max_tokens=200, price=Price(1_000_000, 2_000_000))
CHECK = Arm("visible", "recorded", role="check")


def row(prompt: str = "p", arm: str = "small", draw: int = 0, **other: object) -> dict[str, object]:
    base = {
        "prompt": prompt,
        "arm": arm,
        "draw": draw,
        "text": f"{prompt} {arm} {draw}",
        "input": 10,
        "output": 20,
    }
    return {**base, **other}


def rows(*raw: dict[str, object]) -> list[Row]:
    return [Row(**one) for one in raw]  # type: ignore[arg-type]


def ask(prompt: str = "p", ordinal: int = 0, n: int = 1, arm: Arm = SMALL, max_tokens: int = 200) -> Call:
    return Call(arm, Ask(()), prompt_id=prompt, ordinal=ordinal, n=n, max_tokens=max_tokens)


def check(handle: str) -> Call:
    return Call(CHECK, Test(Prompt("p", ()), "", "", handle), prompt_id="p")


def one(engine: Recorded, call: Call) -> Delivery:
    return asyncio.run(engine.complete([call]))[0]


TEN = rows(*(row(draw=k) for k in range(10)))


def test_ten_draws_are_all_there_once_in_an_order_of_the_seed():
    texts = {
        seed: [one(Recorded(TEN, seed), ask(ordinal=k)).completions[0].text for k in range(10)]
        for seed in (1, 2)
    }
    assert sorted(texts[1]) == sorted(texts[2]) == [f"p small {k}" for k in range(10)]
    assert texts[1] != texts[2]


def test_copies_are_the_same_bought_at_once_or_one_by_one_and_whatever_the_order_of_the_file():
    together = one(Recorded(TEN, 3), ask(ordinal=2, n=4)).completions
    apart = tuple(one(Recorded(TEN[::-1], 3), ask(ordinal=k)).completions[0] for k in range(2, 6))
    assert together == apart


def test_beyond_the_recording_is_an_error_that_names_prompt_arm_and_count():
    done = one(Recorded(TEN), ask(ordinal=8, n=4))
    assert len(done.completions) == 2
    assert done.usage == Usage(10, 40)
    for word in ("'p'", "'small'", "10 recorded", "8 to 11"):
        assert word in done.error


def test_an_unknown_prompt_is_an_error_that_costs_nothing():
    done = one(Recorded(TEN), ask("q"))
    assert (done.completions, done.usage) == ((), Usage())
    assert "0 recorded" in done.error
    assert Recorded(TEN).available("q", "small") == 0
    assert Recorded(TEN).available("p", "small") == 10


def test_a_prompt_shared_by_copies_is_read_once_and_written_tokens_add_up():
    assert one(Recorded(TEN), ask(n=3)).usage == Usage(10, 60)


def test_worst_is_the_arms_largest_output_per_copy_under_the_cap_and_the_prompts_own_input():
    engine = Recorded(rows(row("p", output=50, input=7), row("q", output=500, input=90, ms=40)))
    worst = engine.worst(ask("p", n=2))
    assert (worst.outtok, worst.tok, worst.usd, worst.ms) == (400, 407, 807, 40)
    assert engine.worst(ask("p", max_tokens=30)).outtok == 30
    assert engine.expected(ask("p", n=2)).outtok == 2 * 200
    assert engine.expected(ask("p", n=2)).tok == 48 + 2 * 200


def test_a_cap_cuts_the_text_and_takes_confidence_and_verdicts_away():
    recorded = rows(row(text="abcdefghij", output=100, confidence=(-1, -2, -3), verdicts={"visible": True}))
    engine = Recorded(recorded)
    whole = one(engine, ask()).completions[0]
    assert whole.confidence == Confidence(-1, -2, -3)
    cut = one(engine, ask(max_tokens=40)).completions[0]
    assert (cut.text, cut.finish, cut.output_tokens, cut.confidence) == ("abcd", "length", 40, None)
    assert one(engine, check(cut.handle)).completions[0].passed is None


def test_a_recorded_answer_comes_back_in_place_of_its_text_unless_it_was_cut():
    engine = Recorded(rows(row(text="long words that end in 7", answer="7", output=100)))
    assert one(engine, ask()).completions[0].text == "7"
    assert one(engine, ask(max_tokens=50)).completions[0].text == "long words t"


def test_where_only_the_answer_was_kept_a_cut_leaves_none():
    engine = Recorded(rows(row(text="", answer="7", output=100)))
    assert one(engine, ask(max_tokens=50)).completions[0].text == ""


def test_what_was_cached_thought_and_estimated_is_billed_as_such():
    recorded = rows(
        row(input=10, cached=8, output=20, reasoning=15),
        row(draw=1, input=10, cached=6, output=20, reasoning=5, estimated=True),
    )
    assert one(Recorded(recorded), ask(n=2)).usage == Usage(10, 40, 6, 20, estimated=True)
    assert one(Recorded(recorded), ask(n=2, max_tokens=10)).usage == Usage(10, 20, 6, 15, estimated=True)


def test_all_but_the_name_of_a_draw_may_be_missing(tmp_path: Path):
    path = tmp_path / "recording.jsonl"
    path.write_text('{"prompt": "p", "arm": "small", "draw": 0}')
    assert list(read(path)) == [Row("p", "small", 0)]
    assert one(Recorded.load(path), ask()) == Delivery((Completion("", handle=Row("p", "small", 0).handle),))


def test_a_file_that_was_cut_is_told_apart_from_one_that_ended(tmp_path: Path):
    path = tmp_path / "recording.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(row()).encode() * 99)[:-9])
    with pytest.raises(UsageError, match="not whole"):
        Recorded.load(path)
    path.write_text("plain")
    with pytest.raises(UsageError, match="not whole"):
        Recorded.load(path)


def test_parquet_that_is_none_is_told(tmp_path: Path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "recording.parquet"
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(UsageError, match="cannot be read as parquet"):
        Recorded.load(path)


def test_a_check_returns_the_verdict_that_was_recorded_for_this_draw():
    verdicts = [True, False, None]
    engine = Recorded(rows(*(row(draw=k, verdicts={"visible": verdicts[k]}) for k in range(3))), seed=5)
    for copy in one(engine, ask(n=3)).completions:
        done = one(engine, check(copy.handle))
        assert done == Delivery((Completion("", passed=verdicts[int(copy.text[-1])]),))


def test_a_check_exists_where_any_draw_has_a_verdict():
    engine = Recorded(
        rows(row(verdicts={"visible": None}), row(draw=1, verdicts={"visible": False}), row("q"))
    )
    assert engine.has_check("p", "visible")
    assert not engine.has_check("q", "visible")
    assert not engine.has_check("p", "hidden")


def test_a_check_of_a_text_that_was_never_recorded_is_an_error():
    done = one(Recorded(TEN), check("elsewhere"))
    assert not done.completions
    assert "elsewhere" in done.error


def test_a_draw_recorded_twice_is_refused():
    with pytest.raises(UsageError, match="recorded twice"):
        Recorded(TEN + TEN[:1])


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_files_of_every_form_give_the_same_engine(tmp_path: Path, suffix: str):
    raw = [
        row(
            draw=0,
            answer="4",
            ms=12,
            finish="stop",
            confidence=[-1.0, -2.0, -3.0],
            verdicts={"visible": True, "lint": None},
        ),
        row(draw=1, answer=None, finish="length", confidence=None, verdicts={"visible": False, "lint": None}),
    ]
    path = tmp_path / f"recording{suffix}"
    text = "".join(json.dumps(one) + "\n" for one in raw) + "\n"
    if suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        parquet = pytest.importorskip("pyarrow.parquet")
        parquet.write_table(pyarrow.Table.from_pylist(raw), path)
    elif suffix == ".jsonl":
        path.write_text(text)
    else:
        path.write_bytes(gzip.compress(text.encode()))
    engine = Recorded.load(path, seed=1)
    expected = Recorded(rows(*raw), seed=1)
    assert engine.arms() == ("small",)
    assert one(engine, ask(n=2)) == one(expected, ask(n=2))
    assert engine.has_check("p", "visible")
    assert not engine.has_check("p", "lint")


def test_gold_and_other_unknown_fields_do_not_enter(tmp_path: Path):
    path = tmp_path / "recording.jsonl"
    path.write_text(json.dumps(row(gold="42")))
    [one] = read(path)
    assert not hasattr(one, "gold")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"prompt": "p"}', ["line 2", "arm"]),
        ('{"prompt": "p", "arm": "a", "draw": "0", "text": "", "input": 1, "output": 1}', ["line 2", "draw"]),
        ("{", ["line 2", "not JSON"]),
    ],
)
def test_a_bad_row_names_its_line_and_field(tmp_path: Path, line: str, words: list[str]):
    path = tmp_path / "recording.jsonl"
    path.write_text(json.dumps(row()) + "\n" + line + "\n")
    with pytest.raises(InputError) as caught:
        Recorded.load(path)
    for word in words:
        assert word in str(caught.value)


def test_a_missing_file_says_what_to_give(tmp_path: Path):
    with pytest.raises(UsageError, match=r"no recording at .*nothing\.jsonl"):
        Recorded.load(tmp_path / "nothing.jsonl")
