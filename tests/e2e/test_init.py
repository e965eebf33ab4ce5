"""From nothing to answers with a config that `init` wrote, as processes; and without one."""

import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = str(Path(sys.executable).parent / "outlay")
SERVER = Path(__file__).parents[1] / "servers" / "picky_server.py"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    serving = runpy.run_path(str(SERVER), run_name="picky_server")["serving"]
    with serving(models=["7b", "1b+think-switch+n-ignored"], llama=True) as url:
        yield url


def outlay(*args: str, cwd: Path, endpoint: str = "") -> "subprocess.CompletedProcess[str]":
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "OUTLAY_"))}
    env = bare | ({"OPENAI_BASE_URL": endpoint} if endpoint else {})
    return subprocess.run([PROGRAM, *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=100)


def written(folder: Path) -> None:
    rows = [{"id": f"p{at}", "prompt": f"Tell me about animal {at}."} for at in range(6)]
    (folder / "tasks.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_the_file_of_init_runs_as_it_is_without_the_environment(tmp_path: Path, endpoint: str):
    written(tmp_path)
    made = outlay("init", cwd=tmp_path, endpoint=endpoint)
    assert made.returncode == 0, made.stderr
    assert "next: outlay run FILE --config outlay.toml --budget 40ktok" in made.stdout
    done = outlay(
        "run", "tasks.jsonl", "--config", "outlay.toml", "--budget", "40ktok", "--json", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spent"]["tok"] <= 40_000
    lines = (tmp_path / "tasks.outlay" / "answers.jsonl").read_text().splitlines()
    assert {row["id"] for row in map(json.loads, lines)} == {f"p{at}" for at in range(6)}
    looked = outlay("doctor", "--config", "outlay.toml", "--json", cwd=tmp_path)
    assert looked.returncode == 0, looked.stderr
    [found] = json.loads(looked.stdout)["endpoints"]
    assert [model["name"] for model in found["models"]] == ["1b+think-switch+n-ignored", "7b"]
    samples = [f["status"] for f in found["models"][0]["findings"] if f["capability"] == "plain samples"]
    assert samples == ["honoured"]


def test_names_alone_go_on_working_without_either(tmp_path: Path, endpoint: str):
    written(tmp_path)
    done = outlay(
        "run", "tasks.jsonl", "--models", "7b", "--budget", "20ktok", cwd=tmp_path, endpoint=endpoint
    )
    assert done.returncode == 0, done.stderr
