"""Every Python block of the README and of docs/ runs as it stands, in a folder that holds only `examples`. Those that
name models at an endpoint find one with `small` and `big`, the others none. Blocks that are a whole example run in
test_examples.py.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = {path.read_text(encoding="utf-8") for path in (ROOT / "examples").glob("*.py")}
BLOCKS = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{at}")
    for page in PAGES
    for at, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    )
    if code not in EXAMPLES
]


@pytest.mark.parametrize("code", BLOCKS)
def test_block_runs(code: str, tmp_path: Path, endpoint: str, bare: dict[str, str]):
    env = bare | ({"OPENAI_BASE_URL": endpoint} if re.search(r'"small\b', code) else {})
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
