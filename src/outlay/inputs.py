"""Input rows: JSON lines to prompts. What a row cannot give is an error of that row; the others run.

Rows are `{"id", "prompt"}` or `{"id", "messages"}` with optional `metadata`, `answer` and `worth`, or lines
of the OpenAI Batch API. Gold answers stop here: a prompt never holds `gold` (`study.labels` reads it apart).

A file is read in one pass, line by line, in bounded memory beside the prompts themselves.
"""

import difflib
import hashlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, NoReturn

from outlay.errors import InputError, UsageError
from outlay.types import NOTHING, Message, Prompt

MAX_PROMPT: Final = 8 * 2**20
"""Bytes of the text of one prompt: some two million tokens."""
MAX_LINE: Final = 6 * MAX_PROMPT
"""Bytes of one line; JSON may write one byte in six (`\\u0001`)."""
MAX_ID: Final = 512

ROLES: Final = ("system", "developer", "user", "assistant")
KEYS: Final = ("id", "prompt", "messages", "metadata", "answer", "worth", "gold")
BATCH_KEYS: Final = ("custom_id", "id", "method", "url", "body", *KEYS[3:])
BATCH_URL: Final = "/v1/chat/completions"
_REFUSED: Final[Mapping[str, str]] = {
    "tools": "outlay lets models call no tools: take it out, or put what a tool would say in the prompt",
    "functions": "outlay lets models call no tools: take it out, or put what a tool would say in the prompt",
    "audio": "outlay reads and writes text: take it out",
    "modalities": 'outlay reads and writes text: take it out, or write ["text"]',
}
"""Keys that change what is answered; a row that has them is not run without them."""
_PARTS: Final[Mapping[str, str]] = {
    "image_url": "an image",
    "input_image": "an image",
    "image": "an image",
    "input_audio": "sound",
    "audio": "sound",
    "video_url": "a video",
    "file": "a file",
    "input_file": "a file",
    "document": "a file",
    "tool_use": "a call of a tool",
    "tool_result": "what a tool said",
}


@dataclass(frozen=True, slots=True)
class Rows:
    """What was read.

    Attributes:
        prompts: In the order of the file.
        errors: Rows that cannot be used, in the order of the file.
        warnings: What was ignored, once each.
        digest: SHA-256 of the content that was read, in hexadecimal.
    """

    prompts: tuple[Prompt, ...]
    errors: tuple[InputError, ...]
    warnings: tuple[str, ...]
    digest: str


class Row(NamedTuple):
    """One line that holds something: its number, from 1, and its object, or why there is none."""

    line: int
    value: Mapping[str, Any] | InputError


def read(path: Path | str, *, default_answer: str = "text", limit: int | None = None) -> Rows:
    """Read prompts from a file, or from standard input where the path is `-`.

    Args:
        path: A file of JSON lines.
        default_answer: The kind of answer of rows that name none.
        limit: Rows to read at most, blank lines not counted.

    Raises:
        UsageError: The file cannot be read at all, or `default_answer` is no kind of answer.
    """
    reader = _Reader(default_answer)
    digest = hashlib.sha256()
    prompts: list[Prompt] = []
    errors: list[InputError] = []
    for line, value in objects(path, limit=limit, seen=digest.update):
        try:
            if isinstance(value, InputError):
                raise value
            prompts.append(reader.prompt(line, value))
        except InputError as error:
            errors.append(error.with_traceback(None))
    return Rows(tuple(prompts), tuple(errors), reader.warnings(), digest.hexdigest())


def prompts_of(
    rows: Iterable[str | Mapping[str, Any] | Prompt], *, default_answer: str = "text"
) -> tuple[Prompt, ...]:
    """The prompts of rows in memory: texts, objects as they stand in a file, or prompts; the first is line 1.

    Raises:
        InputError: The first row that cannot be used.
        UsageError: `default_answer` is no kind of answer.
    """
    reader = _Reader(default_answer)
    return tuple(reader.prompt(line, _object(line, row)) for line, row in enumerate(rows, 1))


def _object(line: int, row: object) -> Mapping[str, Any]:
    if isinstance(row, str):
        return {"prompt": row}
    if isinstance(row, Prompt):
        messages = [message._asdict() for message in row.messages]
        rest = {"answer": row.answer, "metadata": dict(row.metadata), "worth": row.worth}
        return {"id": row.id, "messages": messages, **rest}
    if isinstance(row, Mapping):
        return row
    problem = f"it is {type(row).__name__}"
    raise InputError(line, "prompt", problem, 'give a text, a Prompt, or an object like {"prompt": "…"}')


