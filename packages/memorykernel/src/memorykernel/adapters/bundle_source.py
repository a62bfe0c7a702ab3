"""Reading a store out as the lines of a bundle; see `ports.DataSource`.

The statements are the same for every store. Every row is checked against the digest in its chain entry on the
way, so that damage is not exported as truth.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from memorykernel.adapters.rows import (
    ANSWER_COLUMNS,
    ANSWER_COLUMNS_4,
    LINK_COLUMNS,
    RECORD_COLUMNS,
    RECORD_COLUMNS_4,
    Row,
    digest_answer,
    digest_record,
)
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, read_version
from memorykernel.adapters.storage_fault import explain
from memorykernel.core.bundle import AnswerLine, Line, LinkLine, Member, RecordLine, RequestLine, StoreState
from memorykernel.core.chain import digest_entry
from memorykernel.errors import QueryFailed, SchemaUnavailable
from memorykernel.ports import DataSnapshot, EncodedLines

_CHUNK_BYTES: Final = 4 * 2**20
_RECORD: Final = (*RECORD_COLUMNS, *RECORD_COLUMNS_4)
_ANSWER: Final = (*ANSWER_COLUMNS, *ANSWER_COLUMNS_4)
_PREAMBLE: Final = 5
"""entry_seq, kind, subject_seq, digest and recorded_at_us stand before a row's columns."""

_MEMORY: Final = f"""
SELECT c.entry_seq, c.kind, c.subject_seq, c.digest, c.recorded_at_us,
{", ".join(f"r.{each}" for each in _RECORD)}, {", ".join(f"l.{each}" for each in LINK_COLUMNS)}
FROM memory_chain c
LEFT JOIN records r ON c.kind = 'record' AND r.record_seq = c.subject_seq
LEFT JOIN links l ON c.kind = 'link' AND l.link_seq = c.subject_seq
WHERE c.entry_seq > 0 ORDER BY c.entry_seq
"""  # noqa: S608  # column names
_ANSWERS: Final = f"""
SELECT c.entry_seq, c.kind, c.subject_seq, c.digest, NULL, {", ".join(f"a.{each}" for each in _ANSWER)}
FROM answer_chain c LEFT JOIN answers a ON a.answer_seq = c.subject_seq
WHERE c.entry_seq > 0 ORDER BY c.entry_seq
"""  # noqa: S608  # column names
_REQUESTS: Final = """
SELECT request_key, request_sha256, recorded_at_us, reply FROM request_keys ORDER BY request_key
"""
_STATE: Final = """
SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM links), (SELECT count(*) FROM answers),
  (SELECT count(*) FROM request_keys),
  (SELECT head FROM memory_chain ORDER BY entry_seq DESC LIMIT 1),
  (SELECT head FROM answer_chain ORDER BY entry_seq DESC LIMIT 1)
"""
_NEWEST: Final = "SELECT recorded_at_us FROM memory_chain ORDER BY entry_seq DESC LIMIT 1"

_RECORD_FIELDS: Final = RecordLine.__struct_fields__
_EVIDENCE: Final = RECORD_COLUMNS.index("evidence")
_LINKS_BEGIN: Final = _PREAMBLE + len(_RECORD)


Stream = Callable[[str], Iterable[Row]]
"""Runs a statement in one state and gives its rows, which need not fit into memory."""


class SqliteSource:
    """One file to export; see `ports.DataSource`."""

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    @contextmanager
    def hold(self) -> Iterator[DataSnapshot]:
        """See `ports.DataSource`."""
        try:
            with self._file.reading() as connection:
                require_schema(read_version(connection))
                yield RowSnapshot(connection.execute)
        except sqlite3.Error as exc:
            raise QueryFailed(f"the database cannot be read: {explain(exc)}") from exc


def require_schema(version: int) -> None:
    """Pass when a store has all that a bundle holds.

    Raises:
        SchemaUnavailable: It is too old.
    """
    if version < SCOPE_SCHEMA:
        raise SchemaUnavailable(
            f"the database is older than schema {SCOPE_SCHEMA}; run 'mk db migrate' first"
        )


