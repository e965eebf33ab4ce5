"""What every kind of answer keeps, whatever the text."""

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outlay.answers import KINDS, Kind, kind

ALL = [*KINDS.values(), kind("choice:A-D"), kind("choice:B,E"), kind(r"regex:=\s*(\S+)")]

# Arbitrary text seldom holds a cue: put some in.
SCRAPS = st.sampled_from(
    r"""
    \boxed{ } \frac{1}{2} \frac \sqrt{ ^ _ 3 -7 1,000 1.234,5 1/2 1/0 2^9 10^ 1e5 e9 $ % - – . .. , ' = ≈ ; :
    π ½ ³ #### ## ( ) (B) B. **B** A a I option choice correct answer Answer: is the not to <answer>
    </answer> </think> ``` ```python ~~~ ` * ** _ { } [ ] "a" {"a":1.0} [1] NaN null def f(): pass x = 1 # why
    " if
    """.split()  # noqa: SIM905 (a list of seventy quoted scraps is unreadable)
)
GAPS = st.sampled_from(["", " ", "\n", "\n    ", "\t", "\u00a0"])
TEXTS = st.one_of(
    st.text(st.characters(), max_size=60),
    st.lists(st.one_of(SCRAPS, GAPS, st.text(max_size=3)), max_size=25).map("".join),
    st.lists(st.tuples(SCRAPS, GAPS).map("".join), max_size=15).map("".join),
)

every_kind = pytest.mark.parametrize("a_kind", ALL, ids=lambda a_kind: a_kind.name)


@every_kind
@given(text=TEXTS)
@example(text="\ud800")
def test_no_text_raises_and_an_answer_is_never_empty(a_kind: Kind, text: str):
    answer = a_kind.extract(text)
    assert answer is None or answer.strip()
    assert isinstance(a_kind.canonical(text), str)


@every_kind
@given(text=TEXTS)
def test_a_canonical_form_is_its_own(a_kind: Kind, text: str):
    form = a_kind.canonical(text)
    assert a_kind.canonical(form) == form


@every_kind
@given(text=TEXTS)
def test_a_canonical_form_is_read_as_itself(a_kind: Kind, text: str):
    answer = a_kind.extract(text)
    if answer is None or a_kind.name.startswith("regex"):  # a form need not match the user's pattern
        return
    form = a_kind.canonical(answer)
    assert form
    assert a_kind.extract(form) == form


@every_kind
@given(text=TEXTS)
def test_an_answer_is_read_as_the_same_answer(a_kind: Kind, text: str):
    answer = a_kind.extract(text)
    if answer is None or a_kind.name.startswith("regex"):
        return
    again = a_kind.extract(answer)
    assert again is not None
    assert a_kind.canonical(again) == a_kind.canonical(answer)


HOSTILE = [
    *("a b c ", "1,22,", "1/", "-1", "1'1", "[", "[x", '{"a":', "[1],", "\\boxed{", "\\frac{", "answer is "),
    *("answer to ", "```\n", "````\n```\n", "** ", "(A) ", "A. x\n", "<answer>", "</think>", "\n", " ", "("),
    *("\"'", "!.", "if x:\n "),
]


@every_kind
@pytest.mark.parametrize("scrap", HOSTILE)
def test_time_is_linear(a_kind: Kind, scrap: str):
    text = (scrap * 100_000)[:100_000]
    start = time.process_time()
    a_kind.extract(text)
    a_kind.canonical(text)
    assert time.process_time() - start < 3  # usually 0.02 to 0.4; quadratic would be a minute


@every_kind
def test_a_megabyte_is_no_trouble(a_kind: Kind):
    text = "He had 3 apples, {so} [he] said: the answer is B, or (C)? " * 18_000
    start = time.process_time()
    a_kind.extract(text)
    a_kind.canonical(text)
    assert time.process_time() - start < 10


@every_kind
def test_a_kind_is_its_spec(a_kind: Kind):
    assert kind(a_kind.name) == a_kind
    assert hash(kind(a_kind.name)) == hash(a_kind)


def test_code_and_text_stand_alone_and_the_others_exclude_each_other():
    assert {a_kind.name for a_kind in KINDS.values() if not a_kind.exclusive} == {"code", "text"}
