"""The hash chain: one value that stands for every record and link, or for every answer.

    head(0)     = SHA-256(name of the chain)
    digest(n)   = SHA-256(framed values of entry n)
    head(n)     = SHA-256(head(n-1), kind, subject, digest(n)), framed

Since schema 4 of the memory a head also binds its number, the time at which the entry was recorded, and a
second, older head, so that a short path leads from any head to any entry before it (ADR 0012):

    head(n)     = SHA-256(head(n-1), head(find_jump(n)), n, kind, subject, digest(n), recorded_at), framed

Framing is injective (type and length before each value), so that no two different entries hash
alike. Values may be text or the bytes of text: a damaged store can hold bytes that are no text, and
a check must be able to hash them. What a chain cannot show is that its newest entries were cut off:
for that somebody outside must remember a head.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from typing import Final

GENESIS_MEMORY: Final = hashlib.sha256(b"memorykernel.chain.memory.v1").digest()
"""The head of a store without records and links."""

GENESIS_ANSWERS: Final = hashlib.sha256(b"memorykernel.chain.answers.v1").digest()
"""The head of a store without answers."""

_TIMED: Final = b"t%d:%bt%d:%bi%d;t%d:%bi%d;t%d:%bi%d;"

_NOT_ASCII: Final = "\x80"

Value = str | bytes | int | float | None


def digest_entry(values: Sequence[Value]) -> bytes:
    """Digest the content of one entry: its values in the order of its columns."""
    # `_frame` in two thirds of the time, for what nearly every entry is: ASCII, and no bytes and fractions.
    text = "".join(
        [
            "n"
            if value is None
            else f"t{len(value)}:{value}"
            if isinstance(value, str)
            else f"i{value};"
            if value.__class__ is int
            else _NOT_ASCII
            for value in values
        ]
    )
    framed = text.encode() if text.isascii() else b"".join(map(_frame, values))
    return hashlib.sha256(framed).digest()


def next_head(head: bytes, *, kind: str | bytes, subject: int, digest: bytes) -> bytes:
    """The head after one more entry of a chain without times: the answers', and the memory's before schema 4.

    Args:
        head: The head before it, 32 bytes.
        kind: What the entry is, for example `record`.
        subject: The row that holds its content.
        digest: From `digest_entry`, 32 bytes.
    """
    return digest_entry((head, kind, subject, digest))


def next_timed_head(
    head: bytes,
    *,
    jump_head: bytes,
    entry_seq: int,
    kind: str | bytes,
    subject: int,
    digest: bytes,
    recorded_at_us: int,
) -> bytes:
    """The head after one more entry of the memory's chain, since schema 4.

    Args:
        head: The head before it, 32 bytes.
        jump_head: The head of entry `find_jump(entry_seq)`, whatever schema wrote that, 32 bytes.
        entry_seq: The entry's number, from 1.
        kind, subject, digest: As for `next_head`.
        recorded_at_us: When, in microseconds since 1970 UTC.
    """
    if {head.__class__, jump_head.__class__, digest.__class__} != {bytes}:
        return digest_entry((head, jump_head, entry_seq, kind, subject, digest, recorded_at_us))
    # The same in a fifth of the time: what a whole chain is checked and made with.
    raw = kind.encode() if isinstance(kind, str) else kind
    framed = _TIMED % (
        *(len(head), head, len(jump_head), jump_head, entry_seq, len(raw), raw, subject),
        *(len(digest), digest, recorded_at_us),
    )
    return hashlib.sha256(framed).digest()


def find_jump(entry_seq: int) -> int:
    """The number of the older entry whose head an entry's head binds.

    The entry's number is written as a sum of weights 2^k - 1, the largest first; the jump leaves out the
    last one. From any entry to any before it, steps to n - 1 and to `find_jump(n)` lead in at most
    3 log2(n + 1) steps.

    Args:
        entry_seq: From 1.

    Source: E. W. Myers, An applicative random-access stack, Information Processing Letters 17 (1983).
    """
    rest = entry_seq
    while True:
        weight = (1 << ((rest + 1).bit_length() - 1)) - 1
        if rest == weight:
            return entry_seq - weight
        rest -= weight


def list_peaks(entry_seq: int) -> list[int]:
    """The entries that those after an entry can jump to, itself included, the oldest first, without 0."""
    peaks = []
    while entry_seq > 0:
        peaks.append(entry_seq)
        entry_seq = find_jump(entry_seq)
    return peaks[::-1]


def find_path(newest: int, oldest: int, jumps_from: int | None = 1) -> list[int]:
    """A short way back: the entries from `newest` to `oldest`, both included.

    Args:
        newest, oldest: Numbers of entries; `oldest` is not greater.
        jumps_from: The first entry that has a jump; None when none has.
    """
    path = [newest]
    while path[-1] > oldest:
        last = path[-1]
        jump = find_jump(last) if jumps_from is not None and last >= jumps_from else last - 1
        path.append(jump if jump >= oldest else last - 1)
    return path


class JumpHeads:
    """The heads that the next entries can jump to, while a chain is walked from its beginning.

    Args:
        genesis: The head of entry 0.
    """

    def __init__(self, genesis: bytes) -> None:
        self._peaks = [(0, genesis)]
        # How many entries were walked without a gap, a `find` and a `push` each; then every peak is there.
        self._walked: int | None = 0
        self._found: int | None = None

    def find(self, entry_seq: int) -> bytes:
        """The head that an entry jumps to; empty when that entry was not walked."""
        is_next = self._walked is not None and entry_seq == self._walked + 1
        self._walked, self._found = None, entry_seq if is_next else None
        jump = self._jump_over_twins() if is_next else find_jump(entry_seq)
        while self._peaks and self._peaks[-1][0] > jump:
            self._peaks.pop()
        return self._peaks[-1][1] if self._peaks and self._peaks[-1][0] == jump else b""

    def _jump_over_twins(self) -> int:
        """`find_jump` of the next entry: it joins the last two peaks if they stand for as many entries."""
        last = self._peaks[-3:]
        newest = last[-1][0]
        is_joining = len(last) == 3 and newest - last[1][0] == last[1][0] - last[0][0]
        return last[0][0] if is_joining else newest

    def push(self, entry_seq: int, head: bytes) -> None:
        """Remember an entry's head, directly after `find` for it."""
        self._peaks.append((entry_seq, head))
        self._walked = entry_seq if entry_seq == self._found else None


def digest_columns(values: Sequence[Value], published: int) -> bytes:
    """Digest a row whose table has grown columns since: they count only when one of them is filled.

    Args:
        values: In the order of the columns, the later ones last.
        published: How many columns the first schema had.
    """
    is_grown = values[published:].count(None) < len(values) - published
    return digest_entry(values if is_grown else values[:published])


def _frame(value: Value) -> bytes:
    match value:
        case int():
            return b"i%d;" % value
        case bytes():
            return b"t%d:%b" % (len(value), value)
        case str():
            raw = value.encode()
            return b"t%d:%b" % (len(raw), raw)
        case None:
            return b"n"
        case float():
            return b"f" + struct.pack(">d", value)
