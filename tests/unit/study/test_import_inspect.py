"""Logs of Inspect, written by hand from its log format: `.json` and `.eval`."""

import json
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from outlay.engines.recorded import Row
from outlay.errors import UsageError
from outlay.study.recording import ANY, Label
from outlay.study.recordings import Imported, Options, load

MODEL = "vendor/small"


def sample(
    id_: int | str, said: str, *, epoch: int = 1, scores: Mapping[str, Any] | None = None, **other: Any
) -> dict[str, Any]:
    """One sample; tokens are 10 fresh, 2 cached, 5 written."""
    usage = {"input_tokens": 10, "input_tokens_cache_read": 2, "output_tokens": 5, "total_tokens": 17}
    asked = {"role": "user", "content": f"Question {id_}"}
    answered = {"role": "assistant", "content": said, "source": "generate"}
    plain = {
        "id": id_,
        "epoch": epoch,
        "input": f"Question {id_}",
        "target": "4",
        "messages": [asked, answered],
        "output": {"choices": [{"message": answered, "stop_reason": "stop"}], "usage": usage, "time": 0.5},
        "scores": {"match": {"value": "C", "answer": "4"}} if scores is None else scores,
        "model_usage": {MODEL: usage},
        "events": [{"anything": [1, None, {"deep": True}]}],
        "working_time": 1.25,
    }
    return plain | other


def log(
    path: Path, samples: Sequence[Mapping[str, Any]], *, model: str = MODEL, task: str = "sums", **config: Any
) -> Path:
    """A log file, in the form that its name says."""
    head = {
        "version": 2,
        "status": "success",
        "eval": {"task": task, "model": model, "model_generate_config": config},
        "plan": {"name": "plan", "config": {}},
    }
    if path.suffix == ".json":
        path.write_text(json.dumps(head | {"samples": samples}))
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps(head))
        for one in samples:
            archive.writestr(f"samples/{one['id']}_epoch_{one['epoch']}.json", json.dumps(one))
        archive.writestr("summaries.json", "[]")
    return path


def read(*logs: Path, **options: Any) -> Imported:
    return load(logs, Options(**options))


def plain_row(id_: str, draw: int, **other: Any) -> Row:
    given = {"answer": "4", "text": "It is 4.", "input": 12, "cached": 2, "output": 5, "ms": 1250}
    return Row(id_, MODEL, draw, **given | other)


@pytest.mark.parametrize("suffix", [".json", ".eval"])
def test_epochs_are_draws_and_a_scorer_says_what_is_right(tmp_path: Path, suffix: str):
    wrong = {"match": {"value": "I", "answer": "5"}}
    samples = [sample(1, "It is 5.", epoch=2, scores=wrong), sample(1, "It is 4."), sample("b", "It is 4.")]
    made = read(log(tmp_path / f"a{suffix}", samples))
    assert sorted(made.rows, key=lambda row: (row.prompt, row.draw)) == [
        plain_row("1", 0),
        plain_row("1", 1, answer="5", text="It is 5."),
        plain_row("b", 0),
    ]
    assert {(label.prompt, label.draw): label.right for label in made.labels} == {
        ("1", 0): 1.0,
        ("1", 1): 0.0,
        ("b", 0): 1.0,
    }
    assert sorted(made.prompts, key=str)[0] == {
        "answer": ANY,
        "id": "1",
        "prompt": "Question 1",
        "metadata": {"group": "sums"},
    }
    assert made.notes == ("right is what match says",)


def test_logs_packed_with_zstd_are_read(tmp_path: Path):
    zstandard = pytest.importorskip("zstandard")
    plain = log(tmp_path / "a.eval", [sample(1, "It is 4.")])
    expected = read(plain)
    with zipfile.ZipFile(plain) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    packed = tmp_path / "b.eval"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, raw in members.items():
            archive.writestr(name, zstandard.ZstdCompressor().compress(raw))
    # the same archive, its members told to be zstd of so many bytes
    bytes_ = bytearray(packed.read_bytes())
    with zipfile.ZipFile(packed) as archive:
        infos = archive.infolist()
    at = 0
    for info in infos:
        struct.pack_into("<H", bytes_, info.header_offset + 8, 93)
        struct.pack_into("<I", bytes_, info.header_offset + 22, len(members[info.filename]))
        at = bytes_.index(b"PK\x01\x02", at)
        struct.pack_into("<H", bytes_, at + 10, 93)
        struct.pack_into("<I", bytes_, at + 24, len(members[info.filename]))
        at += 4
    packed.write_bytes(bytes_)
    assert read(packed).rows == expected.rows


