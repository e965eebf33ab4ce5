"""`outlay doctor`: whether a run would work here, and what each model honours."""

import argparse
from typing import TYPE_CHECKING

from outlay.cli import options as shared

if TYPE_CHECKING:
    from collections.abc import Mapping

    from outlay.cli.chart import Problem
    from outlay.cli.checkup import Seen, Target
    from outlay.config import Settings

HELP = "look at your endpoint: does it answer, and what does it honour"
USAGE = "[options]"
ABOUT = """\
Look at the environment, the endpoint and its models, and say of each finding what to do. What a
model honours is measured, with a few small requests: several copies, seeds, log-probabilities,
counts of tokens, greedy answers, stop strings, schemas, efforts, thinking. What these may cost is
said before, and what they did cost after. Without an endpoint nothing is asked.
The exit code is 0 if a run would work, 2 if a setting is wrong, 5 if the endpoint does not serve."""
EXAMPLES = """\
examples:
  outlay doctor                                the endpoint in OPENAI_BASE_URL
  outlay doctor --models small,big
  outlay doctor --config outlay.toml --budget 20ktok
"""


def options(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    shared.add_models(parser)
    shared.add_budget(parser)
    shared.end(shared.output(parser), "what was found")


def call(args: argparse.Namespace) -> int:
    """Do it, and return the exit code."""
    import json
    import os

    from outlay.api import BASE_URL
    from outlay.cli.chart import Chart, as_rows, render, spent_sentence
    from outlay.cli.checkup import budget_of, look, targets, to_stderr
    from outlay.cli.console import out
    from outlay.cli.options import settings_from

    settings, environ = settings_from(args), os.environ
    budget = budget_of(args.budget)
    found = targets(settings, environ)
    seen = look(found, settings, environ, budget, to_stderr) if found else ()
    names = [BASE_URL, *dict.fromkeys(["OPENAI_API_KEY", *(target.endpoint.key_env for target in found)])]
    chart = Chart(
        variables={name: bool(environ.get(name)) for name in names},
        seen=seen,
        notes=(*_notes(settings, seen, environ), *_walls()),
        problems=tuple(_problems(settings, found, seen)),
        command=_command(args, seen),
    )
    if args.json:
        print(json.dumps(as_rows(chart)))
        return chart.exit
    console = out()
    console.print(render(chart))
    if used := spent_sentence(seen):
        console.print(f"[dim]{used}[/]")
    return chart.exit


def _problems(settings: "Settings", found: "list[Target]", seen: "tuple[Seen, ...]") -> "list[Problem]":
    """What keeps a run from working."""
    from outlay.api.parts import engines_for, models_for
    from outlay.cli import exits
    from outlay.cli.chart import Problem
    from outlay.engines.http.asking import BUDGET_SPENT
    from outlay.errors import OutlayError

    made = []
    if settings.models or settings.pick:
        try:
            engines_for(models_for(settings), settings)
        except OutlayError as error:
            made.append(Problem(exits.USAGE, str(error)))
    for target, one in zip(found, seen, strict=True):
        asked = bool(one.reports or one.failed)
        if one.unlisted and not one.reports and not one.failed:
            made.append(Problem(exits.UPSTREAM, one.unlisted))
        elif not one.listed and not target.models:
            made.append(
                Problem(exits.UPSTREAM, f"{one.shown} serves no model; load one, or name it with --models")
            )
        elif asked:
            made += [Problem(exits.UPSTREAM, f"{name}: {why}") for name, why in one.failed.items()]
            made += [
                Problem(exits.UPSTREAM, f"{report.model}: {_why(report.stopped)}")
                for report in one.reports
                if report.stopped and BUDGET_SPENT not in report.stopped
            ]
    return made


def _walls() -> tuple[str, ...]:
    """What an answer that is run by a check may do here: each wall is tried, not believed."""
    from outlay.engines.checker import in_force

    walls = in_force()
    still = [f"{wall.name}: {wall.otherwise}" for wall in walls if not wall.holds]
    if not still:
        return (f"checks that run answers: all {len(walls)} walls around them hold on this machine",)
    held = f"checks that run answers: {len(walls) - len(still)} of {len(walls)} walls hold on this machine"
    return (f"{held}; open are {'; '.join(still)}",)


def _why(stopped: str) -> str:
    if "max_tokens" in stopped:
        return "it ignores max_tokens, so no budget can be kept; set a limit in the server, or take another model"
    return f"{stopped.replace('No answer', 'no answer')}; look at the log of the server"


def _notes(settings: "Settings", seen: "tuple[Seen, ...]", environ: "Mapping[str, str]") -> tuple[str, ...]:
    """What a user should know though a run would work."""
    import difflib

    from outlay.engines.http.asking import BUDGET_SPENT
    from outlay.engines.http.chat import EFFORTS

    if not seen:
        told = (
            "OPENAI_API_KEY is set but OPENAI_BASE_URL is not: for OpenAI, set it to https://api.openai.com/v1"
            if environ.get("OPENAI_API_KEY")
            else "for your own models, set OPENAI_BASE_URL, such as http://localhost:8000/v1, and OPENAI_API_KEY "
            "if it wants a key"
        )
        return (
            "no endpoint is set: the model in the package answers, on this machine and for no dollars; it solves "
            "small word problems and Countdown, and nothing else",
            told,
        )
    made = []
    for one in seen:
        listed = [listed.name for listed in one.listed]
        for name in (*(report.model for report in one.reports), *one.failed):
            if listed and name not in listed:
                near = difflib.get_close_matches(name, listed, n=1, cutoff=0.6)
                hint = f"; did you mean {near[0]}?" if near else "; outlay models lists those that are"
                made.append(f"{one.shown} does not list {name}{hint}")
        for report in one.reports:
            if BUDGET_SPENT in report.stopped:
                made.append(f"{report.model} was not asked: --budget leaves no room for it")
            made += [
                f"{model.name} asks for the effort {model.mode}, which is not honoured: "
                "it buys the same answers as no effort"
                for model in settings.models
                if (model.model or model.name) == report.model
                and model.engine == one.endpoint.name
                and model.mode in EFFORTS
                and report.status("effort") in ("ignored", "refused")
            ]
    return tuple(made)


def _command(args: argparse.Namespace, seen: "tuple[Seen, ...]") -> str:
    """What to run next."""
    if args.config:
        return f"outlay run FILE --config {args.config} --budget 40ktok"
    named = args.models or ",".join(report.model for one in seen for report in one.reports)
    if seen and not named:
        return "outlay run FILE --models A,B --budget 40ktok"
    return f"outlay run FILE {f'--models {named} ' if named else ''}--budget 40ktok"
