"""Word pieces: those of the model's own tokenizer, whatever the text."""

from __future__ import annotations

from typing import Final

import pytest
from memorykernel.adapters.minilm_encoder import find_weights
from memorykernel.core.wordpiece import MAX_CHARACTERS, WordPiece, read_vocabulary

SMALL: Final = WordPiece(read_vocabulary("[PAD]\n[UNK]\n[CLS]\n[SEP]\nusb\ndrive\n##s\nun\n##plug\n.\n政\n["))

GOLDEN: Final[dict[str, str]] = {
    "May contractors plug USB sticks into laptops?": "2089 16728 13354 18833 12668 2046 12191 2015 1029",
    "Café Straße naïve ÅNGSTRÖM": "7668 2358 27807 15743 17076 15687",
    "政策は変わる 한국어": "1860 100 1672 100 100 1469 30006 30021 29991 30014 30020 29999 30008",
    "don't use: v2.0—beta": "2123 1005 1056 2224 1024 1058 2475 1012 1014 1517 8247",
    "a\u0301b\u200bc\tд\r\nж 😀 ½ ﬁ": "5925 1184 1186 100 1092 1984",
    "x" * 101 + " ok": "100 7929",
}
"""The numbers that Hugging Face's tokenizers 0.23.3 gave with the model's tokenizer.json."""


@pytest.fixture(scope="module")
def pieces() -> WordPiece:
    return WordPiece(read_vocabulary((find_weights() / "vocab.txt").read_text(encoding="utf-8")))


@pytest.mark.parametrize("text", GOLDEN)
def test_pieces_are_those_of_the_models_tokenizer(pieces: WordPiece, text: str) -> None:
    assert pieces.encode(text, 256) == (101, *map(int, GOLDEN[text].split()), 102)


def test_the_longest_piece_is_taken_and_a_word_without_pieces_is_unknown() -> None:
    assert SMALL.encode("Unplug USB drives. 政x", 64) == (2, 7, 8, 4, 5, 6, 9, 10, 1, 3)


def test_a_long_text_is_cut() -> None:
    assert SMALL.encode("usb " * 1_000_000, 5) == (2, 4, 4, 4, 3)
    assert len(SMALL.encode("usb " * 1_000_000, 10**9)) == MAX_CHARACTERS // 4 + 2


def test_a_text_cannot_spell_a_special_piece() -> None:
    assert SMALL.encode("[SEP]", 64) == (2, 11, 1, 1, 3)
