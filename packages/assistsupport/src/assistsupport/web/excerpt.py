"""Cuts an article's text into quoted and other pieces, for highlighting."""

from collections.abc import Sequence

import msgspec

CONTEXT_CHARS = 90  # of what stands around a quotation


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of an article's text; `is_quoted` says whether the draft quotes it."""

    text: str
    is_quoted: bool


def cut_pieces(text: bytes, spans: Sequence[tuple[int, int]]) -> tuple[Piece, ...]:
    """Return an article's text in pieces. Pure.

    Args:
        text: UTF-8.
        spans: Byte offsets of the quotations, in order, not overlapping.
    """
    pieces = []
    position = 0
    for start, end in sorted(spans):
        pieces.append(Piece(text=text[position:start].decode(errors="replace"), is_quoted=False))
        pieces.append(Piece(text=text[start:end].decode(errors="replace"), is_quoted=True))
        position = end
    pieces.append(Piece(text=text[position:].decode(errors="replace"), is_quoted=False))
    return tuple(piece for piece in pieces if piece.text)


def shorten(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """Return the quotations with a little of what stands around each. Pure."""
    short = []
    for place, piece in enumerate(pieces):
        is_after = place > 0 and pieces[place - 1].is_quoted
        is_before = place + 1 < len(pieces) and pieces[place + 1].is_quoted
        if piece.is_quoted:
            short.append(piece)
        elif is_after or is_before:
            short.append(Piece(text=_shorten_gap(piece.text, is_after, is_before), is_quoted=False))
    return tuple(short)


def _shorten_gap(text: str, is_after: bool, is_before: bool) -> str:
    """Keep of a gap what stands in the paragraph of the quotation before it, and of the one after it."""
    head = text.split("\n\n", 1)[0] if is_after else ""
    tail = text.rsplit("\n\n", 1)[-1] if is_before else ""
    if head + tail == text or (is_after and is_before and "\n\n" not in text):
        return text if len(text) <= 2 * CONTEXT_CHARS else f"{text[:CONTEXT_CHARS]} … {text[-CONTEXT_CHARS:]}"
    between = "\n…\n" if is_after and is_before else ""
    return head[:CONTEXT_CHARS] + between + tail[-CONTEXT_CHARS:].lstrip("\n")
