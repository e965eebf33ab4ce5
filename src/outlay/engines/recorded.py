"""Answers that were recorded earlier, drawn without replacement: the engine of replays and studies.

A row is one draw of one arm for one prompt, with the verdict of every check that was run on it:

    {"prompt": "p1", "arm": "small", "draw": 0, "answer": "42", "text": "… so 42.", "input": 61,
     "cached": 0, "output": 118, "reasoning": 80, "usd": 0.000089, "ms": 2150,
     "confidence": [-0.21, -0.9, -0.1], "finish": "stop", "verdicts": {"visible": true}}

All but the first three may be missing. Other fields are ignored, so that nothing but these can reach a run:
right answers lie in a file of their own (`outlay.study.recording`, `docs/recordings.md`).
"""

import gzip
import hashlib
import io
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar, final

import msgspec

from outlay.engines.measure import cap
from outlay.errors import InputError, UsageError
from outlay.types import Ask, Call, Completion, Confidence, Cost, Delivery, Usage, cost_of


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One recorded draw; see the module for an example.

    Attributes:
        prompt, arm, draw: Which draw it is; no two rows share all three.
        answer: What the reply's answer is; null where it is to be read from the text.
        text: What was said; empty where only the answer was kept.
        input, output: Tokens as billed; an output of 0 in all draws of an arm means that nobody counted.
        cached, reasoning: The part of `input` read from a cache, the part of `output` that was thought.
        usd: Dollars, as whoever billed it said; null where nobody did.
        ms: How long it took, in milliseconds; 0 where nobody looked.
        confidence: Mean, lowest window and tail of the token log-probabilities, as in `types.Confidence`.
        finish: `stop`, `length`, `content_filter`, `refusal` or `error`.
        verdicts: The word of each check; null where it does not apply.
        estimated: The tokens are no bill: they were counted from characters or by another tokenizer.
    """

    prompt: str
    arm: str
    draw: int
    answer: str | None = None
    text: str = ""
    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    usd: float | None = None
    ms: int = 0
    confidence: tuple[float, float, float] | None = None
    finish: str = "stop"
    verdicts: dict[str, bool | None] = {}
    estimated: bool = False

    @property
    def handle(self) -> str:
        """How a later check refers to this draw; the same however the file is ordered or grows."""
        return f"{self.prompt}\x1f{self.arm}\x1f{self.draw}"


class Key(NamedTuple):
    """Draws of one arm for one prompt stand together."""

    prompt: str
    arm: str


@dataclass(slots=True)
class Span:
    """Largest and mean use of one arm over all its rows."""

    rows: int = 0
    input: int = 0
    output: int = 0
    ms: int = 0
    most_input: int = 0
    most_output: int = 0
    most_ms: int = 0

    def add(self, row: Row) -> None:
        """Count one row in."""
        self.rows += 1
        self.input += row.input
        self.output += row.output
        self.ms += row.ms
        self.most_input = max(self.most_input, row.input)
        self.most_output = max(self.most_output, row.output)
        self.most_ms = max(self.most_ms, row.ms)


@final
class Recorded:
    """Copy number k of an arm is row k of an order shuffled by the seed: a replay meets the same draws,
    another seed meets others. An ordinal names a row whoever asks: two kinds of purchase of one arm see the
    same.

    An answer that was recorded is what comes back: whoever recorded it knew how to read it. Otherwise the
    text does. A cap below what was recorded cuts the text at the same share of its characters (where its
    tokens ended was not recorded) and takes answer, confidence and verdicts away: they belong to the whole.
    """

    def __init__(self, rows: Iterable[Row], seed: int = 0) -> None:
        self.lockstep, self.chunk, self._seed = True, 1024, seed
        self._draws: dict[Key, list[Row]] = defaultdict(list)
        self._spans: dict[str, Span] = defaultdict(Span)
        self._checks: set[Key] = set()
        self._by_handle: dict[str, Row] = {}
        for row in rows:
            if row.handle in self._by_handle:
                raise UsageError(
                    f"draw {row.draw} of arm {row.arm!r} for prompt {row.prompt!r} is recorded twice; "
                    "number the draws of an arm for a prompt 0, 1, 2, …"
                )
            self._by_handle[row.handle] = row
            self._draws[Key(row.prompt, row.arm)].append(row)
            self._spans[row.arm].add(row)
            self._checks.update(
                Key(row.prompt, name) for name, value in row.verdicts.items() if value is not None
            )
        for draws in self._draws.values():
            draws.sort(key=self._place)

    @classmethod
    def load(cls, path: str | Path, seed: int = 0) -> Self:
        """Read a recording: `.jsonl`, `.jsonl.gz`, or `.parquet` (with the extra `parquet`)."""
        return cls(read(Path(path)), seed)

    def arms(self) -> tuple[str, ...]:
        """Names of the recorded arms, in the order of the file."""
        return tuple(self._spans)

    def available(self, prompt_id: str, arm: str) -> int:
        """How many draws of `arm` were recorded for the prompt."""
        return len(self._draws.get(Key(prompt_id, arm), ()))

    def has_check(self, prompt_id: str, check_arm: str) -> bool:
        """Whether the check exists for the prompt: some draw there has a verdict of it."""
        return Key(prompt_id, check_arm) in self._checks

    def worst(self, call: Call) -> Cost:
        """The largest output of the arm, in every copy; the prompt's own input where it was recorded."""
        if not isinstance(call.payload, Ask):
            return Cost()
        span = self._spans.get(call.arm.name, Span())
        own = self._draws.get(Key(call.prompt_id, call.arm.name))
        usage = Usage(
            max(row.input for row in own) if own else span.most_input,
            call.n * min(span.most_output, cap(call)),
        )
        return cost_of(call.arm.price, usage, span.most_ms)

    def expected(self, call: Call) -> Cost:
        """The mean of the arm over all prompts: nobody knows beforehand how long this answer will be."""
        span = self._spans.get(call.arm.name)
        if span is None or not isinstance(call.payload, Ask):
            return Cost()
        output = min(span.output / span.rows, cap(call))
        usage = Usage(round(span.input / span.rows), round(call.n * output))
        return cost_of(call.arm.price, usage, round(span.ms / span.rows))

    async def complete(self, calls: Sequence[Call]) -> list[Delivery]:
        return [self._draw(call) if isinstance(call.payload, Ask) else self._verdict(call) for call in calls]

    async def close(self) -> None:
        """Nothing is held."""

    def _draw(self, call: Call) -> Delivery:
        draws = self._draws.get(Key(call.prompt_id, call.arm.name), [])
        taken = draws[call.ordinal : call.ordinal + call.n]
        error = ""
        if len(taken) < call.n:
            error = (
                f"prompt {call.prompt_id!r} has {len(draws)} recorded draws of arm {call.arm.name!r}, "
                f"asked for number {call.ordinal} to {call.ordinal + call.n - 1}; record more, or buy fewer"
            )
        copies = tuple(_copy(row, cap(call)) for row in taken)
        usage = Usage(
            max((row.input for row in taken), default=0),
            sum(copy.output_tokens for copy in copies),
            min((row.cached for row in taken), default=0),
            sum(min(row.reasoning, copy.output_tokens) for row, copy in zip(taken, copies, strict=True)),
            any(row.estimated for row in taken),
        )
        return Delivery(copies, usage, max((row.ms for row in taken), default=0), error)

    def _verdict(self, call: Call) -> Delivery:
        assert not isinstance(call.payload, Ask)
        handle = call.payload.handle
        if handle == CUT:
            return Delivery((Completion("", passed=None),) * call.n)
        row = self._by_handle.get(handle)
        if row is None:
            return Delivery(
                (), error=f"no recorded draw has the handle {handle!r}; checks replay recorded draws only"
            )
        return Delivery((Completion("", passed=row.verdicts.get(call.arm.name)),) * call.n)

    def _place(self, row: Row) -> bytes:
        return hashlib.blake2b(f"{self._seed}\x1f{row.handle}".encode(), digest_size=8).digest()


