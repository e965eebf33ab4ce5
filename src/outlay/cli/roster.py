"""The models that an endpoint offers."""

import asyncio
import json

from outlay.cli.console import count, escape, out
from outlay.engines.http.asking import Line
from outlay.engines.http.roster import served


def show_served(url: str, key: str, *, as_json: bool) -> int:
    """Print the names that an endpoint offers.

    Raises:
        UpstreamError: It cannot be reached, or refuses the key.
    """
    line = Line(url, key)
    names = asyncio.run(_names(line))
    if as_json:
        print(json.dumps([{"name": name} for name in names]))
        return 0
    console = out()
    for name in names:
        console.print(escape(name))
    console.print(
        f"\n[dim]{count(len(names), 'model')} at {escape(line.shown)}; "
        "name those to use, cheap to dear: --models A,B[/]"
    )
    return 0


async def _names(line: Line) -> list[str]:
    try:
        return [one.name for one in await served(line)]
    finally:
        await line.close()
