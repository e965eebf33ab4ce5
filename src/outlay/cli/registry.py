"""Names and what they are: how `strategies` and `policies` list what there is."""

import json
from collections.abc import Mapping

from outlay.cli.console import escape, facts, out


def listed(known: Mapping[str, str], *, as_json: bool, note: str = "") -> int:
    """Print names with what they are."""
    if as_json:
        print(json.dumps([{"name": name, "about": about} for name, about in known.items()]))
        return 0
    console = out()
    console.print(
        facts([(f"[bold not dim]{escape(name)}[/]", escape(about)) for name, about in known.items()])
    )
    if note:
        console.print(f"\n[dim]{escape(note)}[/]")
    return 0
