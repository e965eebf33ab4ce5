"""The demo, in four parts: a run, the replay on recorded code, a receipt, what to do next."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.padding import Padding

from outlay.api import BASE_URL
from outlay.cli import exits
from outlay.cli.answers import find
from outlay.cli.conduct import Ended, perform
from outlay.cli.console import escape, out
from outlay.cli.console import table as rich_table
from outlay.cli.countdown import applies, solves
from outlay.cli.prepare import Prepared, prepare
from outlay.cli.slip import render as render_receipt
from outlay.cli.summary import as_json, render
from outlay.config import Settings, parse_budget
from outlay.errors import UsageError
from outlay.study.grade import Grader, Grades, by_gold, grade
from outlay.study.labels import read_gold
from outlay.types import Answer, Prompt

PROBLEMS: Final = "problems.jsonl"
CHECK: Final = "outlay.cli.countdown:solves"
RUNS: Final = 3
FINISHED: Final = "summary.json"
"""Written at the end of a demo: the next one starts anew. Without it, the next one goes on."""


def tour(budget: str, seed: int, directory: Path) -> int:
    """Show everything. A budget that runs out is part of the show, so the exit code does not tell of it."""
    problems = examples() / PROBLEMS
    start_anew(directory)
    settings = Settings(
        budget=parse_budget(budget), check=(CHECK,), seed=seed, directory=directory, grade=True
    )
    prepared = without_endpoint(str(problems), settings)
    console = out()
    console.print(
        f"[bold]1. {len(prepared.rows.prompts)} problems for a tiny model, {escape(budget)} to spend[/]"
    )
    console.print(
        "   Chained sums have one right answer and no check. Countdown has a check: trying again helps."
    )
    ended = perform(prepared)
    grades = grade_all(prepared, ended)
    console.print(render(ended.summary, refused=prepared.rows.errors, grades=grades))
    if ended.summary.end == "interrupted":
        console.print("\n[dim]outlay demo[/] goes on from here.")
        return exits.INTERRUPTED
    data = as_json(ended.summary, refused=prepared.rows.errors, grades=grades)
    (directory / FINISHED).write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    replay(console, problems.parent)
    receipt(console, prepared, ended)
    own(console, problems, directory)
    return exits.DONE


def examples() -> Path:
    """The folder `examples`: of the repository, or below the working directory.

    Raises:
        UsageError: It is in neither.
    """
    places = (Path(__file__).parents[3] / "examples", Path("examples"))
    for place in places:
        if (place / PROBLEMS).is_file():
            return place
    raise UsageError(
        f"the demo needs examples/{PROBLEMS}, which comes with the repository and not with the package; "
        "run it there, or give outlay run prompts of your own"
    )


def start_anew(directory: Path) -> None:
    """Take away a demo that was finished. Only files that a demo writes are touched."""
    if not (directory / FINISHED).is_file():
        return
    for name in ("answers.jsonl", "errors.jsonl", "journal.db", "journal.db-wal", "journal.db-shm", FINISHED):
        (directory / name).unlink(missing_ok=True)


def without_endpoint(file: str, settings: Settings) -> Prepared:
    """Prepare a run on the model in the package, whatever endpoint is set: a demo spends nobody's money."""
    kept = os.environ.pop(BASE_URL, None)
    try:
        return prepare(file, settings)
    finally:
        if kept is not None:
            os.environ[BASE_URL] = kept


def grade_all(prepared: Prepared, ended: Ended) -> Grades | None:
    """Accuracy by kind of problem and how hard it is."""
    gold = by_gold(read_gold(prepared.file))

    def right(prompt: Prompt, answer: Answer) -> bool | None:
        return _solved(prompt, answer) if applies(prompt) else gold(prompt, answer)

    grader: Grader = right
    return grade(sorted(prepared.rows.prompts, key=_class), ended.answers, grader, by=_class)


def _solved(prompt: Prompt, answer: Answer) -> bool:
    return answer.answer is not None and solves(prompt, answer.answer)


def _class(prompt: Prompt) -> str:
    """The kind of problem and how hard it is, in words that sort."""
    if applies(prompt):
        return f"countdown, {prompt.metadata['m']} numbers"
    steps = int(prompt.metadata["k"])
    return f"sums, {'1 to 3' if steps <= 3 else '4 to 6' if steps <= 6 else '7 to 10'} steps"


def replay(console: Console, folder: Path) -> None:
    """Rules people use and outlay itself on recorded answers of real models, where the recording is there."""
    from outlay.study.code_bed import conclusion, table
    from outlay.study.code_runs import market

    console.print("\n[bold]2. Real models: recorded answers to HumanEval, replayed under each rule[/]")
    try:
        with console.status("replaying"):
            made = table(folder, market=market(folder, budgets=(1.0,), seeds=range(RUNS)))
    except OSError:
        console.print(f"   the recording is not in {escape(str(folder))}")
        return
    console.print(
        f"   {made.tasks} tasks; {made.checked} have an example to check against. Costs are shares of asking"
    )
    console.print("   the big model once for every task. Each rule is tuned on other tasks than it is shown")
    console.print(f"   on; outlay is not tuned, and its figures are means of {RUNS} runs.\n")
    shown = rich_table(
        "rule", "solved", "cost", "points more than the big model", "95 % interval", right="bcde"
    )
    for line in made.at_cost:
        points = line.points
        between = f"{points.low:+.1f} to {points.high:+.1f}"
        cells = (f"{line.score:.1%}", f"{line.cost.value:.2f}", f"{points.value:+.1f}", between)
        shown.add_row(line.name, *cells, style="bold" if line.name == "outlay" else None)
    console.print(shown)
    console.print()
    for sentence in conclusion(made):
        console.print(Padding(escape(sentence), (0, 0, 0, 3)))


def receipt(console: Console, prepared: Prepared, ended: Ended) -> None:
    """The receipt of the answer for which most was bought by choice, and not to compare the models."""
    answered = [answer for answer in ended.answers if answer.answer is not None]
    chosen = [a for a in answered if not any(line.get("even") for line in a.receipt["purchases"])]
    bought = chosen or answered
    if not bought:
        return
    dearest = max(bought, key=lambda answer: answer.cost.tok)
    console.print("\n[bold]3. A receipt: what one answer cost, and why[/]\n")
    console.print(render_receipt(find(prepared.directory, dearest.id)))


def own(console: Console, problems: Path, directory: Path) -> None:
    """How to bring an endpoint, models and a check."""
    console.print("\n[bold]4. Your own[/]\n")
    for what, command in _own(problems, directory):
        console.print(f"  [dim]{what:<26}[/]{escape(command)}", soft_wrap=True)


def _own(problems: Path, directory: Path) -> Iterator[tuple[str, str]]:
    yield "your endpoint", "export OPENAI_BASE_URL=http://localhost:8000/v1 OPENAI_API_KEY=…"
    yield "your models, your dollars", "outlay run tasks.jsonl --models small@0.15/0.60,big@2/8 --budget 2usd"
    yield "your check", "outlay run tasks.jsonl --models small --check tests.py:passes --budget 1Mtok"
