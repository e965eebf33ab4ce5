import hashlib
import io
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.errors import InputError, UsageError
from outlay.inputs import MAX_PROMPT, Rows, read
from outlay.types import Message, Prompt


def rows_of(
    tmp_path: Path, *lines: str | bytes | dict[str, object], end: bytes = b"\n", **options: object
) -> Rows:
    raw = [
        line
        if isinstance(line, bytes)
        else line.encode()
        if isinstance(line, str)
        else json.dumps(line).encode()
        for line in lines
    ]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(line + end for line in raw))
    return read(path, **options)  # type: ignore[arg-type]


def the_error(rows: Rows) -> InputError:
    assert rows.prompts == ()
    (error,) = rows.errors
    return error


def test_a_prompt_is_read(tmp_path: Path):
    row = {"id": "a", "prompt": "2+2?", "answer": "number", "metadata": {"group": "sums"}, "worth": 2}
    rows = rows_of(tmp_path, row)
    assert rows.prompts == (Prompt("a", (Message("user", "2+2?"),), "number", {"group": "sums"}, 2.0),)
    assert rows.prompts[0].metadata == {"group": "sums"}
    assert (rows.errors, rows.warnings) == ((), ())


def test_messages_are_read(tmp_path: Path):
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    rows = rows_of(tmp_path, {"id": 7, "messages": chat})
    assert rows.prompts == (Prompt("7", (Message("system", "Be brief."), Message("user", "Hi"))),)


def test_an_openai_batch_line_is_read(tmp_path: Path):
    body = {"model": "gpt", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    rows = rows_of(tmp_path, line)
    assert rows.prompts == (Prompt("a", (Message("user", "Hi"),)),)
    assert rows.warnings[0].startswith("ignored keys: body.model (1 rows)")


def test_a_row_without_id_is_named_after_its_line(tmp_path: Path):
    rows = rows_of(tmp_path, {"prompt": "a"}, "", "  ", {"id": None, "prompt": "b"})
    assert [prompt.id for prompt in rows.prompts] == ["line-1", "line-4"]


def test_gold_never_reaches_a_prompt(tmp_path: Path):
    rows = rows_of(tmp_path, {"id": "a", "prompt": "2+2?", "gold": "SECRET"})
    assert "SECRET" not in repr(rows)
    assert rows.warnings == ()


def test_the_default_kind_of_answer_serves_rows_that_name_none(tmp_path: Path):
    rows = rows_of(
        tmp_path, {"prompt": "a"}, {"prompt": "b", "answer": "choice:A-D"}, default_answer="number"
    )
    assert [prompt.answer for prompt in rows.prompts] == ["number", "choice:A-D"]


def test_a_default_kind_of_answer_that_is_none_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="answer 'numbr'"):
        rows_of(tmp_path, {"prompt": "a"}, default_answer="numbr")


