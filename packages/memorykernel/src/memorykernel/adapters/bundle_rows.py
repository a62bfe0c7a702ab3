"""The rows of a bundle, for a store that holds nothing, so that its chains get the same heads.

Fast because nothing is looked up while rows go in. What is looked up for every single write elsewhere is
asked about all of them in the end: that links lead to records, that supersessions form no cycle, that the
heads are those of the manifest. How rows go in is each store's own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol, cast

from memorykernel.adapters.bundle_order import Sequencer
from memorykernel.adapters.rows import (
    RECORD_COLUMNS,
    RECORD_COLUMNS_4,
    Row,
    decode_scope,
    digest_answer,
    digest_record,
)
from memorykernel.core.bundle import AnswerLine, Manifest, Member, MemoryLine, RecordLine, RequestLine
from memorykernel.core.bundle_line import link_values, parse_lines, record_values
from memorykernel.core.chain import (
    GENESIS_ANSWERS,
    GENESIS_MEMORY,
    JumpHeads,
    digest_entry,
    next_head,
    next_timed_head,
)
from memorykernel.core.scope_pattern import encode_scope
from memorykernel.core.terms import unicode_terms
from memorykernel.errors import BundleInvalid, WriteConflict
from memorykernel.ports import Bundle

_COLUMN: Final = {name: number for number, name in enumerate((*RECORD_COLUMNS, *RECORD_COLUMNS_4))}
_ACTOR, _NOTE, _SUMMARY = _COLUMN["actor"], _COLUMN["note"], _COLUMN["summary"]
_TYPE, _MATCHING, _FIELD = _COLUMN["record_type"], _COLUMN["matching"], _COLUMN["field"]
_MAX_SHOWN: Final = 20

_DANGLING: Final = """
SELECT DISTINCT l.{end}_version_id FROM links l
LEFT JOIN records r ON r.memory_version_id = l.{end}_version_id WHERE r.record_seq IS NULL LIMIT {limit}
"""
_FORWARD: Final = """
SELECT l.from_version_id, l.to_version_id FROM links l
JOIN records f ON f.memory_version_id = l.from_version_id
JOIN records t ON t.memory_version_id = l.to_version_id
WHERE l.relation = 'supersedes' AND f.record_seq <= t.record_seq
"""
_REACHES: Final = """
WITH RECURSIVE reached (id) AS (
  SELECT to_version_id FROM links WHERE from_version_id = '{start}' AND relation = 'supersedes'
  UNION
  SELECT l.to_version_id FROM reached JOIN links l
  ON l.from_version_id = reached.id AND l.relation = 'supersedes'
)
SELECT 1 FROM reached WHERE id = '{goal}'
"""

Read = Callable[[str], Sequence[Row]]
"""Runs a statement and gives its rows."""


class MemoryRows(NamedTuple):
    """The rows of a stretch of the memory, by table; `words` are those of each record, by its number."""

    records: list[Row]
    links: list[Row]
    entries: list[Row]
    words: list[tuple[int, Sequence[str]]]
    scopes: list[Row]
    members: list[Row]


class Heads(NamedTuple):
    """Where both chains of a bundle end, 32 bytes each."""

    memory: bytes
    answers: bytes

    def check_heads(self, manifest: Manifest) -> None:
        """Pass when the chains end as the manifest says."""
        state = manifest.state
        found = (self.memory.hex(), self.answers.hex())
        if found != (state.memory_head, state.answer_head):
            raise BundleInvalid(
                "the lines do not give the heads of the manifest:"
                f" expected {state.memory_head[:16]} and {state.answer_head[:16]},"
                f" got {found[0][:16]} and {found[1][:16]}; export again"
            )


class RowSink(Protocol):
    """Where the rows of a bundle go: tables of a store, inside a write transaction."""

    def add_memory(self, rows: MemoryRows) -> None:
        """Add rows of the memory.

        Raises:
            BundleInvalid: The store lets them in not.
        """
        ...

    def add_answers(self, answers: list[Row], entries: list[Row]) -> None:
        """Add answers; raises as `add_memory`."""
        ...

    def add_requests(self, requests: list[Row]) -> None:
        """Add request keys; raises as `add_memory`."""
        ...


def pour(bundle: Bundle, manifest: Manifest, sink: RowSink, parking: sqlite3.Connection) -> Heads:
    """Make the rows of a bundle in their order and let them in.

    Args:
        bundle, manifest: What to read.
        sink: Takes the rows.
        parking: Where lines wait that come early.

    Returns:
        The heads.

    Raises:
        BundleInvalid: A line is invalid or missing.
    """
    maker = RowMaker()
    orders = {member: Sequencer(parking, member) for member in Member}
    for chunk in bundle.read_chunks(manifest):
        lines = parse_lines(chunk.member, chunk.path, chunk.data)
        for due in orders[chunk.member].take(lines):
            match chunk.member:
                case Member.MEMORY:
                    sink.add_memory(maker.make_memory(cast("Sequence[MemoryLine]", due)))
                case Member.ANSWERS:
                    sink.add_answers(*maker.make_answers(cast("Sequence[AnswerLine]", due)))
                case Member.REQUESTS:
                    sink.add_requests(make_requests(cast("Sequence[RequestLine]", due)))
    state = manifest.state
    orders[Member.MEMORY].finish(state.records + state.links)
    orders[Member.ANSWERS].finish(state.answers)
    orders[Member.REQUESTS].finish(state.requests)
    return maker.heads


class RowMaker:
    """Makes rows of lines that come in their order, and follows both chains."""

    def __init__(self) -> None:
        self._head, self._answer_head = GENESIS_MEMORY, GENESIS_ANSWERS
        self._jumps = JumpHeads(GENESIS_MEMORY)
        self._before_us: int | None = None

    @property
    def heads(self) -> Heads:
        """Where both chains stand."""
        return Heads(self._head, self._answer_head)

    def make_memory(self, due: Sequence[MemoryLine]) -> MemoryRows:
        """The rows of records and links."""
        rows = MemoryRows([], [], [], [], [], [])
        for line in due:
            if isinstance(line, RecordLine):
                values = record_values(line)
                rows.entries.append(self._append(line, "record", digest_record(values)))
                rows.records.append((line.subject, *values))
                _index(line.subject, values, rows)
            else:
                values = link_values(line)
                rows.entries.append(self._append(line, "link", digest_entry(values)))
                rows.links.append((line.subject, *values))
        return rows

    def make_answers(self, due: Sequence[AnswerLine]) -> tuple[list[Row], list[Row]]:
        """The rows of answers, and their entries."""
        answers: list[Row] = []
        entries: list[Row] = []
        for line in due:
            values = (
                line.context_package_id,
                bytes(line.package),
                line.ruleset,
                None if line.head is None else bytes.fromhex(line.head),
                line.question,
                line.actor,
                line.action,
                line.resource,
            )
            digest = digest_answer(values)
            self._answer_head = next_head(
                self._answer_head, kind="answer", subject=line.subject, digest=digest
            )
            answers.append((line.subject, *values))
            entries.append((line.seq, "answer", line.subject, digest, self._answer_head))
        return answers, entries

    def _append(self, line: MemoryLine, kind: str, digest: bytes) -> Row:
        before_us, time_us = self._before_us, line.recorded_at_us
        if before_us is not None and (time_us is None or time_us < before_us):
            raise BundleInvalid(f"entry {line.seq} was recorded before the one in front of it; export again")
        if time_us is None:
            head = next_head(self._head, kind=kind, subject=line.subject, digest=digest)
            self._jumps.find(line.seq)
        else:
            head = next_timed_head(
                self._head,
                jump_head=self._jumps.find(line.seq),
                entry_seq=line.seq,
                kind=kind,
                subject=line.subject,
                digest=digest,
                recorded_at_us=time_us,
            )
        self._jumps.push(line.seq, head)
        self._head, self._before_us = head, time_us
        return line.seq, kind, line.subject, digest, head, time_us


def make_requests(due: Iterable[RequestLine]) -> list[Row]:
    """The rows of request keys."""
    rows = [(each.key, bytes.fromhex(each.sha256), each.reply, each.recorded_at_us) for each in due]
    return [(*row, digest_entry(row)) for row in rows]


def refuse_rows(what: str, exc: Exception) -> BundleInvalid:
    """What to say when a store does not let rows in."""
    return BundleInvalid(
        f"'{what}' holds the same thing twice, or what no store lets in: {exc}; export again"
    )


def _index(record_seq: int, values: Row, rows: MemoryRows) -> None:
    """Add the rows that are derived from a record's."""
    text = values[_SUMMARY]
    if text is None:
        actor, action, resource = values[_ACTOR : _ACTOR + 3]
        text = " ".join((actor, action, resource, values[_NOTE] or ""))
        scope = decode_scope(actor, action, resource, values[_MATCHING])
        rows.scopes.append((*encode_scope(scope), record_seq))
    elif values[_FIELD] is not None:
        field, group, member = values[_FIELD : _FIELD + 3]
        rows.members.append((field, member, group, record_seq))
    rows.words.append((record_seq, unicode_terms(text)))


def check_links(read: Read) -> None:
    """Pass when every link leads from a record to one, and no records supersede each other.

    Raises:
        WriteConflict: One does not.
    """
    for end in ("from", "to"):
        missing = [str(row[0]) for row in read(_DANGLING.format(end=end, limit=_MAX_SHOWN))]
        if missing:
            raise WriteConflict(
                f"links lead to records that are not in the bundle: {', '.join(missing)}; export again",
                {"memory_version_ids": ", ".join(missing)},
            )
    # A supersession of an older record by a newer one closes no cycle, and nearly all are of that kind.
    for maker, target in read(_FORWARD):
        # Version ids are ULIDs: a bundle's line is refused that has another.
        if read(_REACHES.format(start=target, goal=maker)):
            raise WriteConflict(
                f"{maker} and {target} supersede each other, directly or through others; export again",
                {"from": maker, "to": target},
            )
