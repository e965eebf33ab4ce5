"""The tables of the live run, from the results of its runs, as Markdown. Nothing is measured here."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from outlay.study.statistics import Interval, Resamples, wilson

Result = Mapping[str, Any]

YARD: Final = "always-big"
RULE: Final = "small-then-big"
PARTS: Final = 10
LOOPS: Final = 4
NANO: Final = 1_000_000_000


def render(results: Sequence[Result]) -> str:
    """All tables; comparisons need always-big."""
    by_name = {result["name"]: result for result in results}
    tasks = results[0]["tasks"]
    checked = sum(task["checked"] for task in tasks)
    parts = [
        f"{len(tasks)} tasks, {checked} with an example to check against. Intervals of 95 %; differences are paired.",
        _solved(results, by_name),
        _pairs(results, by_name),
        _where(results),
        _loops(results),
        _speed(results),
        _sums(results),
        _receipt(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def line(result: Result) -> str:
    """One run in one line."""
    right = sum(task["right"] for task in result["tasks"])
    tok, outtok, usd = result["sums"]["ledger"]
    return (
        f"{result['name']}: {right} of {len(result['tasks'])} solved, {tok} tokens ({outtok} out), "
        f"{usd / NANO:.6f} USD, {result['elapsed_ms'] / 1000:.1f} s; {result['end']}"
    )


def _solved(results: Sequence[Result], by_name: Mapping[str, Result]) -> str:
    yard = by_name.get(YARD)
    rows = []
    for result in results:
        share = wilson(sum(task["right"] for task in result["tasks"]), len(result["tasks"]))
        tok, outtok, usd = result["sums"]["ledger"]
        rows.append(
            (
                _name(result),
                f"{sum(task['right'] for task in result['tasks'])}",
                f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]",
                _points(difference(result, yard)) if yard and yard is not result else "",
                f"{tok:,}",
                f"{outtok:,}",
                f"{usd / NANO:.6f}",
                f"{result['elapsed_ms'] / 1000:.1f}",
                left(result),
                f"{_draws(result, 'small')} + {_draws(result, 'big')}",
            )
        )
    head = ("run", "solved", "share", "points v always-big", "tok", "outtok", "USD", "seconds", "budget left",
            "calls small + big")  # fmt: skip
    ends = [f"- {result['name']}: {result['end']}{_revisions(result)}" for result in results]
    return "\n".join(["## Solved and spent", "", _table(head, rows), "", *ends])


def _revisions(result: Result) -> str:
    kinds = [bought["kind"] for task in result["tasks"] for bought in task["receipt"]["purchases"]]
    number = kinds.count("revise")
    return f"; {number} revisions" if number else ""


def difference(ours: Result, theirs: Result) -> Interval:
    """Solved by ours less solved by theirs, on the same tasks, in points."""
    other = {task["id"]: task["right"] for task in theirs["tasks"]}
    pairs = [(task["right"], other[task["id"]]) for task in ours["tasks"] if task["id"] in other]
    ours_P, theirs_P = (np.array(column, dtype=np.float64) for column in zip(*pairs, strict=True))
    return Resamples(len(pairs)).difference(ours_P * 100, theirs_P * 100)


def left(result: Result) -> str:
    """What of the budget was not used, in the unit of the budget; empty without one."""
    unit = result["unit"]
    if not unit:
        return ""
    limit = result["limit"][unit]
    if unit == "s":
        return f"{(limit - result['elapsed_ms']) / 1000:.1f} of {limit / 1000:.1f} s"
    tok, _, usd = result["sums"]["ledger"]
    if unit == "usd":
        return f"{(limit - usd) / NANO:.6f} of {limit / NANO:.6f} USD"
    return f"{limit - tok:,} of {limit:,} tok"


def _pairs(results: Sequence[Result], by_name: Mapping[str, Result]) -> str:
    """Runs of outlay against both rules: points, and the ratios of what they used."""
    rows = []
    for result in results:
        for name in (YARD, RULE):
            rival = by_name.get(name)
            if rival is None or not result["unit"]:
                continue
            gap = difference(result, rival)
            rows.append(
                (
                    result["name"],
                    name,
                    _points(gap),
                    gap.verdict(),
                    f"{result['sums']['ledger'][0] / rival['sums']['ledger'][0]:.2f}",
                    f"{result['sums']['ledger'][2] / rival['sums']['ledger'][2]:.2f}",
                    f"{result['elapsed_ms'] / rival['elapsed_ms']:.2f}",
                )
            )
    if not rows:
        return ""
    head = ("outlay", "against", "points", "verdict", "tokens, ratio", "USD, ratio", "seconds, ratio")
    return "\n".join(["## Paired", "", _table(head, rows)])


def _where(results: Sequence[Result]) -> str:
    """Tasks with and without a check apart."""
    rows = []
    for result in results:
        cells = []
        for checked in (True, False):
            some = [task for task in result["tasks"] if task["checked"] is checked]
            tokens = sum(task["cost"][0] for task in some)
            right = sum(task["right"] for task in some)
            cells.append(f"{right} of {len(some)}, {tokens / max(len(some), 1):,.0f} tok each")
        rows.append((result["name"], *cells))
    return "\n".join(["## Where", "", _table(("run", "with a check", "without"), rows)])


def _loops(results: Sequence[Result]) -> str:
    """What each further answer brings where one model is asked until its check passes."""
    rows = []
    for result in results:
        if not result.get("policy", "").startswith("until_pass"):
            continue
        some = [task for task in result["tasks"] if task["checked"]]
        for number in range(1, LOOPS + 1):
            solved = [task["right"] and within(task, number)[0] for task in some]
            tokens = sum(within(task, number)[1] for task in some)
            share = wilson(sum(solved), len(some))
            name = result["name"] if number == 1 else ""
            rows.append(
                (
                    *(name, f"{number}", f"{sum(solved)} of {len(some)}"),
                    *(f"{share.value:.3f} [{share.low:.3f}, {share.high:.3f}]", f"{tokens / len(some):,.0f}"),
                )
            )
    if not rows:
        return ""
    head = ("one model, until its check passes", "answers at most", "solved", "share", "tok each")
    return "\n".join(["## Drawn anew or mended", "", _table(head, rows), "", *_mended(results)])


def _mended(results: Sequence[Result]) -> list[str]:
    """Mended minus drawn anew, where both were run."""
    by_name = {result["name"]: result for result in results}
    said = []
    for result in results:
        anew = by_name.get(result["name"].removesuffix("-revise"))
        if anew is None or anew is result or not result.get("policy", "").startswith("until_pass"):
            continue
        said.append(
            f"- {result['name']} minus {anew['name']}: {_points(difference(_looped(result), _looped(anew)))}"
        )
    return said


def _looped(result: Result) -> Result:
    """Tasks with a check, right where the loop ended with an answer that passed."""
    some = [task for task in result["tasks"] if task["checked"]]
    return {"tasks": [{"id": task["id"], "right": task["right"] and within(task, LOOPS)[0]} for task in some]}


def within(task: Result, number: int) -> tuple[bool, int]:
    """Whether one of the first answers passed its check, and what these answers cost in tokens."""
    passed, answers, tokens = False, 0, 0
    for bought in task["receipt"]["purchases"]:
        if bought["kind"] == "check":
            passed = passed or bool(bought.get("verdict"))
            continue
        answers += 1
        if answers > number:
            break
        tokens += bought["tok"]
    return passed, tokens


def _speed(results: Sequence[Result]) -> str:
    """Calls under way and the servers' own counts: why equal seconds are not equal tokens."""
    rows = []
    for result in results:
        servers = result["servers"]
        made = sum(server.get("output_tokens", 0) for server in servers.values())
        read = sum(server.get("prompt_tokens", 0) for server in servers.values())
        seconds = max(result["elapsed_ms"], 1) / 1000
        rows.append(
            (
                result["name"],
                f"{mean_flight(result['flight'], 0, result['elapsed_ms']):.1f}",
                " ".join(f"{part:.0f}" for part in flight_in_parts(result["flight"], result["elapsed_ms"])),
                *(f"{server.get('busy_slots', 0):.1f}" for server in servers.values()),
                f"{made / seconds:.1f}",
                f"{read / seconds:.1f}",
            )
        )
    names = [f"batch, {name}" for name in results[0]["servers"]]
    head = ("run", "in flight, mean", "in each tenth of the time", *names, "out tok/s", "prompt tok/s")
    note = (
        "In flight: calls sent and not back. Batch: sequences in a decoded batch, the server's own mean. Prompt tokens "
        "are those that were read anew; what a slot still held is not read again."
    )
    return "\n".join(["## How full the servers were", "", _table(head, rows), "", note])