def read_state(stream: Stream) -> StoreState:
    """What the store holds, in one state."""
    (row,) = stream(_STATE)
    records, links, answers, requests, memory_head, answer_head = row
    return StoreState(
        records=records,
        links=links,
        answers=answers,
        requests=requests,
        memory_head=bytes(memory_head).hex(),
        answer_head=bytes(answer_head).hex(),
    )


class RowSnapshot:
    """One state of a store, read by statements; see `ports.DataSnapshot`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def load_state(self) -> StoreState:
        """See `ports.DataSnapshot`."""
        return read_state(self._stream)

    def load_newest_us(self) -> int | None:
        """See `ports.DataSnapshot`."""
        ((newest,),) = self._stream(_NEWEST)
        return None if newest is None else int(newest)

    def encode_lines(self, member: Member) -> Iterator[EncodedLines]:
        """See `ports.DataSnapshot`."""
        match member:
            case Member.MEMORY:
                return self._encode(_MEMORY, _make_memory_line)
            case Member.ANSWERS:
                return self._encode(_ANSWERS, _make_answer_line)
            case Member.REQUESTS:
                return self._encode(_REQUESTS, _RequestLines())

    def _encode(self, statement: str, make: Callable[[Row], Line]) -> Iterator[EncodedLines]:
        encoder, buffer, count = msgspec.json.Encoder(), bytearray(), 0
        for row in self._stream(statement):
            encoder.encode_into(make(row), buffer, -1)
            buffer += b"\n"
            count += 1
            if len(buffer) >= _CHUNK_BYTES:
                yield EncodedLines(bytes(buffer), count)
                buffer, count = bytearray(), 0
        if count:
            yield EncodedLines(bytes(buffer), count)


def _make_memory_line(row: Row) -> Line:
    seq, kind, subject, _, recorded_at_us = row[:_PREAMBLE]
    if kind == "record":
        values = row[_PREAMBLE:_LINKS_BEGIN]
        _require(row, values[0], digest_record(values) if values[0] else None)
        evidence = msgspec.Raw(values[_EVIDENCE])
        columns = (*values[:_EVIDENCE], evidence, *values[_EVIDENCE + 1 :])
        return RecordLine(**dict(zip(_RECORD_FIELDS, (seq, subject, recorded_at_us, *columns), strict=True)))
    values = row[_LINKS_BEGIN:]
    _require(row, values[0], digest_entry(values) if values[0] else None)
    return LinkLine(
        seq=seq,
        subject=subject,
        recorded_at_us=recorded_at_us,
        **dict(zip(LINK_COLUMNS, values, strict=True)),
    )


def _make_answer_line(row: Row) -> Line:
    seq, _, subject = row[:3]
    values: dict[str, Any] = dict(zip(_ANSWER, row[_PREAMBLE:], strict=True))
    _require(row, values["package"], digest_answer(row[_PREAMBLE:]) if values["package"] else None)
    head = values.pop("head")
    values["head"] = None if head is None else head.hex()
    values["package"] = msgspec.Raw(values["package"])
    return AnswerLine(seq=seq, subject=subject, **values)


class _RequestLines:
    """Numbers the requests in the order in which they come: they are in no chain."""

    def __init__(self) -> None:
        self._seq = 0

    def __call__(self, row: Row) -> Line:
        self._seq += 1
        key, sha256, recorded_at_us, reply = row
        return RequestLine(
            seq=self._seq, key=key, sha256=sha256.hex(), recorded_at_us=recorded_at_us, reply=reply
        )


def _require(row: Row, present: object, digest: bytes | None) -> None:
    if present is None or digest != row[3]:
        raise QueryFailed(
            f"entry {row[0]} of the chain is damaged: its {row[1]} {row[2]} is not what was written;"
            " find out more with 'mk verify', restore a backup"
        )
