"""WordPiece: how BERT's uncased models cut a text into the pieces of their vocabulary.

Text is cleaned, Han characters stand alone, accents and case go, punctuation stands alone; then each word is
cut greedily into the longest pieces that the vocabulary has. Only the beginning of a long text is looked at.

Source: Devlin et al., BERT (2018), and the `BertNormalizer` of Hugging Face's tokenizers, whose pieces these
are (compared when this was written; the package itself would bring a client of a model hub), but for a text
that spells a special piece such as `[SEP]`: here it is text like any other.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Final

MAX_CHARACTERS: Final = 10_000
"""How much of a text is looked at, whatever its pieces are."""

_LONGEST_WORD: Final = 100
_BEGIN: Final = "[CLS]"
_END: Final = "[SEP]"
_UNKNOWN: Final = "[UNK]"
_HAN: Final = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)


class WordPiece:
    """Cuts texts into the numbers of their pieces.

    Args:
        vocabulary: Piece -> number; pieces inside a word begin with `##`.
    """

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        self._vocabulary = vocabulary

    def encode(self, text: str, max_pieces: int) -> tuple[int, ...]:
        """The numbers of a text's pieces, between those of its beginning and its end. Pure.

        Args:
            text: Any text.
            max_pieces: How many at most, the two around them included; the rest of the text is left out.
        """
        pieces = islice(self._cut(text[:MAX_CHARACTERS]), max_pieces - 2)
        return tuple(self._vocabulary[piece] for piece in (_BEGIN, *pieces, _END))

    def _cut(self, text: str) -> Iterator[str]:
        for word in _normalize(text).split():
            yield from self._cut_word(word)

    def _cut_word(self, word: str) -> tuple[str, ...]:
        if len(word) > _LONGEST_WORD:
            return (_UNKNOWN,)
        pieces: list[str] = []
        start, mark = 0, ""
        while start < len(word):
            longest = next(
                (end for end in range(len(word), start, -1) if mark + word[start:end] in self._vocabulary),
                None,
            )
            if longest is None:
                return (_UNKNOWN,)
            pieces.append(mark + word[start:longest])
            start, mark = longest, "##"
        return tuple(pieces)


def read_vocabulary(text: str) -> dict[str, int]:
    """Read a vocabulary: one piece a line, numbered from 0."""
    return {piece: number for number, piece in enumerate(text.split("\n")) if piece}


def _normalize(text: str) -> str:
    plain = text if text.isascii() else "".join(map(_space_han, text))
    decomposed = unicodedata.normalize("NFD", "".join(map(_clean, plain)))
    bare = "".join(each for each in decomposed if unicodedata.category(each) != "Mn")
    return "".join(f" {each} " if _is_punctuation(each) else each for each in bare.lower())


def _clean(character: str) -> str:
    if character in "\t\n\r":
        return " "
    kind = unicodedata.category(character)
    if kind[0] == "C" or character == "\ufffd":
        return ""
    return " " if character.isspace() else character


def _space_han(character: str) -> str:
    point = ord(character)
    return f" {character} " if any(first <= point <= last for first, last in _HAN) else character


def _is_punctuation(character: str) -> bool:
    if character.isascii():
        return not character.isalnum() and not character.isspace()
    return unicodedata.category(character)[0] == "P"