def test_zstd_without_its_extra_names_two_ways_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    path = log(tmp_path / "a.eval", [sample(1, "4")])
    raw = bytearray(path.read_bytes())
    struct.pack_into("<H", raw, raw.index(b"PK\x01\x02") + 10, 93)
    path.write_bytes(raw)
    with pytest.raises(UsageError, match=r"outlay\[inspect\].*inspect log convert"):
        read(path)


def test_a_choice_is_read_by_its_letter_and_an_unread_one_is_no_answer(tmp_path: Path):
    choices = ["three", "four", "five"]
    right = sample(
        1, "Hm.\nANSWER: B", choices=choices, target="B", scores={"choice": {"value": "C", "answer": "B"}}
    )
    unread = sample(
        1, "Hm.", epoch=2, choices=choices, target="B", scores={"choice": {"value": "I", "answer": ""}}
    )
    made = read(log(tmp_path / "a.json", [right, unread]))
    assert made.prompts[0]["answer"] == "choice:A-C"
    assert [row.answer for row in made.rows] == ["B", None]


def test_a_scorer_that_takes_the_whole_reply_leaves_the_reading_to_the_kind_of_answer(tmp_path: Path):
    whole = {"includes": {"value": "C", "answer": "So it is 4."}}
    made = read(log(tmp_path / "a.json", [sample(1, "So it is 4.", scores=whole)]))
    assert (made.rows[0].answer, made.rows[0].text, made.prompts[0]["answer"]) == (
        None,
        "So it is 4.",
        "number",
    )
    essay = sample(2, "Well.", target="a good one", scores={"judge": {"value": 0.5, "answer": "Well."}})
    assert read(log(tmp_path / "b.json", [essay])).prompts[0]["answer"] == "text"
    given = read(log(tmp_path / "c.json", [sample(1, "It is 4.")]), answer="number")
    assert (given.rows[0].answer, given.prompts[0]["answer"]) == (None, "number")


def test_one_of_several_scores_is_chosen_and_others_may_be_checks(tmp_path: Path):
    scores = {
        "hidden": {"value": 0.25, "answer": "4"},
        "visible": {"value": True},
        "style": {"value": {"clear": 1}},
    }
    path = log(tmp_path / "a.json", [sample(1, "It is 4.", scores=scores)])
    made = read(path)
    assert (made.labels[0].right, made.rows[0].verdicts) == (0.25, {})
    assert made.notes == ("right is what hidden says; other scores: visible, style (--scorer)",)
    made = read(path, scorer="hidden", checks=("visible", "style"))
    assert made.rows[0].verdicts == {"visible": True, "style": None}
    assert made.labels == [Label("1", arm=MODEL, draw=0, right=0.25)]
    with pytest.raises(
        UsageError, match="no sample has a score 'hiden'; scores there: hidden, visible, style"
    ):
        read(path, scorer="hiden")


@pytest.mark.parametrize(
    ("value", "right"),
    [("C", 1.0), ("I", 0.0), ("P", 0.5), ("N", 0.0), (True, 1.0), (0, 0.0), (0.3, 0.3), ("0.7", 0.7), ("Yes", 1.0),
     (7, None), ("fine", None), ([1], None), (None, None)],
)  # fmt: skip
def test_scores_are_shares_of_right_or_nothing(tmp_path: Path, value: Any, right: float | None):
    made = read(log(tmp_path / "a.json", [sample(1, "4", scores={"s": {"value": value}})]))
    assert [label.right for label in made.labels] == ([] if right is None else [right])


def test_only_the_evaluated_model_is_billed_not_the_judge_and_dollars_are_kept(tmp_path: Path):
    usage = {
        MODEL: {"input_tokens": 30, "output_tokens": 8, "input_tokens_cache_write": 4, "reasoning_tokens": 6,
                "total_cost": 0.002},
        "vendor/judge": {"input_tokens": 999, "output_tokens": 999},
    }  # fmt: skip
    [row] = read(log(tmp_path / "a.json", [sample(1, "4", model_usage=usage)])).rows
    assert (row.input, row.cached, row.output, row.reasoning, row.usd) == (34, 0, 8, 6, 0.002)


def test_logprobs_become_a_confidence(tmp_path: Path):
    one = sample(1, "It is 4.")
    one["output"]["choices"][0] |= {
        "stop_reason": "max_tokens",
        "logprobs": {"content": [{"token": "It", "logprob": -1.0}, {"token": "4", "logprob": -3.0}]},
    }
    [row] = read(log(tmp_path / "a.json", [one])).rows
    assert (row.confidence, row.finish) == ((-2.0, -2.0, -2.0), "length")


