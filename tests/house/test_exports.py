"""The public names change on purpose: here and in the package, or not at all."""

from pathlib import Path

import pytest

import outlay

EXPORTS = (Path(__file__).parent / "exports.txt").read_text().split()


def test_public_names_are_the_list():
    if not hasattr(outlay, "__all__"):
        pytest.skip("outlay has no public names yet")
    assert sorted(outlay.__all__) == sorted(EXPORTS)


def test_every_public_name_resolves():
    missing = [name for name in getattr(outlay, "__all__", ()) if getattr(outlay, name, None) is None]
    assert missing == []


def test_dir_shows_the_public_names_before_they_are_loaded():
    assert set(getattr(outlay, "__all__", ())) <= set(dir(outlay))
