"""What is shown while a run goes on: a live line on a terminal, a plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from outlay.config import amount_of, show_amount

if TYPE_CHECKING:
    from outlay.driver import Progress, ToppedUp
    from outlay.types import Budget

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
        self._said = False

    def __call__(self, progress: "Progress") -> None:
        if progress.topped_up is not None and not self._said:
            print(topped_up(progress.topped_up, progress.budget), file=sys.stderr, flush=True)
            self._said = True
        now = self._clock()
        if now >= self._next:
            self._next = now + EVERY_S
            print(sentence(progress), file=sys.stderr, flush=True)


def sentence(progress: "Progress") -> str:
    """All of it in one line."""
    parts = [done(progress), f"spent {spent(progress)}", pace(progress)]
    if progress.replayed:
        parts.append(f"{progress.replayed:,} calls from before")
    return ", ".join(filter(None, [*parts, left(progress)]))


def topped_up(top_up: "ToppedUp", now: "Budget") -> str:
    """What a larger budget does, in a sentence without its point."""
    grew = " and ".join(
        f"from {show_amount(unit, before)} to {show_amount(unit, now.limits()[unit])}"
        for unit, before in top_up.before.limits().items()
        if now.limits()[unit] > before
    )
    if top_up.prompts:
        one = top_up.prompts == 1
        number = "1 prompt" if one else f"{top_up.prompts:,} prompts"
        return f"topped up {grew}; {number} that had stopped for want of budget {'goes' if one else 'go'} on"
    if top_up.others:
        return f"topped up {grew}; no prompt had stopped for want of budget yet"
    return f"topped up {grew}; no prompt had stopped for want of budget, so nothing more was bought"


def done(progress: "Progress") -> str:
    """Prompts, and calls: a rule that shares one budget settles most prompts at the very end."""
    if progress.settled == 0 and progress.open:
        return f"{progress.open:,} of {progress.prompts:,} prompts under way, {progress.calls:,} calls"
    return f"{progress.settled:,} of {progress.prompts:,} prompts done, {progress.calls:,} calls"


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
    """An estimate of the time left; empty before anything can be said.

    What comes first ends the run: all prompts done, or a budget spent. A budget need not be spent, so that its end is
    a bound; that of the prompts is a guess from those that are done.
    """
    if share(progress) >= 1 or progress.elapsed_ms < 1000:
        return ""
    by_prompts = _rest(progress, progress.settled / max(progress.prompts, 1))
    limits = progress.budget.limits()
    by_money = [_rest(progress, _used(progress, unit) / limits[unit]) for unit in limits if unit != "s"]
    by_time = limits["s"] - progress.elapsed_ms if "s" in limits else None
    bounds = [rest for rest in (*by_money, by_time) if rest is not None]
    if by_prompts is not None and by_prompts <= min(bounds, default=by_prompts):
        return f"about {_seconds(by_prompts)} left"
    return f"at most {_seconds(min(bounds))} left" if bounds else ""


def _rest(progress: "Progress", part: float) -> float | None:
    """Milliseconds that the rest takes if it goes on as the part that is done; None where that is too little."""
    return progress.elapsed_ms * (1 - part) / part if part >= 0.02 else None


def _seconds(ms: float) -> str:
    return show_amount("s", max(round(ms / 1000), 1) * 1000)


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
        last, said = 0.0, False

        def watch(progress: "Progress") -> None:
            nonlocal last, said
            if progress.topped_up is not None and not said:
                bar.console.print(topped_up(progress.topped_up, progress.budget), highlight=False)
                said = True
            now = time.monotonic()
            if now - last < 0.1:
                return
            last = now
            rest = " · ".join(filter(None, [pace(progress), left(progress)]))
            bar.update(task, completed=share(progress), done=done(progress), spent=spent(progress), rest=rest)

        yield watch
