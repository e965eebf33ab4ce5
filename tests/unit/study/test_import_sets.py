"""Every known set, by a table of a few rows in its columns; the rows are made up."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from outlay.engines.recorded import Row
from outlay.errors import UsageError
from outlay.study.recording import ANY, Label
from outlay.study.recordings import Options, load
from outlay.study.recordings.sets import SHAPES

Table = Sequence[Mapping[str, Any]]


class Case(NamedTuple):
    """A set as it lies in a folder, and what becomes of it."""

    draws: Table
    rows: Sequence[Row]
    right: Sequence[Any]
    kinds: Sequence[str]
    beside: Mapping[str, Table] = {}
    gold: Mapping[str, Any] = {}
    groups: Sequence[str] = ()


def sure(probability: float) -> tuple[float, float, float]:
    log = round(math.log(probability), 5)
    return (log, log, log)


def mmlu(
    prompt: int, arm: str, answer: str | None, correct: int, tokens: int, p: float | None
) -> dict[str, Any]:
    return {"prompt": prompt, "arm": arm, "answer": answer, "correct": correct, "output_tokens": tokens,
            "logprob_confidence": p, "verbal_confidence": 0.5}  # fmt: skip


EPOCH = {"epoch": 1, "input_tokens": 7.0, "reasoning_tokens": None, "working_time_s": 1.5, "error": False}


def epoch(
    task: str, run: str, correct: float | None, answer: str | None, tokens: float | None, **other: Any
) -> Any:
    given = {"task": task, "prompt_id": "1", "run_id": run, "correct": correct, "answer": answer,
             "billed_output_tokens": tokens, "hit_limit": False}  # fmt: skip
    return EPOCH | given | other


CASES: dict[str, Case] = {
    "mmlu_pro_arms": Case(
        [mmlu(0, "q-think", "B", 1, 900, 0.9), mmlu(0, "q", None, 0, 40, None), mmlu(0, "o-mini", "A", 0, 60, None)],
        [
            Row("0", "q-think", 0, answer="B", output=900, confidence=sure(0.9), estimated=True),
            Row("0", "q", 0, output=40, estimated=True),
            Row("0", "o-mini", 0, answer="A", estimated=True),  # its thought was hidden: the tokens are no cost
        ],
        [True, False, False],
        ["choice:A-J"],
        {
            "arms": [{"arm": "o-mini", "plain_arm": None, "hidden_reasoning": True},
                     {"arm": "q", "plain_arm": None, "hidden_reasoning": False}],
            "prompts": [{"prompt": 0, "category": "law", "question": "Who?", "options": ["I", "You"], "gold": "B"}],
        },
        {"0": "B"},
        ["law"],
    ),
    "qwen_coder": Case(
        [{"task_id": "H/0", "model": "coder", "greedy": greedy, "sample": k, "code": "def f(): ...", "finish": "stop",
          "prompt_tokens": 9, "output_tokens": 4, "sum_logprob": -2.0, "low_window_logprob": -0.7,
          "tail_logprob": -0.4, "visible_check": check, "correct": right}
         for greedy, k, check, right in [(True, -1, None, True), (False, 0, True, True), (False, 1, False, False)]],
        [
            Row("H/0", arm, k, text="def f(): ...", input=9, output=4, confidence=(-0.5, -0.7, -0.4),
                verdicts={"visible": check})
            for arm, k, check in [("coder:greedy", 0, None), ("coder", 0, True), ("coder", 1, False)]
        ],
        [True, True, False],
        ["code"],
        {"prompts": [{"task_id": "H/0", "prompt": "def f():", "entry_point": "f", "examples": '[["f()", "1"]]'}]},
        groups=["example"],
    ),
    "cruxeval_direct": Case(
        [{"prompt_id": "c", "greedy": True, "sample": -1, "answer": "[1]", "parsed": True, "correct": True,
          "output_tokens": 4, "prompt_tokens": 50, "sum_logprob": -1.0, "finish": "stop"}],
        [Row("c", "model:greedy", 0, answer="[1]", input=50, output=4, confidence=(-0.25, -0.25, -0.25))],
        [True],
        [ANY],
    ),
    "boinf": Case(
        [{"dataset": "math", "model": "m", "prompt": 3, "sample": k, "answer": answer, "output_tokens": tokens,
          "correct": right} for k, answer, tokens, right in [(0, "7", 90, True), (1, "", 0, False)]],
        [Row("math/3", "m", 0, answer="7", output=90), Row("math/3", "m", 1)],
        [True, False],
        [ANY],
        groups=["math"],
    ),
    "cruxeval": Case(
        [{"prompt_id": "c", "model": "m", "mode": mode, "temperature": 0.8, "sample": 0, "correct": True,
          "answer": "'ab'", "answer_chars": 5} for mode in ("direct", "cot")],
        [
            Row("c", "m direct 0.8", 0, answer="'ab'", output=2, estimated=True),
            Row("c", "m cot 0.8", 0, answer="'ab'", estimated=True),
        ],
        [True, True],
        [ANY],
        {"prompts": [{"prompt_id": "c", "task": "output_prediction", "code": "def f(x): …", "given": "f(1)"}]},
        groups=["output_prediction"],
    ),
    "zeroeval": Case(
        [{"task": task, "prompt_id": f"{task}/1", "model": "m", "correct": True, "answer": "5", "output_chars": 9}
         for task in ("gsm", "math-l5")],
        [Row(f"{task}/1", "m", 0, answer="5", output=3, estimated=True) for task in ("gsm", "math-l5")],
        [True, True],
        ["number", ANY],
        {"prompts": [{"prompt_id": "gsm/1", "task": "gsm", "prompt": "2 + 3?", "gold": "5"}]},
        groups=["gsm", "math-l5"],
    ),
    "epoch_logs": Case(
        [
            epoch("AIME", "r1", 1.0, "70", 500.0),
            epoch("AIME", "r2", 0.0, "Let us see:\nfirst", 90.0),
            epoch("AIME", "r3", 1.0, None, None),
            epoch("patches", "r1", None, None, 30.0, hit_limit=True),
        ],
        [
            Row("AIME/1", "m high", 0, answer="70", input=7, output=500, ms=1500),
            Row("patches/1", "m high", 0, answer="m high 0", input=7, output=30, ms=1500, finish="length"),
        ],
        [1.0],
        [ANY, "text"],
        {"runs": [{"run_id": "r1", "model_short": "m", "reasoning_effort": "high", "reasoning_tokens_cap": None},
                  {"run_id": "r2", "model_short": "m", "reasoning_effort": None, "reasoning_tokens_cap": 9.0}],
         "prompts": [{"task": "AIME", "prompt_id": "1", "prompt": "Find n.", "target": "70"}]},
        groups=["AIME", "patches"],
    ),
    "routellm": Case(
        [{"prompt_id": "g/1", "task": "g", "prompt": "2 + 3?", "weak_correct": False, "strong_correct": True,
          "weak_chars": 8.0, "strong_chars": None}],
        [Row("g/1", "weak", 0, answer="weak 0", output=2, estimated=True), Row("g/1", "strong", 0, answer="strong 0")],
        [False, True],
        ["text"],
        groups=["g"],
    ),
    "farel_bench": Case(
        [{"prompt_id": "f/1", "model": "m", "prompt_style": "plain", "relation": "aunt", "answer": "2",
          "correct": True, "output_chars": 4}],
        [Row("f/1", "m plain", 0, answer="2", output=1, estimated=True)],
        [True],
        [ANY],
        {"prompts": [{"prompt_id": "f/1", "relation": "aunt", "prompt": "Who?"}]},
        groups=["aunt"],
    ),
    "linc": Case(
        [{"dataset": "folio", "prompt_id": "l/1", "model": "m", "mode": "cot", "shots": 2, "sample": 0,
          "answer": "True", "correct": False, "raw_chars": None}],
        [Row("l/1", "m cot 2", 0, answer="True", estimated=True)],
        [False],
        [ANY],
        groups=["folio"],
    ),
    "misguided_attention": Case(
        [{"prompt_id": "r", "model": "m", "file": "f", "sample": 0, "score": 0.5, "criteria_met": 1,
          "answer_chars": 8, "thinking_chars": 4.0}],
        [Row("r", "m", 0, answer="m 0", output=3, estimated=True)],
        [0.5],
        ["text"],
    ),
    "prompt_techniques": Case(
        [{"prompt_id": "t/1", "dataset": "t", "arm": "cot", "model": "m", "answer": "yes", "gold": "no",
          "correct": False, "output_chars": 4}],
        [Row("t/1", "m cot", 0, answer="yes", output=1, estimated=True)],
        [False],
        [ANY],
        {"prompts": [{"prompt_id": "t/1", "dataset": "t", "prompt": "Is it?"}]},
        groups=["t"],
    ),
    "self_consistency": Case(
        [{"dataset": "s", "prompt_id": "s/1", "sample": k, "answer": "ab", "correct": True, "output_chars": 4}
         for k in (0, 1)],
        [Row("s/1", "model", k, answer="ab", output=1, estimated=True) for k in (0, 1)],
        [True, True],
        [ANY],
        groups=["s"],
    ),
    "paraphrase_confidence": Case(
        [{"dataset": "arc", "model": "m", "order_group": 0, "question": 5, "phrasing": k, "correct": right,
          "confidence": 0.5} for k, right in ((1, 1.0), (2, None))],
        [Row("arc/0/5", f"m phrasing {k}", 0, answer=f"m phrasing {k} 0", confidence=sure(0.5)) for k in (1, 2)],
        [True, False],
        ["text"],
        groups=["arc"],
    ),
}  # fmt: skip


def written(folder: Path, tables: Mapping[str, Table]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, rows in tables.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_every_set_is_tried():
    assert set(CASES) == {shape.name for shape in SHAPES}


@pytest.mark.parametrize("name", CASES)
def test_a_set_is_known_by_its_columns_and_read(tmp_path: Path, name: str):
    case = CASES[name]
    made = load([written(tmp_path, {"answers": case.draws, **case.beside})], Options())
    assert made.shape == name
    assert list(made.rows) == list(case.rows)
    marks = [label.right for label in made.labels if label.arm is not None]
    assert marks == list(case.right)
    assert {label.prompt: label.gold for label in made.labels if label.arm is None} == case.gold
    assert [prompt["answer"] for prompt in made.prompts] == list(case.kinds)
    groups = [prompt["metadata"]["group"] for prompt in made.prompts if "metadata" in prompt]
    assert groups == list(case.groups)
    assert not any("gold" in prompt for prompt in made.prompts)


def test_the_same_table_reads_alike_as_parquet(tmp_path: Path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    for name, case in CASES.items():
        folder = tmp_path / name
        folder.mkdir()
        for table, rows in {"answers": case.draws, **case.beside}.items():
            parquet.write_table(pyarrow.Table.from_pylist(list(rows)), folder / f"{table}.parquet")
        made = load([folder], Options())
        assert list(made.rows) == list(case.rows), name


def test_parquet_without_its_extra_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"pip install 'outlay\[parquet\]'"):
        load([tmp_path], Options())


def test_one_file_of_a_folder_may_be_named_and_the_others_are_still_seen(tmp_path: Path):
    case = CASES["zeroeval"]
    folder = written(tmp_path, {"answers": case.draws, "more": CASES["boinf"].draws, **case.beside})
    with pytest.raises(UsageError, match=r"several sets of draws.*answers\.jsonl.*more\.jsonl"):
        load([folder], Options())
    made = load([folder / "answers.jsonl"], Options())
    assert made.prompts[0]["prompt"] == "2 + 3?"


def test_an_unknown_table_is_refused_with_its_columns_and_the_known_shapes(tmp_path: Path):
    folder = written(tmp_path, {"wine": [{"grape": "riesling", "year": 1971}]})
    with pytest.raises(UsageError) as caught:
        load([folder], Options())
    for word in ("wine.jsonl has grape, year", "boinf: dataset, model", "docs/recordings.md", *CASES):
        assert word in str(caught.value)


def test_where_takes_some_rows_and_says_what_values_there_are(tmp_path: Path):
    folder = written(tmp_path, {"answers": CASES["zeroeval"].draws})
    assert {row.prompt for row in load([folder], Options(where={"task": "gsm"})).rows} == {"gsm/1"}
    with pytest.raises(UsageError, match=r"no row with task=gpqa; task is one of gsm, math-l5"):
        load([folder], Options(where={"task": "gpqa"}))
    with pytest.raises(UsageError, match=r"no column 'tusk'; its columns: task, prompt_id"):
        load([folder], Options(where={"tusk": "gsm"}))
    heat = written(tmp_path / "heat", {"answers": CASES["cruxeval"].draws})
    assert len(load([heat], Options(where={"temperature": "0.8", "mode": "cot"})).rows) == 1


def test_another_column_may_be_the_confidence(tmp_path: Path):
    folder = written(tmp_path, {"answers": CASES["mmlu_pro_arms"].draws})
    made = load([folder], Options(confidence="verbal_confidence"))
    assert {row.confidence for row in made.rows} == {sure(0.5)}


def test_a_kind_of_answer_that_is_given_stands_for_all(tmp_path: Path):
    folder = written(tmp_path, {"answers": CASES["boinf"].draws})
    assert load([folder], Options(answer="number")).prompts[0]["answer"] == "number"


def test_an_option_that_means_nothing_here_is_refused(tmp_path: Path):
    folder = written(tmp_path, {"answers": CASES["boinf"].draws})
    for idle, flag in ((Options(scorer="x"), "--scorer"), (Options(checks=("x",)), "--check")):
        with pytest.raises(UsageError, match=f"no use for {flag}"):
            load([folder], idle)


def test_a_row_that_lacks_what_its_set_always_has_is_an_error(tmp_path: Path):
    draws = [*CASES["boinf"].draws, {"dataset": "math", "prompt": 1, "sample": 0}]
    with pytest.raises(
        UsageError, match=r"answers\.jsonl has the columns of boinf, but a row cannot be read"
    ):
        load([written(tmp_path, {"answers": draws})], Options())


def test_what_is_not_known_is_told(tmp_path: Path):
    made = load([written(tmp_path, {"answers": CASES["cruxeval"].draws})], Options())
    assert any("no bill" in note for note in made.notes)
    assert any(note.startswith("tokens of m cot 0.8 are not known") for note in made.notes)
    assert Label("c", arm="m cot 0.8", draw=0, right=True) in made.labels


def test_nothing_there_is_told(tmp_path: Path):
    with pytest.raises(UsageError, match=r"there is no .*nothing"):
        load([tmp_path / "nothing"], Options())
    with pytest.raises(UsageError, match="no known kind of log"):
        load([tmp_path], Options())
