"""Finding constraints by the keys of their patterns, and memberships by their member.

Derived data: everything in both tables follows from the records. A record and its keys are written in one
transaction, by every release that finds the tables in the file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from memorykernel.adapters.rows import decode_scope
from memorykernel.core.record import ConstraintContent, Content, MembershipContent, Scope
from memorykernel.core.scope_pattern import encode_pattern

# Neither table is sorted by its record; a materialized copy gets an index of its own for the join.
_SCOPES: Final = """
WITH s AS MATERIALIZED (SELECT * FROM constraint_scopes)
SELECT r.record_seq, r.actor, r.action, r.resource, r.matching, s.actor_key, s.action_key, s.resource_key
FROM records r LEFT JOIN s USING (record_seq) WHERE r.record_type = 'constraint'
"""
_SUPERFLUOUS: Final = """
SELECT record_seq FROM constraint_scopes WHERE record_seq NOT IN (SELECT record_seq FROM records)
UNION SELECT record_seq FROM memberships WHERE record_seq NOT IN (SELECT record_seq FROM records)
"""
_MISPLACED: Final = """
WITH m AS MATERIALIZED (SELECT * FROM memberships)
SELECT r.record_seq FROM records r LEFT JOIN m USING (record_seq)
WHERE r.record_type = 'membership'
AND (m.field, m.member, m.group_name) IS NOT (r.field, r.member, r.group_name)
"""


def index_scope(connection: sqlite3.Connection, record_seq: int, content: Content) -> None:
    """Index one record, if it is a constraint or a membership."""
    if isinstance(content, ConstraintContent):
        row = (*_encode_keys(content.scope), record_seq)
        connection.execute("INSERT INTO constraint_scopes VALUES (?, ?, ?, ?)", row)
    elif isinstance(content, MembershipContent):
        member = (content.field.value, content.member, content.group, record_seq)
        connection.execute("INSERT INTO memberships VALUES (?, ?, ?, ?)", member)


def find_misplaced(connection: sqlite3.Connection) -> Iterator[int]:
    """The records whose keys in the tables are not those of their content."""
    for record_seq, actor, action, resource, matching, *keys in connection.execute(_SCOPES):
        if tuple(keys) != _encode_keys(decode_scope(actor, action, resource, matching)):
            yield record_seq
    for statement in (_MISPLACED, _SUPERFLUOUS):
        yield from (record_seq for (record_seq,) in connection.execute(statement))


def _encode_keys(scope: Scope) -> tuple[str, ...]:
    return tuple(encode_pattern(value, match) for _, value, match in scope.patterns())
