"""Logs of Inspect: an arm is a model with its effort, an epoch is a draw, a scorer says what is right."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from outlay.engines.measure import confidence
from outlay.engines.recorded import Row
from outlay.errors import UsageError
from outlay.study.recording import ANY
from outlay.study.recordings.base import Imported, Marked, Options, assembled, sendable
from outlay.study.recordings.inspect_file import (
    Config,
    Log,
    Message,
    Part,
    Sample,
    Score,
    Usage,
    is_log,
    read,
)

NAME: Final = "a log of Inspect (.eval or .json)"
TAKES: Final = frozenset({"answer", "scorer", "checks"})

MARKS: Final = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""Words that Inspect's own metrics read as numbers."""
ENDED: Final = {"error": "ended with an error", "cancelled": "was cancelled", "started": "has not ended"}
"""What a log's status says where it is not `success`."""
FINISH: Final = {"max_tokens": "length", "model_length": "length", "content_filter": "content_filter"}
ATTACHED: Final = "attachment://"


def reads(source: Path) -> bool:
    """Whether it is a log, or a folder with any."""
    return is_log(source) or (source.is_dir() and any(map(is_log, source.rglob("*"))))


def load(sources: Sequence[Path], options: Options) -> Imported:
    """See `base.Importer`."""
    logs = [read(path) for path in _files(sources)]
    found = [One(log, sample) for log in logs for sample in sorted(log.samples, key=lambda one: one.epoch)]
    scorers = list(dict.fromkeys(name for one in found for name in _scores(one.sample)))
    for name in (options.scorer, *options.checks):
        if name and name not in scorers:
            raise UsageError(f"no sample has a score {name!r}; scores there: {', '.join(scorers) or 'none'}")
    scorer = options.scorer or next((name for name in scorers if name not in options.checks), "")
    ids = _ids(found)
    arms = _arms([log for log in logs if any(one.log is log for one in found)])
    extracted = any(_extracted(one.sample, scorer) for one in found)
    kinds = {log.path: _kind([one.sample for one in found if one.log is log], extracted) for log in logs}
    prompts = {
        ids[at]: _ask(ids[at], one, kinds[one.log.path], scorer) for at, one in reversed([*enumerate(found)])
    }
    draws = (
        _draw(one, ids[at], arms[one.log.path], kinds[one.log.path], scorer, options.checks)
        for at, one in enumerate(found)
    )
    notes = [*_unfinished(logs, found), *_notes(found, scorer, scorers, options)]
    return assembled("Inspect", draws, prompts, notes, options)


class One(NamedTuple):
    """A sample and the log that it stands in."""

    log: Log
    sample: Sample


def _files(sources: Sequence[Path]) -> list[Path]:
    return [
        path
        for source in sources
        for path in (sorted(filter(is_log, source.rglob("*"))) if source.is_dir() else [source])
    ]


def _scores(sample: Sample) -> dict[str, Score]:
    """The scores by name; old logs have one without a name."""
    if sample.scores is not None:
        return sample.scores
    return {} if sample.score is None else {"score": sample.score}


def _unfinished(logs: Sequence[Log], found: Sequence[One]) -> Iterator[str]:
    """Logs that say of themselves that they are not whole."""
    for log in logs:
        if (said := ENDED.get(log.header.status)) is None:
            continue
        there, meant = sum(one.log is log for one in found), log.header.eval.meant
        count = f"{there:,} samples" if meant is None else f"{there:,} of {meant:,} samples"
        yield f"{log.path.name}: the log says that it {said}: {count} are there"


def _notes(found: Sequence[One], scorer: str, scorers: Sequence[str], options: Options) -> Iterator[str]:
    broken = sum(one.sample.error is not None for one in found)
    if scorer:
        rest = [name for name in scorers if name != scorer and name not in options.checks]
        yield f"right is what {scorer} says" + (
            f"; other scores: {', '.join(rest)} (--scorer)" if rest else ""
        )
    if broken:
        yield f"{broken:,} of {len(found):,} samples ended in an error; they are draws without an answer"


# ── names ──────────────────────────────────────────────────────────────────────────────────────────────────


def _ids(found: Sequence[One]) -> list[str]:
    """An id for each sample: its own, with the task where there are several.

    Raises:
        UsageError: Two logs mean different prompts by one id.
    """
    tasks = {one.log.header.eval.task for one in found}
    asked: dict[str, One] = {}
    ids = []
    for one in found:
        id_ = f"{one.log.header.eval.task}/{one.sample.id}" if len(tasks) > 1 else str(one.sample.id)
        first = asked.setdefault(id_, one)
        if _question(first.sample) != _question(one.sample):
            raise UsageError(
                f"sample {id_} is one prompt in {first.log.path.name} and another in {one.log.path.name}; "
                "import logs of one version of a task"
            )
        ids.append(id_)
    return ids


def _question(sample: Sample) -> Any:
    if isinstance(sample.input, str):
        return _text(sample.input, sample), sample.choices
    return [(message.role, _text(message.content, sample)) for message in sample.input], sample.choices


def _arms(logs: Sequence[Log]) -> dict[Path, str]:
    """The arm of each log: its model and effort, and the temperature where that alone tells two apart."""
    configs = {log.path: _config(log) for log in logs}
    plain = {log.path: _arm(log, configs[log.path]) for log in logs}
    heats: dict[str, set[float | None]] = {}
    for path, name in plain.items():
        heats.setdefault(name, set()).add(configs[path].temperature)
    return {
        path: name
        if len(heats[name]) == 1 or (heat := configs[path].temperature) is None
        else f"{name} t{heat:g}"
        for path, name in plain.items()
    }


