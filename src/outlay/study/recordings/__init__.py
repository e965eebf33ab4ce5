"""Importers: logs and sets that others wrote, made into recordings.

Which one reads a source is found by looking at it, in the order of `IMPORTERS`.
"""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Final

from outlay.errors import UsageError
from outlay.study.recordings import batch, inspect_log, sets
from outlay.study.recordings.base import Imported, Importer, Options

IMPORTERS: Final[dict[str, Importer]] = {
    "inspect": inspect_log,
    "batch": batch,
    "tables": sets,
}


def load(sources: Sequence[Path], options: Options) -> Imported:
    """Read sources of one kind.

    Raises:
        UsageError: A source is not there or of no known kind, or an option means nothing for it.
        InputError: A row that cannot be used.
    """
    for source in sources:
        if not source.exists():
            raise UsageError(f"there is no {source}; give a log, a table of answers, or a folder of these")
    importer = next((one for one in IMPORTERS.values() if all(map(one.reads, sources))), None)
    if importer is None:
        kinds = ", ".join(one.NAME for one in IMPORTERS.values())
        raise UsageError(
            f"{', '.join(map(str, sources))}: no known kind of log; known are {kinds}, one kind at a time"
        )
    idle = [
        one.name for one in fields(options) if getattr(options, one.name) and one.name not in importer.TAKES
    ]
    if idle:
        raise UsageError(f"{importer.NAME} has no use for --{idle[0].rstrip('s')}; leave it out")
    return importer.load(sources, options)


__all__ = ["IMPORTERS", "Imported", "Importer", "Options", "load"]
