"""Draw `docs/img/spend.svg`: where the tokens of the demo went, from a real run of it. Takes half a minute.

python docs/draw_spend.py

Each bar is one Countdown problem of `examples/problems.jsonl`, ordered by how often the model gets it right in
64 further draws that the run never saw. All 500 prompts of the demo share the budget; the chained sums, which are
right or wrong for good, are left out of the picture.
"""

import json
import os
from pathlib import Path
from typing import NamedTuple

import outlay
from outlay.pocket import Request, check_countdown, generate, load

ROOT = Path(__file__).parents[1]
PROBLEMS = ROOT / "examples" / "problems.jsonl"
PICTURE = ROOT / "docs" / "img" / "spend.svg"
BUDGET, CHECK = "40ktok", "outlay.cli.countdown:solves"
DRAWS, SEED = 64, 987_654_321
EASY = 0.8
NOTE = "Which are easy is not known beforehand: a check tells when to stop."

WIDTH, HEIGHT = 880, 420
LEFT, RIGHT, TOP, BOTTOM = 62, 26, 118, 70


class Bar(NamedTuple):
    """One problem: the chance that one draw is right, what was spent on it, whether it was solved."""

    chance: float
    tokens: int
    solved: bool


def bars() -> list[Bar]:
    """Run the demo's problems within the demo's budget, and measure how hard they are for the model."""
    os.environ.pop("OPENAI_BASE_URL", None)  # the model in the package answers
    rows = [json.loads(line) for line in PROBLEMS.read_text(encoding="utf-8").splitlines()]
    answers = {a.id: a for a in outlay.run(rows, budget=BUDGET, check=CHECK).answers}
    # The same prompt twice is bought once: the second one is no bar of its own.
    twins = {id_ for id_, answer in answers.items() if "same_as" in answer.receipt}
    rows = [row for row in rows if row["metadata"]["group"] == "countdown" and row["id"] not in twins]
    found = []
    for row, chance in zip(rows, chances([row["prompt"] for row in rows]), strict=True):
        answer = answers[row["id"]]
        solved = answer.answer is not None and check_countdown(row["prompt"], answer.answer)
        found.append(Bar(chance, answer.cost.tok, solved))
    return sorted(found, key=lambda bar: -bar.chance)


def chances(questions: list[str]) -> list[float]:
    """How often the model is right in mode `short`, the one that it solves these problems in."""
    asked = [
        Request(question, "short", temperature=1.0, seed=SEED + at, n=DRAWS, max_tokens=32)
        for at, question in enumerate(questions)
    ]
    return [
        sum(check_countdown(question, one.text) for one in samples) / DRAWS
        for question, samples in zip(questions, generate(load(), asked, 64), strict=True)
    ]


STYLE = """
  text { font: 13px ui-sans-serif, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #57606a }
  .card { fill: #ffffff; stroke: #d8dee4 } .title { font-size: 19px; font-weight: 600; fill: #1f2328 }
  .band { font-size: 14px; font-weight: 600; fill: #1f2328 } .small { font-size: 12px }
  .grid { stroke: #eaeef2 } .axis { stroke: #afb8c1 } .split { stroke: #d0d7de; stroke-dasharray: 2 4 }
  .solved { fill: #1a7f74 } .missed { fill: #d9a441 } .even { stroke: #1f2328; stroke-dasharray: 6 4 }
  .even-text { fill: #1f2328 }
  @media (prefers-color-scheme: dark) {
    text { fill: #9198a1 } .card { fill: #0d1117; stroke: #30363d }
    .title, .band, .even-text { fill: #f0f6fc }
    .grid { stroke: #1b2129 } .axis { stroke: #484f58 } .split { stroke: #30363d }
    .solved { fill: #3fb8a9 } .missed { fill: #c98f2b } .even { stroke: #f0f6fc }
  }
"""


def picture(found: list[Bar]) -> str:
    """The drawing."""
    total = sum(bar.tokens for bar in found)
    highest = max(bar.tokens for bar in found)
    step = next(step for step in (10, 20, 25, 50, 100, 200, 500, 1000) if highest / step <= 7)
    top = step * -(-highest // step)
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    base, each = TOP + tall, wide / len(found)

    def y(tokens: float) -> float:
        return base - tall * tokens / top

    drawn = [
        text(LEFT - 34, 38, f"Where {total:,} tokens went", "title"),
        text(LEFT - 34, 60, f"{len(found)} problems, easiest first, one bar each. {NOTE}"),
        *legend(WIDTH - RIGHT - 150, 38),
    ]
    for tick in range(0, top + 1, step):
        drawn.append(line(LEFT, y(tick), WIDTH - RIGHT, y(tick), "axis" if tick == 0 else "grid"))
        drawn.append(text(LEFT - 8, y(tick) + 4, f"{tick}", "small", "end"))
    drawn.append(text(LEFT - 34, TOP - 14, "tokens", "small"))
    for name in ("solved", "missed"):
        shape = "".join(
            f"M{LEFT + each * at + 0.4:.1f} {base}V{y(bar.tokens):.1f}h{each - 0.8:.1f}V{base}z"
            for at, bar in enumerate(found)
            if bar.solved == (name == "solved")
        )
        drawn.append(f'<path class="{name}" d="{shape}"/>')
    even = total / len(found)
    drawn.append(line(LEFT, y(even), WIDTH - RIGHT, y(even), "even"))
    drawn.append(text(LEFT + 6, y(even) - 7, f"an even share: {even:.0f} each", "small even-text"))
    begin = 0
    for name, of in bands(found):
        if not of:
            continue
        x = LEFT + each * begin
        if begin:
            drawn.append(line(x, TOP - 26, x, base + 52, "split"))
        mean, solved = sum(bar.tokens for bar in of) / len(of), sum(bar.solved for bar in of)
        drawn.append(text(x + 6, base + 20, name, "band"))
        drawn.append(text(x + 6, base + 37, f"{mean:.0f} tokens each", "small"))
        drawn.append(text(x + 6, base + 53, f"{solved} of {len(of)} solved", "small"))
        begin += len(of)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{label(found)}">\n<style>{STYLE}</style>\n'
        f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="10"/>\n'
        + "\n".join(drawn)
        + "\n</svg>\n"
    )


def bands(found: list[Bar]) -> tuple[tuple[str, list[Bar]], ...]:
    """Easy, middle, hopeless."""
    return (
        ("easy", [bar for bar in found if bar.chance >= EASY]),
        ("middle", [bar for bar in found if 0 < bar.chance < EASY]),
        ("hopeless", [bar for bar in found if bar.chance == 0]),
    )


def label(found: list[Bar]) -> str:
    """The picture in words."""
    return "; ".join(
        f"{name}: {len(of)} problems, {sum(b.tokens for b in of) / len(of):.0f} tokens each, "
        f"{sum(b.solved for b in of)} solved"
        for name, of in bands(found)
        if of
    )


def legend(x: float, y: float) -> list[str]:
    """What the colors mean."""
    return [
        f'<rect class="solved" x="{x}" y="{y - 10}" width="11" height="11" rx="2"/>',
        text(x + 17, y, "solved"),
        f'<rect class="missed" x="{x + 76}" y="{y - 10}" width="11" height="11" rx="2"/>',
        text(x + 93, y, "not solved"),
    ]


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Words at a place."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{words}</text>'


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


if __name__ == "__main__":
    drawn_from = bars()
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(drawn_from), encoding="utf-8")
    print(f"{PICTURE.relative_to(ROOT)}: {label(drawn_from)}")
