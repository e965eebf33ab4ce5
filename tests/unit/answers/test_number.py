import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.answers import kind

NUMBER = kind("number")

EXTRACTS = {
    # where it stands
    "The answer is 42.": "42",
    "**Answer:** 42 apples": "42",
    "Answer:\n\n**3.50**": "3.50",
    "Final Answer: The final answer is $42$. I hope it is correct.": "42",
    "The answer to the first of 3 questions is 42, not 41.": "42",
    "6 * 7 = 42 #### is not a mark\n#### 1,000": "1,000",
    r"We get \boxed{12}, wait: \boxed{13}. Check: 13 + 1 = 14": "13",
    r"Put it in \boxed{}. It is \boxed{x = 5 \text{ km}}": "5",
    r"\boxed 7 and 8": "7",
    "<answer>9</answer> thanks to 3 of us": "9",
    "<think>maybe 5, the answer is 6</think>It is 7": "7",
    "She earns **$18** a day, with 9 eggs": "18",
    "14+23=37-8=29;29": "29",
    "14+23=37-8=29*2=58;58": "58",
    "14+23=37-8=29": "29",
    "The answer is 5 + 7 = 12.": "12",
    "Answer: 42 (since 6*7=42)": "42",
    "Answer: 42\n\nThe answer is the sum of 40 and 2": "42",
    "答案是5": "5",
    # what is no number
    "": None,
    "none at all": None,
    "H2O, x_1, v1.x, m^2": None,
    r"\boxed{2\sqrt{3}} which is 3.46": None,
    r"\boxed{\text{no solution}}, tried 17 values": None,
    r"\frac{2\pi}{3}": None,
    # signs
    "so -7": "-7",
    "so −7": "-7",
    "it fell 3–5": "5",
    "10-3": "3",
    "-$5": "-5",
    "$-5": "-5",
    r"-\$5": "-5",
    r"\boxed{- 5}": "-5",
    "- 5 apples": "5",
    "wait...42": "42",
    "1,2,3": "3",
}

SAME = [
    (
        "1000",
        "1,000",
        "1 000",
        "1\u202f000",
        "1'000",
        "1_000",
        "1000.0",
        "1e3",
        "1.0E+3",
        "10^3",
        "10³",
        "$1,000",
    ),
    (
        "1000",
        r"1{,}000",
        r"1\,000",
        "1 \\times 10^{3}",
        "1×10^3",
        "+1000",
        "01000",
        "1000.",
        "1000 dollars",
        "１０００",
    ),
    ("0.5", "1/2", ".5", r"\frac{1}{2}", r"\dfrac12", "½", "5e-1", "2/4", "0.50", "x = 1/2", "**0.5**"),
    ("50", "50%", r"50\%", "50 percent", "50.0 km"),
    ("1.5", "1 1/2", "1½", r"1\frac{1}{2}", "3/2", "1,5"),
    ("-3.5", "−3.5", r"-\frac{7}{2}", r"\frac{-7}{2}", "-7/2"),
    ("1/3", r"\frac{1}{3}", "2/6"),
    ("1234567.89", "1,234,567.89", "1.234.567,89", "12,34,567.89"),
    ("0", "-0", "0.000", "0e5", "0/7"),
    ("1e400", "10^400", "10e399"),
    ("0.3", "0.30000000000000004", "0.29999999999999998"),
    ("1024", "2^10", "2^{10}"),
]

DIFFERENT = [
    ("50%", "0.5"),
    ("1/3", "0.333"),
    ("5", "-5"),
    ("1e9999999", "1"),
    ("1/0", "1"),
    (r"2\sqrt{3}", "2"),
    ("6*sqrt(2)", "2"),
    ("123456789012345.5", "123456789012345.25e1"),
    ("1e-15", "0"),
    ("9007199254740993", "9007199254740992"),
]


@pytest.mark.parametrize(("text", "answer"), EXTRACTS.items())
def test_reads_the_number_that_the_text_settles_on(text: str, answer: str | None):
    assert NUMBER.extract(text) == answer


@pytest.mark.parametrize("forms", SAME, ids=lambda forms: forms[0])
def test_forms_of_one_value_are_the_same(forms: tuple[str, ...]):
    assert {NUMBER.canonical(form) for form in forms} == {forms[0]}


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_values_are_not_the_same(one: str, other: str):
    assert NUMBER.canonical(one) != NUMBER.canonical(other)


@given(
    st.fractions(), st.sampled_from(["The answer is {}.", r"\boxed{{{}}}", "1 + 1 = 2\n#### {}", "It is {}"])
)
def test_every_fraction_comes_back_exactly(value, sentence):
    found = NUMBER.extract(sentence.format(value))
    assert found is not None
    assert NUMBER.canonical(found) == NUMBER.canonical(str(value))


@given(st.integers(), st.integers())
def test_integers_are_the_same_only_when_equal(one, other):
    assert (NUMBER.canonical(f"{one:,}") == NUMBER.canonical(f"{other}.0")) == (one == other)
