"""How a recording is bought: every arm on every prompt, as a run like any other, and then read from its journal.

A prompt is one chain: before its first draw is bought, the price of all the others is held, so that a prompt
that was begun is finished before the next one is. Which prompts are asked does not depend on what they answer.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, final

import msgspec

from outlay import journal as journals
from outlay.answers import kind
from outlay.engines.recorded import Row
from outlay.flow import Arms, Evidence, Leg, Offer, Start, loop
from outlay.journal import Journal
from outlay.market import DEADLINE, GAVE_UP, NO_MONEY
from outlay.strategies import menu
from outlay.types import NANO, Arm, Ask, Call, Completion, Delivery, Prompt, Usage

KIND = "sample"


def everything(draws: int) -> Start:
    """A strategy that offers one purchase after the other: so many draws of each model, then all verdicts.

    The first draw of an arm is bought alone, so that the bill tells what the prompt itself takes; the others
    together.
    """

    def offers(prompt: Prompt, arms: Arms, evidence: Evidence) -> tuple[Offer, ...]:
        had = Counter(draw.arm for draw in evidence.draws)
        failed = {failure.arm for failure in evidence.failures}
        # dear ones first: what has not been seen yet is held for at the price of what is asked now
        left = [(arm, wanted(arm, draws) - had[arm.name]) for arm in reversed(arms) if arm.role == "model"]
        left = [(arm, missing) for arm, missing in left if missing > 0 and arm.name not in failed]
        if not left:
            return menu.verdicts(prompt, tuple(arm for arm in arms if arm.role == "check"), evidence)
        (arm, missing), *later = left
        most = missing if had[arm.name] else 1
        legs = [(arm.name, missing - most), *((other.name, count) for other, count in later)]
        call = Call(arm, Ask(prompt.messages), max_tokens=arm.max_tokens)
        rest = tuple(Leg(KIND, name, count) for name, count in legs if count)
        return (Offer(KIND, arm.name, call, rest=rest, most=most),)

    return loop(offers)


def wanted(arm: Arm, draws: int) -> int:
    """How many draws of an arm there are to be: a greedy one says the same again."""
    return 1 if arm.deterministic else draws


class Taken(NamedTuple):
    """What a run recorded.

    Attributes:
        rows: The draws of all prompts that are whole, in the order of the prompts.
        prompts: Those prompts.
        partial: Prompts that were begun and are not whole.
        failed: Of these, those where a call failed.
    """

    rows: tuple[Row, ...]
    prompts: tuple[Prompt, ...]
    partial: int
    failed: int


def taken(journal: Path, prompts: Sequence[Prompt], arms: Sequence[Arm], draws: int) -> Taken:
    """Read a recording out of the journal of a run, finished or not. Prompts that are not whole are left out.

    Whole is a prompt with every draw of every arm, none of them cut because the budget ran out.
    """
    models = {arm.name: arm for arm in arms if arm.role == "model"}
    order = {name: at for at, name in enumerate(models)}
    points = _read(journal, {prompt.id for prompt in prompts})
    rows: list[Row] = []
    whole: list[Prompt] = []
    partial = failed = 0
    for prompt in prompts:
        point = points.get(prompt.id)
        if point is None or not point.deliveries:
            continue
        own = sorted(_rows(prompt, point, models), key=lambda row: (order[row.arm], row.draw))
        had = Counter(row.arm for row in own)
        full = all(had[name] >= wanted(arm, draws) for name, arm in models.items())
        # the market asks no further where many answers came and none could be read; that is a result, too
        unreadable = point.stopped not in ("", NO_MONEY, GAVE_UP, DEADLINE) and not any(
            row.answer for row in own
        )
        if not point.capped and (full or (unreadable and not point.failed)):
            rows += own
            whole.append(prompt)
        else:
            partial += 1
            failed += point.failed
    return Taken(tuple(rows), tuple(whole), partial, failed)


# ── the journal ────────────────────────────────────────────────────────────────────────────────────────────


class Bought(NamedTuple):
    """One purchase and what came of it."""

    kind: str
    arm: str
    about: int
    copies: int
    back: Delivery


@final
@dataclass(slots=True)
class At:
    """What was bought for a prompt, in order, since it was last opened."""

    deliveries: list[Bought] = field(default_factory=list)
    ordinals: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    capped: bool = False
    failed: bool = False
    stopped: str = ""


_delivery = msgspec.json.Decoder(Delivery).decode


def _read(path: Path, ids: set[str]) -> dict[str, At]:
    """The purchases of each prompt that came back; of one that was asked again after a failure, the last time's."""
    journal = Journal(path)
    try:
        steps = [journals.decode(line.body) for line in journal.read("step")]
        back = {line.key: _delivery(line.body) for line in journal.read("done")}
    finally:
        journal.close()
    points: dict[str, At] = {}
    prompt_of = {id_: id_ for id_ in ids}
    again: Counter[str] = Counter()
    for name, first, *rest in (op for step in steps for op in step["ops"] if len(op) > 1):
        if name == "reopen":
            again[first] += 1
            path_again = f"{first}~{again[first]}"
            while path_again in ids:
                path_again += "~"
            prompt_of[path_again] = first
            points[first] = At()
        elif name == "buy" and first in prompt_of:
            _book(points.setdefault(prompt_of[first], At()), first, rest, back)
        elif name == "end" and first in prompt_of:
            points.setdefault(prompt_of[first], At()).stopped = rest[0]
    return points


