import pytest

from outlay.answers import kind

EXTRACTS = {
    "(B)": "B",
    "B.": "B",
    "b": "B",
    "**B**": "B",
    "Answer: B": "B",
    "**Answer: G**": "G",
    "Answer:\n\n**D**": "D",
    "the correct option is b": "B",
    "The answer is (C).": "C",
    "The correct answer is **C) 42**.": "C",
    "Answer (D)": "D",
    "The best answer is: \\(\\boxed{J}\\)": "J",
    r"\boxed{\text{D}}": "D",
    "<answer>e</answer>": "E",
    "The answer is B. Option A is wrong, because it is a fruit.": "B",
    "At first the answer is A; no, the answer is C": "C",
    "Option C is correct, A is not": "C",
    "I would go with C": "C",
    "I think B": "B",
    "So it's A.": "A",
    "B. Paris\n\nParis is the capital, unlike (A) Lyon.": "B",
    "Let us see.\n\n(B) Paris": "B",
    "<think>maybe (A)</think>\nB": "B",
    "answer is not A but B": "B",
    "A. Lyon\nB. Paris\nC. Rome": None,
    "The answer is a number": None,
    "I cannot say": None,
    "A dog barks": None,
    "None": None,
    "K": None,
    "": None,
}


@pytest.mark.parametrize(("text", "answer"), EXTRACTS.items())
def test_reads_the_letter_that_the_text_settles_on(text: str, answer: str | None):
    assert kind("choice").extract(text) == answer


@pytest.mark.parametrize("form", ["B", "b", "(b)", "B.", "**B**", "$B$", "B. Paris", "(B) Paris", " b) "])
def test_forms_of_one_letter_are_the_same(form: str):
    assert kind("choice").canonical(form) == "B"


def test_only_the_options_given_are_read():
    text = "The answer is E. If that is no option, (B)."
    assert kind("choice").extract(text) == "E"
    assert kind("choice:A-D").extract(text) == "B"
    assert kind("choice:A,C").extract(text) is None
    assert kind("choice:A-Z").extract("K") == "K"
