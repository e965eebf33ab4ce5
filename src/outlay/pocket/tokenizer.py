"""Byte-level BPE with 352 entries: 5 control tokens, 256 bytes, 91 merges.

Text is cut into single numerals, single punctuation marks, words with the space before them, and white space;
merges stay inside such a piece. The strings that name control tokens have no meaning in a text: they are
encoded as the bytes they are, so nobody can smuggle a control token into a prompt.

Source:
    Byte-level BPE and its splitting rule: GPT-2 (Radford et al. 2019). Ids agree with the `tokenizers`
    package given `Digits(individual_digits=True)`, `Punctuation()`, `ByteLevel(add_prefix_space=False)`.
"""

import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib import resources
from itertools import pairwise
from typing import Final

PAD, BOS, EOS, SHORT, THINK = range(5)
CONTROL: Final = ("<|pad|>", "<|bos|>", "<|eos|>", "<|short|>", "<|think|>")
MODES: Final = {"short": SHORT, "think": THINK}
VOCABULARY: Final = 352

# White_Space of Unicode; `str.isspace` would add the four ASCII separators 0x1c..0x1f.
_SPACES: Final = frozenset(
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
_ASCII_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class Tokenizer:
    """Encodes text to ids and back.

    Args:
        merges: Pairs of byte strings in order of rank; merge `i` makes entry `261 + i`.
    """

    def __init__(self, merges: Sequence[tuple[bytes, bytes]]) -> None:
        self.merges = tuple(merges)
        self._bytes: list[bytes] = [b""] * len(CONTROL) + [bytes([byte]) for byte in byte_order()]
        self._bytes += [left + right for left, right in self.merges]
        first_of: dict[bytes, int] = {}
        for index, value in enumerate(self._bytes[len(CONTROL) :], len(CONTROL)):
            first_of.setdefault(value, index)
        self._ids = first_of
        self._rank = {pair: rank for rank, pair in enumerate(self.merges)}
        self._piece_ids = lru_cache(maxsize=4096)(self._merge)

    def __len__(self) -> int:
        return len(self._bytes)

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the ids of a text; control-token strings in it are ordinary bytes."""
        return tuple(index for piece in split(text) for index in self._piece_ids(piece))

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of ids; control tokens are dropped, broken UTF-8 becomes U+FFFD."""
        return b"".join(self._bytes[index] for index in ids).decode("utf-8", errors="replace")

    def bytes_of(self, index: int) -> bytes:
        """Return the bytes that one id stands for; none for a control token."""
        return self._bytes[index]

    def bytes_of_all(self) -> list[bytes]:
        """Return the bytes of every entry but the control tokens, in the order of their ids."""
        return self._bytes[len(CONTROL) :]

    def _merge(self, piece: str) -> tuple[int, ...]:
        parts = [bytes([byte]) for byte in piece.encode("utf-8", errors="replace")]
        while len(parts) > 1:
            ranked = [(self._rank.get(pair, VOCABULARY), at) for at, pair in enumerate(pairwise(parts))]
            rank, at = min(ranked)
            if rank == VOCABULARY:
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return tuple(self._ids[part] for part in parts)


def byte_order() -> list[int]:
    """Return the 256 bytes in the order of their entries: printable ones first, as GPT-2 lists them."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return printable + [byte for byte in range(256) if byte not in set(printable)]


def split(text: str) -> Iterator[str]:
    """Cut a text into the pieces that merges never cross.

    >>> list(split("Ana has 14 pens, finds 3."))
    ['Ana', ' has', ' ', '1', '4', ' pens', ',', ' finds', ' ', '3', '.']
    """
    start = 0
    for at, char in enumerate(text):
        if _isolated(char):
            yield from _words(text[start:at])
            yield char
            start = at + 1
    yield from _words(text[start:])


def _words(run: str) -> Iterator[str]:
    """Cut a run without numerals and punctuation: ` ?letters`, ` ?others`, or white space but the last."""
    at = 0
    while at < len(run):
        begin = at
        if run[at] == " " and at + 1 < len(run) and run[at + 1] not in _SPACES:
            at += 1
        if run[at] in _SPACES:
            while at < len(run) and run[at] in _SPACES:
                at += 1
            if at < len(run) and at - begin > 1:
                at -= 1  # the last white space is left to the word after it
        else:
            letters = _letter(run[at])
            while at < len(run) and run[at] not in _SPACES and _letter(run[at]) == letters:
                at += 1
        yield run[begin:at]


@lru_cache(maxsize=4096)
def _isolated(char: str) -> bool:
    return char in _ASCII_PUNCTUATION or unicodedata.category(char)[0] in "NP"


def _letter(char: str) -> bool:
    return unicodedata.category(char)[0] == "L"


def from_json(text: str) -> Tokenizer:
    """Read a tokenizer from the form that `to_json` writes."""
    return Tokenizer(
        [(bytes.fromhex(left), bytes.fromhex(right)) for left, right in json.loads(text)["merges"]]
    )


def to_json(tokenizer: Tokenizer) -> str:
    """Write a tokenizer: its merges, each side in hexadecimal, in order of rank."""
    return json.dumps({"merges": [[left.hex(), right.hex()] for left, right in tokenizer.merges]}) + "\n"


@lru_cache(maxsize=1)
def load_tokenizer() -> Tokenizer:
    """Return the tokenizer that ships with the package."""
    return from_json(resources.files("outlay.pocket").joinpath("data/tokenizer.json").read_text("utf-8"))
