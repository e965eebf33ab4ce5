"""Output of the OpenAI Batch API, of chat completions and of responses; what was asked by `--input`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from outlay.engines.measure import confidence
from outlay.engines.recorded import Row, decoded
from outlay.errors import OutlayError, UsageError
from outlay.inputs import read as read_prompts
from outlay.study.labels import read_gold
from outlay.study.recordings.base import Imported, Marked, Options, assembled, row_of

NAME: Final = "output of the OpenAI Batch API"
TAKES: Final = frozenset({"answer", "input"})
SUFFIXES: Final = (".jsonl", ".jsonl.gz")


class Message(msgspec.Struct, frozen=True):
    """What the model said; `refusal` instead of words where it would not."""

    content: str | None = None
    refusal: str | None = None


class Token(msgspec.Struct, frozen=True):
    """One token's log-probability."""

    logprob: float


class Logprobs(msgspec.Struct, frozen=True):
    """Those of a choice."""

    content: list[Token] | None = None


class Choice(msgspec.Struct, frozen=True):
    """One completion of a chat."""

    message: Message = Message()
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Part(msgspec.Struct, frozen=True):
    """A part of an item of a response."""

    type: str = ""
    text: str = ""


class Item(msgspec.Struct, frozen=True):
    """An item of a response; messages have parts."""

    type: str = ""
    content: list[Part] | None = None


class Details(msgspec.Struct, frozen=True):
    """Parts of a count of tokens."""

    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct, frozen=True):
    """Tokens under the names of either API."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: Details | None = None
    completion_tokens_details: Details | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_details: Details | None = None
    output_tokens_details: Details | None = None


class Body(msgspec.Struct, frozen=True):
    """A chat completion (`choices`) or a response (`output`)."""

    model: str = "model"
    choices: list[Choice] | None = None
    output: list[Item] | None = None
    status: str | None = None
    usage: Usage | None = None


class Response(msgspec.Struct, frozen=True):
    """What came back over HTTP."""

    status_code: int = 0
    body: Any = None


class Line(msgspec.Struct, frozen=True):
    """One line of an output file."""

    custom_id: str
    response: Response | None = None


def reads(source: Path) -> bool:
    """Whether the first row is a line of the Batch API."""
    if not source.name.endswith(SUFFIXES):
        return False
    try:
        first = next(decoded(source, dict[str, Any]), {})
    except OutlayError:  # the importer of tables says what is wrong with it
        return False
    return "custom_id" in first and "response" in first


def load(sources: Sequence[Path], options: Options) -> Imported:
    """See `base.Importer`."""
    prompts: dict[str, dict[str, Any]] = {}
    if options.input is not None:
        asked = read_prompts(options.input)
        if asked.errors:
            raise asked.errors[0]
        gold = read_gold(options.input)
        prompts = {
            one.id: row_of(one) | {"gold": list(gold[one.id]) if one.id in gold else None}
            for one in asked.prompts
        }
    failed: list[str] = []
    draws = [draw for source in sources for draw in _draws(source, prompts, failed)]
    if not draws:
        raise UsageError(f"{sources[0]}: no request has an answer; {len(failed):,} failed")
    return assembled("OpenAI batch", draws, prompts, _notes(draws, prompts, failed), options)


def _notes(draws: Sequence[Marked], prompts: Any, failed: Sequence[str]) -> Iterator[str]:
    if failed:
        yield f"{len(failed):,} requests failed and are left out, the first: {failed[0]}"
    if not prompts:
        yield "what was asked is not there; give the input file with --input"
    elif missing := {draw.row.prompt for draw in draws} - set(prompts):
        yield f"{len(missing):,} prompts are not in the input file, such as {min(missing)}"


def _draws(source: Path, prompts: Any, failed: list[str]) -> Iterator[Marked]:
    for line in decoded(source, Line):
        body = line.response.body if line.response is not None else None
        if not isinstance(body, dict) or line.response is None or line.response.status_code != 200:
            failed.append(line.custom_id)
            continue
        rows = _rows(line.custom_id, _body(source, line.custom_id, body))
        kind = "text" if line.custom_id not in prompts else prompts[line.custom_id]["answer"]
        yield from (Marked(row, kind=kind) for row in rows)


def _body(source: Path, id_: str, raw: dict[str, Any]) -> Body:
    problem = "it has neither choices nor output"
    try:
        body = msgspec.convert(raw, Body)
        if body.choices is not None or body.output is not None:
            return body
    except msgspec.ValidationError as error:
        problem = str(error)
    raise UsageError(
        f"{source.name}: the body of {id_} is neither a chat completion nor a response ({problem}); "
        "other endpoints cannot be imported"
    )


def _rows(id_: str, body: Body) -> list[Row]:
    usage = body.usage or Usage()
    prompt = usage.prompt_tokens_details or usage.input_tokens_details or Details()
    written = usage.completion_tokens_details or usage.output_tokens_details or Details()
    output = usage.completion_tokens + usage.output_tokens
    texts = _texts(body)
    whole = len(texts) == 1
    return [
        Row(
            id_,
            body.model,
            0,
            text=said,
            input=usage.prompt_tokens + usage.input_tokens,
            cached=prompt.cached_tokens or 0,
            output=part,
            reasoning=(written.reasoning_tokens or 0) if whole else 0,
            confidence=sure,
            finish=finish,
            estimated=not whole,
        )
        for (said, finish, sure), part in zip(
            texts, _shares(output, [len(one[0]) for one in texts]), strict=True
        )
    ]


def _shares(total: int, sizes: Sequence[int]) -> list[int]:
    """Tokens of each of several copies, which were counted together: by their length; the sum is exact.

    >>> _shares(10, [30, 30, 40]), _shares(5, [0, 0])
    ([3, 3, 4], [2, 3])
    """
    weights = sizes if any(sizes) else [1] * len(sizes)
    ends = [total * sum(weights[: at + 1]) // sum(weights) for at in range(len(weights))]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def _texts(body: Body) -> list[tuple[str, str, Any]]:
    """Words, finish and confidence of each copy."""
    if body.choices is not None:
        return [
            (
                choice.message.content or "",
                "refusal" if choice.message.refusal else _FINISH.get(choice.finish_reason or "", "stop"),
                confidence([token.logprob for token in choice.logprobs.content or ()])
                if choice.logprobs
                else None,
            )
            for choice in body.choices
        ]
    parts = [
        part.text for item in body.output or () for part in item.content or () if part.type == "output_text"
    ]
    return [("".join(parts), "length" if body.status == "incomplete" else "stop", None)]


_FINISH: Final = {"length": "length", "content_filter": "content_filter"}
