import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outlay.pocket.tokenizer import CONTROL, VOCABULARY, byte_order, from_json, load_tokenizer, split, to_json

FIXTURES = Path(__file__).parents[2] / "fixtures"
TOKENIZER = load_tokenizer()


@pytest.mark.parametrize(
    "row", json.loads((FIXTURES / "pocket_ids.json").read_text()), ids=lambda row: row["text"][:20]
)
def test_ids_are_those_of_the_tokenizers_package(row):
    assert list(TOKENIZER.encode(row["text"])) == row["ids"]


def test_the_vocabulary_is_control_tokens_bytes_and_merges():
    assert len(TOKENIZER) == VOCABULARY
    assert sorted(byte_order()) == list(range(256))
    assert from_json(to_json(TOKENIZER)).merges == TOKENIZER.merges


@given(st.text(max_size=40))
def test_encoding_loses_nothing_and_splits_cover_the_text(text):
    assert "".join(split(text)) == text
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(st.lists(st.sampled_from([*CONTROL, "12", " has ", "|>", "<|"]), max_size=6))
def test_control_strings_in_a_text_are_ordinary_bytes(parts):
    text = "".join(parts)
    ids = TOKENIZER.encode(text)
    assert all(index >= len(CONTROL) for index in ids)
    assert TOKENIZER.decode(ids) == text


def test_broken_bytes_decode_to_the_replacement_character():
    ids = TOKENIZER.encode("🙂")
    assert TOKENIZER.decode(ids[:-1]).startswith("\ufffd")
    assert TOKENIZER.encode("\ud800") == TOKENIZER.encode("?")
