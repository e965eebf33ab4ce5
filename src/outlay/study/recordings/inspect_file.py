"""The files of Inspect: what is read of a log, out of `.eval` (a zip) or `.json`.

Only the fields that a recording needs are named; the rest is skipped unread.
"""

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from outlay.errors import UsageError

ZSTD = 93
"""The zip method that Python before 3.14 cannot unpack."""
Shape = TypeVar("Shape")


class Usage(msgspec.Struct, frozen=True):
    """Tokens of a sample; `input_tokens` are those at full price, cached ones come on top."""

    input_tokens: int = 0
    output_tokens: int = 0
    input_tokens_cache_read: int | None = None
    input_tokens_cache_write: int | None = None
    reasoning_tokens: int | None = None
    total_cost: float | None = None


class Part(msgspec.Struct, frozen=True):
    """A part of a message; only text is kept."""

    type: str = ""
    text: str = ""


class Message(msgspec.Struct, frozen=True):
    """A chat message."""

    role: str
    content: str | list[Part] = ""


class Token(msgspec.Struct, frozen=True):
    """One token's log-probability."""

    logprob: float


class Logprobs(msgspec.Struct, frozen=True):
    """Those of a choice."""

    content: list[Token] = []


class Choice(msgspec.Struct, frozen=True):
    """One completion."""

    message: Message
    stop_reason: str = "stop"
    logprobs: Logprobs | None = None


class Output(msgspec.Struct, frozen=True):
    """What the model said last."""

    choices: list[Choice] = []
    usage: Usage | None = None
    time: float | None = None


class Score(msgspec.Struct, frozen=True):
    """A scorer's word; `value` may be nearly anything."""

    value: Any = None
    answer: str | None = None


class Sample(msgspec.Struct, frozen=True):
    """One answer to one prompt; `epoch` counts the answers of a prompt from 1."""

    id: int | str
    epoch: int
    input: str | list[Message]
    target: str | list[str] = ""
    choices: list[str] | None = None
    messages: list[Message] = []
    output: Output = Output()
    scores: dict[str, Score] | None = None
    score: Score | None = None
    model_usage: dict[str, Usage] = {}
    attachments: dict[str, str] = {}
    error: Any = None
    total_time: float | None = None
    working_time: float | None = None


class Config(msgspec.Struct, frozen=True):
    """How the model was asked."""

    temperature: float | None = None
    reasoning_effort: str | None = None
    reasoning_tokens: int | None = None


class Dataset(msgspec.Struct, frozen=True):
    """What was asked: how many samples."""

    samples: int | None = None


class Repeats(msgspec.Struct, frozen=True):
    """How often each sample was asked."""

    epochs: int | None = None


class Spec(msgspec.Struct, frozen=True):
    """What was run."""

    task: str
    model: str
    model_generate_config: Config = Config()
    dataset: Dataset = Dataset()
    config: Repeats = Repeats()

    @property
    def meant(self) -> int | None:
        """How many samples a whole log holds, all epochs together; None where it does not say."""
        return None if self.dataset.samples is None else self.dataset.samples * (self.config.epochs or 1)


class Plan(msgspec.Struct, frozen=True):
    """How it was run; older logs have the config here."""

    config: Config = Config()


class Header(msgspec.Struct, frozen=True):
    """A log without its samples; one whose status is unsaid was not ended."""

    eval: Spec
    plan: Plan = Plan()
    status: str = "started"


class Whole(msgspec.Struct, frozen=True):
    """A log in one JSON document."""

    eval: Spec
    plan: Plan = Plan()
    status: str = "started"
    samples: list[Sample] | None = None


class Log(NamedTuple):
    """One log, its samples as they are read."""

    path: Path
    header: Header
    samples: Iterator[Sample]


def is_log(path: Path) -> bool:
    """Whether a file is a log of Inspect, by its name and first bytes."""
    if path.suffix not in (".eval", ".json") or not path.is_file():
        return False
    with path.open("rb") as file:
        begin = file.read(4096)
    return begin.startswith(b"PK") if path.suffix == ".eval" else b'"eval"' in begin and b'"status"' in begin


def read(path: Path) -> Log:
    """Read a log.

    Raises:
        UsageError: It is damaged, has no samples, or is packed with zstd and `outlay[inspect]` is not installed.
    """
    if path.suffix == ".json":
        whole = _decoded(path.read_bytes(), Whole, path.name)
        if not whole.samples:
            raise UsageError(f"{path} has no samples: it was written without them; give the whole log")
        return Log(path, Header(whole.eval, whole.plan, whole.status), iter(whole.samples))
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise UsageError(f"{path} is not whole ({error}); make or fetch it again") from None
    names = archive.namelist()
    head = next((name for name in ("header.json", "_journal/start.json") if name in names), None)
    members = [one for one in archive.infolist() if one.filename.startswith("samples/")]
    if head is None or not members:
        raise UsageError(
            f"{path} is no log of Inspect, or one without samples: it holds {', '.join(names[:6])}"
        )
    header = _decoded(_unpacked(archive, archive.getinfo(head), path), Header, f"{path.name}: {head}")
    return Log(path, header, _samples(archive, members, path))


def _samples(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo], path: Path) -> Iterator[Sample]:
    with archive:
        for one in members:
            yield _decoded(_unpacked(archive, one, path), Sample, f"{path.name}: {one.filename}")


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> bytes:
    try:
        if member.compress_type != ZSTD:
            return archive.read(member)
        return _zstd(path, member)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise UsageError(f"{path} is not whole: {member.filename}: {error}; make or fetch it again") from None


def _zstd(path: Path, member: zipfile.ZipInfo) -> bytes:
    try:
        import zstandard
    except ImportError:
        raise UsageError(
            f"{path.name} is packed with zstd; pip install 'outlay[inspect]', "
            f"or make JSON of it: inspect log convert {path} --to json --output-dir DIR"
        ) from None
    with path.open("rb") as file:
        # the local header: 26 bytes, the lengths of name and extra field, both, then the data
        file.seek(member.header_offset + 26)
        lengths = file.read(4)
        file.seek(int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little"), 1)
        packed = file.read(member.compress_size)
    try:
        return bytes(zstandard.ZstdDecompressor().decompressobj().decompress(packed))
    except zstandard.ZstdError as error:
        raise EOFError(str(error)) from None


def _decoded(raw: bytes, shape: type[Shape], where: str) -> Shape:
    try:
        try:
            return msgspec.json.decode(raw, type=shape)
        except msgspec.ValidationError:
            raise
        except msgspec.DecodeError:  # a metric may be NaN, which only Python writes and reads
            found = msgspec.convert(json.loads(raw), shape)
            msgspec.json.encode(found)  # half a surrogate pair could be read here, and not be written
            return found
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} cannot be read as a log of Inspect: {error}; is it whole?") from None
