"""Output of the OpenAI Batch API, with and without what was asked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from outlay.engines.recorded import Row
from outlay.errors import InputError, UsageError
from outlay.study.recording import Label
from outlay.study.recordings import Options, load


def chat(id_: str, *texts: str, model: str = "small", **choice: Any) -> dict[str, Any]:
    body = {
        "object": "chat.completion",
        "model": model,
        "choices": [
            {"index": k, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"} | choice
            for k, text in enumerate(texts)
        ],
        "usage": {
            "prompt_tokens": 20,
            "completion_tokens": 10,
            "total_tokens": 30,
            "prompt_tokens_details": {"cached_tokens": 8},
            "completion_tokens_details": {"reasoning_tokens": 6},
        },
    }
    return line(id_, body)


def line(id_: str, body: Any, status: int = 200) -> dict[str, Any]:
    response = {"status_code": status, "request_id": "r", "body": body}
    return {"id": "batch_1", "custom_id": id_, "response": response, "error": None}


def written(path: Path, *rows: Mapping[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_line_is_a_draw_and_a_file_may_hold_several_models(tmp_path: Path):
    out = written(
        tmp_path / "out.jsonl", chat("a", "It is 4."), chat("a", "4!", model="big"), chat("a", "Four")
    )
    made = load([out], Options())
    usage = {"input": 20, "cached": 8, "output": 10, "reasoning": 6}
    assert made.rows == [
        Row("a", "small", 0, text="It is 4.", **usage),
        Row("a", "big", 0, text="4!", **usage),
        Row("a", "small", 1, text="Four", **usage),
    ]
    assert made.prompts == [{"answer": "text", "id": "a", "prompt": "a"}]
    assert made.labels == []
    assert made.notes == ("what was asked is not there; give the input file with --input",)


def test_what_was_asked_brings_prompts_kinds_and_gold(tmp_path: Path):
    out = written(tmp_path / "out.jsonl", chat("a", "It is 4."), chat("z", "5"))
    body = {
        "model": "small",
        "messages": [{"role": "system", "content": "Hm."}, {"role": "user", "content": "2+2?"}],
    }
    asked = written(
        tmp_path / "in.jsonl",
        {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body, "gold": 4, "answer": "number",
         "metadata": {"group": "sums"}},
    )  # fmt: skip
    made = load([out], Options(input=asked))
    assert made.prompts[0] == {
        "answer": "number",
        "id": "a",
        "messages": body["messages"],
        "metadata": {"group": "sums"},
    }
    assert made.labels == [Label("a", gold=["4"])]
    assert made.notes == ("1 prompts are not in the input file, such as z",)
    bad = written(tmp_path / "bad.jsonl", {"custom_id": "a", "body": {}})
    with pytest.raises(InputError, match="messages"):
        load([out], Options(input=bad))


def test_copies_share_what_was_billed_together_by_their_length(tmp_path: Path):
    [first, second] = load([written(tmp_path / "o.jsonl", chat("a", "12345678", "12"))], Options()).rows
    assert (first.output, second.output, first.input, second.input) == (8, 2, 20, 20)
    assert (first.draw, second.draw, first.estimated) == (0, 1, True)


def test_requests_that_failed_are_left_out_and_counted(tmp_path: Path):
    failed = line("b", {"error": {"message": "rate limit"}}, 429)
    expired = {"id": "batch_2", "custom_id": "c", "response": None, "error": {"code": "batch_expired"}}
    made = load([written(tmp_path / "o.jsonl", chat("a", "4"), failed, expired)], Options())
    assert [row.prompt for row in made.rows] == ["a"]
    assert "2 requests failed and are left out, the first: b" in made.notes
    with pytest.raises(UsageError, match="no request has an answer; 1 failed"):
        load([written(tmp_path / "p.jsonl", failed)], Options())


def test_how_a_completion_ended_and_how_sure_it_was_is_kept(tmp_path: Path):
    sure = {"content": [{"token": "4", "logprob": -0.5}]}
    refused = chat("b", "", message={"role": "assistant", "content": None, "refusal": "No."})
    cut = chat("a", "4", finish_reason="length", logprobs=sure)
    rows = load([written(tmp_path / "o.jsonl", cut, refused)], Options()).rows
    assert [(row.finish, row.confidence) for row in rows] == [
        ("length", (-0.5, -0.5, -0.5)),
        ("refusal", None),
    ]


def test_the_responses_api_is_read_as_well(tmp_path: Path):
    body = {
        "object": "response",
        "model": "big",
        "status": "incomplete",
        "output": [
            {"type": "reasoning", "summary": []},
            {
                "type": "message",
                "content": [{"type": "output_text", "text": "It is "}, {"type": "output_text", "text": "4"}],
            },
        ],
        "usage": {"input_tokens": 7, "output_tokens": 9, "output_tokens_details": {"reasoning_tokens": 5}},
    }
    [row] = load([written(tmp_path / "o.jsonl", line("a", body))], Options()).rows
    assert row == Row("a", "big", 0, text="It is 4", input=7, output=9, reasoning=5, finish="length")


@pytest.mark.parametrize("body", [{"object": "list", "data": []}, {"model": "m", "choices": "x"}])
def test_other_endpoints_are_refused_by_name(tmp_path: Path, body: object):
    with pytest.raises(
        UsageError, match=r"o\.jsonl: the body of a is neither a chat completion nor a response"
    ):
        load([written(tmp_path / "o.jsonl", line("a", body))], Options())
