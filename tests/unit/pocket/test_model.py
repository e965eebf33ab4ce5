from pathlib import Path

import numpy as np
import pytest

from outlay.pocket.model import BLOCK, HIDDEN, _product, decode, load, prefill
from outlay.pocket.threads import one_thread

FIXTURES = Path(__file__).parents[2] / "fixtures"
MODEL = load()


@pytest.fixture(autouse=True)
def _one_thread():
    with one_thread():
        yield


def sequences():
    with np.load(FIXTURES / "pocket_logits.npz") as saved:
        return [
            (tuple(ids[:length].tolist()), logits)
            for ids, length, logits in zip(saved["ids"], saved["lengths"], saved["logits"], strict=True)
        ]


@pytest.mark.parametrize(("ids", "logits"), sequences(), ids=lambda value: str(len(value)))
def test_logits_are_those_of_transformers(ids, logits):
    read = len(ids) - len(logits) + 1
    ours, cache = prefill(MODEL, [ids[:read]])
    cache = cache.take(np.array([0]), 512)
    rows = [ours[0]]
    rows += [decode(MODEL, np.array([token]), cache)[0] for token in ids[read:]]
    assert np.abs(np.stack(rows) - logits).max() < 1e-4


def test_reading_at_once_and_token_by_token_agree():
    ids = sequences()[2][0]
    _, cache = prefill(MODEL, [ids[:1]])
    cache = cache.take(np.array([0]), 512)
    for token in ids[1:]:
        stepwise = decode(MODEL, np.array([token]), cache)
    assert np.abs(stepwise - prefill(MODEL, [ids])[0]).max() < 1e-4


@pytest.mark.parametrize("width", [128, 352, 384, 704])
def test_a_row_of_a_product_depends_on_neither_its_place_nor_its_neighbors(width):
    rng = np.random.default_rng(width)
    weight = rng.normal(size=(HIDDEN, width)).astype(np.float32)
    row = rng.normal(size=HIDDEN).astype(np.float32)
    alone = _product(row[None], weight)[0]
    for rows in (1, 7, BLOCK, BLOCK + 1, 3 * BLOCK - 5):
        x = rng.normal(size=(rows, HIDDEN)).astype(np.float32)
        for place in {0, rows // 2, rows - 1}:
            x[place] = row
            assert (_product(x, weight)[place] == alone).all()


def test_the_weights_are_small_and_of_the_stated_size():
    path = Path(__file__).parents[3] / "src/outlay/pocket/data/weights.npz"
    assert path.stat().st_size < 1_800_000
    with np.load(path) as saved:
        assert sum(value.size for value in saved.values()) == 849_280
        assert {value.dtype for value in saved.values()} == {np.dtype(np.float16)}
