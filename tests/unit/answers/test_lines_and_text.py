import pytest

from outlay.answers import kind
from outlay.errors import UsageError

LAST = kind("last_line")

EXTRACTS = {
    "first\n**Paris.**\n": "Paris",
    "The answer is Paris": "Paris",
    'Therefore, the final answer is: "4*7-3".': "4*7-3",
    "#### Paris": "Paris",
    r"So \boxed{Paris}.": "Paris",
    "(4+3)*2": "(4+3)*2",
    "-5": "-5",
    "5!": "5!",
    "Wow!": "Wow",
    "yes\n---\n```": "yes",
    "---": "---",
    "Answer:": "Answer",
    " \n": None,
}


@pytest.mark.parametrize(("text", "answer"), EXTRACTS.items())
def test_reads_the_last_line_that_says_something(text: str, answer: str | None):
    assert LAST.extract(text) == answer


def test_lines_are_the_same_in_any_case_and_dress():
    assert {
        LAST.canonical(form) for form in ("Paris", "paris.", '"PARIS"', "**Paris**", " the answer is paris ")
    } == {"paris"}


def test_text_is_the_same_when_its_words_are():
    text = kind("text")
    assert text.canonical("a  b\n c") == text.canonical("a b c") != text.canonical("A b c")
    assert text.extract("<think>hm</think>\n Yes. ") == "Yes."
    assert text.extract("<think>hm</think>") == "<think>hm</think>"
    assert text.extract(" ") is None


@pytest.mark.parametrize(
    ("pattern", "answer"),
    [
        (r"x=\d+", "x=2"),
        (r"x=(\d+)", "2"),
        (r"(x)=(?P<answer>\d+)", "2"),
        (r"y=(\d+)", None),
        (r"^x=(\d)$", "2"),
        ("z*", None),
    ],
)
def test_regex_takes_the_last_match_and_its_group(pattern: str, answer: str | None):
    assert kind(f"regex:{pattern}").extract("x=1\nx=2") == answer


@pytest.mark.parametrize("spec", ["regex:", "regex:(", "choice:", "choice:D-A", "choice:1-4", "choice:AB"])
def test_an_argument_that_cannot_be_read_is_the_users_error(spec: str):
    with pytest.raises(UsageError, match="Write"):
        kind(spec)


@pytest.mark.parametrize("spec", ["", "numbers", "number:3", "text:x", "Choice"])
def test_an_unknown_kind_lists_the_known_ones(spec: str):
    with pytest.raises(ValueError, match=r"choice:A-D.*number.*regex:PATTERN"):
        kind(spec)
