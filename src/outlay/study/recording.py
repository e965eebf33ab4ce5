"""A recording with its siblings: draws, what is right, and what was asked, each in a file of its own.

    NAME.jsonl.gz          one row for each prompt, arm and draw (`outlay.engines.recorded.Row`)
    NAME_labels.jsonl.gz   {"prompt", "gold"}, or {"prompt", "arm", "draw", "right": true | false | 0..1 | null}
    NAME_prompts.jsonl     input rows of outlay: id, prompt or messages, answer, metadata

The draws hold all that a run may see; labels are read here and nowhere below. Each file may be `.jsonl`,
`.jsonl.gz` or `.parquet` (prompts: JSON lines). Only the first must be there. `docs/recordings.md` has the format.
"""

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, final

import msgspec

from outlay.answers import kind
from outlay.engines.recorded import Row, decoded
from outlay.engines.recorded import read as read_rows
from outlay.errors import InputError, UsageError
from outlay.inputs import prompts_of
from outlay.study.grade import by_gold
from outlay.study.labels import Gold
from outlay.types import FREE, Answer, Message, Prompt

SUFFIXES: Final = (".jsonl.gz", ".jsonl", ".parquet")
ANY: Final = "regex:(?s).+"
"""The kind of answer of a prompt that names none: the whole answer as it stands; answers exclude each other."""