def _config(log: Log) -> Config:
    new, old = log.header.eval.model_generate_config, log.header.plan.config
    return Config(
        old.temperature if new.temperature is None else new.temperature,
        new.reasoning_effort or old.reasoning_effort,
        new.reasoning_tokens or old.reasoning_tokens,
    )


def _arm(log: Log, config: Config) -> str:
    thought = f"think {config.reasoning_tokens}" if config.reasoning_tokens else ""
    return " ".join(filter(None, (log.header.eval.model, config.reasoning_effort, thought)))


# ── prompts and answers ────────────────────────────────────────────────────────────────────────────────────


def _ask(id_: str, one: One, kind: str, scorer: str) -> dict[str, Any]:
    """The input row: what was sent before the model spoke; the target is gold only where nothing was scored."""
    sample = one.sample
    if sample.choices:
        kind = f"choice:A-{chr(ord('A') + len(sample.choices) - 1)}"
    sent: list[Message] = []
    for message in sample.messages:
        if message.role == "assistant":
            break
        sent.append(message)
    messages = [{"role": message.role, "content": _text(message.content, sample)} for message in sent]
    if not messages:
        said = sample.input if isinstance(sample.input, str) else [*sample.input]
        plain = [Message("user", said)] if isinstance(said, str) else said
        messages = [{"role": message.role, "content": _text(message.content, sample)} for message in plain]
    row = {
        "id": id_,
        **sendable(messages, id_),
        "answer": kind,
        "metadata": {"group": one.log.header.eval.task},
    }
    return row if scorer or not sample.target else row | {"gold": sample.target}


def _text(content: str | list[Part], sample: Sample) -> str:
    """The words of a message; long ones are kept beside the messages."""
    said = content if isinstance(content, str) else "\n".join(part.text for part in content if part.text)
    if said.startswith(ATTACHED):
        said = sample.attachments.get(said.removeprefix(ATTACHED), said)
    return said


def _said(sample: Sample) -> str:
    return _text(sample.output.choices[0].message.content, sample) if sample.output.choices else ""


def _answer(sample: Sample, scorer: str) -> str | None:
    score = _scores(sample).get(scorer)
    return None if score is None or score.answer is None else _text(score.answer, sample)


def _extracted(sample: Sample, scorer: str) -> bool:
    """Whether the scorer read an answer out of the reply, rather than took all of it."""
    answer = _answer(sample, scorer)
    return answer is not None and "\n" not in answer and answer.strip() != _said(sample).strip()


def _kind(samples: Sequence[Sample], extracted: bool) -> str:
    if extracted:
        return ANY
    targets = [sample.target for sample in samples if isinstance(sample.target, str)]
    return "number" if targets and all(map(_is_number, targets)) else "text"


def _is_number(text: str) -> bool:
    try:
        float(text.replace(",", ""))
    except ValueError:
        return False
    return True


def _draw(one: One, id_: str, arm: str, kind: str, scorer: str, checks: Sequence[str]) -> Marked:
    sample = one.sample
    choice = sample.output.choices[0] if sample.output.choices else None
    usage = sample.model_usage.get(one.log.header.eval.model) or sample.output.usage or Usage()
    cached = usage.input_tokens_cache_read or 0
    said = _said(sample)
    # where answers were read by a scorer, a reply that it could not read has none
    read_by_scorer = bool(sample.choices) or kind == ANY
    answer = _answer(sample, scorer) if read_by_scorer else None
    logprobs = choice.logprobs if choice else None
    row = Row(
        id_,
        arm,
        0,
        text="" if sample.error is not None or (read_by_scorer and scorer and answer is None) else said,
        answer=None if sample.error is not None else answer or None,
        input=usage.input_tokens + cached + (usage.input_tokens_cache_write or 0),
        cached=cached,
        output=usage.output_tokens,
        reasoning=usage.reasoning_tokens or 0,
        usd=usage.total_cost,
        ms=_ms(sample.working_time or sample.total_time or sample.output.time or 0.0),
        confidence=confidence([token.logprob for token in logprobs.content]) if logprobs else None,
        finish="error"
        if sample.error is not None or choice is None
        else FINISH.get(choice.stop_reason, "stop"),
        verdicts=dict(_verdicts(sample, checks)),
    )
    score = _scores(sample).get(scorer)
    return Marked(row, None if score is None else _mark(score.value), kind=kind)


def _ms(seconds: float) -> int:
    """Milliseconds; 0 for what is no duration, such as NaN."""
    return round(1000 * seconds) if 0 <= seconds < 1e9 else 0


def _verdicts(sample: Sample, checks: Sequence[str]) -> Iterator[tuple[str, bool | None]]:
    for name in checks:
        score = _scores(sample).get(name)
        mark = None if score is None else _mark(score.value)
        yield name, None if mark is None else mark >= 0.5


def _mark(value: Any) -> float | None:
    """A score as a share of right; None where it is no such thing."""
    if isinstance(value, str):
        if value in MARKS or value.lower() in MARKS:
            return MARKS.get(value, MARKS.get(value.lower()))
        if not _is_number(value):
            return None
        value = float(value.replace(",", ""))
    if isinstance(value, bool | int | float) and 0 <= value <= 1:
        return float(value)
    return None