def _book(point: At, path: str, bought: list[Any], back: Mapping[str, Delivery]) -> None:
    triple, (copies, max_tokens) = tuple(bought[:3]), bought[3:5]
    what, arm, about = triple
    delivery = back.get(f"{path}/{what}.{arm}.{about}.{point.ordinals[triple]}")
    point.ordinals[triple] += copies
    point.capped |= bool(max_tokens)
    if delivery is not None:
        point.failed |= bool(delivery.error) and what == KIND
        point.deliveries.append(Bought(what, arm, about, copies, delivery))


def _rows(prompt: Prompt, point: At, models: Mapping[str, Arm]) -> Iterator[Row]:
    """The draws of one prompt, with the verdict on each answer at every draw that gave it."""
    form = kind(prompt.answer)
    drawn = [
        (bought, completion)
        for bought in point.deliveries
        if bought.kind == KIND
        for completion in bought.back.completions
    ]
    said = [form.extract(completion.text) if completion.text else None for _, completion in drawn]
    classes = [None if answer is None else form.canonical(answer) for answer in said]
    words: dict[str | None, dict[str, bool | None]] = defaultdict(dict)
    for look in point.deliveries:
        if look.kind != KIND and look.back.completions:
            words[classes[look.about]][look.arm] = look.back.completions[0].passed
    first: dict[str, Usage] = {}
    count: Counter[str] = Counter()
    for (bought, completion), answer, group in zip(drawn, said, classes, strict=True):
        alone = first.setdefault(bought.arm, bought.back.usage)
        usage = _usage(bought.back, completion, alone)
        price = models[bought.arm].price
        yield Row(
            prompt.id,
            bought.arm,
            count[bought.arm],
            answer=answer if form.exclusive else None,
            text=completion.text,
            input=usage.input,
            cached=usage.cached,
            output=usage.output,
            reasoning=usage.reasoning,
            usd=price.of(usage) / NANO if price.known() else None,
            ms=bought.back.ms,
            confidence=completion.confidence,
            finish=completion.finish,
            verdicts=dict(words[group]) if group is not None else {},
            estimated=usage.estimated,
        )
        count[bought.arm] += 1


def _usage(back: Delivery, completion: Completion, alone: Usage) -> Usage:
    """What this draw would have cost by itself: the prompt as the first draw was billed, and its own words.

    A call of several copies is billed together, by some servers with the prompt counted once, by others for
    every copy. Thought is shared out by length.
    """
    written = sum(copy.output_tokens for copy in back.completions)
    # one copy is billed alone: what the bill says beyond what was counted belongs to it
    output = back.usage.output if len(back.completions) == 1 else completion.output_tokens
    reasoning = back.usage.reasoning * output // max(written, output, 1)
    return Usage(alone.input, output, alone.cached, reasoning, back.usage.estimated or alone.estimated)
