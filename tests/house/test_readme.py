"""Every Python block of the README and of docs/ runs as it stands, in an empty folder, without an endpoint."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = [
    pytest.param(code, id=f"{page.relative_to(ROOT)}-{at}")
    for page in PAGES
    for at, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    )
]


@pytest.mark.parametrize("code", BLOCKS)
def test_block_runs(code: str, tmp_path: Path):
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "OUTLAY_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
