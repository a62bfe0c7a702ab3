"""Reading evidence: the SQL that finds the records that can matter, and nothing else.

A policy question is one statement whose plan has no SCAN of a table (a test reads the plan): the chain's
head, the constraints that can match, and the supersessions that target them. Without patterns those are
the eight combinations of value and `*`; with patterns all combinations of the keys of the question's values,
and the memberships of these values. A recall reads the postings of its terms. Only the v1 rulesets read more,
because their published answers do.

A question about an earlier state is the same statement with the state's last rows as bounds.

The rows of a policy question come as one JSON text: fetching a row hands the interpreter's lock to another
thread and back, which under load costs more than the row. JSON holds every column exactly but confidences and
blobs.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from memorykernel.adapters.rows import (
    CANDIDATE_COLUMNS,
    RECORD_COLUMNS_4,
    Row,
    decode_candidate,
    decode_claim,
)
from memorykernel.core.evidence import Candidate, PolicyEvidence, RecallEvidence, Snapshot, Supersession
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.scope_pattern import list_keys
from memorykernel.core.vocabulary import RecordType

_EXACT: Final = """r.record_type = 'constraint'
  AND r.actor IN (:actor, '*') AND r.action IN (:action, '*') AND r.resource IN (:resource, '*')"""
_OF_TYPES: Final = "r.record_type IN (SELECT value FROM json_each(:record_types))"
_KEYS: Final = """{field}_keys (key) AS MATERIALIZED (
  SELECT value FROM json_each(:{field}_keys)
  UNION SELECT '@' || group_name FROM memberships WHERE field = '{field}' AND member = :{field}
)"""
_FIELDS: Final = ("actor", "action", "resource")
_MEMBERS: Final = "\n  UNION ALL ".join(
    f"SELECT record_seq FROM memberships WHERE field = '{field}' AND member = :{field}"  # noqa: S608  # three names
    for field in _FIELDS
)
_PATTERN_HITS: Final = f"""
WITH {", ".join(_KEYS.format(field=field) for field in _FIELDS)},
hits (record_seq) AS MATERIALIZED (
  SELECT record_seq FROM constraint_scopes
  WHERE actor_key IN (SELECT key FROM actor_keys) AND action_key IN (SELECT key FROM action_keys)
    AND resource_key IN (SELECT key FROM resource_keys)
  UNION ALL {_MEMBERS}
)
"""  # noqa: S608  # assembled from the constants above
_TERM_HITS: Final = """
WITH hits AS MATERIALIZED (
  SELECT record_seq, count(*) AS matched FROM record_terms
  WHERE term IN (SELECT value FROM json_each(:terms)) GROUP BY record_seq
)
"""
_CHOSEN_HITS: Final = """
WITH hits AS MATERIALIZED (
  SELECT CAST(key AS INTEGER) AS record_seq, value AS matched FROM json_each(:chosen)
)
"""
_HITS: Final = "LEFT JOIN hits m"


_CLAIM: Final = ("h.head", "s.memory_version_id", "s.authority", "s.truth_status", "s.effective_at_us")
_CONFIDENCE: Final = "r.confidence"
_CONFIDENCE_AT: Final = len(_CLAIM) + 1 + CANDIDATE_COLUMNS.index("confidence")
_ID_AT: Final = len(_CLAIM) + 1
_CONFIDENCES: Final = """
SELECT memory_version_id, confidence FROM records
WHERE memory_version_id IN (SELECT value FROM json_each(?))
"""


def _assemble(
    records: str,
    *,
    hits: str = "",
    join: str = "",
    grown: bool,
    known: bool,
    matched: bool = False,
    as_json: bool = False,
) -> str:
    """Put a statement together from constants; values are always bound.

    Args:
        records: The condition on `records r`, with its index hint in front if it has one.
        hits: The common table that `join` joins.
        join: A join before that of the records.
        grown: The file has schema 4's columns.
        known: The question is about an earlier state.
        matched: Select the number of matched terms.
        as_json: Select all rows as one; see `_decode_rows`.
    """
    columns = [f"r.{each}" for each in (*CANDIDATE_COLUMNS, *(RECORD_COLUMNS_4 if grown else ()))]
    selected = [*_CLAIM, "m.matched" if matched else "NULL", *columns]
    if as_json:
        inexact = {"h.head": "hex(h.head)", _CONFIDENCE: f"{_CONFIDENCE} IS NOT NULL"}
        row = ", ".join(inexact.get(each, each) for each in selected)
        selected = [f"json_group_array(json_array({row}))"]
    head = ":entry_seq" if known else "(SELECT max(entry_seq) FROM memory_chain)"
    return f"""{hits}
