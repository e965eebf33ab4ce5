import sysconfig
from pathlib import Path

import pytest

from outlay.answers import kind

CODE = kind("code")

EXTRACTS = {
    "```python\ndef f(x):\n    return x\n```": "def f(x):\n    return x",
    "Sure:\n```\nx = 1\n```\nbetter:\n```py\nx = 2\n```\nDone.": "x = 2",
    "```py\nx = 1\n```\nRun it:\n```bash\npython x.py\n```": "x = 1",
    "```bash\nls\n```": "ls",
    "```py\nx = 1\n```\nor\n```py\nx =": "x = 1",
    "Sure:\n```python\nx = 1\ny": "x = 1\ny",
    "  - so:\n    ```python\n    if x:\n        y\n    ```": "if x:\n    y",
    "~~~\nint main() {}\n~~~": "int main() {}",
    "````md\n```\nx = 1\n```\n````": "x = 1",
    "use ``` in text": "use ``` in text",
    "```x = 1```": "x = 1",
    "    return x\n": "    return x",
    "<think>```\nx = 1\n```</think>\n```\nx = 2\n```": "x = 2",
    'x = """\n```\na\n```\n"""': 'x = """\n```\na\n```\n"""',
    "": None,
    "```\n\n```": "```\n\n```",
}


@pytest.mark.parametrize(("text", "answer"), EXTRACTS.items())
def test_reads_the_program_that_the_text_ends_with(text: str, answer: str | None):
    assert CODE.extract(text) == answer


def test_layout_comments_and_quotes_do_not_matter():
    forms = ["x = 'a'  # why\nif x:\n  y(1)", 'x="a"\n\nif (x):\n        y( 1 )\n', "  x = 'a'\n  if x: y(1)"]
    assert len({CODE.canonical(form) for form in forms}) == 1


@pytest.mark.parametrize(("one", "other"), [("x = 1", "x = 2"), ("x = 1", "x = 1.0"), ("a b c", "a b  c")])
def test_other_programs_are_not_the_same(one: str, other: str):
    assert CODE.canonical(one) != CODE.canonical(other)


@pytest.mark.parametrize(
    "bad", ["(" * 5000, "-" * 40_000 + "1", "x" + ".a" * 20_000, "\0", "\ud800", "1" * 9000]
)
def test_what_breaks_the_parser_is_compared_as_text(bad: str):
    assert CODE.canonical(bad) == bad.strip()


@pytest.mark.parametrize(
    "module", ["dataclasses", "textwrap", "heapq", "enum", "statistics", "contextlib", "csv"]
)
def test_real_modules_have_a_stable_form(module: str):
    source = (Path(sysconfig.get_paths()["stdlib"]) / f"{module}.py").read_text()[:50_000]
    found = CODE.extract(f"Here it is.\n```python\n{source}\n```\n")
    assert found is not None
    form = CODE.canonical(found)
    assert CODE.canonical(form) == form
    assert CODE.extract(form) == form