def test_arms_are_models_with_their_effort_and_the_temperature_where_it_alone_differs(tmp_path: Path):
    for name, config in {
        "a": {},
        "b": {"reasoning_effort": "high"},
        "c": {"reasoning_tokens": 2048},
        "d": {"temperature": 0.5},
    }.items():
        log(tmp_path / f"{name}.json", [sample(1, "It is 4.")], **config)
    made = read(tmp_path)
    assert [row.arm for row in made.rows] == [MODEL, f"{MODEL} high", f"{MODEL} think 2048", f"{MODEL} t0.5"]
    assert len(made.prompts) == 1


def test_logs_of_several_tasks_keep_their_prompts_apart(tmp_path: Path):
    logs = [log(tmp_path / f"{task}.json", [sample(1, "4")], task=task) for task in ("sums", "law")]
    made = read(*logs)
    assert [row.prompt for row in made.rows] == ["sums/1", "law/1"]
    assert [prompt["metadata"]["group"] for prompt in made.prompts] == ["sums", "law"]


def test_one_id_for_two_prompts_is_refused(tmp_path: Path):
    first = log(tmp_path / "a.json", [sample(1, "4")])
    second = log(tmp_path / "b.json", [sample(1, "4", input="Another question")])
    with pytest.raises(UsageError, match=r"sample 1 is one prompt in a\.json and another in b\.json"):
        read(first, second)


def test_a_sample_that_failed_is_a_draw_without_an_answer_or_mark(tmp_path: Path):
    broken = sample(1, "", scores={}, error={"message": "timeout"}, model_usage={})
    broken["output"] = {"choices": []}
    made = read(log(tmp_path / "a.json", [broken, sample(2, "It is 4.")]))
    assert made.rows[0] == Row("1", MODEL, 0, ms=1250, finish="error")
    assert [label.prompt for label in made.labels] == ["2"]
    assert "1 of 2 samples ended in an error; they are draws without an answer" in made.notes


def test_long_texts_kept_beside_the_messages_and_parts_of_messages_are_put_back(tmp_path: Path):
    one = sample(1, "attachment://abc", attachments={"abc": "It is 4.", "def": "What is 2 + 2?"})
    parts = [{"type": "text", "text": "attachment://def"}, {"type": "image", "image": "x"}]
    one["messages"][0] = {"role": "user", "content": parts}
    one["messages"].insert(0, {"role": "system", "content": "Be brief."})
    made = read(log(tmp_path / "a.json", [one]))
    assert made.rows[0].text == "It is 4."
    assert made.prompts[0]["messages"][0] == {"role": "system", "content": "Be brief."}


def test_a_metric_that_is_not_a_number_does_not_matter(tmp_path: Path):
    path = log(tmp_path / "a.json", [sample(1, "It is 4.")])
    path.write_text(path.read_text().replace('"version": 2', '"version": 2, "results": {"stderr": NaN}'))
    assert read(path).rows == [plain_row("1", 0)]


def test_where_nothing_was_scored_the_target_is_gold(tmp_path: Path):
    made = read(log(tmp_path / "a.json", [sample(1, "It is 4.", scores={})]))
    assert made.labels == [Label("1", gold="4")]


def test_damaged_logs_and_logs_without_samples_are_told(tmp_path: Path):
    with pytest.raises(UsageError, match="has no samples"):
        read(log(tmp_path / "a.json", []))
    with pytest.raises(UsageError, match="without samples"):
        read(log(tmp_path / "a.eval", []))
    cut = log(tmp_path / "b.eval", [sample(1, "4")])
    cut.write_bytes(cut.read_bytes()[:-40])
    with pytest.raises(UsageError, match="not whole"):
        read(cut)
    odd = log(tmp_path / "c.json", [sample(1, "4") | {"epoch": "one"}])
    with pytest.raises(UsageError, match="cannot be read as a log of Inspect"):
        read(odd)


@pytest.mark.parametrize("suffix", [".json", ".eval"])
@pytest.mark.parametrize(
    ("status", "words"),
    [("error", "ended with an error"), ("cancelled", "was cancelled"), ("started", "has not ended")],
)
def test_a_log_that_is_not_whole_by_its_own_word_is_noted(
    tmp_path: Path, status: str, words: str, suffix: str
):
    path = log(tmp_path / "whole.json", [sample(1, "It is 4.")])
    head = json.loads(path.read_text()) | {"status": status}
    head["eval"] |= {"dataset": {"name": "sums", "samples": 3}, "config": {"epochs": 2}}
    path = tmp_path / f"broken{suffix}"
    if suffix == ".json":
        path.write_text(json.dumps(head))
    else:
        (one,) = head.pop("samples")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("header.json", json.dumps(head))
            archive.writestr("samples/1_epoch_1.json", json.dumps(one))
    notes = read(path).notes
    assert notes[0] == f"{path.name}: the log says that it {words}: 1 of 6 samples are there"
    assert not any("the log says" in note for note in read(tmp_path / "whole.json").notes)
