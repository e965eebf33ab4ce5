"""What an importer is: it makes a recording of what somebody else wrote."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, final

import msgspec

from outlay.engines.recorded import Row
from outlay.study.recording import ANY, Label
from outlay.types import NOTHING, Prompt

CHARS_PER_TOKEN: Final = 4
"""Of English, roughly; rows whose tokens come from it are marked as estimated."""


@final
@dataclass(frozen=True, slots=True)
class Options:
    """What the user says about a source; an importer names those that it honors in `takes`.

    Attributes:
        answer: The kind of answer of every prompt, instead of the one that the importer would give.
        where: Column → value that a row must have.
        confidence: A column of probabilities that stands for how sure a draw was.
        scorer: The scorer whose word is what is right.
        checks: Scorers whose word a run may see, since they need no right answer.
        input: The file that was asked, where the source holds only what came back.
    """

    answer: str = ""
    where: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    confidence: str = ""
    scorer: str = ""
    checks: tuple[str, ...] = ()
    input: Path | None = None


@final
@dataclass(frozen=True, slots=True)
class Imported:
    """A recording before it is written.

    Attributes:
        shape: What the source was recognized as.
        rows, labels, prompts: As `recording_files.write` takes them.
        notes: What was left out or estimated, in sentences.
    """

    shape: str
    rows: Sequence[Row]
    labels: Sequence[Label]
    prompts: Sequence[Mapping[str, Any]]
    notes: tuple[str, ...] = ()


class Importer(Protocol):
    """Reads one kind of source.

    Attributes:
        NAME: What it reads, for messages.
        TAKES: Fields of `Options` that it honors.
    """

    NAME: str
    TAKES: frozenset[str]

    def reads(self, source: Path) -> bool:
        """Whether it knows this source, by a look at its beginning."""
        ...

    def load(self, sources: Sequence[Path], options: Options) -> Imported:
        """Read sources that it knows.

        Raises:
            UsageError: A source cannot be read as what it seemed to be; says what was found.
            InputError: A row that cannot be used.
        """
        ...


class Marked(NamedTuple):
    """One draw as an importer found it.

    Attributes:
        row: Its `draw` is set later: draws of an arm for a prompt are numbered as they come.
        right: The log's mark; None where it has none.
        group: The question class, where no file of prompts names it.
        kind: The kind of answer, likewise.
        own: The log kept no answers: this draw is an answer of its own, equal to no other.
    """

    row: Row
    right: bool | float | None = None
    group: str = ""
    kind: str = ANY
    own: bool = False


def assembled(
    shape: str,
    draws: Iterable[Marked],
    prompts: Mapping[str, Mapping[str, Any]],
    notes: Iterable[str],
    options: Options,
) -> Imported:
    """Number the draws, put labels apart, and name what was asked.

    Args:
        shape: What the source is.
        draws: In the order in which they were drawn.
        prompts: Input rows by id, with `gold` where it is known; those without draws are left out.
        notes: Of the importer.
        options: Of the user.
    """
    rows: list[Row] = []
    labels: list[Label] = []
    asked: dict[str, dict[str, Any]] = {}
    count: dict[tuple[str, str], int] = defaultdict(int)
    for row, right, group, kind, own in draws:
        at = count[row.prompt, row.arm]
        count[row.prompt, row.arm] += 1
        answer = f"{row.arm} {at}" if own else row.answer
        rows.append(msgspec.structs.replace(row, draw=at, answer=answer))
        if right is not None:
            labels.append(Label(row.prompt, arm=row.arm, draw=at, right=right))
        if row.prompt not in asked:
            known = prompts.get(row.prompt, {"id": row.prompt, "prompt": row.prompt})
            # where answers are none, two of them are never the same
            asked[row.prompt] = {"answer": "text" if own else kind} | _metadata(group) | dict(known)
    right_of = {id_: ask.pop("gold", None) for id_, ask in asked.items()}
    gold = [Label(id_, gold=right) for id_, right in right_of.items() if right is not None]
    if options.answer:
        asked = {id_: ask | {"answer": options.answer} for id_, ask in asked.items()}
        # who says how to read answers wants them read, where there is a text to read
        rows = [msgspec.structs.replace(row, answer=None) if row.text else row for row in rows]
    return Imported(shape, rows, [*gold, *labels], list(asked.values()), (*notes, *_told(rows)))


def _metadata(group: str) -> dict[str, Any]:
    return {"metadata": {"group": group}} if group else {}


def _told(rows: Sequence[Row]) -> list[str]:
    """What the reader should know of the figures."""
    counted = {row.arm for row in rows if row.output}
    blind = sorted({row.arm for row in rows} - counted)
    said = []
    if any(row.estimated for row in rows):
        said.append("tokens are no bill: they were counted from characters, or by another tokenizer")
    if blind:
        shown = ", ".join(blind[:4]) + (f" and {len(blind) - 4} more" if len(blind) > 4 else "")
        said.append(f"tokens of {shown} are not known; their cost is unknown, not nothing")
    return said


def sendable(messages: Sequence[Mapping[str, str]], id_: str) -> dict[str, Any]:
    """What was asked as an input row takes it; where there are no words, the id stands for them."""
    said = [{"role": one["role"], "content": one["content"].replace("\0", "")} for one in messages]
    said = [one for one in said if one["content"].strip()]
    if not said:
        return {"prompt": id_}
    if len(said) == 1 and said[0]["role"] == "user":
        return {"prompt": said[0]["content"]}
    return {"messages": said}


def row_of(prompt: Prompt) -> dict[str, Any]:
    """The input row of a prompt."""
    row = {"id": prompt.id, **sendable([one._asdict() for one in prompt.messages], prompt.id)}
    row |= {"answer": prompt.answer}
    row |= {"metadata": dict(prompt.metadata)} if prompt.metadata else {}
    return row | ({"worth": prompt.worth} if prompt.worth != 1 else {})


def tokens_of(chars: float | None) -> int:
    """Tokens of so many characters, rounded up.

    >>> tokens_of(9), tokens_of(None)
    (3, 0)
    """
    return -(-int(chars or 0) // CHARS_PER_TOKEN)