CUT = "cut"
"""The handle of a draw that was cut below what was recorded: no recorded verdict speaks about it."""


def _copy(row: Row, most: int) -> Completion:
    if row.output > most:
        share = len(row.text) * most // row.output
        return Completion(row.text[:share], "length", most, handle=CUT)
    sure = Confidence(*row.confidence) if row.confidence is not None else None
    said = row.text if row.answer is None else row.answer
    return Completion(said, row.finish, row.output, sure, handle=row.handle)


def read(path: Path) -> Iterator[Row]:
    """The rows of a recording.

    Raises:
        UsageError: No such file, or it needs an extra that is not installed.
        InputError: A row that cannot be used, with its line, field and remedy.
    """
    return decoded(path, Row)


Shape = TypeVar("Shape")


def decoded(path: Path, shape: type[Shape]) -> Iterator[Shape]:
    """The rows of a file of a recording: `.jsonl`, `.jsonl.gz`, or `.parquet`.

    Raises:
        UsageError: No such file, or it needs an extra that is not installed.
        InputError: A row that cannot be used, with its line, field and remedy.
    """
    if not path.is_file():
        raise UsageError(f"no recording at {path}; give the path of a .jsonl, .jsonl.gz or .parquet file")
    number = 0
    decode = msgspec.json.Decoder(shape).decode
    try:
        for raw in _raw(path):
            number += 1
            if isinstance(raw, bytes):
                if raw.strip():
                    yield decode(raw)
            else:
                yield msgspec.convert(raw, shape)
    except msgspec.ValidationError as error:
        problem, _, where = str(error).partition(" - at ")
        field = where.strip("`$.") or (problem.split("`")[1] if "`" in problem else "")
        raise InputError(
            number, field, problem, f"mend {path.name}; `docs/recordings.md` shows a row"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            number, "", f"not JSON ({error})", f"mend {path.name}: one JSON object a line"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(f"{path} is not whole ({error}); make or fetch it again") from None


def _raw(path: Path) -> Iterator[bytes | Mapping[str, Any]]:
    if path.suffix == ".parquet":
        yield from _parquet(path)
    elif path.suffix == ".gz":
        with gzip.open(path) as packed, io.BufferedReader(packed, 1 << 20) as lines:
            yield from lines
    else:
        with path.open("rb") as lines:
            yield from lines


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise UsageError(
            f"{path.name} is parquet; pip install 'outlay[parquet]', or give JSON lines"
        ) from None
    try:
        table = parquet.ParquetFile(path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise UsageError(f"{path} cannot be read as parquet ({error}); make or fetch it again") from None
    for batch in table.iter_batches():
        names = batch.schema.names
        # by columns: several times as fast as row by row
        for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            # A null column is a missing field, and a map column comes back as pairs.
            full = {name: cell for name, cell in zip(names, cells, strict=True) if cell is not None}
            if "verdicts" in full:
                full["verdicts"] = dict(full["verdicts"])
            yield full
