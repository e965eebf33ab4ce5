"""The program as a user starts it: a process, files, exit codes, Ctrl-C and kill."""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.request import urlopen

import pytest

PROGRAM = str(Path(sys.executable).parent / "outlay")
CHAIN = "Eva has 14 pins, halves them. How many?"
ROWS: list[object] = [
    {
        "id": f"n{i}",
        "prompt": f"Ana has {i + 3} pens, finds {i + 1}. How many?",
        "answer": "number",
        "gold": 2 * i + 4,
    }
    for i in range(12)
]


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("OPENAI_", "OUTLAY_"))}


def outlay(*args: str, cwd: Path, text: str = "", endpoint: str = "") -> "subprocess.CompletedProcess[str]":
    command, env = [PROGRAM, *args], environment() | ({"OPENAI_BASE_URL": endpoint} if endpoint else {})
    return subprocess.run(command, cwd=cwd, env=env, input=text, capture_output=True, text=True, timeout=300)


def written(folder: Path, rows: Sequence[object] = ROWS) -> Path:
    path = folder / "tasks.jsonl"
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def answers(folder: Path) -> dict[str, dict[str, object]]:
    lines = (folder / "tasks.outlay" / "answers.jsonl").read_text().splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = Path(__file__).parents[1] / "servers" / "openai_server.py"
    with runpy.run_path(str(server), run_name="openai_server")["serving"]() as url:
        yield url


