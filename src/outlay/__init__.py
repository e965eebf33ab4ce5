"""outlay, an optimizer for inference compute: prompts and a budget in, answers and receipts out.

>>> import outlay
>>> outlay.run(["2+2?"], budget="1ktok", answer="number").answers[0].outcome
'answered'

Names are loaded when they are used, so that `import outlay` and `outlay --help` answer at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from outlay.api import Result, Stream, run, stream
    from outlay.errors import OutlayError
    from outlay.types import Answer, Arm, Budget, Cost, Message, Price, Prompt

    __version__: str

_HOMES = {
    "run": "outlay.api",
    "stream": "outlay.api",
    "Stream": "outlay.api",
    "Result": "outlay.api",
    "Prompt": "outlay.types",
    "Message": "outlay.types",
    "Answer": "outlay.types",
    "Arm": "outlay.types",
    "Price": "outlay.types",
    "Budget": "outlay.types",
    "Cost": "outlay.types",
    "OutlayError": "outlay.errors",
}

__all__ = [
    "run",
    "stream",
    "Result",
    "Stream",
    "Prompt",
    "Message",
    "Answer",
    "Arm",
    "Price",
    "Budget",
    "Cost",
    "OutlayError",
    "__version__",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        value: Any = version("outlay")
    elif name in _HOMES:
        from importlib import import_module

        value = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module 'outlay' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
