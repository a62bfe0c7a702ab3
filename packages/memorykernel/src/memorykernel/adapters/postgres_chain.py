"""The ends of the hash chains in PostgreSQL, held by one write transaction at a time.

Row numbers come from the end of the chain, not from a sequence: they are part of what a head stands for,
so they are the same as SQLite's for the same writes, and a transaction that was rolled back leaves no gap.
"""

from __future__ import annotations

from typing import Final

from memorykernel.adapters.postgres_database import ChainTable, Entry, Writing, lock_chain
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
        self._entry_seq: int = entry_seq
        self.head = bytes(head)
        self._heads = {self._entry_seq: self.head}
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
        following = range(self._entry_seq + 1, self._entry_seq + 1 + entries)
        jumps = {find_jump(entry_seq) for entry_seq in following} if self.schema >= SCOPE_SCHEMA else set()
        return sorted(jump for jump in jumps if jump <= self._entry_seq and jump not in self._heads)

    def learn(self, jumps: list[int], heads: list[bytes]) -> None:
        """Take the heads of `list_jumps`, in its order."""
        self._heads.update(zip(jumps, map(bytes, heads), strict=True))

    def append(self, kind: str, subject_seq: int, digest: bytes) -> None:
        """Append an entry for a row; the heads that it binds were learned."""
        self._entry_seq += 1
        if self.recorded_at_us is None:
            self.head = next_head(self.head, kind=kind, subject=subject_seq, digest=digest)
        else:
            self.head = next_timed_head(
                self.head,
                jump_head=self._heads[find_jump(self._entry_seq)],
                entry_seq=self._entry_seq,
                kind=kind,
                subject=subject_seq,
                digest=digest,
                recorded_at_us=self.recorded_at_us,
            )
        self._heads[self._entry_seq] = self.head
        row = (self._entry_seq, kind, subject_seq, digest, self.head, self.recorded_at_us)
        _put(self._writing, "memory_chain", self._entry_seq, self.head, row)


class AnswerTip:
    """The end of the answers' chain in a transaction opened with `OPEN_ANSWERS`."""

    def __init__(self, writing: Writing) -> None:
        entry_seq, head, self._answer_seq, self.schema = writing.opened
        self._writing = writing
        self._entry_seq: int = entry_seq
        self._head = bytes(head)

    def number_answer(self) -> int:
        """The row number of the next answer."""
        self._answer_seq += 1
        return int(self._answer_seq)

    def append(self, answer_seq: int, digest: bytes) -> None:
        """Append an entry for an answer's row."""
        self._entry_seq += 1
        self._head = next_head(self._head, kind="answer", subject=answer_seq, digest=digest)
        row = (self._entry_seq, "answer", answer_seq, digest, self._head)
        _put(self._writing, "answer_chain", self._entry_seq, self._head, row)


def _put(writing: Writing, table: ChainTable, entry_seq: int, head: bytes, row: tuple[object, ...]) -> None:
    writing.put(f"INSERT INTO {table} VALUES ({', '.join(['%s'] * len(row))})", row)  # noqa: S608  # closed set
    writing.newest = Entry(table, entry_seq, head)