@pytest.mark.parametrize(
    ("line", "field", "problem"),
    [
        (b"not json", "line", "not JSON"),
        (b"[1, 2]", "line", "a list, not an object"),
        (b'"text"', "line", "a text, not an object"),
        (b"null", "line", "null, not an object"),
        (b"[", "line", "beginning of a longer JSON document"),
        (b'{"prompt": NaN}', "line", "NaN is not JSON"),
        (b'{"worth": ' + b"9" * 5000 + b"}", "line", "number that is too long"),
        (b'{"a":' * 100_000, "line", "nested too deeply"),
        (b'{"prompt": "a\0b"}', "line", "NUL bytes"),
        (b'{"prompt": "a\\u0000b"}', "prompt", "NUL character"),
        (b'{"prompt": "caf\xe9"}', "line", "not UTF-8"),
        (b'{"prompt": "\\ud83d"}', "prompt", "surrogate"),
        (b"{}", "prompt", "there is none"),
        (b'{"prompt": ""}', "prompt", "empty"),
        (b'{"prompt": " \\n"}', "prompt", "empty"),
        (b'{"prompt": ["a"]}', "prompt", "a list"),
        (b'{"prompt": "a", "messages": []}', "messages", "a prompt as well"),
        (b'{"messages": []}', "messages", "empty"),
        (b'{"messages": "a"}', "messages", "a text"),
        (b'{"messages": ["a"]}', "messages[0]", "a text"),
        (b'{"messages": [{"content": "a"}]}', "messages[0].role", "none"),
        (b'{"messages": [{"role": "tool", "content": "a"}]}', "messages[0].role", "tool is not served"),
        (b'{"messages": [{"role": "user"}]}', "messages[0].content", "null"),
        (
            b'{"messages": [{"role": "user", "content": "a", "tool_calls": [1]}]}',
            "messages[0]",
            "calls a tool",
        ),
        (
            b'{"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}',
            "messages[0].content[0]",
            "image",
        ),
        (b'{"messages": [{"role": "user", "content": [3]}]}', "messages[0].content[0]", "not a part"),
        (b'{"prompt": "a", "answer": "numbr"}', "answer", "numbr"),
        (b'{"prompt": "a", "answer": 18}', "answer", "a number"),
        (b'{"prompt": "a", "worth": 0}', "worth", "it is 0"),
        (b'{"prompt": "a", "worth": -1}', "worth", "it is -1"),
        (b'{"prompt": "a", "worth": "2"}', "worth", "a text"),
        (b'{"prompt": "a", "worth": true}', "worth", "true or false"),
        (b'{"prompt": "a", "worth": 1e999}', "worth", "inf"),
        (b'{"prompt": "a", "metadata": []}', "metadata", "a list"),
        (b'{"prompt": "a", "metadata": {"group": []}}', "metadata.group", "a list"),
        (b'{"prompt": "a", "id": ""}', "id", "cannot be an id"),
        (b'{"prompt": "a", "id": "a\\nb"}', "id", "cannot be an id"),
        (b'{"prompt": "a", "id": {}}', "id", "an object"),
        (b'{"prompt": "a", "id": true}', "id", "true or false"),
        (b'{"prompt": "a", "id": "' + b"x" * 513 + b'"}', "id", "cannot be an id"),
        (b'{"body": []}', "body", "a list"),
        (b'{"body": {}}', "body.messages", "none"),
        (b'{"body": {"tools": [1], "messages": []}}', "body.tools", "not served"),
        (b'{"url": "/v1/embeddings", "body": {}}', "url", "/v1/embeddings"),
        (b'{"method": "GET", "body": {}}', "method", "GET"),
        (b'{"custom_id": 1.5, "body": {"messages": []}}', "custom_id", "a number"),
    ],
    ids=lambda value: None if isinstance(value, str) else value[:40].decode("latin-1"),
)
def test_a_bad_row_names_line_field_and_remedy(tmp_path: Path, line: bytes, field: str, problem: str):
    good = {"id": "good", "prompt": "a"}
    rows = rows_of(tmp_path, good, line, {**good, "id": "better"})
    (error,) = rows.errors
    assert (error.line, error.field) == (2, field)
    assert problem in error.problem
    assert error.remedy
    assert len(str(error)) < 400
    assert [prompt.id for prompt in rows.prompts] == ["good", "better"]


def test_a_field_that_is_nearly_a_prompt_is_named(tmp_path: Path):
    assert the_error(rows_of(tmp_path, {"question": "a"})).remedy == "rename question to prompt"
    assert the_error(rows_of(tmp_path, {"promt": "a"})).remedy == "rename promt to prompt"


def test_a_right_answer_in_the_wrong_field_is_told_its_name(tmp_path: Path):
    assert "gold" in the_error(rows_of(tmp_path, {"prompt": "a", "answer": "Paris"})).remedy


