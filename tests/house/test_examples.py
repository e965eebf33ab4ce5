"""Every script of examples/ runs as it stands, shows what it is for, and stands whole in the page that explains it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
SAYS = {
    "endpoint.py": r"(?s)line-1 +B .*3 of 3 answered for \$0\.0\d+ of \$0\.0100",
    "own_check.py": r"(?s)7,9,4:59 +9\*7-4 .*answers bought: \d\d, different ones checked: [2-9]",
    "own_engine.py": r"(?s)line-1 +42 .*line-3 +\(failed\).*2 of 3 answered",
    "own_strategy.py": r"bought: \d+ plain and [1-9]\d* reworded answers",
    "stream.py": r"(?s)line-\d+: \d+, confidence .*8 of 8 answered",
}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_runs_and_shows_what_it_is_for(
    example: Path, tmp_path: Path, endpoint: str, bare: dict[str, str]
):
    env = bare | ({"OPENAI_BASE_URL": endpoint} if example.name == "endpoint.py" else {})
    done = subprocess.run(
        [sys.executable, str(example)], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(SAYS[example.name], done.stdout), done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_example_stands_whole_in_the_page(example: Path):
    assert f"```python\n{example.read_text(encoding='utf-8')}```\n" in PAGE
