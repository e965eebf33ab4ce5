"""A program: a fenced block, or the whole text where there is no fence.

Two programs are the same when they parse to the same Python, whatever their layout, comments and quotes; what
is no Python is compared as text.
"""

import ast
import functools
import re
import textwrap
import warnings
from typing import Final

from outlay.answers.cues import after_thought

_PARSED: Final = 50_000  # characters; Python's parser is meant for programs, not for megabytes of anything
_NESTED: Final = 8  # fences inside fences that are opened
_FENCE: Final = re.compile(r"([^\S\n]*)(`{3,}|~{3,})[ \t]*([^\s`]*)[^`]*")
_INLINE: Final = re.compile(r"\s*(`{3,})([^`\n]+)\1\s*")
# A block so tagged shows what to type or what comes out; a program in the same text is what was asked for.
_ASIDE: Final = frozenset({"text", "txt", "output", "console", "shell", "sh", "bash", "plaintext"})


def extract(text: str) -> str | None:
    """The last complete block, else the rest after an unclosed fence, else the whole text.

    The whole text, because raw completions are common; a refusal then fails the check like any wrong program.
    """
    found = _trim(after_thought(text))
    for _ in range(_NESTED):
        # Fences in a program's own docstring do not open it.
        inside = None if _unparsed(found) else next(reversed(blocks(found)), None)
        if inside is None:
            break
        found = inside
    return found or None


def canonical(answer: str) -> str:
    """The program as Python itself would lay it out; the stripped text where it is no Python."""
    bare = answer.strip()
    return _unparsed(_trim(answer)) or _unparsed(bare) or bare


def blocks(text: str) -> list[str]:
    """The fenced blocks that hold anything, the preferred one last: complete, and not tagged as output."""
    complete: list[str] = []
    asides: list[str] = []
    cut: list[str] = []
    fence = ""  # the open one, empty outside
    indent = ""
    aside = False
    lines: list[str] = []
    for line in text.split("\n"):
        if not fence:
            if opening := _FENCE.fullmatch(line):
                indent, fence, tag = opening.groups()
                aside, lines = tag.lower() in _ASIDE, []
            elif inline := _INLINE.fullmatch(line):
                complete.append(inline[2])
        elif _closes(line, fence, indent):
            (asides if aside else complete).append("\n".join(lines))
            fence = ""
        else:
            lines.append(line.removeprefix(indent))
    if fence:
        cut = ["\n".join(lines).rstrip().removesuffix(fence)]
    return [kept for block in (*cut, *asides, *complete) if (kept := _trim(block))]


def _closes(line: str, fence: str, indent: str) -> bool:
    bare = line.strip()
    # A fence deeper than the opening one by four belongs to the text inside, as in CommonMark.
    shallow = len(line) - len(line.lstrip()) <= len(indent) + 3
    return shallow and len(bare) >= len(fence) and not bare.strip(fence[0])


def _trim(block: str) -> str:
    """Without empty lines around it; the first line keeps its indentation: it may be a function's body."""
    lead = len(block) - len(block.lstrip())
    return block[block.rfind("\n", 0, lead) + 1 :].rstrip()


@functools.lru_cache(maxsize=64)  # extract and canonical ask about the same program
def _unparsed(source: str) -> str:
    """The program in Python's own layout; empty where there is none, or none that is stable."""
    if len(source) > _PARSED:
        return ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a model's invalid escapes are not our user's warnings
            once = ast.unparse(ast.parse(textwrap.dedent(source)))
            return once if once == ast.unparse(ast.parse(once)) else ""
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
