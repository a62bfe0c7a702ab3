"""The hash chain: one value that stands for every record and link, or for every answer.

    head(0)     = SHA-256(name of the chain)
    digest(n)   = SHA-256(framed values of entry n)
    head(n)     = SHA-256(head(n-1), kind, subject, digest(n)), framed; since schema 4 of the memory also
                  the time at which the entry was recorded

Framing is injective (type and length before each value), so that no two different entries hash
alike. Values may be text or the bytes of text: a damaged store can hold bytes that are no text, and
a check must be able to hash them. What a chain cannot show is that its newest entries were cut off:
for that somebody outside must remember a head.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Sequence
from typing import Final

GENESIS_MEMORY: Final = hashlib.sha256(b"memorykernel.chain.memory.v1").digest()
"""The head of a store without records and links."""

GENESIS_ANSWERS: Final = hashlib.sha256(b"memorykernel.chain.answers.v1").digest()
"""The head of a store without answers."""

Value = str | bytes | int | float | None


def digest_entry(values: Iterable[Value]) -> bytes:
    """Digest the content of one entry: its values in the order of its columns."""
    return hashlib.sha256(b"".join(map(_frame, values))).digest()


def next_head(
    head: bytes, *, kind: str | bytes, subject: int, digest: bytes, recorded_at_us: int | None = None
) -> bytes:
    """The head after one more entry.

    Args:
        head: The head before it, 32 bytes.
        kind: What the entry is, for example `record`.
        subject: The row that holds its content.
        digest: From `digest_entry`, 32 bytes.
        recorded_at_us: When, in microseconds since 1970 UTC; None in chains without times.
    """
    timed = () if recorded_at_us is None else (recorded_at_us,)
    return digest_entry((head, kind, subject, digest, *timed))


def digest_columns(values: Sequence[Value], published: int) -> bytes:
    """Digest a row whose table has grown columns since: they count only when one of them is filled.

    Args:
        values: In the order of the columns, the later ones last.
        published: How many columns the first schema had.
    """
    grown = values[published:]
    return digest_entry(values if any(each is not None for each in grown) else values[:published])


def _frame(value: Value) -> bytes:
    match value:
        case None:
            return b"n"
        case str() | bytes():
            raw = value.encode() if isinstance(value, str) else value
            return b"t%d:%b" % (len(raw), raw)
        case int():
            return b"i%d;" % value
        case float():
            return b"f" + struct.pack(">d", value)
