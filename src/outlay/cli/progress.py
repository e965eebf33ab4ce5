"""What is shown while a run goes on: a live line on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from outlay.config import amount_of, show_amount

if TYPE_CHECKING:
    from outlay.driver import Progress

EVERY_S = 5.0
"""Between two plain lines."""

Watch = Callable[["Progress"], None]


@contextmanager
def watching(*, quiet: bool) -> Iterator[Watch | None]:
    """Give something to hand to the driver; while inside, progress is shown on standard error."""
    if quiet:
        yield None
    elif sys.stderr.isatty():
        with _live() as watch:
            yield watch
    else:
        yield Lines()


@final
class Lines:
    """Prints a plain line now and then; safe in a log."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._next = clock, clock() + EVERY_S

    def __call__(self, progress: "Progress") -> None:
        now = self._clock()
        if now >= self._next:
            self._next = now + EVERY_S
            print(sentence(progress), file=sys.stderr, flush=True)


def sentence(progress: "Progress") -> str:
    """All of it in one line."""
    parts = [
        f"{progress.settled:,} of {progress.prompts:,} prompts done",
        f"spent {spent(progress)}",
        pace(progress),
    ]
    if progress.replayed:
        parts.append(f"{progress.replayed:,} calls from before")
    return ", ".join(filter(None, [*parts, left(progress)]))


def spent(progress: "Progress") -> str:
    """Each budgeted unit: spent of limit."""
    return " and ".join(
        f"{show_amount(unit, _used(progress, unit))} of {show_amount(unit, limit)}"
        for unit, limit in progress.budget.limits().items()
    )


def pace(progress: "Progress") -> str:
    """Calls per second, of this process."""
    new = progress.calls - progress.replayed
    return f"{1000 * new / progress.elapsed_ms:,.3g} calls/s" if new > 0 and progress.elapsed_ms > 0 else ""


def share(progress: "Progress") -> float:
    """How far the run has come, 0 to 1: by prompts or by budget, whichever is further."""
    shares = [_used(progress, unit) / limit for unit, limit in progress.budget.limits().items()]
    return min(1.0, max(progress.settled / max(progress.prompts, 1), *shares, 0.0))


def left(progress: "Progress") -> str:
    """An estimate of the time left; empty before anything can be said."""
    done = share(progress)
    if done < 0.02 or done >= 1 or progress.elapsed_ms < 1000:
        return ""
    return f"about {show_amount('s', round(progress.elapsed_ms * (1 - done) / done / 1000) * 1000)} left"


def _used(progress: "Progress", unit: str) -> int:
    return progress.elapsed_ms if unit == "s" else amount_of(progress.spent, unit)


@contextmanager
def _live() -> Iterator[Watch]:
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    from outlay.cli.console import err

    columns = (
        TextColumn("{task.fields[done]}"),
        BarColumn(24),
        TextColumn("{task.fields[spent]}"),
        TextColumn("[dim]{task.fields[rest]}"),
    )
    with Bar(*columns, console=err(), transient=True, refresh_per_second=8) as bar:
        task = bar.add_task("", total=1.0, done="starting", spent="", rest="")
        last = 0.0

        def watch(progress: "Progress") -> None:
            nonlocal last
            now = time.monotonic()
            if now - last < 0.1:
                return
            last = now
            rest = " · ".join(filter(None, [pace(progress), left(progress)]))
            done = f"{progress.settled:,}/{progress.prompts:,} prompts"
            bar.update(task, completed=share(progress), done=done, spent=spent(progress), rest=rest)

        yield watch
