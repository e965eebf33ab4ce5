"""`outlay record`: sample every model on some prompts."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from outlay.cli import options as shared

if TYPE_CHECKING:
    from outlay.cli.conduct import Ended
    from outlay.cli.prepare import Prepared
    from outlay.study.recording import Label
    from outlay.study.sampling import Taken

HELP = "sample every model on some prompts, to replay rules on"
USAGE = "FILE --budget AMOUNT -o NAME.jsonl.gz [options]"
ABOUT = """\
Sample every model on every prompt, run your checks on each answer, and write a recording: then
rules can be compared on it at equal cost, as often as you like, without asking again. A prompt
that was begun is finished before others are; if the budget does not pay for all, the first ones
are there whole. The same command goes on where it was stopped, and pays for nothing twice."""
EXAMPLES = """\
examples:
  outlay record tasks.jsonl --models small,big --draws 4 --budget 200ktok -o mine.jsonl.gz
  outlay record tasks.jsonl --models small@0.15/0.60,big@2/8 --check tests.py:passes --budget 2usd \\
      -o mine.jsonl.gz
  outlay bench mine.jsonl.gz --models small,big --budget 1Mtok      what rules would have done

What was asked goes to NAME_prompts.jsonl and, where rows have gold, what is right to
NAME_labels.jsonl.gz; the run itself lives in NAME.outlay. The format is in docs/recordings.md.
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    shared.add_input(parser)
    shared.add_budget(parser)
    shared.add_models(parser)
    group = shared.add_answers(parser)
    shared.add_check(group)
    group = parser.add_argument_group("how much is sampled")
    group.add_argument(
        "--draws",
        type=int,
        default=4,
        metavar="N",
        help="answers of each model for each prompt; greedy ones once (4)",
    )
    group.add_argument("--seed", type=int, metavar="N", help="of every random choice (0)")
    group = shared.output(parser)
    group.add_argument(
        "-o",
        dest="recording",
        type=Path,
        required=True,
        metavar="NAME.jsonl.gz",
        help="the recording; also .jsonl and .parquet",
    )
    group.add_argument("--quiet", action="store_true", help="no progress and no summary; the exit code tells")
    shared.end(group, "what was recorded")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    import sys
    from dataclasses import replace

    from outlay.cli import conduct, recorded
    from outlay.cli.console import harmless
    from outlay.cli.options import settings_from
    from outlay.cli.prepare import prepare
    from outlay.errors import UsageError
    from outlay.study import recording_files
    from outlay.study.recording import stem
    from outlay.study.recordings.base import row_of
    from outlay.study.sampling import everything, taken

    if args.draws < 1:
        raise UsageError(f"--draws {args.draws}: give a number of at least 1")
    directory = args.recording.with_name(f"{stem(args.recording)}.outlay")
    resumed = (directory / "journal.db").exists()
    read = [] if args.file == "-" else [Path(args.file)]
    recording_files.spare(
        args.recording,
        read if resumed else recording_files.with_siblings(read),
        replace=resumed,
        remedy=f"there is no run in {directory} to go on with: give -o another name, or move the file away",
    )
    settings = replace(
        settings_from(args), policy=f"every:{args.draws}", strategy="best_of", directory=directory
    )
    prepared = prepare(args.file, settings)
    # few prompts at once: what is stopped midway has few that are not whole
    job = replace(prepared.job, strategy=everything(args.draws), open_points=settings.concurrency)
    prepared = replace(prepared, job=job)
    for warning in prepared.rows.warnings:
        print(f"outlay: {harmless(warning)}", file=sys.stderr)
    conduct.write_errors(directory, prepared.rows.errors)
    ended = conduct.perform(prepared, quiet=args.quiet)
    made = taken(directory / "journal.db", job.prompts, job.arms, args.draws)
    if made.rows:
        written = recording_files.write(
            args.recording, made.rows, labels=_labels(prepared, made), prompts=map(row_of, made.prompts)
        )
        if not args.quiet or args.json:
            recorded.show(written, first=_first(ended, made), notes=_notes(ended, made), as_json=args.json)
    else:
        print(f"outlay: no prompt could be recorded whole; {harmless(_sentence(ended))}", file=sys.stderr)
    return _exit_code(ended, made, refused=len(prepared.rows.errors))


def _labels(prepared: "Prepared", made: "Taken") -> "list[Label]":
    """The gold answers of the prompts that were recorded; standard input cannot be read for them."""
    if prepared.file == "-":
        return []
    from outlay.study.labels import read_gold
    from outlay.study.recording import Label

    refused = frozenset(error.line for error in prepared.rows.errors)
    gold = read_gold(prepared.file, limit=prepared.settings.limit, refused=refused)
    return [
        Label(one.id, gold=gold[one.id][0] if len(gold[one.id]) == 1 else list(gold[one.id]))
        for one in made.prompts
        if one.id in gold
    ]


def _first(ended: "Ended", made: "Taken") -> list[tuple[str, str]]:
    from outlay.config import amount_of, show_amount

    summary = ended.summary
    rows = [("recorded", f"{len(made.prompts):,} of {summary.prompts:,} prompts, every model on each")]
    for unit, limit in summary.budget.limits().items():
        used = summary.elapsed_ms if unit == "s" else amount_of(summary.spent, unit)
        rows.append(("spent", f"{show_amount(unit, used)} of {show_amount(unit, limit)}"))
    return [*rows, ("ended", _sentence(ended))]


def _sentence(ended: "Ended") -> str:
    """Why no more was recorded: what a run says of itself, unless the budget came before the rule was done."""
    if ended.summary.end == "too_little_left" and ended.summary.outcomes.get("out_of_budget"):
        return "what is left does not pay for another prompt at its worst"
    return ended.summary.end_sentence


def _notes(ended: "Ended", made: "Taken") -> list[str]:
    notes = []
    if made.partial:
        why = f"; calls of {made.failed:,} failed" if made.failed else ""
        notes.append(f"{made.partial:,} more were begun and left out: not every draw is there{why}")
    if ended.summary.duplicates:
        notes.append(f"{ended.summary.duplicates:,} prompts are the same as others and were not asked again")
    return notes + list(ended.summary.troubles)


def _exit_code(ended: "Ended", made: "Taken", *, refused: int) -> int:
    from outlay.cli import exits

    if ended.summary.end == "interrupted":
        return exits.INTERRUPTED
    missing = ended.summary.prompts - ended.summary.duplicates - len(made.prompts)
    if missing > made.failed:
        return exits.SPENT
    return exits.ROWS_FAILED if missing or refused else exits.DONE
