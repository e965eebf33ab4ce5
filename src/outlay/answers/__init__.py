"""Text → answer; when two answers are the same; whether answers exclude each other or stand alone.

>>> number = kind("number")
>>> number.extract("So he pays $1,000. The answer is **1,000** dollars.")
'1,000'
>>> number.canonical("1,000") == number.canonical("1e3")
True
"""

from outlay.answers.base import KINDS, Kind, kind

__all__ = ["KINDS", "Kind", "kind"]
