"""`outlay import`: a recording of a log that you already have."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from outlay.cli import options as shared

if TYPE_CHECKING:
    from outlay.study.recordings import Options

HELP = "make a recording of a log that you already have"
USAGE = "SOURCE… -o NAME.jsonl.gz [options]"
ABOUT = """\
Make a recording, one row for each prompt, model and answer, of what models have said before:
Inspect logs (.eval or .json, or a folder of them), output of the OpenAI Batch API, or a table of
answers whose columns are known. What is right goes to a file of its own, which no run sees.
Nothing is asked."""
EXAMPLES = """\
examples:
  outlay import logs/ -o mine.jsonl.gz                          Inspect logs of one task
  outlay import a.jsonl b.jsonl --input asked.jsonl -o mine.jsonl.gz    OpenAI batch output
  outlay import answers.parquet --where task=gsm -o gsm.jsonl.gz
  outlay bench mine.jsonl.gz --models small,big --budget 1Mtok  what rules would have done

The format is in docs/recordings.md. Parquet needs pip install 'outlay[parquet]'; .eval logs that
are packed with zstd need pip install 'outlay[inspect]'.
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    group = parser.add_argument_group("what is read")
    group.add_argument(
        "source", nargs="+", type=Path, metavar="SOURCE", help="logs or tables of one kind, or their folder"
    )
    group.add_argument(
        "--input",
        type=Path,
        metavar="FILE",
        help="what was asked, where the log holds only answers (OpenAI batch)",
    )
    group.add_argument(
        "--where",
        action="append",
        metavar="COLUMN=VALUE",
        help="of a table only these rows; may be given again",
    )
    group = parser.add_argument_group("what it means")
    group.add_argument(
        "--answer", metavar="KIND", help="the kind of answer, if not as found; see outlay run --help"
    )
    group.add_argument(
        "--scorer", metavar="NAME", help="the score of an Inspect log that says what is right (the first)"
    )
    group.add_argument(
        "--check", action="append", metavar="NAME",
        help="a score of an Inspect log that needs no right answer: a verdict that rules may see",
    )  # fmt: skip
    group.add_argument(
        "--confidence",
        metavar="COLUMN",
        help="a column of a table with probabilities that an answer is right",
    )
    group = shared.output(parser)
    group.add_argument(
        "-o", dest="output", type=Path, required=True, metavar="NAME.jsonl.gz",
        help="the recording; also .jsonl and .parquet. NAME_prompts and NAME_labels go beside it",
    )  # fmt: skip
    group.add_argument("--force", action="store_true", help="replace files of that name; never what is read")
    shared.end(group, "what was found")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    from outlay.cli import recorded
    from outlay.study import recording_files, recordings

    # before a long reading
    recording_files.spare(
        args.output,
        recording_files.with_siblings([*args.source, *filter(None, [args.input])]),
        replace=args.force,
        remedy="give -o another name, or add --force to replace it",
    )
    made = recordings.load(args.source, _options(args))
    written = recording_files.write(args.output, made.rows, labels=made.labels, prompts=made.prompts)
    return recorded.show(written, first=[("read as", made.shape)], notes=made.notes, as_json=args.json)


def _options(args: argparse.Namespace) -> "Options":
    from outlay.answers import kind
    from outlay.errors import UsageError
    from outlay.study.recordings import Options

    pairs = [text.partition("=") for text in args.where or ()]
    unsaid = [name for name, equals, _ in pairs if not (name and equals)]
    if unsaid:
        raise UsageError(f"--where {unsaid[0]} names no value; write --where COLUMN=VALUE")
    if args.answer:
        kind(args.answer)
    return Options(
        answer=args.answer or "",
        where={name: value for name, _, value in pairs},
        confidence=args.confidence or "",
        scorer=args.scorer or "",
        checks=tuple(args.check or ()),
        input=args.input,
    )