def objects(
    path: Path | str, *, limit: int | None = None, seen: Callable[[bytes], object] = len
) -> Iterator[Row]:
    """The rows of a file as JSON objects, bad ones as errors. `seen` is given every byte that was read.

    Raises:
        UsageError: The file cannot be read, or is no text in UTF-8.
    """
    rows = 0
    with _open(path) as file:
        for line, raw in enumerate(_lines(file, seen), 1):
            if line == 1:
                raw = _without_mark(raw, path)
            if not raw or raw.isspace():
                continue
            yield Row(line, _parsed(line, raw))
            rows += 1
            if rows == limit:
                return


def row_id(line: int, row: Mapping[str, Any]) -> str:
    """The id of a row: its own, or its line.

    Raises:
        InputError: It is not a text or a whole number, is empty or very long, or holds control characters.
    """
    field = "custom_id" if row.get("custom_id") is not None and "body" in row else "id"
    value = row.get(field)
    if value is None:
        return f"line-{line}"
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(line, field, f"it is {_what(value)}", "write a text or a whole number")
    text = str(value)
    if not text or len(text) > MAX_ID or not text.isprintable():
        raise InputError(
            line, field, f"{_clip(text)} cannot be an id", f"use 1 to {MAX_ID} printable characters"
        )
    return text


# ── lines ──────────────────────────────────────────────────────────────────────────────────────────────────


def _open(path: Path | str) -> AbstractContextManager[BinaryIO]:
    if str(path) == "-":
        return nullcontext(sys.stdin.buffer)
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None


def _lines(file: BinaryIO, seen: Callable[[bytes], object]) -> Iterator[bytes]:
    """Lines with their newline; of one that is too long the rest past `MAX_LINE` is skipped."""
    try:
        while raw := file.readline(MAX_LINE + 1):
            seen(raw)
            yield raw
            while not raw.endswith(b"\n") and len(raw) > MAX_LINE:
                raw = file.readline(MAX_LINE + 1)
                seen(raw)
    except OSError as error:  # a folder, a disk that fails
        raise UsageError(f"the input cannot be read: {(error.strerror or str(error)).lower()}") from None


def _without_mark(raw: bytes, path: Path | str) -> bytes:
    """The first line without a byte-order mark; other first bytes say that this is no JSON at all."""
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UsageError(f"{path} is text in UTF-16; convert it: iconv -f UTF-16 -t UTF-8 {path}")
    for magic, what, remedy in (
        (b"\x1f\x8b", "compressed with gzip", f"unpack it: gunzip {path}, or zcat {path} | outlay run -"),
        (b"\x28\xb5\x2f\xfd", "compressed with zstd", f"unpack it: unzstd {path}"),
        (b"PK\x03\x04", "a zip archive", f"unpack it: unzip {path}"),
        (b"PAR1", "a Parquet file", "write it as JSON lines"),
        (b"SQLite format 3", "a SQLite database", "write it as JSON lines"),
    ):
        if raw.startswith(magic):
            raise UsageError(f"{path} is {what}; {remedy}")
    return raw.removeprefix(b"\xef\xbb\xbf")


class _NotJson(ValueError):
    """NaN or Infinity, which Python would read and nobody else."""


def _constant(name: str) -> NoReturn:
    raise _NotJson(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_constant)


def _parsed(line: int, raw: bytes) -> Mapping[str, Any] | InputError:
    if len(raw) > MAX_LINE:
        return InputError(
            line, "line", f"it is longer than {MAX_LINE // 2**20} MiB", "split or shorten the row"
        )
    try:
        value = _DECODER.decode(raw.decode("utf-8").strip())
    except UnicodeDecodeError as error:
        problem = f"byte {error.start + 1} is not UTF-8"
        return InputError(line, "line", problem, "write the file in UTF-8")
    except _NotJson as error:
        return InputError(line, "line", f"{error} is not JSON", "write null or a number")
    except json.JSONDecodeError as error:
        return _not_json(line, raw, error)
    except ValueError:  # a number of more digits than Python converts
        return InputError(line, "line", "it holds a number that is too long", "write it as a text")
    except RecursionError:
        return InputError(line, "line", "it is nested too deeply", "flatten the row")
    if isinstance(value, dict):
        return value
    remedy = 'write one object per line: {"prompt": "…"}'
    if isinstance(value, list):
        remedy = "one row per line, not one array: jq -c '.[]' in.json > out.jsonl"
    return InputError(line, "line", f"it is {_what(value)}, not an object", remedy)


