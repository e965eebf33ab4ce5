"""A recording as a bed for rules: each draw stands for its class of equal answers, labels lie apart.

What a class is was settled when the log was written (`answer`) or is read once by the prompt's kind of answer. From
then on only its number is replayed: nothing is parsed again, and a draw that a cap cuts short answers nothing.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import final

import msgspec

from outlay.answers import kind
from outlay.engines.recorded import Row
from outlay.errors import UsageError
from outlay.study.recording import ANY, Recording, answer_of, arms_of, scorer
from outlay.types import Message, Prompt

DIGITS = 8
EXCLUSIVE, ALONE = rf"regex:\A([0-9]{{{DIGITS}}})\Z", "text"
"""How the number of a class is read, where answers exclude each other and where each stands alone."""


@final
@dataclass(frozen=True, eq=False)
class Log:
    """What a run meets, and what only a grader sees.

    Attributes:
        rows: The draws; the text of each is the number of its class, empty where it answers nothing.
        prompts: In the order of the recording. Their text is their id, so that no two are taken for the same.
        right: By prompt, how right each class is, 0 to 1; a prompt that no label speaks about is not in it.
    """

    rows: tuple[Row, ...]
    prompts: tuple[Prompt, ...]
    right: Mapping[str, Mapping[str, float]]

    def score(self, prompt: str, said: str | None) -> float | None:
        """How right an answer is; None where no label speaks about the prompt. None given is wrong, and so is an
        answer that nobody could mark.
        """
        known = self.right.get(prompt)
        return None if known is None else known.get(said or "", 0.0)


def only(recording: Recording, arms: Collection[str]) -> Recording:
    """The recording with some of its arms, for all of its prompts."""
    rows = tuple(row for row in recording.rows if row.arm in arms)
    return replace(recording, rows=rows, arms=arms_of(rows))


def log_of(recording: Recording, *, answer: str = "") -> Log:
    """Lay a recording out for replay.

    Args:
        recording: What was read.
        answer: Kind of answer of prompts that name none; empty for answers as they stand.

    Raises:
        UsageError: There are texts, and nothing says how to read answers out of them.
        UnknownName: No kind has the name `answer`.
    """
    known = {p.id: replace(p, answer=answer) if answer and p.answer == ANY else p for p in recording.prompts}
    if not answer and all(row.answer is None and row.text for row in recording.rows):
        open_ended = [prompt.id for prompt in known.values() if prompt.answer == ANY]
        if open_ended:
            raise UsageError(
                f"{recording.path.name} holds whole texts, and nothing says how to read answers out of them; name "
                "the kind with --answer, for example --answer number"
            )
    numbers: dict[str, dict[str, str]] = defaultdict(dict)
    rows = []
    for row in recording.rows:
        said = answer_of(row, known[row.prompt])
        mine = numbers[row.prompt]
        text = "" if said is None else mine.setdefault(said, f"{len(mine):0{DIGITS}d}")
        rows.append(msgspec.structs.replace(row, text=text, answer=None))
    score = scorer(replace(recording, prompts=tuple(known.values())))
    right = {}
    for id_, prompt in known.items():
        if score is not None and score(prompt, None) is not None:
            right[id_] = {number: score(prompt, said) or 0.0 for said, number in numbers[id_].items()}
    return Log(tuple(rows), tuple(map(_numbered, known.values())), right)


def _numbered(prompt: Prompt) -> Prompt:
    form = EXCLUSIVE if kind(prompt.answer).exclusive else ALONE
    group = prompt.metadata.get("group") or prompt.answer
    return Prompt(prompt.id, (Message("user", prompt.id),), form, {"group": str(group)})
