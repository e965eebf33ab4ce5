"""`outlay bench` as a user starts it, on the recording that ships."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from outlay.study import code_bed, rivals

PROGRAM = str(Path(sys.executable).parent / "outlay")
EXAMPLES = Path(__file__).parents[2] / "examples"
MODELS = "small@0/0.49,big@0/1.54"
RULES = ("uniform:1@small", "uniform:1@big", "until_pass:3@small")


def bench(*args: str) -> str:
    command = [PROGRAM, "bench", str(EXAMPLES / "code.jsonl.gz"), "--models", MODELS, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_shipped_recording_gives_the_figures_of_the_code_bed():
    wanted = [flag for rule in RULES for flag in ("--policy", rule)]
    made = json.loads(bench("--budget", "0.03usd", "--orders", "1", "--json", *wanted))
    lines = {line["rule"]: line for line in made["lines"]}
    bed = code_bed.bed_of(EXAMPLES, orders=4)
    yard = bed.grade(rivals.YARDSTICK(bed.seen)).cost_P.mean()
    ours = zip(
        RULES,
        (rivals.Always("small"), rivals.Always("big"), rivals.UntilPass("small", True, 3)),
        (0, 0, 0.03),  # sampled draws come in other orders
        strict=True,
    )
    for name, rule, noise in ours:
        replayed = bed.grade(rule(bed.seen))
        assert lines[name]["right"][0] == pytest.approx(replayed.score_P.mean(), abs=noise + 1e-9)
        assert lines[name]["share"][0] == pytest.approx(replayed.cost_P.mean() / yard, abs=noise + 1e-6)
    assert lines["priced"]["cost"] <= lines["priced"]["budget"] == 30_000_000


def test_the_page_shows_what_its_command_prints():
    page = (EXAMPLES.parent / "docs" / "bench.md").read_text(encoding="utf-8")
    command, table = re.findall(r"(?s)```\n\$ outlay (bench .*?)\n(\d.*?)```\n", page)[0]
    name, log, *options = command.split()
    assert (name, log, options[:2]) == ("bench", "examples/code.jsonl.gz", ["--models", MODELS])
    printed = bench(*options[2:])
    assert max(map(len, printed.splitlines())) <= 100
    shown, said = table.splitlines(), printed.splitlines()
    assert [line for line in said if not line.startswith("priced")] == [
        line for line in shown if not line.startswith("priced")
    ]
    ours = [[line for line in lines if line.startswith("priced")] for lines in (shown, said)]
    for one, other in zip(
        *ours, strict=True
    ):  # another processor may round otherwise, and then buy otherwise
        assert one[:16] == other[:16]
        assert float(one.split()[2]) == pytest.approx(float(other.split()[2]), abs=0.02)