def test_the_second_row_of_an_id_is_refused(tmp_path: Path):
    rows = rows_of(
        tmp_path,
        {"id": "1", "prompt": "a"},
        {"id": 1, "prompt": "b"},
        {"id": "line-4", "prompt": "c"},
        {"prompt": "d"},
    )
    assert [prompt.id for prompt in rows.prompts] == ["1", "line-4"]
    assert [(error.line, error.field) for error in rows.errors] == [(2, "id"), (4, "id")]
    assert "line 1" in rows.errors[0].problem


def test_a_bad_row_does_not_take_its_id(tmp_path: Path):
    rows = rows_of(tmp_path, {"id": "a", "prompt": ""}, {"id": "a", "prompt": "b"})
    assert [prompt.id for prompt in rows.prompts] == ["a"]


def test_unknown_keys_are_ignored_with_one_warning(tmp_path: Path):
    rows = rows_of(tmp_path, *[{"prompt": "a", "level": 1, "source": "x"}] * 3, {"prompt": "b", "level": 2})
    assert len(rows.prompts) == 4
    (warning,) = rows.warnings
    assert "level (4 rows), source (3 rows)" in warning


def test_a_number_names_a_group(tmp_path: Path):
    assert rows_of(tmp_path, {"prompt": "a", "metadata": {"group": 3}}).prompts[0].metadata == {"group": "3"}


def test_windows_files_are_read(tmp_path: Path):
    rows = rows_of(tmp_path, b'\xef\xbb\xbf{"prompt": "a"}', b'{"prompt": "b"}', end=b"\r\n")
    assert [prompt.messages[0].content for prompt in rows.prompts] == ["a", "b"]


def test_only_newlines_end_a_row(tmp_path: Path):
    text = "a\u2028b\x85c"
    rows = rows_of(tmp_path, json.dumps({"prompt": text}, ensure_ascii=False))
    assert rows.prompts[0].messages[0].content == text


def test_the_last_line_needs_no_newline(tmp_path: Path):
    assert len(rows_of(tmp_path, b'{"prompt": "a"}', end=b"").prompts) == 1


def test_a_torn_last_line_is_an_error_of_that_row(tmp_path: Path):
    rows = rows_of(tmp_path, b'{"prompt": "a"}\n{"prompt": "b', end=b"")
    assert len(rows.prompts) == 1
    assert "middle of this row" in rows.errors[0].problem


def test_a_prompt_too_large_is_refused(tmp_path: Path):
    error = the_error(rows_of(tmp_path, {"prompt": "é" * (MAX_PROMPT // 2 + 1)}))
    assert (error.field, error.remedy) == ("prompt", "shorten it to 8 MiB")


def test_a_line_too_long_is_skipped_and_the_next_one_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("outlay.inputs.MAX_LINE", 1000)
    rows = rows_of(tmp_path, b"x" * 2007, {"prompt": "a"}, b"x" * 1001, {"prompt": "b"})
    assert [error.line for error in rows.errors] == [1, 3]
    assert [prompt.id for prompt in rows.prompts] == ["line-2", "line-4"]


def test_the_digest_is_that_of_the_content(tmp_path: Path):
    rows = rows_of(tmp_path, {"prompt": "a"}, b"\xffbad")
    assert rows.digest == hashlib.sha256((tmp_path / "rows.jsonl").read_bytes()).hexdigest()


def test_a_limit_counts_rows_and_changes_the_digest(tmp_path: Path):
    lines = [{"prompt": "a"}, "", "bad", {"prompt": "b"}, {"prompt": "c"}]
    some, every = rows_of(tmp_path, *lines, limit=3), rows_of(tmp_path, *lines)
    assert ([prompt.id for prompt in some.prompts], len(some.errors)) == (["line-1", "line-4"], 1)
    assert some.digest != every.digest


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b'{"prompt": "a"}\n')))
    assert [prompt.id for prompt in read("-").prompts] == ["line-1"]


@pytest.mark.parametrize(
    ("first", "problem"),
    [
        ('{"prompt": "a"}\n'.encode("utf-16"), "UTF-16"),
        (b"\x1f\x8b\x08\0", "gunzip"),
        (b"\x28\xb5\x2f\xfd\0", "unzstd"),
        (b"PK\x03\x04", "unzip"),
        (b"PAR1", "Parquet"),
        (b"SQLite format 3\0", "SQLite"),
    ],
)
def test_a_file_that_is_no_json_is_named_for_what_it_is(tmp_path: Path, first: bytes, problem: str):
    with pytest.raises(UsageError, match=problem):
        rows_of(tmp_path, first)


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="directory"):
        read(tmp_path)


