"""The ends of the hash chains in PostgreSQL, held by one write transaction at a time.

Row numbers come from the end of the chain, not from a sequence: they are part of what a head stands for,
so they are the same as SQLite's for the same writes, and a transaction that was rolled back leaves no gap.
"""

from __future__ import annotations

from typing import Final

from memorykernel.adapters.postgres_database import Entry, Writing, lock_chain
from memorykernel.core.chain import find_jump, next_head, next_timed_head

SCOPE_SCHEMA: Final = 4
"""The schema since which entries have times, and there are memberships and request keys."""

OPEN_MEMORY: Final = f"""{lock_chain("memory_chain")}
SELECT entry_seq, head, recorded_at_us, (SELECT max(version) FROM schema_migrations),
  (SELECT coalesce(max(record_seq), 0) FROM records), (SELECT coalesce(max(link_seq), 0) FROM links)
FROM memory_chain ORDER BY entry_seq DESC LIMIT 1
"""  # noqa: S608  # constants
OPEN_ANSWERS: Final = f"""{lock_chain("answer_chain")}
SELECT entry_seq, head, (SELECT coalesce(max(answer_seq), 0) FROM answers),
  (SELECT max(version) FROM schema_migrations)
FROM answer_chain ORDER BY entry_seq DESC LIMIT 1
"""  # noqa: S608  # constants


class MemoryTip:
    """The end of the memory's chain in a transaction opened with `OPEN_MEMORY`.

    Args:
        writing: The transaction.
        now_us: The clock's time; an entry is never recorded before the one in front of it.
    """

    def __init__(self, writing: Writing, now_us: int) -> None:
        entry_seq, head, before_us, schema, self._record_seq, self._link_seq = writing.opened
        self._writing = writing
        self.entry_seq: int = entry_seq
        self.head = bytes(head)
        self._heads = {self.entry_seq: self.head}
        self.schema: int = schema
        self.recorded_at_us = None if schema < SCOPE_SCHEMA else max(now_us, before_us or now_us)

    def number_record(self) -> int:
        """The row number of the next record."""
        self._record_seq += 1
        return int(self._record_seq)

    def number_link(self) -> int:
        """The row number of the next link."""
        self._link_seq += 1
        return int(self._link_seq)

    def list_jumps(self, entries: int) -> list[int]:
        """The older entries whose heads the next so many entries bind, for a statement that reads along.

        Args:
            entries: How many entries are to be appended.
        """
        following = range(self.entry_seq + 1, self.entry_seq + 1 + entries)
        jumps = {find_jump(entry_seq) for entry_seq in following} if self.schema >= SCOPE_SCHEMA else set()
        return sorted(jump for jump in jumps if jump <= self.entry_seq and jump not in self._heads)

    def learn(self, jumps: list[int], heads: list[bytes]) -> None:
        """Take the heads of `list_jumps`, in its order."""
        self._heads.update(zip(jumps, map(bytes, heads), strict=True))

    def append(self, kind: str, subject_seq: int, digest: bytes) -> None:
        """Append an entry for a row; the heads that it binds were learned."""
        self.entry_seq += 1
        if self.recorded_at_us is None:
            self.head = next_head(self.head, kind=kind, subject=subject_seq, digest=digest)
        else:
            self.head = next_timed_head(
                self.head,
                jump_head=self._heads[find_jump(self.entry_seq)],
                entry_seq=self.entry_seq,
                kind=kind,
                subject=subject_seq,
                digest=digest,
                recorded_at_us=self.recorded_at_us,
            )
        self._heads[self.entry_seq] = self.head
        row = (self.entry_seq, kind, subject_seq, digest, self.head, self.recorded_at_us)
        self._writing.put("INSERT INTO memory_chain VALUES (%s, %s, %s, %s, %s, %s)", row)
        self._writing.newest = Entry("memory_chain", self.entry_seq, self.head)
