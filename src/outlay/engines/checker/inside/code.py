"""Unit tests for an answer that is a Python program: `tests:FIELD` of a row's metadata, or `tests:FILE.py`.

The answer is run as the module `answer`; then the tests, which see its names: bare asserts, functions `test…`
without arguments, `unittest` cases, and `check(candidate)` with an `entry_point`, as in HumanEval.
"""

import ast
import builtins
import linecache
import sys
import traceback
import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

from outlay.engines.checker.inside.fresh import Fresh, Send
from outlay.engines.checker.inside.told import LONGEST, Check, Refused, named, shown

for _name in ("collections", "copy", "functools", "itertools", "math", "random", "re", "string", "typing"):
    __import__(_name)  # what programs import: read once, here, and not again by each

ANSWER, TESTS, SETUP = "<answer>", "<tests>", "<setup>"


class Tests(NamedTuple):
    """Tests as a row holds them: `tests` is run after the answer, `setup` before it."""

    tests: str
    setup: str = ""
    entry_point: str = ""


def load(setup: Mapping[str, Any], fresh: Fresh) -> Check:
    """The check over the rows that have tests.

    Raises:
        Refused: The file of tests is no Python.
    """
    argument: str = setup["argument"]
    if argument.endswith(".py"):
        with open(argument, encoding="utf-8") as file:
            of_all = Tests(file.read())
        _parsed(argument, of_all.tests)
        return Check(["answer"], lambda answer: judged(answer, of_all, fresh), confined=True)

    def verdict(prompt: Any, answer: str) -> dict[str, Any]:
        found = of_row(prompt.metadata, argument)
        return {"passed": None} if found is None else judged(answer, found, fresh)

    def applies(prompt: Any) -> bool:
        found = of_row(prompt.metadata, argument)
        if found is not None:
            _parsed(f"metadata {argument}", found.tests)
        return found is not None

    return Check(["prompt", "answer"], verdict, applies, confined=True)


def _parsed(where: str, tests: str) -> None:
    try:
        compile(tests, TESTS, "exec")
    except (SyntaxError, ValueError) as wrong:
        raise Refused(
            f"the tests in {where} are no Python: {named(wrong)}{_line(wrong)}; mend them"
        ) from None


def _line(wrong: Exception) -> str:
    return f", line {wrong.lineno}" if isinstance(wrong, SyntaxError) else ""


def of_row(metadata: Mapping[str, Any], field: str) -> Tests | None:
    """The tests of one row: a text, a list of texts, or `{"tests", "setup", "entry_point"}`; none where empty.

    Raises:
        Refused: They are something else.
    """
    given = metadata.get(field)
    if isinstance(given, Mapping):
        unknown = [key for key in given if key not in Tests._fields]
        if unknown:
            raise Refused(f"{field}.{unknown[0]} is unknown; known: {', '.join(Tests._fields)}")
        tests, setup = _text(field, given.get("tests")), _text(f"{field}.setup", given.get("setup"))
        entry = _text(f"{field}.entry_point", given.get("entry_point", metadata.get("entry_point")))
    else:
        tests, setup, entry = _text(field, given), "", _text("entry_point", metadata.get("entry_point"))
    return Tests(tests, setup, entry) if tests.strip() else None


def _text(field: str, given: Any) -> str:
    if isinstance(given, list | tuple) and all(isinstance(one, str) for one in given):
        return "\n".join(given)
    if given is None or isinstance(given, str):
        return given or ""
    raise Refused(f"metadata {field} is {type(given).__name__}; write the tests as a text or a list of texts")


def judged(answer: str, tests: Tests, fresh: Fresh) -> dict[str, Any]:
    """The verdict on one answer."""
    if "unittest" in tests.tests:
        import unittest  # noqa: F401  once, and not again by each answer
    end = fresh.run(lambda _, send: _perform(answer, tests, send))
    if end.said is not None:
        return end.said
    early = "" if end.limit else " before the tests were done"
    why = end.why or "ended"
    return {"passed": False, "message": f"{why}{early}"}


class _Failed(Exception):
    """An assertion of the tests did not hold; says which and why."""


