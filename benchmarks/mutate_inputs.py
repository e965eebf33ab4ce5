"""What does outlay make of what nobody meant to write? Mutated input lines, config files and files of prices.

    python benchmarks/mutate_inputs.py [NUMBER] [SEED]

Each case takes a sound text and spoils it one to four times: bytes flipped, cut, doubled and spliced, values put in
place of others, keys renamed. It must be read, or refused with an error of outlay's on one line that says something and
holds nothing that a terminal obeys. Anything else is a crash, shown with the case; the exit code is then 1. The same
seed gives the same cases.
"""

import json
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from outlay.api.parts import engines_for, models_for
from outlay.config import load
from outlay.config.price_shapes import imported
from outlay.config.price_table import read_json
from outlay.errors import OutlayError
from outlay.inputs import read

LONGEST = 1_000
"""Characters of an error that a person still reads."""

LINES = (
    '{"id": "a", "prompt": "2+2?", "answer": "number", "metadata": {"group": "sums"}, "worth": 2, "gold": "4"}',
    '{"id": 7, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]}',
    '{"prompt": "Which? A) yes B) no", "answer": "choice:A-B"}',
    '{"custom_id": "r-1", "method": "POST", "url": "/v1/chat/completions", "body": {"model": "m", "max_tokens": 9, '
    '"messages": [{"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": "text", "text": "!"}]}]}}',
    '{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "answer": "json"}',
)
CONFIGS = (
    """budget = ["2usd", "10min"]
policy = "lead:3"
strategy = "vote"
abstain = 0.3
seed = 1
prices = "table"
on_crash = "charge"
models = ["small", "deep"]
[[endpoint]]
name = "here"
url = "http://localhost:8000/v1"
key_env = "HERE_KEY"
concurrency = 4
rpm = 60
extra = {top_k = 20}
modes = {short = {chat_template_kwargs = {enable_thinking = false}}}
[[model]]
name = "small"
price_in = 0.15
price_out = 0.60
temperature = [0, 0.5, 1]
[[model]]
name = "deep"
model = "org/big"
endpoint = "here"
mode = "short"
max_tokens = 4096
price_in = 2
price_out = 8
price_cached = 0.5
[[judge]]
name = "look"
model = "gpt-4o"
""",
    'models = "small@0.15/0.60,big@2/8"\nbudget = "40ktok"\ncheck = "tests.py:passes"\nlimit = 3\ngrade = true\n',
)
PRICES = (
    '{"gpt-4o": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 2.5e-06, '
    '"output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-06, '
    '"input_cost_per_token_above_272k_tokens": 5e-06}}',
    '{"openai/gpt-4o": {"input": 2.5, "output": 10, "input_cache_write": 2.5, "input_cache_read": 1.25}}',
    '{"outlay_prices": 1, "source": "s", "date": "2026-01-01", "prices": {"a": ["openai", 1, 2, null, null, 1000]}}',
)
VALUES = (
    "null", "true", "-1", "0", "1e999", "NaN", "1" * 400, '""', '"x"', "[]", "{}", "[[[]]]", '"\\u0000"', '"\\ud83d"',
    '"usd"', '"number"', '"regex:("', '"choice:"', '"regex:(a+)+"', "1979-05-27", "'a@1'", '"lead:0"',
    '"é 漢 \\u202e"', "0x10",
    '{"a": {"a": {"a": []}}}', '"http://["', '"../../etc"', '"a@0.1/0.2/0.3"',
)  # fmt: skip
PIECES = (
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\0",
    "\\",
    "=",
    "[[",
    "#",
    "\ufeff",
    "\r",
    "\x1b[2J",
    "[bold]",
    "'",
)


class Case(NamedTuple):
    """A kind of file: sound ones, its name, and what reads it."""

    sound: tuple[str, ...]
    name: str
    use: Callable[[Path], str]


class Outcome(NamedTuple):
    """How many were read, refused and crashed; and the first crashes, each with its case."""

    counts: Counter[str]
    crashes: list[str]


def use_line(path: Path) -> str:
    """Read an input file; an error is a value there, for each row."""
    rows = read(path)
    for error in rows.errors:
        check(str(error))
    for prompt in rows.prompts:
        json.dumps([message.content for message in prompt.messages]).encode()
        assert prompt.id.isprintable()
        assert prompt.worth > 0
    return "refused" if rows.errors else "read"


def use_config(path: Path) -> str:
    """Read a config file, and set up all that it names; nothing is asked."""
    settings = load(path)
    engines_for(models_for(settings), settings)
    return "read"