def mean_flight(flight: Sequence[Sequence[int]], start: float, end: float) -> float:
    """Calls under way between two times in ms, weighted by time; a line of `flight` holds until the next.

    >>> mean_flight([(0, 4), (50, 2)], 0, 100)
    3.0
    """
    if end <= start or not flight:
        return 0.0
    ends = [*((after[0], before) for before, after in pairwise(flight)), (end, flight[-1])]
    total = sum(max(0.0, min(until, end) - max(at, start)) * count for until, (at, count) in ends)
    return total / (end - start)


def flight_in_parts(flight: Sequence[Sequence[int]], elapsed: int) -> list[float]:
    """The same for each tenth of the run."""
    edges = np.linspace(0, elapsed, PARTS + 1).tolist()
    return [mean_flight(flight, start, end) for start, end in pairwise(edges)]


def _sums(results: Sequence[Result]) -> str:
    rows = [
        (result["name"], place, *(f"{value:,}" for value in sums), _agree(result))
        for result in results
        for place, sums in result["sums"].items()
    ]
    head = ("run", "summed over", "tok", "outtok", "nano-dollars", "all four equal")
    return "\n".join(["## Sums", "", _table(head, rows)])


def _agree(result: Result) -> str:
    return "yes" if len({tuple(sums) for sums in result["sums"].values()}) == 1 else "NO"


def _receipt(results: Sequence[Result]) -> str:
    """The whole receipt of one task that was sampled, checked, revised and escalated, if there is one."""
    found = next(((r, task) for r in results for task in r["tasks"] if r["unit"] and eventful(task)), None)
    if found is None:
        return "## A receipt\n\nNo task of these runs was sampled, checked, revised and escalated."
    result, task = found
    shown = {key: task[key] for key in ("id", "right", "outcome", "confidence", "receipt")}
    text = json.dumps(shown, indent=1, ensure_ascii=False)
    return f"## A receipt\n\n{task['id']} in {result['name']}:\n\n```json\n{text}\n```"


def eventful(task: Mapping[str, Any]) -> bool:
    """Whether a task was sampled, checked, revised, and asked of both models."""
    bought = task["receipt"]["purchases"]
    kinds = {line["kind"] for line in bought}
    return {"sample", "check", "revise"} <= kinds and {"small", "big"} <= set(task["draws"])


def _draws(result: Result, model: str) -> int:
    return sum(task["draws"].get(model, 0) for task in result["tasks"])


def _name(result: Result) -> str:
    return f"{result['name']} (resumed)" if result["resumed"] else str(result["name"])


def _points(gap: Interval) -> str:
    return f"{gap.value:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)