def _not_json(line: int, raw: bytes, error: json.JSONDecodeError) -> InputError:
    if b"\0" in raw:
        return InputError(
            line, "line", "it holds NUL bytes", "was the file cut by a crash? write the row again"
        )
    if not raw.endswith(b"\n"):
        return InputError(line, "line", "the file ends in the middle of this row", "write the row again")
    if raw.strip() in (b"[", b"{"):
        remedy = "one row per line, not one document: jq -c '.[]' in.json > out.jsonl"
        return InputError(line, "line", "it is the beginning of a longer JSON document", remedy)
    problem = f"it is not JSON: {error.msg.lower()} at character {error.pos + 1}"
    return InputError(line, "line", problem, 'write one object per line: {"prompt": "…"}')


# ── rows ───────────────────────────────────────────────────────────────────────────────────────────────────


class _Reader:
    """Makes prompts of objects, and remembers ids, kinds of answer and what was ignored."""

    def __init__(self, default_answer: str) -> None:
        self._default = default_answer
        self._kinds: dict[str, str] = {}
        self._line_of: dict[str, int] = {}
        self._ignored: dict[str, int] = {}
        if problem := self._kind_problem(default_answer):
            raise UsageError(f"answer {default_answer!r}: {problem}")

    def prompt(self, line: int, row: Mapping[str, Any]) -> Prompt:
        id_ = row_id(line, row)
        if id_ in self._line_of:
            problem = f"{_clip(id_)} is the id of line {self._line_of[id_]} already"
            raise InputError(line, "id", problem, "give each row an id of its own, or none")
        prompt = Prompt(
            id=id_,
            messages=_batch_messages(line, row) if "body" in row else _messages(line, row),
            answer=self._answer(line, row),
            metadata=_metadata(line, row),
            worth=_worth(line, row),
        )
        self._line_of[id_] = line
        self._ignore(row)
        return prompt

    def warnings(self) -> tuple[str, ...]:
        if not self._ignored:
            return ()
        names = sorted(self._ignored, key=lambda name: -self._ignored[name])
        shown = ", ".join(f"{name} ({self._ignored[name]:,} rows)" for name in names[:8])
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        return (f"ignored keys: {shown}{more}; what should travel with a row belongs in its metadata",)

    def _ignore(self, row: Mapping[str, Any]) -> None:
        if "body" in row:
            names = [name for name in row if name not in BATCH_KEYS]
            names += [f"body.{name}" for name in row["body"] if name != "messages"]
        else:
            names = [name for name in row if name not in KEYS]
        for name in names:
            shown = _clip(name)
            if shown in self._ignored or len(self._ignored) < 1_000:  # bounded, whatever the file holds
                self._ignored[shown] = self._ignored.get(shown, 0) + 1

    def _answer(self, line: int, row: Mapping[str, Any]) -> str:
        spec = row.get("answer")
        if spec is None:
            return self._default
        problem = self._kind_problem(spec) if isinstance(spec, str) else f"it is {_what(spec)}"
        if problem:
            remedy = "name a kind of answer; a right answer to grade with is called gold"
            raise InputError(line, "answer", problem, remedy)
        return str(spec)

    def _kind_problem(self, spec: str) -> str:
        """Why `spec` is no kind of answer; empty if it is one."""
        if spec not in self._kinds:
            from outlay.answers import kind

            problem = ""
            try:
                kind(spec)
            except ValueError as error:
                problem = _clip(str(error).rstrip("."), 300)
            if len(self._kinds) >= 10_000:
                self._kinds.clear()
            self._kinds[spec] = problem
        return self._kinds[spec]


def _messages(line: int, row: Mapping[str, Any]) -> tuple[Message, ...]:
    _refuse(line, row, "")
    prompt, messages = row.get("prompt"), row.get("messages")
    if prompt is not None and messages is not None:
        raise InputError(line, "messages", "there is a prompt as well", "keep one of the two")
    if messages is not None:
        return _chat(line, "messages", messages)
    if prompt is None:
        near = difflib.get_close_matches("prompt", row, n=1, cutoff=0.6)
        near = near or [
            name for name in ("question", "input", "text", "instruction", "content") if name in row
        ]
        remedy = f"rename {_clip(near[0])} to prompt" if near else 'add "prompt": "…" or "messages": […]'
        raise InputError(line, "prompt", "there is none", remedy)
    if not isinstance(prompt, str):
        remedy = "write a text; a list of messages is called messages"
        raise InputError(line, "prompt", f"it is {_what(prompt)}", remedy)
    return _sound(line, "prompt", (Message("user", prompt),))


def _batch_messages(line: int, row: Mapping[str, Any]) -> tuple[Message, ...]:
    body = row["body"]
    if not isinstance(body, dict):
        raise InputError(line, "body", f"it is {_what(body)}", "write an object with messages")
    if row.get("method", "POST") != "POST":
        raise InputError(line, "method", f"it is {_clip(str(row['method']))}", "write POST")
    if row.get("url", BATCH_URL) != BATCH_URL:
        raise InputError(line, "url", f"it is {_clip(str(row['url']))}", f"only {BATCH_URL} is served")
    _refuse(line, body, "body.")
    if body.get("messages") is None:
        raise InputError(line, "body.messages", "there are none", "add messages")
    return _chat(line, "body.messages", body["messages"])