def test_a_first_run_answers_every_prompt_within_its_budget(tmp_path: Path):
    written(tmp_path)
    done = outlay("run", "tasks.jsonl", "--budget", "3ktok", "--grade", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = answers(tmp_path)
    assert set(rows) == {f"n{i}" for i in range(12)}
    assert 0 < sum(row["cost"]["tok"] for row in rows.values()) <= 3_000  # type: ignore[index]
    assert "12 in" in done.stdout
    assert "of 3.00 ktok" in done.stdout
    assert "95 % interval" in done.stdout
    assert "outlay receipt" in done.stdout


def test_standard_output_is_data_alone_with_json(tmp_path: Path):
    written(tmp_path)
    done = outlay("run", "tasks.jsonl", "--budget", "2ktok", "--json", cwd=tmp_path)
    summary = json.loads(done.stdout)
    assert summary["prompts"] == 12
    assert summary["spent"]["tok"] <= 2_000


def test_a_quiet_run_says_nothing(tmp_path: Path):
    written(tmp_path)
    done = outlay("run", "tasks.jsonl", "--budget", "2ktok", "--quiet", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_bad_rows_are_set_apart_and_the_others_run(tmp_path: Path):
    written(tmp_path, [ROWS[0], "not json", {"id": "x"}, ROWS[1]])
    done = outlay("run", "tasks.jsonl", "--budget", "2ktok", cwd=tmp_path)
    assert done.returncode == 4, done.stderr
    assert set(answers(tmp_path)) == {"n0", "n1"}
    errors = [
        json.loads(line) for line in (tmp_path / "tasks.outlay" / "errors.jsonl").read_text().splitlines()
    ]
    assert [(row["line"], row["field"]) for row in errors] == [(2, "line"), (3, "prompt")]
    assert "2 rows, see errors.jsonl" in done.stdout


def test_a_budget_that_cannot_pay_every_prompt_has_its_own_exit_code(tmp_path: Path):
    written(tmp_path)
    done = outlay("run", "tasks.jsonl", "--budget", "150tok", "--json", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    summary = json.loads(done.stdout)
    assert summary["spent"]["tok"] <= 150
    assert summary["outcomes"]["out_of_budget"] > 0


def test_the_same_command_again_buys_nothing_twice(tmp_path: Path):
    written(tmp_path)
    command = ("run", "tasks.jsonl", "--budget", "3ktok", "--json")
    first, again = (json.loads(outlay(*command, cwd=tmp_path).stdout) for _ in range(2))
    assert again["spent"] == first["spent"]
    assert again["resumed"]


def test_another_run_in_the_same_directory_is_refused_with_what_changed(tmp_path: Path):
    written(tmp_path)
    assert outlay("run", "tasks.jsonl", "--budget", "3ktok", "--quiet", cwd=tmp_path).returncode == 0
    refused = outlay("run", "tasks.jsonl", "--budget", "3ktok", "--policy", "lead:2", cwd=tmp_path)
    assert refused.returncode == 2
    assert refused.stderr.startswith("outlay: ")
    assert "Traceback" not in refused.stderr


def test_the_same_seed_gives_the_same_answers_in_another_directory(tmp_path: Path):
    written(tmp_path)
    for where in ("a", "b"):
        assert outlay("run", "tasks.jsonl", "--budget", "3ktok", "-o", where, cwd=tmp_path).returncode == 0
    said = [
        {row["id"]: (row["answer"], row["cost"]["tok"]) for row in map(json.loads, text.splitlines())}
        for text in ((tmp_path / where / "answers.jsonl").read_text() for where in ("a", "b"))
    ]
    assert said[0] == said[1]


def test_a_check_of_ones_own_decides(tmp_path: Path):
    (tmp_path / "tests.py").write_text("def even(answer):\n    return int(answer) % 2 == 0\n")
    written(tmp_path)
    done = outlay(
        "run", "tasks.jsonl", "--budget", "4ktok", "--check", "tests.py:even", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["checked"]
    assert "even" in {line["from"] for line in summary["bought"]}


def test_standard_input_is_read(tmp_path: Path):
    done = outlay(
        "run", "-", "--budget", "1ktok", "-o", "here", "--json", cwd=tmp_path, text=json.dumps(ROWS[0])
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "here" / "answers.jsonl").read_text())["id"] == "n0"


def test_a_receipt_of_the_run_is_shown(tmp_path: Path):
    written(tmp_path)
    outlay("run", "tasks.jsonl", "--budget", "3ktok", "--quiet", cwd=tmp_path)
    shown = outlay("receipt", "n3", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "sure before" in shown.stdout


SLOW = "import time\n\ndef slow(answer):\n    time.sleep(0.05)\n    return int(answer) % 3 == 0\n"


def begun(folder: Path, process: "subprocess.Popen[str]") -> None:
    """Wait until the run has written down what it bought."""
    log = folder / "tasks.outlay" / "journal.db-wal"
    for _ in range(1_200):
        if process.poll() is not None or (log.exists() and log.stat().st_size > 60_000):
            return
        time.sleep(0.05)


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path):
    (tmp_path / "tests.py").write_text(SLOW)
    rows = [
        {"id": str(i), "prompt": f"Ana has {i + 3} pens, finds 2. How many?", "answer": "number"}
        for i in range(80)
    ]
    written(tmp_path, rows)
    command = ("run", "tasks.jsonl", "--budget", "8ktok", "--check", "tests.py:slow", "--json")
    with subprocess.Popen(
        [PROGRAM, *command],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        begun(tmp_path, process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert json.loads(out)["end"] == "interrupted"
    assert "finishing the calls under way" in err
    summary = json.loads(outlay(*command, cwd=tmp_path).stdout)
    assert summary["resumed"]
    assert summary["spent"]["tok"] <= 8_000
    assert sum(summary["outcomes"].values()) == 80
    assert len(answers(tmp_path)) == 80


def test_models_of_an_endpoint_are_bought_in_dollars(tmp_path: Path, endpoint: str):
    written(tmp_path, [{**row, "answer": "text"} for row in ROWS[:4]])  # it speaks no numbers
    command = (
        "run",
        "tasks.jsonl",
        "--models",
        "sound@0.15/0.60",
        "--budget",
        "0.004usd",
        "--budget",
        "60s",
        "--json",
    )
    done = outlay(*command, cwd=tmp_path, endpoint=endpoint)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert 0 < summary["spent"]["usd"] <= 0.004
    assert summary["spent"]["s"] <= 60


def test_a_model_that_fails_fails_its_prompts_and_nothing_else(tmp_path: Path, endpoint: str):
    written(tmp_path, ROWS[:2])
    command = ("run", "tasks.jsonl", "--models", "forbidden", "--budget", "20ktok", "--json")
    done = outlay(*command, cwd=tmp_path, endpoint=endpoint)
    assert done.returncode in (4, 5), done.stderr
    assert "Traceback" not in done.stderr


def test_an_endpoint_that_is_not_there_has_its_own_exit_code(tmp_path: Path):
    written(tmp_path, ROWS[:2])
    command = ("run", "tasks.jsonl", "--models", "m", "--budget", "20ktok")
    done = outlay(*command, cwd=tmp_path, endpoint="http://127.0.0.1:9/v1")
    assert done.returncode == 5, done.stderr
    assert done.stderr.startswith("outlay: ")
    assert "Traceback" not in done.stderr


def test_the_list_of_an_endpoint_that_has_none_is_not_made_up(tmp_path: Path, endpoint: str):
    done = outlay("models", cwd=tmp_path, endpoint=endpoint)
    assert done.returncode == 5
    assert "name them with --models" in done.stderr


def test_the_demo_shows_a_run_a_comparison_a_receipt_and_what_to_do_next(tmp_path: Path, endpoint: str):
    done = outlay("demo", "--budget", "3ktok", cwd=tmp_path, endpoint=endpoint)  # which it must not ask
    assert done.returncode == 0, done.stderr
    for words in (
        "1. 500 problems",
        "of 3.00 ktok",
        "mean confidence",
        "sums, 1 to 3 steps",
        "countdown, 2 numbers",
    ):
        assert words in done.stdout
    for words in (
        "2. Real models",
        "always big",
        "3. A receipt",
        "sure before",
        "4. Your own",
        "OPENAI_BASE_URL",
    ):
        assert words in done.stdout


CONFIG = """
prices = "prices.json"
[[endpoint]]
name = "here"
url = "URL"
extra = {top_k = 7}
modes = {short = {thinking = "off"}}
concurrency = 2
rpm = 60_000
[[model]]
name = "plain"
model = "sound:90"
endpoint = "here"
temperature = [0, 0.5, 1]
mode = "short"
[[model]]
name = "deep"
model = "sound:91"
endpoint = "here"
mode = "think"
temperature = 1
fields = {thinking = {budget = 9}}
[[judge]]
name = "look"
model = "sound:92"
endpoint = "here"
"""
COSTS = {
    f"x/sound:{at}": {"input": 0.5, "output": 1, "input_cache_write": 1, "input_cache_read": 1}
    for at in (90, 91, 92)
}


def asked(endpoint: str, model: str) -> list[dict[str, object]]:
    """What the server saw of a model."""
    with urlopen(f"{endpoint.removesuffix('/v1')}/seen/{model}") as reply:
        return list(json.load(reply))


def test_a_config_says_what_requests_hold_who_judges_and_what_it_costs(tmp_path: Path, endpoint: str):
    written(tmp_path, [{"id": f"p{at}", "prompt": f"Say {at}", "answer": "last_line"} for at in range(12)])
    (tmp_path / "costs.json").write_text(json.dumps(COSTS))
    done = outlay("prices", "import", "costs.json", "--to", "prices.json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "c.toml").write_text(CONFIG.replace("URL", endpoint))
    command = ("run", "tasks.jsonl", "--config", "c.toml", "--budget", "1usd", "--json")
    done = outlay(*command, "--policy", "until_pass:3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert 0 < summary["spent"]["usd"] <= 1
    spent = summary["spent"]
    input_tokens = spent["tok"] - spent["outtok"]
    # Input is booked at the price of writing it to a cache.
    assert spent["usd"] == pytest.approx((input_tokens + spent["outtok"]) / 1e6, rel=0.01)
    assert {line["kind"] for line in summary["bought"]} == {"sample", "judge"}
    plain, judged = asked(endpoint, "sound:90"), asked(endpoint, "sound:92")
    assert plain
    assert all(body["top_k"] == 7 and body["thinking"] == "off" for body in plain)
    assert judged
    assert all("Decide whether the answer is correct" in str(body["messages"]) for body in judged)
    assert all(body["max_tokens"] == 64 and "thinking" not in body for body in judged)
    written(tmp_path, [{"prompt": "Once more"}])
    done = outlay(*command, "--models", "deep", "--policy", "uniform:2", "-o", "two", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {json.dumps(body["thinking"]) for body in asked(endpoint, "sound:91")} == {'{"budget": 9}'}


def test_a_mode_that_nobody_explained_is_refused_before_anything_is_spent(tmp_path: Path, endpoint: str):
    written(tmp_path, ROWS[:1])
    (tmp_path / "c.toml").write_text('[[model]]\nname = "sound"\nmode = "think"\n')
    done = outlay(
        "run", "tasks.jsonl", "--config", "c.toml", "--budget", "1ktok", cwd=tmp_path, endpoint=endpoint
    )
    assert done.returncode == 2
    assert "has the mode 'think', which is no effort" in done.stderr
