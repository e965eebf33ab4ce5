"""`outlay init`: write a config for an endpoint from what its models honour."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from outlay.cli import options as shared

if TYPE_CHECKING:
    from outlay.cli.checkup import Seen
    from outlay.errors import OutlayError

HELP = "write a config for your endpoint, from what its models honour"
USAGE = "[options]"
ABOUT = """\
List the models of the endpoint in OPENAI_BASE_URL, find out what they honour with a few small
requests, and write a commented config: ways to ask each model (efforts or thinking on and off
where they matter, greedy and sampled), cheap to dear. What the requests may cost is said before.
No command needs the file: --models A,B works without it. The key stays in the environment."""
EXAMPLES = """\
examples:
  outlay init                                     all models, where they are few
  outlay init --models small,big -o outlay.toml
  outlay init --models small@0.15/0.60,big@2/8 --budget 20ktok

then:
  outlay run tasks.jsonl --config outlay.toml --budget 40ktok
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    group = parser.add_argument_group("who answers")
    group.add_argument(
        "--models",
        metavar="A,B",
        help="models to look at; small@0.15/0.60 adds dollars per million tokens in and out",
    )
    shared.add_budget(parser)
    group = shared.output(parser)
    group.add_argument(
        "-o",
        dest="file",
        type=Path,
        default=Path("outlay.toml"),
        metavar="FILE",
        help="where it goes (outlay.toml)",
    )
    group.add_argument("--force", action="store_true", help="replace the file if it is there")
    shared.end(group, "the models as they were written, and what they honour,")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    import json
    import os

    from outlay.cli import exits
    from outlay.cli.chart import seen_row, spent_sentence
    from outlay.cli.checkup import budget_of, look, targets, to_stderr
    from outlay.cli.console import count, escape, out, table
    from outlay.cli.options import settings_from
    from outlay.cli.proposal import config_text, tiers, way_rows

    _writable(args.file, force=args.force)
    settings, environ = settings_from(args), os.environ
    found = targets(settings, environ)
    _endpoint(found[0].endpoint.url if found else "")
    [seen] = look(found, settings, environ, budget_of(args.budget), to_stderr)
    chosen, order = tiers(seen)
    if not chosen:
        raise _nothing(seen)
    text = config_text(seen, chosen, order)
    with args.file.open("w" if args.force else "x", encoding="utf-8") as file:
        file.write(text)
    if args.json:
        rows = {
            "file": str(args.file),
            "order": order,
            "models": way_rows(chosen),
            "endpoint": seen_row(seen),
        }
        print(json.dumps(rows))
        return exits.DONE
    made = table("name", "mode", "temperature", "at most", right="d")
    for way in (way for tier in chosen for way in tier.ways):
        heats = " and ".join("greedy" if heat == 0 else f"{heat:g}" for heat in way.temperatures)
        made.add_row(escape(way.name), way.mode, heats, f"{way.max_tokens:,} tok")
    console = out()
    console.print(made)
    left = [report.model for report in seen.reports if report.stopped] + list(seen.failed)
    ordered = f", cheap to dear, {order}" if len(chosen) > 1 else ""
    console.print(f"\nwrote [bold]{escape(str(args.file))}[/]: {count(len(chosen), 'model')}{ordered}")
    for model in left:
        console.print(f"[yellow]{escape(model)} is left out; the file says why[/]")
    console.print(f"next: outlay run FILE --config {escape(str(args.file))} --budget 40ktok")
    console.print(
        f"[dim]{spent_sentence((seen,))}; outlay doctor --config {escape(str(args.file))} shows more[/]"
    )
    return exits.DONE


def _writable(path: Path, *, force: bool) -> None:
    """Refuse what cannot be written before anything is paid for.

    Raises:
        UsageError: The file is there, or its folder is not.
    """
    from outlay.errors import UsageError

    if path.exists() and not force:
        raise UsageError(f"{path} is there already; --force replaces it, -o FILE writes another")
    if not path.parent.is_dir():
        raise UsageError(f"{path.parent} is no folder; make it, or write elsewhere with -o FILE")


def _endpoint(url: str) -> None:
    """Refuse an address that would be missing, or would put a secret into the file.

    Raises:
        UsageError: Says what to set.
    """
    from outlay.engines.http.asking import shown
    from outlay.errors import UsageError

    if not url:
        raise UsageError(
            "no endpoint is set: set OPENAI_BASE_URL, such as http://localhost:8000/v1; "
            "the model in the package needs no config"
        )
    if shown(url) != url.rstrip("/"):
        raise UsageError(
            "OPENAI_BASE_URL holds a login or a query, which would be written into the file; "
            "leave it out of the address, and put the key into OPENAI_API_KEY"
        )


def _nothing(seen: "Seen") -> "OutlayError":
    """Why there is no model to write."""
    from outlay.cli.checkup import show_worst
    from outlay.engines.http.asking import BUDGET_SPENT
    from outlay.errors import BudgetError, UpstreamError, UsageError

    if seen.failed:
        return UpstreamError(f"{next(iter(seen.failed.values()))}; nothing was written")
    if seen.reports:
        first = seen.reports[0]
        if BUDGET_SPENT in first.stopped:
            return BudgetError(f"--budget is too small to ask {first.model}; {show_worst()} are enough")
        return UpstreamError(f"{first.model}: {first.stopped}; nothing was written")
    if seen.unlisted:
        return UpstreamError(seen.unlisted)
    if seen.listed:
        many = len(seen.listed)
        return UsageError(f"{seen.shown} lists {many} models; name those to use, cheap to dear: --models A,B")
    return UpstreamError(f"{seen.shown} serves no model; load one, or name it with --models")
