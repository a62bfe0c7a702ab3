"""Postings: where the index of words holds a record, so that the best records of a word come first.

A word's postings are kept in slots, one for each type and tier. Tiers are the authorities from the highest
down, and behind them what is retracted, of any authority. In a slot the records that took effect last come
first. So the best records of a word that are in effect at a time are found without looking at any others,
however many there are; and where a list is cut depends on what the records say, never on the order they were
written in.

A posting's rank is 19 bytes, compared byte by byte, smallest first:

    8  2^62 - effective_at in microseconds
    8  the first bytes of the SHA-256 of memory_version_id, which settle what is equal
    1  authority and truth status, best first
    2  10,000 - confidence in ten-thousandths, rounded down

and its sort key, by which a recall orders what it found, are the last three of them in front of the others.
"""

from __future__ import annotations

import hashlib
from typing import Final, NamedTuple

from memorykernel.core.vocabulary import (
    AUTHORITY_RANK,
    NEUTRAL_CONFIDENCE,
    TRUTH_STATUS_RANK,
    Authority,
    RecordType,
    TruthStatus,
)

TIERS: Final = 4
"""How many slots a type has: one per authority, and one for what is retracted."""

LONGEST_WORD: Final = 64
"""The longest word, in characters, that the lists name by itself."""

_KIND: Final = {each: number for number, each in enumerate(RecordType)}
_LATEST: Final = 2**62
_DIGEST_BYTES: Final = 8
_STANDING_AT: Final = 8 + _DIGEST_BYTES
_STEPS: Final = 10_000


class Posting(NamedTuple):
    """A record's place in the lists of its words."""

    slot: int
    rank: bytes


def place_record(
    memory_version_id: str,
    *,
    record_type: RecordType,
    authority: Authority,
    truth_status: TruthStatus,
    confidence: float | None,
    effective_at_us: int,
) -> Posting:
    """Where the lists hold a record; depends on nothing but the record."""
    slot, standing = find_standing(record_type, authority, truth_status, confidence)
    return Posting(slot, rank_record(memory_version_id, effective_at_us, standing))


def find_standing(
    record_type: RecordType, authority: Authority, truth_status: TruthStatus, confidence: float | None
) -> tuple[int, bytes]:
    """The slot of a record, and the last three bytes of its rank."""
    highest = AUTHORITY_RANK[Authority.AUTHORITATIVE]
    tier = highest - AUTHORITY_RANK[authority]
    standing = (
        tier * TRUTH_STATUS_RANK[TruthStatus.OBSERVED] - TRUTH_STATUS_RANK[truth_status] + len(TruthStatus)
    )
    certain = min(max(NEUTRAL_CONFIDENCE if confidence is None else confidence, 0.0), 1.0)
    return (
        find_slots(record_type) + (TIERS - 1 if truth_status is TruthStatus.RETRACTED else tier),
        bytes((standing,)) + (_STEPS - int(certain * _STEPS)).to_bytes(2, "big"),
    )


def rank_record(memory_version_id: str, effective_at_us: int, standing: bytes) -> bytes:
    """The rank of a record with what `find_standing` found."""
    settling = hashlib.sha256(memory_version_id.encode()).digest()[:_DIGEST_BYTES]
    return first_in_effect(effective_at_us) + settling + standing


def find_slots(record_type: RecordType) -> int:
    """The first of a type's `TIERS` slots."""
    return _KIND[record_type] * TIERS


def first_in_effect(as_of_us: int) -> bytes:
    """What the ranks of all records that are in effect at a time are not less than."""
    return min(max(_LATEST - as_of_us, 0), 2 * _LATEST - 1).to_bytes(8, "big")


def sort_key(rank: bytes) -> bytes:
    """The sort key of a rank: authority, truth status and confidence before the rest."""
    return rank[_STANDING_AT:] + rank[:_STANDING_AT]


def index_word(word: str) -> str:
    """A word as the lists name it: itself, or its digest when it is long, so that an entry stays small."""
    if len(word) <= LONGEST_WORD:
        return word
    # No word holds a tilde.
    return f"~{hashlib.sha256(word.encode()).hexdigest()}"