def test_an_empty_file_holds_no_rows(tmp_path: Path):
    assert rows_of(tmp_path) == Rows((), (), (), hashlib.sha256().hexdigest())


def test_a_hundred_thousand_rows_take_seconds(tmp_path: Path):
    path = tmp_path / "many.jsonl"
    path.write_text(
        "".join(f'{{"id": "{i}", "prompt": "{i}+1?", "answer": "number"}}\n' for i in range(100_000))
    )
    begin = time.process_time()
    assert len(read(path).prompts) == 100_000
    assert time.process_time() - begin < 10


@given(st.lists(st.binary(max_size=40) | st.just(b'{"prompt": "a"}'), max_size=8))
def test_any_bytes_are_rows_errors_or_blank(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]):
    path = tmp_path_factory.mktemp("fuzz") / "rows.jsonl"
    path.write_bytes(b"{}\n" + b"\n".join(lines))
    rows = read(path)
    held = [line for line in path.read_bytes().split(b"\n") if line and not line.isspace()]
    assert len(rows.prompts) + len(rows.errors) == len(held)


def part(tmp_path: Path, part: object) -> Rows:
    parts = [{"type": "text", "text": "Look:"}, part]
    return rows_of(tmp_path, {"messages": [{"role": "user", "content": parts}]})


def test_text_parts_are_joined(tmp_path: Path):
    rows = part(tmp_path, {"type": "text", "text": "2+2?"})
    assert rows.prompts[0].messages == (Message("user", "Look:\n2+2?"),)


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        ({"type": "image_url", "image_url": {"url": "data:"}}, "an image (image_url)"),
        ({"type": "input_audio", "input_audio": {}}, "sound (input_audio)"),
        ({"type": "file", "file": {}}, "a file (file)"),
        ({"type": "hologram"}, "of type hologram"),
        ({"type": ["text"]}, "of type ['text']"),
    ],
)
def test_what_is_no_text_is_refused_by_name(tmp_path: Path, other: object, problem: str):
    (error,) = part(tmp_path, other).errors
    assert (error.field, error.remedy) == (
        "messages[0].content[1]",
        "outlay reads text: describe it in words, or take the row out",
    )
    assert problem in error.problem


@pytest.mark.parametrize(
    "other", [{"type": "text"}, {"type": "text", "text": None}, {"type": "text", "text": 3}]
)
def test_a_text_part_without_text_is_refused(tmp_path: Path, other: object):
    (error,) = part(tmp_path, other).errors
    assert error.field == "messages[0].content[1].text"


@pytest.mark.parametrize("name", ["tools", "functions", "audio", "modalities"])
@pytest.mark.parametrize("inside", [True, False])
def test_what_would_change_the_answer_is_refused_and_not_ignored(tmp_path: Path, name: str, inside: bool):
    body = {"messages": [{"role": "user", "content": "a"}], name: ["audio"]}
    (error,) = rows_of(tmp_path, {"body": body} if inside else body).errors
    assert error.field == (f"body.{name}" if inside else name)
    assert "take it out" in error.remedy


def test_to_ask_for_text_alone_changes_nothing(tmp_path: Path):
    body = {"messages": [{"role": "user", "content": "a"}], "modalities": ["text"], "tools": []}
    assert len(rows_of(tmp_path, {"body": body}).prompts) == 1
