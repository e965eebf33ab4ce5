import pytest

from outlay.answers import kind

JSON = kind("json")

EXTRACTS = {
    '{"a": 1}': '{"a": 1}',
    "42": "42",
    'Sure!\n```json\n{"a": [1, 2]}\n```\nAs in [1].': '{"a": [1, 2]}',
    '```\n{"a": 1}\n```\nbetter:\n```\n{"a": 2}\n```': '{"a": 2}',
    '```\n{"a": 1}\n```\n```\nnot json\n```': '{"a": 1}',
    'It is {"b": {"c": "}"}} as shown in [1].': '{"b": {"c": "}"}}',
    "the list [1, 2], see [3]": "[1, 2]",
    "only [3]": "[3]",
    'cut: {"a": [1, 2': None,
    '[not json] {"a": 1}': '{"a": 1}',
    "NaN": None,
    "{'a': 1}": None,
    "": None,
}


@pytest.mark.parametrize(("text", "answer"), EXTRACTS.items())
def test_reads_the_value_that_the_text_holds(text: str, answer: str | None):
    assert JSON.extract(text) == answer


def test_order_of_keys_and_form_of_numbers_and_escapes_do_not_matter():
    forms = ['{"a": 1.0, "b": ["é", 1e2]}', '{"b":["\\u00e9",100],"a":1}']
    assert {JSON.canonical(form) for form in forms} == {'{"a":1,"b":["\\u00e9",100]}'}


@pytest.mark.parametrize(
    ("one", "other"), [("[1,2]", "[2,1]"), ('"1"', "1"), ("null", "false"), ("1", "true")]
)
def test_other_values_are_not_the_same(one: str, other: str):
    assert JSON.canonical(one) != JSON.canonical(other)


def test_no_digit_is_lost_to_a_float():
    assert JSON.canonical("[9007199254740993]") != JSON.canonical("[9007199254740992]")
    assert JSON.canonical("9" * 5000) == "9" * 5000


def test_values_too_deep_to_compare_are_compared_as_text():
    deep = "[" * 50_000 + "]" * 50_000
    assert JSON.canonical(deep) == deep