def _perform(answer: str, tests: Tests, send: Send) -> None:
    """Run the answer, then its tests, and send what came of it."""
    own = dict(vars(builtins))  # the tests keep these, whatever the answer does to the module
    case = _case()
    before = case and dict(vars(case))
    if answer[:1].isspace() and tests.setup:
        program, setup = f"{tests.setup.rstrip()}\n{answer}", ""  # the body of a function begun in the setup
    else:
        program, setup = answer, tests.setup
    for name, source in ((SETUP, setup), (ANSWER, program), (TESTS, tests.tests)):
        linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    tree = _Spoken(tests.tests).visit(ast.parse(tests.tests, TESTS))
    compiled = compile(ast.fix_missing_locations(tree), TESTS, "exec", dont_inherit=True)
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    for name in [name for name in sys.modules if name.partition(".")[0] in ("outlay", "__main__")]:
        del sys.modules[name]  # an answer that imports them gets others than those that judge it
    try:
        exec(compile(setup, SETUP, "exec", dont_inherit=True), module.__dict__)
    except BaseException as error:  # noqa: BLE001  told, whatever it is
        send({"error": f"the setup of the tests raised {named(error)}; mend it"})
        return
    try:
        exec(compile(program, ANSWER, "exec", dont_inherit=True), module.__dict__)
        sys.settrace(None)
        sys.setprofile(None)
        space = {**vars(module), "__builtins__": own, "__name__": "tests", _SAY: _say}
        exec(compiled, space)
        for test in _found(tree, space, tests, module):
            test()
        if sys.gettrace() or sys.getprofile() or (case and dict(vars(case)) != before):
            raise _Failed("it changed how its tests run")
    except _Failed as failed:
        send({"passed": False, "message": str(failed)[:LONGEST]})
    except BaseException as error:  # noqa: BLE001  whatever an answer raises, it has failed
        send({"passed": False, "message": _why(error)})
    else:
        send({"passed": True})


def _found(
    tree: ast.Module, space: Mapping[str, Any], tests: Tests, module: types.ModuleType
) -> list[Callable[[], Any]]:
    """The tests that are defined and not yet run, in order."""
    found: list[Callable[[], Any]] = []
    case = _case()
    for node in tree.body:
        name = getattr(node, "name", "")
        made = space.get(name)
        if isinstance(node, ast.FunctionDef) and name.startswith("test") and callable(made):
            found.append(made)
        elif isinstance(node, ast.FunctionDef) and name == "check" and tests.entry_point and callable(made):
            if not hasattr(module, tests.entry_point):
                raise _Failed(f"the answer defines no {tests.entry_point!r}")
            found.append(partial(made, getattr(module, tests.entry_point)))
        elif isinstance(node, ast.ClassDef) and isinstance(made, type) and case and issubclass(made, case):
            found.extend(partial(_run_case, made(name)) for name in dir(made) if name.startswith("test"))
    return found


def _case() -> Any:
    """`unittest.TestCase`, where it was imported."""
    return getattr(sys.modules.get("unittest"), "TestCase", None)


def _run_case(test: Any) -> None:
    result = test.defaultTestResult()
    test.run(result)
    bad = [*result.errors, *result.failures, *((t, "expected to fail") for t in result.unexpectedSuccesses)]
    if bad:
        lines = [line.strip() for line in str(bad[0][1]).strip().splitlines() if line.strip()]
        raise _Failed(f"{bad[0][0].id().removeprefix('tests.')}: {shown(lines[-1] if lines else '', str)}")


_HELD: Final = "assert "
_SAY: Final = "__outlay_say__"
_LEFT, _RIGHT = "__outlay_left__", "__outlay_right__"


class _Spoken(ast.NodeTransformer):
    """Asserts that compare two values say which values they were."""

    def __init__(self, source: str) -> None:
        self._source = source

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        test = node.test
        if node.msg is not None or not isinstance(test, ast.Compare) or len(test.ops) != 1:
            return node
        left = ast.NamedExpr(ast.Name(_LEFT, ast.Store()), test.left)
        right = ast.NamedExpr(ast.Name(_RIGHT, ast.Store()), test.comparators[0])
        words = ast.get_source_segment(self._source, test) or ""
        values: list[ast.expr] = [ast.Name(_LEFT, ast.Load()), ast.Name(_RIGHT, ast.Load())]
        say = ast.Call(ast.Name(_SAY, ast.Load()), [ast.Constant(words), *values], [])
        spoken = ast.Assert(ast.Compare(left, test.ops, [right]), say)
        return ast.copy_location(spoken, node)


def _say(words: str, left: Any, right: Any) -> str:
    got = shown(left, longest=150)
    # A literal on the right is read in the words already.
    other = shown(right, longest=150)
    values = f"got {got}" if other in words else f"got {got} and {other}"
    return f"{_HELD}{' '.join(words.split())}: {values}"


def _why(error: BaseException) -> str:
    """What was raised, and where in the answer and in the tests."""
    if isinstance(error, SystemExit):
        return "called sys.exit() before the tests were done"
    what = named(error).removeprefix("AssertionError: ") if _held(error) else named(error)
    if isinstance(error, MemoryError):
        what = "needed more memory than it may use"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [what]
    if isinstance(error, SyntaxError) and error.filename in (ANSWER, SETUP):
        lines.append(f"in the {error.filename[1:-1]}, line {error.lineno}: {(error.text or '').strip()}")
    for place, words in ((ANSWER, "in the answer"), (SETUP, "in the setup"), (TESTS, "in the tests")):
        at = [frame for frame in frames if frame.filename == place]
        if at and not (place == TESTS and _held(error)):
            lines.append(f"{words}, line {at[-1].lineno}: {shown((at[-1].line or '').strip(), str, 150)}")
    return "\n".join(lines)[:LONGEST]


def _held(error: BaseException) -> bool:
    """Whether it is an assert of the tests that says itself what was compared."""
    return type(error) is AssertionError and bool(error.args) and str(error.args[0]).startswith(_HELD)
