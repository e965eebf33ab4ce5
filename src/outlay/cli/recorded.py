"""What a recording holds, on a terminal or as data: how `record` and `import` end."""

import json
from collections.abc import Sequence
from pathlib import Path

from outlay.cli.console import escape, facts, harmless_json, out
from outlay.study import recording


def show(
    written: Sequence[Path],
    *,
    first: Sequence[tuple[str, str]] = (),
    notes: Sequence[str] = (),
    as_json: bool = False,
) -> int:
    """Read a recording back and say what is there; the first of `written` is that of the draws."""
    made = recording.load(written[0])
    files = [str(path) for path in written]
    if as_json:
        data = {**dict(first), **data_of(made), "notes": list(notes), "files": files}
        print(harmless_json(json.dumps(data, ensure_ascii=False, allow_nan=False)))
        return 0
    told = [*first, *made.facts(), *(("note", note) for note in notes)]
    told += [("files" if at == 0 else "", name) for at, name in enumerate(files)]
    out().print(facts([(what, escape(said)) for what, said in told]))
    return 0


def data_of(made: recording.Recording) -> dict[str, object]:
    """The facts as data."""
    return {
        "prompts": len(made.prompts),
        "draws": len(made.rows),
        "arms": [arm._asdict() for arm in made.arms],
        "checks": list(made.checks),
        "gold": len(made.labels.gold) if made.labels else 0,
        "marks": len(made.labels.right) if made.labels else 0,
        "complete": made.complete,
    }