SELECT {", ".join(selected)}
FROM memory_chain h
{join}
LEFT JOIN records r {records}{" AND r.record_seq <= :newest_record_seq" if known else ""}
LEFT JOIN links l ON l.to_version_id = r.memory_version_id AND l.relation = 'supersedes'
  {"AND l.link_seq <= :newest_link_seq" if known else ""}
LEFT JOIN records s ON s.memory_version_id = l.from_version_id
WHERE h.entry_seq = {head}
"""  # noqa: S608  # assembled from constants


def _both(
    records: str, *, hits: str = "", join: str = "", matched: bool = False, as_json: bool = False
) -> dict[tuple[bool, bool], str]:
    return {
        (grown, known): _assemble(
            records, hits=hits, join=join, grown=grown, known=known, matched=matched, as_json=as_json
        )
        for grown in (False, True)
        for known in (False, True)
    }


_BY_SCOPE: Final = f"INDEXED BY records_by_scope ON {_EXACT}"
_EXACT_SQL: Final = {
    (grown, known): _assemble(
        f"{_BY_SCOPE}{' AND r.matching IS NULL' if grown else ''}", grown=grown, known=known, as_json=True
    )
    for grown in (False, True)
    for known in (False, True)
}
_PATTERN_SQL: Final = _both("ON r.record_seq = m.record_seq", hits=_PATTERN_HITS, join=_HITS, as_json=True)
_TYPES_SQL: Final = _both(f"ON {_OF_TYPES}")
_TERMS_SQL: Final = _both(
    f"ON r.record_seq = m.record_seq AND {_OF_TYPES}", hits=_TERM_HITS, join=_HITS, matched=True
)
_CHOSEN_SQL: Final = _assemble(
    "ON r.record_seq = m.record_seq", hits=_CHOSEN_HITS, join=_HITS, grown=True, known=True, matched=True
)
POLICY_SQL: Final = _EXACT_SQL[True, False]
PATTERN_SQL: Final = _PATTERN_SQL[True, False]
RECALL_SQL: Final = _TERMS_SQL[True, False]

_ROWS: Final = msgspec.json.Decoder(list[list[Any]])

Bounds = dict[str, str | int]


def read_policy_rows(
    connection: sqlite3.Connection,
    question: PolicyQuestion,
    *,
    grown: bool,
    patterns: bool,
    known: Snapshot | None,
) -> list[Row]:
    """The rows of a policy question: one per candidate and claimant, at least one.

    One statement sees one state, so the connection need not be in a transaction; what a second one reads, the
    confidences of records that the first one found, never changes.
    """
    asked: Bounds = {"actor": question.actor, "action": question.action, "resource": question.resource}
    statements = _EXACT_SQL
    if patterns:
        statements = _PATTERN_SQL
        asked |= {f"{field}_keys": _encode_list(list_keys(str(asked[field]))) for field in _FIELDS}
    statement = statements[grown, known is not None]
    if patterns and "\0" in question.actor + question.action + question.resource:
        statement, asked = _bind_each_key(statement, asked, question)
    (encoded,) = connection.execute(statement, asked | _bound(known)).fetchone()
    return _decode_rows(connection, encoded)


def read_type_rows(
    connection: sqlite3.Connection,
    record_types: Collection[RecordType],
    *,
    grown: bool,
    known: Snapshot | None,
) -> list[Row]:
    """The rows of every record of the types."""
    asked: Bounds = {"record_types": _encode_list(record_types)}
    return connection.execute(_TYPES_SQL[grown, known is not None], asked | _bound(known)).fetchall()


def read_term_rows(
    connection: sqlite3.Connection,
    record_types: Collection[RecordType],
    terms: Collection[str],
    *,
    grown: bool,
    known: Snapshot | None,
) -> list[Row]:
    """The rows of the records of the types that have a term, with how many they have."""
    asked: Bounds = {"record_types": _encode_list(record_types), "terms": _encode_list(terms)}
    return connection.execute(_TERMS_SQL[grown, known is not None], asked | _bound(known)).fetchall()


def read_chosen_rows(connection: sqlite3.Connection, chosen: Mapping[int, int], known: Snapshot) -> list[Row]:
    """The rows of records by their numbers, each with what it was chosen for; needs schema 4's columns."""
    encoded = msgspec.json.encode(chosen).decode()
    return connection.execute(_CHOSEN_SQL, {"chosen": encoded} | _bound(known)).fetchall()