def use_prices(path: Path) -> str:
    """Import a file of prices; what was taken in must be a price."""
    table = imported(read_json(path), source=path.name, date="2026-01-01").table
    for name in table.rows:
        table.named(name)
    return "read"


CASES = (
    Case(LINES, "line.jsonl", use_line),
    Case(CONFIGS, "config.toml", use_config),
    Case(PRICES, "prices.json", use_prices),
)


def check(message: str) -> None:
    """An error of ours is one line that says something."""
    assert 10 < len(message) <= LONGEST, f"an error of {len(message)} characters: {message[:200]}"
    assert message.isprintable(), f"an error of several lines, or with control characters: {message[:300]!r}"
    assert "Traceback" not in message


def spoiled(text: str, dice: random.Random) -> bytes:
    """The text, spoiled one to four times."""
    ways = (_value, _value, _value, _piece, _cut, _doubled, _letter)
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        text = dice.choice(ways)(text, dice)
    raw = text.encode(errors="surrogatepass")
    if dice.random() < 0.1 and raw:
        at = dice.randrange(len(raw))
        raw = raw[:at] + bytes([dice.randrange(256)]) + raw[at + 1 :]
    return raw


def _span(text: str, dice: random.Random) -> tuple[int, int]:
    low = dice.randint(0, len(text))
    return low, min(len(text), low + dice.randint(0, 12))


def _value(text: str, dice: random.Random) -> str:
    """Another value after one of the colons or equals signs."""
    places = [at for at, letter in enumerate(text) if letter in ":="]
    if not places:
        return text + dice.choice(VALUES)
    low = dice.choice(places) + 1
    ends = [at for letter in ",}]\n" if (at := text.find(letter, low)) >= 0]
    return f"{text[:low]} {dice.choice(VALUES)}{text[min(ends, default=len(text)) :]}"


def _piece(text: str, dice: random.Random) -> str:
    at = dice.randint(0, len(text))
    return text[:at] + dice.choice(PIECES) * dice.choice((1, 1, 1, 2, 50)) + text[at:]


def _cut(text: str, dice: random.Random) -> str:
    low, high = _span(text, dice)
    return text[:low] + text[high:]


def _doubled(text: str, dice: random.Random) -> str:
    low, high = _span(text, dice)
    return text[:high] + text[low:high] * dice.choice((1, 2, 200)) + text[high:]


def _letter(text: str, dice: random.Random) -> str:
    at = dice.randint(0, max(len(text) - 1, 0))
    return text[:at] + chr(dice.choice((dice.randrange(128), dice.randrange(0x2FFF)))) + text[at + 1 :]


def mutate(case: Case, number: int, seed: int, folder: Path) -> Outcome:
    """Read `number` spoiled files of one kind."""
    counts: Counter[str] = Counter()
    crashes: list[str] = []
    path = folder / case.name
    for at in range(number):
        dice = random.Random(f"{seed} {case.name} {at}")
        raw = spoiled(dice.choice(case.sound), dice)
        path.write_bytes(raw)
        try:
            counts[case.use(path)] += 1
        except OutlayError as error:
            counts["refused"] += 1
            try:
                check(str(error).replace(str(path), ""))
            except AssertionError as unclear:
                counts["unclear"] += 1
                crashes.append(f"case {at}: {unclear}\n{raw[:300]!r}")
        except Exception:  # noqa: BLE001  what is looked for
            counts["crashed"] += 1
            crashes.append(f"case {at}: {traceback.format_exc(limit=-2)}{raw[:300]!r}")
    return Outcome(counts, crashes)


def main(number: int = 10_000, seed: int = 0) -> int:
    os.environ["OPENAI_BASE_URL"] = "http://127.0.0.1:9/v1"
    bad = 0
    print(f"{'file':<14}{'cases':>9}{'read':>9}{'refused':>9}{'unclear':>9}{'crashed':>9}{'seconds':>9}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CONFIG_HOME"] = folder  # the user's own prices are not part of it
        for case, share in zip(CASES, (0.6, 0.3, 0.1), strict=True):
            began = time.perf_counter()
            some = max(1, round(number * share))
            counts, crashes = mutate(case, some, seed, Path(folder))
            took = time.perf_counter() - began
            row = "".join(f"{counts[name]:>9,}" for name in ("read", "refused", "unclear", "crashed"))
            print(f"{case.name:<14}{some:>9,}{row}{took:>9.1f}", flush=True)
            bad += len(crashes)
            for crash in crashes[:5]:
                print(crash, file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
