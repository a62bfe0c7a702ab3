"""Reading evidence: the SQL that finds the records that can matter, and nothing else.

A policy question is one statement whose plan has no SCAN (a test reads the plan): the chain's head,
the constraints of the eight combinations of value and `*`, and the supersessions that target them. A recall
reads the postings of its terms. Only the v1 rulesets read more, because their published answers do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from typing import Any, Final

import msgspec

from memorykernel.core.evidence import Candidate, PolicyEvidence, RecallEvidence, Supersession
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.record import ConstraintContent, Content, Scope, SummaryContent
from memorykernel.core.vocabulary import Authority, Effect, RecordType, TruthStatus

_CANDIDATE: Final = """
  r.memory_version_id, r.memory_id, r.record_type, r.version, r.truth_status, r.authority, r.confidence,
  r.created_at_us, r.effective_at_us, r.actor, r.action, r.resource, r.effect, r.note, r.summary,
  s.memory_version_id, s.authority, s.truth_status, s.effective_at_us
"""
_CLAIMANTS: Final = """
LEFT JOIN links l ON l.to_version_id = r.memory_version_id AND l.relation = 'supersedes'
LEFT JOIN records s ON s.memory_version_id = l.from_version_id
"""
_HEAD: Final = "h.entry_seq = (SELECT max(entry_seq) FROM memory_chain)"

# All three are assembled from the constants above; values are always bound.
POLICY_SQL: Final = f"""
SELECT h.head, {_CANDIDATE}
FROM memory_chain h
LEFT JOIN records r INDEXED BY records_by_scope ON r.record_type = 'constraint'
  AND r.actor IN (:actor, '*') AND r.action IN (:action, '*') AND r.resource IN (:resource, '*')
{_CLAIMANTS}
WHERE {_HEAD}
"""  # noqa: S608
EVERY_RECORD_SQL: Final = f"""
SELECT h.head, {_CANDIDATE}
FROM memory_chain h
LEFT JOIN records r ON r.record_type IN (SELECT value FROM json_each(:record_types))
{_CLAIMANTS}
WHERE {_HEAD}
"""  # noqa: S608
RECALL_SQL: Final = f"""
WITH hits AS MATERIALIZED (
  SELECT record_seq, count(*) AS matched FROM record_terms
  WHERE term IN (SELECT value FROM json_each(:terms)) GROUP BY record_seq
)
SELECT h.head, {_CANDIDATE}, m.matched
FROM memory_chain h
LEFT JOIN hits m
LEFT JOIN records r ON r.record_seq = m.record_seq
  AND r.record_type IN (SELECT value FROM json_each(:record_types))
{_CLAIMANTS}
WHERE {_HEAD}
"""  # noqa: S608

Row = tuple[Any, ...]

# A lookup costs a third of calling the enum, four times a row.
_RECORD_TYPE: Final = {each.value: each for each in RecordType}
_TRUTH_STATUS: Final = {each.value: each for each in TruthStatus}
_AUTHORITY: Final = {each.value: each for each in Authority}
_EFFECT: Final = {each.value: each for each in Effect}


def read_policy_rows(connection: sqlite3.Connection, question: PolicyQuestion) -> list[Row]:
    """The rows of a policy question: one per candidate and claimant, at least one."""
    scope = {"actor": question.actor, "action": question.action, "resource": question.resource}
    return connection.execute(POLICY_SQL, scope).fetchall()


def read_type_rows(connection: sqlite3.Connection, record_types: Collection[RecordType]) -> list[Row]:
    """The rows of every record of the types."""
    return connection.execute(EVERY_RECORD_SQL, {"record_types": _encode_list(record_types)}).fetchall()


def read_term_rows(
    connection: sqlite3.Connection, record_types: Collection[RecordType], terms: Collection[str]
) -> list[Row]:
    """The rows of the records of the types that have a term, with how many they have at the end."""
    lists = {"record_types": _encode_list(record_types), "terms": _encode_list(terms)}
    return connection.execute(RECALL_SQL, lists).fetchall()


def decode_policy(rows: list[Row], version_index: bytes) -> PolicyEvidence:
    """Make evidence of `read_policy_rows`."""
    return PolicyEvidence(
        head=rows[0][0].hex(),
        candidates=_decode_candidates(rows),
        supersessions=_decode_claims(rows),
        version_index=version_index,
    )


def decode_recall(rows: list[Row], version_index: bytes = b"") -> RecallEvidence:
    """Make evidence of `read_type_rows` or `read_term_rows`."""
    matched = {row[1]: row[20] for row in rows if row[1] is not None and len(row) > 20}
    return RecallEvidence(
        head=rows[0][0].hex(),
        candidates=_decode_candidates(rows),
        supersessions=_decode_claims(rows),
        matched=matched,
        version_index=version_index,
    )


class VersionIndex:
    """v1's list of every `memory_id:memory_version_id`, sorted and joined.

    The published snapshot id hashes all of them for every question: about 53 bytes a record. Reading
    and sorting them is what would hurt, so both are done once per new record; joining is done once per
    batch of new records. What remains per question is one SHA-256 over the whole.
    """

    def __init__(self) -> None:
        self._newest_seq = 0
        self._names: list[str] = []
        self._joined = b""

    def read(self, connection: sqlite3.Connection) -> bytes:
        """The index as of the state that the connection reads."""
        rows = connection.execute(
            "SELECT record_seq, memory_id || ':' || memory_version_id FROM records WHERE record_seq > ?",
            (self._newest_seq,),
        ).fetchall()
        if rows:
            self._names.extend(name for _, name in rows)
            # Two sorted runs, nearly: what this sort is fastest at.
            self._names.sort()
            self._joined = "".join(self._names).encode()
            self._newest_seq = max(seq for seq, _ in rows)
        return self._joined


def _encode_list(values: Iterable[str]) -> str:
    return msgspec.json.encode(tuple(values)).decode()


def _decode_candidates(rows: list[Row]) -> tuple[Candidate, ...]:
    distinct = {row[1]: row for row in rows if row[1] is not None}
    return tuple(map(_decode_candidate, distinct.values()))


def _decode_candidate(row: Row) -> Candidate:
    return Candidate(
        memory_version_id=row[1],
        memory_id=row[2],
        record_type=_RECORD_TYPE[row[3]],
        version=row[4],
        truth_status=_TRUTH_STATUS[row[5]],
        authority=_AUTHORITY[row[6]],
        confidence=row[7],
        created_at_us=row[8],
        effective_at_us=row[9],
        content=_decode_content(row[10:16]),
    )


def _decode_content(columns: Row) -> Content:
    actor, action, resource, effect, note, summary = columns
    if summary is not None:
        return SummaryContent(summary=summary)
    scope = Scope(actor=actor, action=action, resource=resource)
    return ConstraintContent(scope=scope, effect=_EFFECT[effect], note=note)


def _decode_claims(rows: list[Row]) -> tuple[Supersession, ...]:
    return tuple(
        Supersession(
            superseded_id=row[1],
            superseder_id=row[16],
            authority=_AUTHORITY[row[17]],
            truth_status=_TRUTH_STATUS[row[18]],
            effective_at_us=row[19],
        )
        for row in rows
        if row[16] is not None
    )