def decode_policy(rows: list[Row], version_index: bytes) -> PolicyEvidence:
    """Make evidence of `read_policy_rows`."""
    return PolicyEvidence(
        head=bytes(rows[0][0]).hex(),
        candidates=_decode_candidates(rows),
        supersessions=_decode_claims(rows),
        version_index=version_index,
    )


def decode_recall(rows: list[Row], version_index: bytes = b"") -> RecallEvidence:
    """Make evidence of `read_type_rows` or `read_term_rows`."""
    return RecallEvidence(
        head=bytes(rows[0][0]).hex(),
        candidates=_decode_candidates(rows),
        supersessions=_decode_claims(rows),
        matched={row[6]: row[5] for row in rows if row[6] is not None and row[5] is not None},
        version_index=version_index,
    )


class VersionIndex:
    """v1's list of every `memory_id:memory_version_id`, sorted and joined.

    The published snapshot id hashes all of them for every question: about 53 bytes a record. Reading
    and sorting them is what would hurt, so both are done once per new record; joining is done once per
    batch of new records. What remains per question is one SHA-256 over the whole. An earlier state is read
    anew: only replays ask for it.
    """

    def __init__(self) -> None:
        self._newest_seq = 0
        self._names: list[str] = []
        self._joined = b""

    def read(self, connection: sqlite3.Connection, known: Snapshot | None) -> bytes:
        """The index as of the state that the connection reads, or as of an earlier one."""
        if known is not None:
            rows = _read_names(connection, 0, known.newest_record_seq)
            return "".join(sorted(name for _, name in rows)).encode()
        rows = _read_names(connection, self._newest_seq, 2**63 - 1)
        if rows:
            self._names.extend(name for _, name in rows)
            # Two sorted runs, nearly: what this sort is fastest at.
            self._names.sort()
            self._joined = "".join(self._names).encode()
            self._newest_seq = max(seq for seq, _ in rows)
        return self._joined


def _read_names(connection: sqlite3.Connection, after: int, newest: int) -> list[tuple[int, str]]:
    return connection.execute(
        "SELECT record_seq, memory_id || ':' || memory_version_id FROM records"
        " WHERE record_seq > ? AND record_seq <= ?",
        (after, newest),
    ).fetchall()


def _bind_each_key(statement: str, asked: Bounds, question: PolicyQuestion) -> tuple[str, Bounds]:
    """Bind the keys one by one: SQLite ends a text that it reads out of JSON at a U+0000."""
    bound: Bounds = dict(asked)
    for field in _FIELDS:
        keys = {
            f"{field}_key_{number}": key for number, key in enumerate(list_keys(getattr(question, field)))
        }
        values = ", ".join(f"(:{name})" for name in keys)
        listed = f"SELECT value FROM json_each(:{field}_keys)"  # noqa: S608  # three names
        statement = statement.replace(listed, f"VALUES {values}")
        del bound[f"{field}_keys"]
        bound |= keys
    return statement, bound


def _decode_rows(connection: sqlite3.Connection, encoded: str) -> list[Row]:
    """Undo what `as_json` does."""
    try:
        rows: list[list[Any]] = _ROWS.decode(encoded)
    except msgspec.DecodeError as exc:
        raise sqlite3.DatabaseError(f"a record cannot be decoded: {exc}") from exc
    confident = {row[_ID_AT] for row in rows if row[_CONFIDENCE_AT]}
    exact: dict[str, float] = {}
    if confident:
        exact = dict(connection.execute(_CONFIDENCES, (_encode_list(confident),)).fetchall())
    for row in rows:
        row[0] = bytes.fromhex(row[0])
        row[_CONFIDENCE_AT] = exact.get(row[_ID_AT])
    return list(map(tuple, rows))


def _bound(known: Snapshot | None) -> Bounds:
    if known is None:
        return {}
    return {
        "entry_seq": known.entry_seq,
        "newest_record_seq": known.newest_record_seq,
        "newest_link_seq": known.newest_link_seq,
    }


def _encode_list(values: Iterable[str]) -> str:
    return msgspec.json.encode(tuple(values)).decode()


def _decode_candidates(rows: list[Row]) -> tuple[Candidate, ...]:
    distinct = {row[6]: row[6:] for row in rows if row[6] is not None}
    return tuple(map(decode_candidate, distinct.values()))


def _decode_claims(rows: list[Row]) -> tuple[Supersession, ...]:
    return tuple(decode_claim(row[6], row[1:5]) for row in rows if row[1] is not None)
