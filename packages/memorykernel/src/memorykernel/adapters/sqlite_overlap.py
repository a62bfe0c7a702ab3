"""Reading the constraints that can match a question which a given scope matches too.

In a field that the scope leaves open (`*`) every constraint overlaps. In another one the keys of those that
do are few, and are listed: `*`, the value or what begins with it, the prefixes of it, and the groups that one
of its members or values belongs to.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

import msgspec

from memorykernel.adapters.rows import (
    CANDIDATE_COLUMNS,
    RECORD_COLUMNS_4,
    Row,
    decode_candidate,
    decode_claim,
)
from memorykernel.core.evidence import Candidate, PolicyEvidence
from memorykernel.core.record import ConstraintContent, Scope
from memorykernel.core.scope_pattern import list_keys
from memorykernel.core.vocabulary import WILDCARD, Effect, Field, Match

_CANDIDATE: Final = ", ".join(f"r.{each}" for each in (*CANDIDATE_COLUMNS, *RECORD_COLUMNS_4))
_HEAD: Final = "SELECT head FROM memory_chain ORDER BY entry_seq DESC LIMIT 1"
_RECORDS: Final = f"""
SELECT s.memory_version_id, s.authority, s.truth_status, s.effective_at_us, {_CANDIDATE}
FROM json_each(?) wanted JOIN records r ON r.record_seq = wanted.value
LEFT JOIN links l ON l.to_version_id = r.memory_version_id AND l.relation = 'supersedes'
LEFT JOIN records s ON s.memory_version_id = l.from_version_id
"""  # noqa: S608  # column names
_NEWEST: Final = """
SELECT r.record_seq FROM records r
WHERE r.record_type = 'constraint' AND r.effect IN (SELECT value FROM json_each(?))
ORDER BY r.record_seq DESC LIMIT ?
"""
_AMONG: Final = """
SELECT r.record_seq FROM constraint_scopes c JOIN records r ON r.record_seq = c.record_seq
WHERE {conditions} AND r.effect IN (SELECT value FROM json_each(?)) ORDER BY r.record_seq DESC LIMIT ?
"""
_VALUES_BELOW: Final = (
    "SELECT DISTINCT {field}_key FROM constraint_scopes WHERE {field}_key >= ? AND {field}_key < ?"
)
_GROUPS_OF: Final = "SELECT DISTINCT group_name FROM memberships WHERE field = ? AND member = ?"
_GROUPS_BELOW: Final = (
    "SELECT DISTINCT group_name FROM memberships WHERE field = ? AND member >= ? AND member < ?"
)
_MEMBERS: Final = "SELECT DISTINCT member FROM memberships WHERE field = ? AND group_name = ?"
_MEMBERSHIPS: Final = """
SELECT record_seq FROM memberships WHERE field = ? AND group_name IN (SELECT value FROM json_each(?))
"""


def read_overlapping(
    connection: sqlite3.Connection, scope: Scope, effect: Effect | None, limit: int
) -> PolicyEvidence:
    """See `ports.WriteTransaction`."""
    head = bytes(connection.execute(_HEAD).fetchone()[0]).hex()
    rows = _read_records(connection, _find_constraints(connection, scope, effect, limit))
    constraints = _decode(rows)
    members = _read_records(connection, _find_memberships(connection, scope, constraints))
    claims = tuple(decode_claim(row[4], row[:4]) for row in (*rows, *members) if row[0] is not None)
    return PolicyEvidence(head=head, candidates=(*constraints, *_decode(members)), supersessions=claims)


def _find_constraints(
    connection: sqlite3.Connection, scope: Scope, effect: Effect | None, limit: int
) -> list[int]:
    conditions, values = [], []
    for field, value, match in scope.patterns():
        if match is not Match.EXACT or value != WILDCARD:
            conditions.append(f"c.{field}_key IN (SELECT value FROM json_each(?))")  # noqa: S608  # three names
            values.append(_encode(_list_overlapping_keys(connection, field, value, match)))
    statement = _AMONG.format(conditions=" AND ".join(conditions)) if conditions else _NEWEST
    effects = _encode(Effect if effect is None else (effect,))
    return [seq for (seq,) in connection.execute(statement, (*values, effects, limit))]


def _list_overlapping_keys(
    connection: sqlite3.Connection, field: Field, value: str, match: Match
) -> set[str]:
    if match is Match.EXACT:
        return set(list_keys(value, _read(connection, _GROUPS_OF, field.value, value)))
    if match is Match.GROUP:
        members = _read(connection, _MEMBERS, field.value, value)
        keys = {f"@{value}", *list_keys(WILDCARD)}
        for member in members:
            keys.update(list_keys(member, _read(connection, _GROUPS_OF, field.value, member)))
        return keys
    # A prefix ends with an ASCII character, and so has a next text that begins with none of its values.
    beyond = value[:-1] + chr(ord(value[-1]) + 1)
    below = _VALUES_BELOW.format(field=field)
    return {
        *list_keys(value),
        *_read(connection, below, f"={value}", f"={beyond}"),
        *_read(connection, below, f"^{value}", f"^{beyond}"),
        *(f"@{group}" for group in _read(connection, _GROUPS_BELOW, field.value, value, beyond)),
    }


def _find_memberships(
    connection: sqlite3.Connection, scope: Scope, constraints: Iterable[Candidate]
) -> list[int]:
    scopes = [
        scope,
        *(each.content.scope for each in constraints if isinstance(each.content, ConstraintContent)),
    ]
    groups: dict[Field, set[str]] = {field: set() for field in Field}
    for each in scopes:
        for field, value, match in each.patterns():
            if match is Match.GROUP:
                groups[field].add(value)
    found = [
        seq
        for field, names in groups.items()
        if names
        for (seq,) in connection.execute(_MEMBERSHIPS, (field.value, _encode(names)))
    ]
    return sorted(found)


def _read_records(connection: sqlite3.Connection, record_seqs: list[int]) -> list[Row]:
    return connection.execute(_RECORDS, (msgspec.json.encode(record_seqs).decode(),)).fetchall()


def _decode(rows: list[Row]) -> tuple[Candidate, ...]:
    distinct = {row[4]: row[4:] for row in rows}
    return tuple(map(decode_candidate, distinct.values()))


def _read(connection: sqlite3.Connection, statement: str, *values: str) -> list[str]:
    return [value for (value,) in connection.execute(statement, values)]


def _encode(values: Iterable[str]) -> str:
    return msgspec.json.encode(sorted(values)).decode()
