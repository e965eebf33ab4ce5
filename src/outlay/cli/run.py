"""`outlay run`: answer prompts within a budget."""

import argparse

from outlay.cli import options as shared

HELP = "answer prompts within a budget"
USAGE = "FILE --budget AMOUNT [options]"
ABOUT = """\
Answer the prompts of a file within a budget. Progress is shown while it runs; the same command
goes on where it was stopped, and pays for nothing twice; with a larger budget, prompts that had
stopped for want of it get more. Ctrl-C lets calls under way finish; a second one stops at once."""
EXAMPLES = """\
examples:
  outlay run tasks.jsonl --budget 40ktok                               the model in the package
  outlay run tasks.jsonl --models small,big --budget 500ktok           your endpoint
  outlay run tasks.jsonl --models small@0.15/0.60,big@2/8 --budget 2usd --budget 10min
  outlay run tasks.jsonl --models small --check tests.py:passes --budget 1Mtok
  outlay run tasks.jsonl --models small --policy uniform:8 --budget 1Mtok    to compare

A row is {"id": …, "prompt": …} or {"id": …, "messages": […]}, with optional answer, metadata,
worth and gold, or a line of the OpenAI Batch API. The run lives in one directory, by default
tasks.outlay beside the file: answers.jsonl, errors.jsonl (rows that could not be used) and
journal.db. Gold answers are never shown to a model; they are read to grade with --grade.
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    shared.add_input(parser)
    shared.add_budget(parser)
    shared.add_models(parser)
    group = shared.add_answers(parser)
    shared.add_check(group)
    group.add_argument(
        "--abstain",
        type=float,
        metavar="P",
        help="leave a prompt unanswered below this confidence, 0 to 1 (0)",
    )
    group.add_argument("--grade", action="store_true", help="compare with gold at the end: accuracy by group")
    group = parser.add_argument_group("how it buys")
    group.add_argument("--strategy", metavar="NAME", help="what may be bought; see outlay strategies")
    group.add_argument("--policy", metavar="NAME", help="how it is chosen; see outlay policies")
    group.add_argument(
        "--holdout",
        metavar="SHARE",
        help="on this share of prompts, such as 5%%, ask the dearest model beside the run and compare",
    )
    group.add_argument("--seed", type=int, metavar="N", help="of every random choice (0)")
    group = shared.output(parser)
    group.add_argument(
        "-o", dest="output", type=shared.directory, metavar="DIR", help="where the run lives (FILE.outlay)"
    )
    group.add_argument("--quiet", action="store_true", help="no progress and no summary; the exit code tells")
    shared.end(group, "the summary")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    from outlay.cli.conduct import conduct
    from outlay.cli.options import settings_from
    from outlay.cli.prepare import prepare

    prepared = prepare(args.file, settings_from(args))
    return conduct(prepared, quiet=args.quiet, as_json=args.json)
