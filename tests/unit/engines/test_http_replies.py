"""What came back is read as far as it makes sense, and what was written is never settled as nothing."""

import json
from typing import Any

import msgspec
import pytest

from outlay.engines.http.chat import Heard, cut_off, guessed_input, hear, uncounted
from outlay.types import Arm, Ask, Call, Message

CALL = Call(Arm("m", "http", "m"), Ask((Message("user", "hello " * 10),)), max_tokens=64)
TEXT = "forty two because of the rule"


def reply(text: Any = TEXT, *, usage: Any = None, **choice: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 7} if usage is None else usage,
    }


def heard(said: Any) -> Heard:
    return hear(json.dumps(said).encode(), CALL, 1)


@pytest.mark.parametrize(
    ("count", "settled"),
    [("7", 7), ("7.0", 7), (7.5, 8), (7.0, 7)],
)
def test_a_count_of_the_wrong_type_is_read_and_the_answer_kept(count: Any, settled: int):
    got = heard(reply(usage={"prompt_tokens": "20", "completion_tokens": count}))
    assert got.copies[0].text == TEXT
    assert (got.usage.input, got.usage.output, got.usage.estimated) == (20, settled, False)


@pytest.mark.parametrize("count", [None, -3, "many", True, [7], {"sum": 7}, 2**31, 1e300, 10**40, "9" * 5000])
def test_what_is_no_count_is_replaced_by_an_own_count_and_the_answer_kept(count: Any):
    got = heard(reply(usage={"prompt_tokens": count, "completion_tokens": count}))
    assert got.copies[0].text == TEXT
    assert got.usage.estimated
    assert got.usage.output == -(-len(TEXT) // 2)
    assert got.usage.input == guessed_input(CALL)


@pytest.mark.parametrize("usage", [[], "none", 3, {"total_tokens": 27}, {"prompt_tokens": 20}])
def test_usage_that_is_missing_or_partial_is_counted(usage: Any):
    got = heard(reply(usage=usage))
    assert (got.copies[0].text, got.usage.output) == (TEXT, 15)
    assert got.usage.estimated


@pytest.mark.parametrize("details", [{"cached_tokens": "4"}, {"cached_tokens": 4.0}])
def test_parts_of_the_wrong_type_are_read_too(details: Any):
    usage = {"prompt_tokens": 20, "completion_tokens": 7, "prompt_tokens_details": details}
    assert heard(reply(usage=usage)).usage.cached == 4


def test_a_part_is_never_larger_than_the_whole():
    usage = {
        "prompt_tokens": 20,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 900},
        "completion_tokens_details": {"reasoning_tokens": 900},
    }
    used = heard(reply(usage=usage)).usage
    assert (used.cached, used.reasoning) == (20, 7)


def test_a_megabyte_of_text_is_not_seven_tokens():
    used = heard(reply("word " * 200_000)).usage
    assert used.estimated
    assert used.output == 250_000


def test_long_runs_of_one_character_are_believed_to_be_few_tokens():
    used = heard(reply("=" * 4_000 + " done")).usage
    assert (used.output, used.estimated) == (7, False)


def test_prose_within_the_cap_is_never_counted_above_the_cap():
    # 64 tokens of four and a half bytes.
    used = heard(reply("some w" * 48, usage={})).usage
    assert (used.output, used.estimated) == (64, True)


def test_tokens_told_one_by_one_are_counted_unless_they_are_far_too_few():
    entry = {"token": "x", "logprob": -0.5}
    told = heard(reply(usage={"completion_tokens": 2}, logprobs={"content": [entry] * 9}))
    assert told.usage.output == 9
    assert told.copies[0].confidence is not None
    few = heard(reply("word " * 100, usage={}, logprobs={"content": [entry]}))
    assert few.usage.output >= 64
    assert few.copies[0].confidence is None


def test_a_prompt_count_that_no_tokenizer_could_reach_is_replaced():
    call = Call(CALL.arm, Ask((Message("user", "hello " * 1_000),)), max_tokens=64)
    used = hear(json.dumps(reply(usage={"prompt_tokens": 1, "completion_tokens": 7})).encode(), call, 1).usage
    assert (used.input, used.estimated) == (guessed_input(call), True)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "forty "}, {"type": "text", "text": "two"}], "forty two"),
        (42, "42"),
        ({"answer": 42}, '{"answer": 42}'),
        ("broken \ud83d", "broken ?"),
    ],
)
def test_content_in_another_shape_is_kept_as_text(content: Any, text: str):
    assert heard(reply(content)).copies[0].text == text


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", '"-0.5"', "null"])
def test_log_probabilities_that_are_no_numbers_cost_the_confidence_and_not_the_answer(number: str):
    raw = json.dumps(reply(logprobs={"content": [{"token": "x", "logprob": 0.125}]})).replace("0.125", number)
    [copy] = hear(raw.encode(), CALL, 1).copies
    assert (copy.text, copy.confidence) == (TEXT, None)


def test_bytes_that_are_no_utf8_are_replaced():
    raw = json.dumps(reply()).encode().replace(b"forty", b"f\xffrty")
    assert hear(raw, CALL, 1).copies[0].text.startswith("f\N{REPLACEMENT CHARACTER}rty")


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{}", b"<html>", b"[" * 100_000, b'{"choices": []}'])
def test_what_holds_no_answer_is_a_clear_error(raw: bytes):
    with pytest.raises(msgspec.DecodeError):
        hear(raw, CALL, 1)
    assert uncounted(raw, CALL, 1).input > 0


def test_text_in_an_unknown_place_is_charged():
    said = reply()
    said["choices"][0]["message"] = {"role": "assistant", "words": TEXT}
    del said["usage"]
    assert heard(said).usage.output > len(TEXT.split())


def test_an_answer_cut_off_is_charged_for_what_can_be_seen_of_it():
    raw = json.dumps(reply("word " * 20)).encode()
    whole, nothing = cut_off(raw[:150], CALL, 1), cut_off(raw[:20], CALL, 1)
    assert whole.output > 10
    assert nothing.output == 0
    assert whole.estimated
    assert whole.input == guessed_input(CALL)