def _refuse(line: int, row: Mapping[str, Any], prefix: str) -> None:
    for name, remedy in _REFUSED.items():
        if row.get(name) and row[name] != ["text"]:
            raise InputError(line, f"{prefix}{name}", "it is not served", remedy)


def _chat(line: int, field: str, messages: Any) -> tuple[Message, ...]:
    if not isinstance(messages, list) or not messages:
        problem = "it is empty" if messages == [] else f"it is {_what(messages)}"
        raise InputError(line, field, problem, 'write [{"role": "user", "content": "…"}]')
    return _sound(line, field, tuple(_message(line, f"{field}[{at}]", m) for at, m in enumerate(messages)))


def _message(line: int, field: str, message: Any) -> Message:
    if not isinstance(message, dict):
        raise InputError(line, field, f"it is {_what(message)}", 'write {"role": "user", "content": "…"}')
    role, content = message.get("role"), message.get("content")
    if role in ("tool", "function"):
        raise InputError(line, f"{field}.role", f"{role} is not served", _REFUSED["tools"])
    if role not in ROLES:
        problem = "there is none" if role is None else f"{_clip(str(role))} is not served"
        raise InputError(line, f"{field}.role", problem, f"write one of {', '.join(ROLES)}")
    if message.get("tool_calls") or message.get("function_call"):
        raise InputError(line, field, "it calls a tool", _REFUSED["tools"])
    if isinstance(content, list):
        content = "\n".join(_part(line, f"{field}.content[{at}]", part) for at, part in enumerate(content))
    if not isinstance(content, str):
        raise InputError(line, f"{field}.content", f"it is {_what(content)}", "write a text")
    return Message(role, content)


def _part(line: int, field: str, part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    if kind is None:
        remedy = 'write a text, or {"type": "text", "text": "…"}'
        raise InputError(line, field, "it is not a part of a message", remedy)
    named = _clip(str(kind))
    what = f"it is {_PARTS[named]} ({named})" if named in _PARTS else f"it is of type {named}"
    if kind == "text":
        raise InputError(line, f"{field}.text", f"it is {_what(part.get('text'))}", "write a text")
    raise InputError(line, field, what, "outlay reads text: describe it in words, or take the row out")


def _sound(line: int, field: str, messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages, if their text can be sent and stored."""
    size = 0
    for message in messages:
        try:
            size += len(message.content.encode("utf-8"))
        except UnicodeEncodeError:
            problem = "it holds half of a surrogate pair"
            raise InputError(line, field, problem, "write the character whole, or its code point") from None
        if "\0" in message.content:
            raise InputError(line, field, "it holds a NUL character", "take it out")
    if size > MAX_PROMPT:
        problem = f"it holds {size / 2**20:.1f} MiB of text"
        raise InputError(line, field, problem, f"shorten it to {MAX_PROMPT // 2**20} MiB")
    if not any(message.content.strip() for message in messages):
        raise InputError(line, field, "it is empty", "ask something")
    return messages


def _metadata(line: int, row: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata = row.get("metadata")
    if metadata is None:
        return NOTHING
    if not isinstance(metadata, dict):
        raise InputError(line, "metadata", f"it is {_what(metadata)}", "write an object")
    group = metadata.get("group")
    if isinstance(group, int) and not isinstance(group, bool):
        return metadata | {"group": str(group)}
    if group is not None and not (isinstance(group, str) and group.isprintable()):
        raise InputError(line, "metadata.group", f"it is {_what(group)}", "name it in printable characters")
    return metadata


def _worth(line: int, row: Mapping[str, Any]) -> float:
    worth = row.get("worth")
    if worth is None:
        return 1.0
    number = isinstance(worth, int | float) and not isinstance(worth, bool)
    if not number or not 0 < worth < math.inf or worth > 1e12:
        shown = _clip(str(worth)) if number else _what(worth)
        raise InputError(line, "worth", f"it is {shown}", "write a number above 0; 1 is usual")
    return float(worth)


def _what(value: Any) -> str:
    """A JSON value in words."""
    for kind, words in (
        (bool, "true or false"),
        (str, "a text"),
        (int | float, "a number"),
        (list, "a list"),
        (dict, "an object"),
    ):
        if isinstance(value, kind):
            return words
    return "null"


def _clip(text: str, most: int = 40) -> str:
    """Short enough for a message, and printable."""
    short = text if len(text) <= most else f"{text[: most - 1]}…"
    return short if short.isprintable() else ascii(short)[1:-1]
