"""Records and requests as a store gives them back: with their place in the hash chain."""

from __future__ import annotations

import msgspec

from memorykernel.core.record import MemoryRecord


class StoredRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record version where it stands.

    Attributes:
        record: Its `supersedes` and `contradicts` are all links that it makes, those stated later included;
            both sorted. `expires_at` is None, not UNSET, if it never expires; the matches of a scope are
            given: so a record reads the same whichever contract wrote it.
        entry_seq: The number of its entry in the memory's chain, from 1.
        head: The chain's head there, 64 lower-case hex digits.
        recorded_at_us: When it was recorded, microseconds since 1970 UTC; None before schema 4.
        superseded_by, contradicted_by: The versions that say so of it, sorted; whether they have the
            authority to is for the rules to judge.
    """

    record: MemoryRecord
    entry_seq: int
    head: str
    recorded_at_us: int | None
    superseded_by: tuple[str, ...]
    contradicted_by: tuple[str, ...]


class KeptRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A write request that was carried out, under the key by which its sender may repeat it.

    Attributes:
        key: The sender's, 1 to 200 printable ASCII characters.
        digest: What was asked, as 64 lower-case hex digits: another request under the same key is refused.
        reply: What was answered; the store does not look inside.
    """

    key: str
    digest: str
    reply: bytes
