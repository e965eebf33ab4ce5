"""Run a job on a terminal: progress, Ctrl-C, the files beside the answers, the summary, the exit code."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from outlay.cli import exits
from outlay.cli.prepare import Prepared
from outlay.cli.progress import watching
from outlay.errors import InputError
from outlay.types import Answer

if TYPE_CHECKING:
    from outlay.driver import Summary
    from outlay.study.grade import Grades


class Ended(NamedTuple):
    """What came of a run."""

    summary: "Summary"
    answers: tuple[Answer, ...]


def conduct(prepared: Prepared, *, quiet: bool = False, as_json: bool = False) -> int:
    """Run, show, and return the exit code."""
    from outlay.cli.console import harmless

    for warning in prepared.rows.warnings:
        print(f"outlay: {harmless(warning)}", file=sys.stderr)
    write_errors(prepared.directory, prepared.rows.errors)
    ended = perform(prepared, quiet=quiet)
    grades = graded(prepared, ended.answers) if prepared.settings.grade else None
    if as_json:
        from outlay.cli.summary import as_json as data

        print(json.dumps(data(ended.summary, refused=prepared.rows.errors, grades=grades), allow_nan=False))
    elif not quiet:
        show(prepared, ended, grades)
    return exit_code(ended.summary, refused=len(prepared.rows.errors))


def perform(prepared: Prepared, *, quiet: bool = False) -> Ended:
    """Run the job under a progress line; Ctrl-C once lets calls under way finish, twice stops."""
    from outlay.cli.console import harmless
    from outlay.driver import run_job
    from outlay.driver.begin import moved

    if note := moved(prepared.job):
        print(f"outlay: {harmless(note)}", file=sys.stderr)

    async def run() -> Ended:
        try:
            return Ended(*await run_job(prepared.job, watch, stop))
        finally:
            await prepared.close()

    with watching(quiet=quiet) as watch, stopping() as stop:
        return asyncio.run(run())


@contextmanager
def stopping() -> Iterator[Callable[[], int]]:
    """How often the user asked to stop: 0 go on, 1 finish what is under way, 2 stop now."""
    asked = 0

    def ask(*_: object) -> None:
        nonlocal asked
        asked += 1
        words = "finishing the calls under way; again to stop at once" if asked == 1 else "stopping"
        # Not print: a signal may come in the middle of one.
        os.write(2, f"\noutlay: {words}\n".encode())
        if asked > 2:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: min(asked, 2)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def write_errors(directory: Path, errors: Sequence[InputError]) -> None:
    """`errors.jsonl`: the rows that could not be used. None, and the file of an earlier run goes."""
    path = directory / "errors.jsonl"
    if not errors:
        path.unlink(missing_ok=True)
        return
    directory.mkdir(parents=True, exist_ok=True)
    rows = ({"line": e.line, "field": e.field, "problem": e.problem, "remedy": e.remedy} for e in errors)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def graded(prepared: Prepared, answers: Sequence[Answer]) -> "Grades | None":
    """Accuracy by the gold answers of the input; None where it has none."""
    from outlay.study.grade import by_gold, grade
    from outlay.study.labels import read_gold

    refused = frozenset(error.line for error in prepared.rows.errors)
    gold = read_gold(prepared.file, limit=prepared.settings.limit, refused=refused)
    if not gold:
        print("outlay: nothing to grade: no row has gold, its right answer", file=sys.stderr)
    return grade(prepared.rows.prompts, answers, by_gold(gold))


def show(prepared: Prepared, ended: Ended, grades: "Grades | None") -> None:
    """The closing summary, and what to do next."""
    from outlay.cli.console import escape, out
    from outlay.cli.summary import render

    console = out()
    console.print(render(ended.summary, refused=prepared.rows.errors, grades=grades))
    console.print()
    for what, command in next_commands(prepared, ended):
        console.print(f"[dim]{what:<10}[/]  {escape(command)}", soft_wrap=True)


def next_commands(prepared: Prepared, ended: Ended) -> Iterator[tuple[str, str]]:
    """What a user would do now."""
    if ended.summary.end == "interrupted":
        yield "go on", "run the same command again"
        return
    if ended.summary.outcomes.get("failed"):
        yield "failed", "the same command asks these rows again"
    if ended.answers:
        dearest = max(ended.answers, key=lambda answer: answer.cost.tok)
        yield "look", f"outlay receipt {dearest.id} -o {prepared.directory}"
    short = ("spent", "too_little_left", "deadline")
    if ended.summary.outcomes.get("out_of_budget") or ended.summary.end in short:
        yield "more", "the same command with a larger --budget goes on from here"


def exit_code(summary: "Summary", *, refused: int) -> int:
    """The code of design: interrupted before everything, an unanswered prompt before a failed one."""
    if summary.end == "interrupted":
        return exits.INTERRUPTED
    outcomes: Mapping[str, int] = summary.outcomes
    if outcomes.get("out_of_budget") or summary.end == "overdrawn":
        return exits.SPENT
    failed = refused or outcomes.get("failed") or outcomes.get("no_answer_found")
    return exits.ROWS_FAILED if failed else exits.DONE
