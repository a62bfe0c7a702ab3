"""What a check of a store can find, and how a chain is followed; the same for every store.

Reading rows is each store's own. What they must be, is said here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from memorykernel.adapters.rows import (
    ANSWER_COLUMNS,
    ANSWER_COLUMNS_4,
    LINK_COLUMNS,
    RECORD_COLUMNS,
    RECORD_COLUMNS_4,
    Row,
)
from memorykernel.adapters.sqlite_chain import ChainTable
from memorykernel.core.chain import (
    GENESIS_ANSWERS,
    GENESIS_MEMORY,
    JumpHeads,
    digest_columns,
    next_head,
    next_timed_head,
)

MAX_DAMAGE: Final = 20
"""How many findings are reported at most; one is enough to know."""

ANSWERS_SCHEMA: Final = 2
SUBJECTS: Final = {
    "record": ("records", "record_seq", RECORD_COLUMNS, RECORD_COLUMNS_4),
    "link": ("links", "link_seq", LINK_COLUMNS, ()),
    "answer": ("answers", "answer_seq", ANSWER_COLUMNS, ANSWER_COLUMNS_4),
}
"""Kind of entry -> table, key, its first columns, and those that schema 4 added."""

KINDS: Final[dict[ChainTable, tuple[str, ...]]] = {
    "memory_chain": ("record", "link"),
    "answer_chain": ("answer",),
}
LAST: Final = 2**63 - 1
_GENESES: Final[dict[ChainTable, bytes]] = {
    "memory_chain": GENESIS_MEMORY,
    "answer_chain": GENESIS_ANSWERS,
}


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it was written."""

    table: str
    row: int | None
    id: str | None
    finding: str


class IntegrityReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found; `damage` is empty when all is as it was written."""

    ok: bool
    schema_version: int
    records: int
    links: int
    answers: int
    memory_head: str
    answer_head: str | None
    damage: tuple[Damage, ...]


def list_chains(version: int) -> tuple[ChainTable, ...]:
    """The chains that a schema has."""
    return ("memory_chain", "answer_chain") if version >= ANSWERS_SCHEMA else ("memory_chain",)


class ChainWalk:
    """Follows a stretch of a chain, and says which entries are not what follows from those before.

    After a damaged head it goes on from the stored one, so that one fault is one finding; therefore stretches
    that are followed one by one say the same as the chain followed at once.

    Args:
        table: The chain.
        first: The number of the stretch's first entry.
        peaks: Number, head and time of the entries that the stretch can jump to, the oldest first; see
            `core.chain.list_peaks`.
    """

    def __init__(
        self, table: ChainTable, first: int, peaks: Iterable[tuple[int, bytes, int | None]] = ()
    ) -> None:
        self._table = table
        self._expected_seq = first
        self._genesis = self._head = _GENESES[table]
        self._before_us: int | None = None
        self._jumps = JumpHeads(self._genesis)
        for peak, self._head, self._before_us in peaks:
            self._jumps.push(peak, self._head)

    def step(self, entry: Row) -> Iterator[Damage]:
        """Follow the next entry: its number, kind, subject, digest, head and time."""
        seq, kind, subject, digest, stored, recorded_at_us = entry
        for missing in range(self._expected_seq, min(seq, self._expected_seq + MAX_DAMAGE)):
            yield self._find(missing, "entry is missing")
        if seq == 0:
            if (kind, subject, digest, stored, recorded_at_us) != (
                "genesis",
                0,
                self._genesis,
                self._genesis,
                None,
            ):
                yield self._find(0, "first head is not the chain's own")
        else:
            before_us = self._before_us
            if before_us is not None and (recorded_at_us is None or recorded_at_us < before_us):
                yield self._find(seq, "recorded before the entry in front")
            if self._follow(seq, kind, subject, digest, recorded_at_us) != stored:
                yield self._find(seq, "head does not follow from the one before")
            self._jumps.push(seq, stored)
        self._head, self._expected_seq, self._before_us = stored, seq + 1, recorded_at_us

    def _follow(self, seq: int, kind: str, subject: int, digest: bytes, recorded_at_us: int | None) -> bytes:
        jump_head = self._jumps.find(seq)
        if recorded_at_us is None:
            return next_head(self._head, kind=kind, subject=subject, digest=digest)
        return next_timed_head(
            self._head,
            jump_head=jump_head,
            entry_seq=seq,
            kind=kind,
            subject=subject,
            digest=digest,
            recorded_at_us=recorded_at_us,
        )

    def _find(self, row: int, finding: str) -> Damage:
        return Damage(table=self._table, row=row, id=None, finding=finding)


def check_subject(kind: str, subject: int, digest: bytes, row: tuple[Any, ...] | None) -> Iterator[Damage]:
    """Check the row that an entry stands for.

    Args:
        kind, subject, digest: The entry's.
        row: The values of the row's columns, those of schema 4 last; None when there is no such row.
    """
    if kind not in SUBJECTS:
        yield Damage(table="memory_chain", row=None, id=None, finding="entry is of an unknown kind")
        return
    table, _, columns, _ = SUBJECTS[kind]
    if row is None:
        yield Damage(table=table, row=subject, id=None, finding="row is missing")
    elif digest_columns(row, len(columns)) != digest:
        name = row[0].decode(errors="replace") if isinstance(row[0], bytes) else str(row[0])
        yield Damage(table=table, row=subject, id=name, finding="content is not what was written")


def list_cover_queries(table: ChainTable) -> Iterator[tuple[str, str]]:
    """The tables that a chain covers, each with statements that find rows with no entry, or with two.

    Yields:
        A table, and a statement that gives row numbers.
    """
    for kind in KINDS[table]:
        covered, key = SUBJECTS[kind][:2]
        entries = f"FROM {table} WHERE kind = '{kind}'"
        bare = f"SELECT {key} FROM {covered} WHERE {key} NOT IN (SELECT subject_seq {entries})"  # noqa: S608  # closed sets of names
        yield covered, f"{bare} LIMIT {MAX_DAMAGE}"
        yield covered, f"SELECT subject_seq {entries} GROUP BY 1 HAVING count(*) > 1"


def find_uncovered(table: str, row: int) -> Damage:
    """The finding for a row that `list_cover_queries` gave."""
    return Damage(table=table, row=row, id=None, finding="rows and chain entries differ in number")


def find_misplaced_keys(row: int) -> Damage:
    """The finding for a record whose keys of scope or membership are not those of its content."""
    finding = "keys in the index are not those of the record"
    return Damage(table="constraint_scopes", row=row, id=None, finding=finding)


def find_misindexed_words(row: int) -> Damage:
    """The finding for a record whose words in the term index are not those of its text."""
    finding = "words in the index are not those of the record"
    return Damage(table="record_terms", row=row, id=None, finding=finding)


def find_misposted_record(row: int) -> Damage:
    """The finding for a record that stands elsewhere in the lists of its words than it should."""
    finding = "places in the lists of words are not those of the record"
    return Damage(table="postings", row=row, id=None, finding=finding)
