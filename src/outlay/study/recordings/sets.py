"""The sets that are known, by their columns; each reads its own and nothing else knows of it.

Where a set counted characters, tokens are estimated; where it kept no answers, each draw is an answer of its
own; what it did not count is 0.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from outlay.engines.recorded import Row
from outlay.study.recording import ANY, SUFFIXES
from outlay.study.recordings.base import Imported, Marked, Options, tokens_of
from outlay.study.recordings.tables import Cells, Others, Shape, certain, find, read, tables_in
from outlay.types import Confidence


def _ask(id_: str, prompt: str, kind: str, group: str = "", gold: Any = None) -> dict[str, Any]:
    metadata = {"metadata": {"group": group}} if group else {}
    return {"id": id_, "prompt": prompt, "answer": kind, "gold": gold} | metadata


def _filled(answer: Any) -> str | None:
    """An answer with anything in it."""
    return str(answer) if answer is not None and str(answer).strip() else None


# ── mmlu_pro_arms: one answer of each arm ──────────────────────────────────────────────────────────────────

LETTERS: Final = "choice:A-J"


def _mmlu_pro(cells: Iterator[Cells], others: Others) -> Iterator[Marked]:
    hidden = {arm["arm"] for arm in others("arm", "plain_arm", "hidden_reasoning") if arm["hidden_reasoning"]}
    for row in cells:
        arm = row["arm"]
        draw = Row(
            str(row["prompt"]), arm, 0,
            answer=row.get("answer"),
            output=0 if arm in hidden else row["output_tokens"],
            confidence=certain(row.get("logprob_confidence")),
            estimated=True,
        )  # fmt: skip
        yield Marked(draw, bool(row["correct"]), kind=LETTERS)


def _mmlu_pro_prompts(others: Others) -> Iterator[dict[str, Any]]:
    for row in others("prompt", "category", "question", "options", "gold"):
        options = "\n".join(
            f"{letter}) {text}" for letter, text in zip("ABCDEFGHIJ", row["options"], strict=False)
        )
        text = f"{row['question']}\n\n{options}\n\nEnd with the letter of the right option."
        yield _ask(str(row["prompt"]), text, LETTERS, row["category"], row["gold"])


# ── qwen_coder: code with a visible check, and literals ────────────────────────────────────────────────────

COMPLETE: Final = (
    "Complete this Python function. Reply with the whole function in one python block and nothing else."
)


def _coder(cells: Iterator[Cells], others: Others) -> Iterator[Marked]:
    for row in cells:
        draw = Row(
            row["task_id"], row["model"] + _greedy(row), 0,
            text=row["code"],
            input=row["prompt_tokens"],
            output=row["output_tokens"],
            confidence=Confidence(
                round(row["sum_logprob"] / max(row["output_tokens"], 1), 5),
                row["low_window_logprob"],
                row["tail_logprob"],
            ),
            finish=row["finish"],
            verdicts={"visible": row.get("visible_check")},
        )  # fmt: skip
        yield Marked(draw, row["correct"], kind="code")


def _greedy(row: Cells) -> str:
    """A greedy answer is an arm of its own, by the name that outlay gives it."""
    return ":greedy" if row["greedy"] else ""


def _coder_prompts(others: Others) -> Iterator[dict[str, Any]]:
    for row in others("task_id", "prompt", "entry_point", "examples"):
        group = "example" if json.loads(row["examples"]) else "no-example"
        yield _ask(row["task_id"], f"{COMPLETE}\n\n```python\n{row['prompt']}```", "code", group)


def _literals(cells: Iterator[Cells], others: Others) -> Iterator[Marked]:
    for row in cells:
        mean = round(row["sum_logprob"] / max(row["output_tokens"], 1), 5)
        draw = Row(
            row["prompt_id"], f"model{_greedy(row)}", 0,
            answer=_filled(row.get("answer")),
            input=row["prompt_tokens"],
            output=row["output_tokens"],
            confidence=Confidence(mean, mean, mean),  # the answer is hardly longer than one window
            finish=row["finish"],
        )  # fmt: skip
        yield Marked(draw, row["correct"])


# ── boinf: many samples of reasoning models ────────────────────────────────────────────────────────────────


def _boinf(cells: Iterator[Cells], others: Others) -> Iterator[Marked]:
    for row in cells:
        draw = Row(
            f"{row['dataset']}/{row['prompt']}", row["model"], 0,
            answer=_filled(row.get("answer")),
            output=row["output_tokens"],
        )  # fmt: skip
        yield Marked(draw, row["correct"], row["dataset"])


# ── cruxeval: predict input or output, with and without a chain of thought ─────────────────────────────────


def _cruxeval(cells: Iterator[Cells], others: Others) -> Iterator[Marked]:
    for row in cells:
        draw = Row(
            row["prompt_id"], f"{row['model']} {row['mode']} {row['temperature']:.1f}", 0,
            answer=_filled(row.get("answer")),
            # only the answer was kept: of a chain of thought that is not what was written
            output=tokens_of(row.get("answer_chars")) if row["mode"] == "direct" else 0,
            estimated=True,
        )  # fmt: skip
        yield Marked(draw, row["correct"])


def _cruxeval_prompts(others: Others) -> Iterator[dict[str, Any]]:
    for row in others("prompt_id", "task", "code", "given"):
        what = (
            "an input that gives this output"
            if row["task"] == "input_prediction"
            else "the output for this input"
        )
        yield _ask(row["prompt_id"], f"Predict {what}.\n\n{row['code']}\n\n{row['given']}", ANY, row["task"])


# ── zeroeval: one greedy answer of many models ─────────────────────────────────────────────────────────────


def _zeroeval(cells: Iterator[Cells], others: Others) -> Iterator[Marked]:
    for row in cells:
        draw = Row(
            row["prompt_id"], row["model"], 0,
            answer=_filled(row.get("answer")),
            output=tokens_of(row.get("output_chars")),
            estimated=True,
        )  # fmt: skip
        yield Marked(draw, row["correct"], row["task"], _kind_of(row["task"]))


def _kind_of(task: str) -> str:
    return "number" if task == "gsm" else ANY


def _zeroeval_prompts(others: Others) -> Iterator[dict[str, Any]]:
    for row in others("prompt_id", "task", "prompt", "gold"):
        yield _ask(row["prompt_id"], row["prompt"], _kind_of(row["task"]), row["task"])


# ── epoch_logs: runs of a benchmarking hub ─────────────────────────────────────────────────────────────────


BRIEF: Final = 40
"""Characters of an answer; what is longer is a reply."""


def _epoch(cells: Iterator[Cells], others: Others) -> Iterator[Marked]:
    arms: dict[str, str] = {
        run["run_id"]: _epoch_arm(run) for run in others("run_id", "model_short", "reasoning_effort")
    }
    rows = list(cells)
    kept: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for row in rows:
        if (answer := row.get("answer")) is not None:
            kept[row["task"], row["run_id"]].append(_brief(answer) is not None)
    # of many runs the beginning of the reply stands where others have the answer
    telling = {run for run, brief in kept.items() if sum(brief) * 2 > len(brief)}
    answering = {task for task, _ in telling}
    for row in rows:
        own = row["task"] not in answering
        if not own and (row["task"], row["run_id"]) not in telling:
            continue  # it cannot be compared with the others
        draw = Row(
            f"{row['task']}/{row['prompt_id']}", arms.get(row["run_id"], str(row["run_id"])), 0,
            answer=_brief(row.get("answer")),
            input=int(row.get("input_tokens") or 0),
            output=int(row.get("billed_output_tokens") or 0),
            reasoning=int(row.get("reasoning_tokens") or 0),
            ms=round(1000 * (row.get("working_time_s") or 0)),
            finish="error" if row.get("error") else "length" if row.get("hit_limit") else "stop",
        )  # fmt: skip
        yield Marked(draw, row.get("correct"), row["task"], own=own)


def _brief(answer: Any) -> str | None:
    """An answer that is no whole reply."""
    text = _filled(answer)
    return text if text and len(text) <= BRIEF and "\n" not in text else None


def _epoch_arm(run: Cells) -> str:
    cap = run.get("reasoning_tokens_cap")
    effort = run.get("reasoning_effort") or (f"think {int(cap)}" if cap else "")
    return f"{run['model_short']} {effort}".strip()


def _epoch_prompts(others: Others) -> Iterator[dict[str, Any]]:
    for row in others("task", "prompt_id", "prompt", "target"):
        yield _ask(f"{row['task']}/{row['prompt_id']}", row["prompt"], ANY, row["task"])


# ── routellm: a weak and a strong model ────────────────────────────────────────────────────────────────────


def _routellm(cells: Iterator[Cells], others: Others) -> Iterator[Marked]:
    for row in cells:
        for arm in ("weak", "strong"):
            tokens = tokens_of(row.get(f"{arm}_chars"))
            draw = Row(row["prompt_id"], arm, 0, output=tokens, estimated=tokens > 0)
            yield Marked(draw, row[f"{arm}_correct"], row["task"], own=True)


# ── smaller sets ───────────────────────────────────────────────────────────────────────────────────────────


def _plain(arm: tuple[str, ...], chars: str, group: str = "") -> Any:
    """Draws of a table with an answer, a mark and a count of characters; the arm is a few columns, joined."""

    def draws(cells: Iterator[Cells], others: Others) -> Iterator[Marked]:
        for row in cells:
            draw = Row(
                row["prompt_id"], " ".join(str(row[name]) for name in arm) or "model", 0,
                answer=_filled(row.get("answer")),
                output=tokens_of(row.get(chars)),
                estimated=True,
            )  # fmt: skip
            yield Marked(draw, row.get("correct"), str(row.get(group, "")))

    return draws


def _told(*columns: str, group: str = "") -> Any:
    """Prompts of a table that has their text, whatever else it has."""

    def prompts(others: Others) -> Iterable[dict[str, Any]]:
        return (
            _ask(row["prompt_id"], row["prompt"], ANY, str(row.get(group, "")))
            for row in others("prompt_id", "prompt", *columns)
        )

    return prompts


def _riddles(cells: Iterator[Cells], others: Others) -> Iterator[Marked]:
    for row in cells:
        tokens = tokens_of(row.get("answer_chars")) + tokens_of(row.get("thinking_chars"))
        yield Marked(
            Row(row["prompt_id"], row["model"], 0, output=tokens, estimated=True), row.get("score"), own=True
        )


def _phrasings(cells: Iterator[Cells], others: Others) -> Iterator[Marked]:
    for row in cells:
        id_ = f"{row['dataset']}/{row['order_group']}/{row['question']}"
        arm = f"{row['model']} phrasing {row['phrasing']}"
        draw = Row(id_, arm, 0, confidence=certain(row.get("confidence")))
        yield Marked(draw, bool(row.get("correct")), row["dataset"], own=True)


SHAPES: Final = (
    Shape(
        "mmlu_pro_arms",
        ("prompt", "arm", "answer", "correct", "output_tokens", "logprob_confidence"),
        _mmlu_pro,
        _mmlu_pro_prompts,
        "confidence is the mean probability of all tokens; other columns of it: --confidence verbal_confidence",
    ),
    Shape(
        "qwen_coder",
        ("task_id", "model", "greedy", "code", "low_window_logprob", "visible_check", "correct"),
        _coder,
        _coder_prompts,
    ),
    Shape(
        "cruxeval_direct", ("prompt_id", "greedy", "answer", "parsed", "sum_logprob", "correct"), _literals
    ),
    Shape("boinf", ("dataset", "model", "prompt", "sample", "answer", "output_tokens", "correct"), _boinf),
    Shape(
        "cruxeval",
        ("prompt_id", "model", "mode", "temperature", "sample", "correct", "answer_chars"),
        _cruxeval,
        _cruxeval_prompts,
    ),
    Shape(
        "zeroeval",
        ("task", "prompt_id", "model", "correct", "answer", "output_chars"),
        _zeroeval,
        _zeroeval_prompts,
    ),
    Shape(
        "epoch_logs",
        ("task", "prompt_id", "run_id", "epoch", "correct", "billed_output_tokens"),
        _epoch,
        _epoch_prompts,
        "runs whose answers were not kept are left out",
    ),
    Shape(
        "routellm",
        ("prompt_id", "task", "prompt", "weak_correct", "strong_correct"),
        _routellm,
        note="answers were not kept: no two are the same",
    ),
    Shape(
        "farel_bench",
        ("prompt_id", "model", "prompt_style", "relation", "answer", "correct", "output_chars"),
        _plain(("model", "prompt_style"), "output_chars", "relation"),
        _told("relation", group="relation"),
    ),
    Shape(
        "linc",
        ("dataset", "prompt_id", "model", "mode", "shots", "sample", "answer", "correct", "raw_chars"),
        _plain(("model", "mode", "shots"), "raw_chars", "dataset"),
    ),
    Shape(
        "misguided_attention",
        ("prompt_id", "model", "file", "sample", "score", "criteria_met", "thinking_chars"),
        _riddles,
        _told(),
        "answers were not kept: no two are the same",
    ),
    Shape(
        "prompt_techniques",
        ("prompt_id", "dataset", "arm", "model", "answer", "gold", "correct", "output_chars"),
        _plain(("model", "arm"), "output_chars", "dataset"),
        _told("dataset", group="dataset"),
    ),
    Shape(
        "self_consistency",
        ("dataset", "prompt_id", "sample", "answer", "correct", "output_chars"),
        _plain((), "output_chars", "dataset"),
        _told("gold"),
    ),
    Shape(
        "paraphrase_confidence",
        ("dataset", "model", "order_group", "question", "phrasing", "correct", "confidence"),
        _phrasings,
        note="answers were not kept: no two are the same",
    ),
)
"""Every set, with what it is recognized by."""

NAME: Final = "a table of answers"
TAKES: Final = frozenset({"answer", "where", "confidence"})


def reads(source: Path) -> bool:
    """Whether there is a table at all; `load` says what is missing in one that no set has."""
    return bool(tables_in(source)) if source.is_dir() else source.name.endswith(SUFFIXES)


def load(sources: Sequence[Path], options: Options) -> Imported:
    """See `base.Importer`."""
    return read(*find(sources, SHAPES), options)