class Label(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known to be right: the gold answers of a prompt, or the mark of one draw.

    Attributes:
        gold: The right answer, or a list of answers each as good as the others.
        arm, draw: Which draw `right` is about.
        right: True, false, or a share of 0 to 1; null where nobody could say.
        correct: An older name of `right`.
    """

    prompt: str
    gold: str | int | float | bool | list[str | int | float | bool] | None = None
    arm: str | None = None
    draw: int | None = None
    right: bool | float | None = None
    correct: bool | float | None = None


class Draw(NamedTuple):
    """Which draw of a recording is meant."""

    prompt: str
    arm: str
    draw: int


@final
@dataclass(frozen=True, slots=True)
class Labels:
    """What is right, apart from the draws.

    Attributes:
        gold: The right answers of a prompt, by its id.
        right: Marks of single draws, 0 to 1; None where nobody could say.
    """

    gold: Mapping[str, Gold]
    right: Mapping[Draw, float | None]


class ArmFacts(NamedTuple):
    """What was recorded of one arm; means are over its draws.

    Attributes:
        prompts: Prompts with at least one draw.
        draws: In all.
        fewest, most: Draws of one prompt, among those with any.
        tok, outtok: Mean tokens as billed, input plus output, and output.
        usd: Mean dollars; None where any draw has none.
        ms: Mean milliseconds.
        counted: Whether output tokens were counted at all.
        confidence: Share of draws with a confidence.
    """

    name: str
    prompts: int
    draws: int
    fewest: int
    most: int
    tok: float
    outtok: float
    usd: float | None
    ms: float
    counted: bool
    confidence: float


@final
@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording and its siblings.

    Attributes:
        path: Of the draws.
        rows: The draws, in the order of the file.
        prompts: What was asked, one for each prompt that has draws. Without a file of prompts the text is the id and
            the kind of answer `ANY`.
        asked: Whether a file of prompts was there.
        labels: None where there is no such file.
        arms: From cheap to dear by mean cost: dollars where every draw has them, else tokens;
            arms whose tokens nobody counted come last.
        checks: Names of the checks with a verdict on any draw.
    """

    path: Path
    rows: tuple[Row, ...]
    prompts: tuple[Prompt, ...]
    asked: bool
    labels: Labels | None
    arms: tuple[ArmFacts, ...]
    checks: tuple[str, ...]

    @property
    def dollars(self) -> bool:
        """Whether every draw says what it cost in dollars."""
        return all(arm.usd is not None for arm in self.arms)

    @property
    def counted(self) -> bool:
        """Whether tokens were counted for every arm."""
        return all(arm.counted for arm in self.arms)

    @property
    def confidence(self) -> bool:
        """Whether any draw has a confidence."""
        return any(arm.confidence for arm in self.arms)

    @property
    def complete(self) -> bool:
        """Whether every arm has draws for every prompt, and as many for each."""
        return all(arm.fewest == arm.most and arm.prompts == len(self.prompts) for arm in self.arms)

    def facts(self) -> tuple[tuple[str, str], ...]:
        """What is there, in words for a reader."""
        fewest, most = min(arm.fewest for arm in self.arms), max(arm.most for arm in self.arms)
        whole = "" if self.complete else ", not of every arm for every prompt"
        return (
            ("prompts", f"{len(self.prompts):,}{'' if self.asked else ', without their text'}"),
            ("arms", f"{len(self.arms):,}: {_few([arm.name for arm in self.arms])} (cheap to dear)"),
            (
                "draws",
                f"{len(self.rows):,}: {fewest if fewest == most else f'{fewest} to {most}'} an arm{whole}",
            ),
            ("tokens", _share(arm.counted for arm in self.arms)),
            ("dollars", _share(arm.usd is not None for arm in self.arms)),
            ("confidence", _share(arm.confidence > 0 for arm in self.arms)),
            ("checks", _few(self.checks) or "none"),
            ("labels", _labels(self.labels)),
        )


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more


def _share(has: Iterable[bool]) -> str:
    found = list(has)
    return "yes" if all(found) else f"of {sum(found)} of {len(found)} arms" if any(found) else "none"


def _labels(labels: Labels | None) -> str:
    if labels is None:
        return "none"
    gold, right = len(labels.gold), len(labels.right)
    said = [f"right answers of {gold:,} prompts"] * bool(gold) + [f"marks of {right:,} draws"] * bool(right)
    return " and ".join(said) or "none"


# ── reading ────────────────────────────────────────────────────────────────────────────────────────────────


def load(path: Path | str) -> Recording:
    """Read a recording, and the labels and prompts beside it.

    Raises:
        UsageError: No such file, no draws in it, or it is parquet and `outlay[parquet]` is not installed.
        InputError: A row that cannot be used, with its line, field and remedy.
    """
    path = Path(path)
    rows = tuple(read_rows(path))
    if not rows:
        raise UsageError(f"{path} holds no draws; see `docs/recordings.md` for what a row is")
    wanted = dict.fromkeys(row.prompt for row in rows)
    asked = _beside(path, "prompts")
    known = {prompt.id: prompt for prompt in _prompts(asked)} if asked else {}
    labels = _beside(path, "labels")
    return Recording(
        path=path,
        rows=rows,
        prompts=tuple(known.get(id_) or Prompt(id_, (Message("user", id_),), ANY) for id_ in wanted),
        asked=asked is not None,
        labels=_read_labels(labels) if labels else None,
        arms=arms_of(rows),
        checks=tuple(
            dict.fromkeys(name for row in rows for name, word in row.verdicts.items() if word is not None)
        ),
    )


def sibling(path: Path, what: str, suffix: str) -> Path:
    """`NAME_what` beside a recording `NAME`, with a suffix of its own."""
    return path.with_name(f"{stem(path)}_{what}{suffix}")


def stem(path: Path) -> str:
    """NAME of `NAME.jsonl.gz`, `NAME.jsonl` or `NAME.parquet`.

    Raises:
        UsageError: The name ends otherwise.
    """
    for suffix in SUFFIXES:
        if path.name.endswith(suffix) and path.name != suffix:
            return path.name.removesuffix(suffix)
    raise UsageError(f"{path.name} is no name of a recording; end it with {', '.join(SUFFIXES)}")


def _beside(path: Path, what: str) -> Path | None:
    found = (sibling(path, what, suffix) for suffix in SUFFIXES)
    return next((one for one in found if one.is_file()), None)


def _prompts(path: Path) -> Iterator[Prompt]:
    yield from prompts_of(decoded(path, dict[str, Any]))


def _read_labels(path: Path) -> Labels:
    gold: dict[str, Gold] = {}
    right: dict[Draw, float | None] = {}
    for number, label in enumerate(decoded(path, Label), 1):
        if label.gold is not None:
            values = label.gold if isinstance(label.gold, list) else [label.gold]
            gold[label.prompt] = tuple(text_of(value) for value in values)
        if label.arm is None:
            continue
        if label.draw is None:
            raise InputError(number, "draw", "there is an arm and no draw", "name the draw that is meant")
        mark = label.correct if label.right is None else label.right
        if mark is not None and not 0 <= mark <= 1:
            raise InputError(number, "right", f"it is {mark}", "write true, false, or a share of 0 to 1")
        right[Draw(label.prompt, label.arm, label.draw)] = None if mark is None else float(mark)
    return Labels(gold, right)


def text_of(value: str | float | bool) -> str:
    """A gold answer as text: true, false, and 18 for 18.0."""
    if isinstance(value, bool):
        return str(value).lower()
    whole = isinstance(value, float) and math.isfinite(value) and value == int(value)
    return str(int(value)) if whole else str(value)


def arms_of(rows: Iterable[Row]) -> tuple[ArmFacts, ...]:
    """The arms of a recording from cheap to dear, ties in the order of the rows; those of unknown cost last."""
    own: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        own[row.arm].append(row)
    arms = [_facts(name, draws) for name, draws in own.items()]
    dollars = all(arm.usd is not None for arm in arms)
    return tuple(sorted(arms, key=lambda arm: (False, arm.usd) if dollars else (not arm.counted, arm.tok)))


def _facts(name: str, rows: Sequence[Row]) -> ArmFacts:
    count: dict[str, int] = defaultdict(int)
    for row in rows:
        count[row.prompt] += 1
    billed = [row.usd for row in rows if row.usd is not None]
    return ArmFacts(
        name=name,
        prompts=len(count),
        draws=len(rows),
        fewest=min(count.values()),
        most=max(count.values()),
        tok=sum(row.input + row.output for row in rows) / len(rows),
        outtok=sum(row.output for row in rows) / len(rows),
        usd=math.fsum(billed) / len(rows) if len(billed) == len(rows) else None,
        ms=sum(row.ms for row in rows) / len(rows),
        counted=any(row.output for row in rows),
        confidence=sum(row.confidence is not None for row in rows) / len(rows),
    )


# ── what is right ──────────────────────────────────────────────────────────────────────────────────────────

Score = Callable[[Prompt, str | None], float | None]
"""From a prompt and an answer to it, to how right it is: 0 to 1, None where nobody can say. No answer is 0."""


def answer_of(row: Row, prompt: Prompt) -> str | None:
    """The canonical form of what a draw answers; None where it answers nothing."""
    return _answer(row.text if row.answer is None else row.answer, prompt.answer)


def _answer(text: str, spec: str) -> str | None:
    form = kind(spec)
    found = form.extract(text)
    return None if found is None else form.canonical(found)


def scorer(recording: Recording) -> Score | None:
    """Grades answers by a recording's labels; None where it has none.

    A mark of a draw holds for every answer of the same class, their mean where they differ; classes that were
    never marked are compared with gold.
    """
    if recording.labels is None:
        return None
    gold, right = recording.labels.gold, recording.labels.right
    prompts = {prompt.id: prompt for prompt in recording.prompts}
    marks: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in recording.rows if right else ():
        mark = right.get(Draw(row.prompt, row.arm, row.draw))
        answer = None if mark is None else answer_of(row, prompts[row.prompt])
        if mark is not None and answer is not None:
            marks[row.prompt, answer].append(mark)
    marked = {id_ for id_, _ in marks} | {draw.prompt for draw in right}
    compare = by_gold(gold)

    @functools.cache
    def form_of(spec: str) -> Callable[[str], str]:
        return kind(spec).canonical

    def score(prompt: Prompt, answer: str | None) -> float | None:
        if prompt.id not in marked and prompt.id not in gold:
            return None
        if answer is None:
            return 0.0
        own = marks.get((prompt.id, form_of(prompt.answer)(answer)))
        if own:
            return math.fsum(own) / len(own)
        same = compare(prompt, Answer(prompt.id, answer, answer, "answered", 0.0, FREE))
        return None if same is None else float(same)

    return score
