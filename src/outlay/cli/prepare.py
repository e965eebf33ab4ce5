"""From settings and a file to a job: what a file and a terminal add to what `outlay.api` assembles."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, final

from outlay.api import checks_for as checks_for  # benchmarks take it from here
from outlay.api import job_of, models_for
from outlay.config import Settings
from outlay.errors import BudgetError, UsageError
from outlay.inputs import Rows, read

if TYPE_CHECKING:
    from outlay.driver import Job


@final
@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a run needs.

    Attributes:
        file: The input, or `-`.
        rows: What was read.
        settings: What was asked for.
        job: For the driver.
        directory: Where the run lives.
    """

    file: str
    rows: Rows
    settings: Settings
    job: "Job"
    directory: Path

    async def close(self) -> None:
        """Release connections and processes."""
        for engine in self.job.engines.values():
            await engine.close()


def prepare(file: str, settings: Settings) -> Prepared:
    """Read the rows and set up what serves them; nothing is asked yet.

    Raises:
        UsageError: Something is missing or means nothing; says what to write.
        CheckError: A check cannot be loaded.
    """
    if not settings.budget.limits():
        raise BudgetError(
            "say what may be spent: --budget 40ktok, 2usd or 10min; give it again for another unit"
        )
    if settings.grade and file == "-":
        raise UsageError(
            "--grade reads the file twice, and standard input can be read once; write it to a file"
        )
    models = models_for(settings)  # before the file, which may be long
    if settings.directory is not None:
        usable(settings.directory)
    rows = read(file, default_answer=settings.answer, limit=settings.limit)
    if not rows.prompts and not rows.errors:
        raise UsageError(f'{file} holds no rows; write one object a line: {{"prompt": "…"}}')
    directory = settings.directory or directory_beside(file)
    placed = replace(settings, directory=directory)
    job = job_of(placed, models, rows.prompts, settings.check, rows.digest)
    return Prepared(file, rows, placed, job, directory)


def usable(directory: Path) -> None:
    """Refuse a place where a run cannot live.

    Raises:
        UsageError: Something that is no directory is there.
    """
    for place in (directory, *directory.parents):
        if place.exists() and not place.is_dir():
            raise UsageError(
                f"-o {directory}: {place} is a file; name a directory, such as -o {place}.outlay"
            )


def directory_beside(file: str) -> Path:
    """`tasks.outlay` beside `tasks.jsonl`."""
    return Path("stdin.outlay") if file == "-" else Path(file).with_suffix(".outlay")
