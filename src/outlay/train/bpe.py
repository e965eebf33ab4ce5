"""Learn the merges of the pocket tokenizer, and build the same tokenizer with the `tokenizers` package."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from outlay.pocket import draws, problems, rows
from outlay.pocket.tokenizer import CONTROL, VOCABULARY, Tokenizer, from_json, to_json


def tokenizer_in(out: Path, seed: int) -> Tokenizer:
    """Return the tokenizer of a training directory, trained first where it has none."""
    path = out / "tokenizer.json"
    if not path.exists():
        path.write_text(to_json(train_tokenizer(np.random.default_rng(seed))))
    return from_json(path.read_text())


def train_tokenizer(rng: np.random.Generator, num_texts: int = 20_000) -> Tokenizer:
    """Learn the merges from questions and traces."""
    from tokenizers import Tokenizer as Bpe
    from tokenizers import models, trainers

    bpe = Bpe(models.BPE())
    bpe.pre_tokenizer = pre_tokenizer()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(CONTROL),
        initial_alphabet=byte_alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(_texts(rng, num_texts), trainer)
    of_char = dict(zip(byte_alphabet(), Tokenizer([]).bytes_of_all(), strict=True))
    merges = json.loads(bpe.to_str())["model"]["merges"]

    def as_bytes(side: str) -> bytes:
        return b"".join(of_char[char] for char in side)

    return Tokenizer([(as_bytes(left), as_bytes(right)) for left, right in merges])


def byte_alphabet() -> list[str]:
    """Return the characters that stand for bytes in byte-level BPE, in the order of their ids."""
    from tokenizers import pre_tokenizers

    return sorted(pre_tokenizers.ByteLevel.alphabet())


def pre_tokenizer() -> Any:
    """Return the splitting rule in terms of the `tokenizers` package."""
    from tokenizers import pre_tokenizers as pre

    return pre.Sequence(
        [pre.Digits(individual_digits=True), pre.Punctuation(), pre.ByteLevel(add_prefix_space=False)]
    )


def _texts(rng: np.random.Generator, count: int) -> Iterator[str]:
    plain = Tokenizer([])
    writer = rows.Writer(plain)
    chains = draws.draw_chains(rng.integers(1, 7, count), rng.choice(problems.CHAIN_HIS, count), rng)
    for ids, length in zip(*writer.chains(chains, "think", rng)[::2], strict=True):
        yield plain.decode(ids[:length])


def reference(tokenizer: Tokenizer) -> Any:
    """Return the same tokenizer from the `tokenizers` package, with no control token registered."""
    from tokenizers import Tokenizer as Bpe
    from tokenizers import models

    char_of = dict(zip(tokenizer.bytes_of_all()[:256], byte_alphabet(), strict=True))

    def as_text(side: bytes) -> str:
        return "".join(char_of[bytes([byte])] for byte in side)

    entries = [*CONTROL, *map(as_text, tokenizer.bytes_of_all())]
    merges = [(as_text(left), as_text(right)) for left, right in tokenizer.merges]
    bpe = Bpe(models.BPE(vocab={entry: at for at, entry in enumerate(entries)}, merges=merges))
    bpe.pre_tokenizer = pre_tokenizer()
    return bpe
