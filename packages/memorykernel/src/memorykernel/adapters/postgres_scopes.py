"""The keys of patterns and the memberships by member in PostgreSQL; derived data, see `sqlite_scopes`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from memorykernel.adapters.postgres_chain import SCOPE_SCHEMA
from memorykernel.adapters.postgres_database import Reading, Writing
from memorykernel.adapters.rows import decode_scope
from memorykernel.core.record import ConstraintContent, Content, MembershipContent, Scope
from memorykernel.core.scope_pattern import encode_pattern

_INSERT_SCOPE: Final = "INSERT INTO constraint_scopes VALUES (%s, %s, %s, %s)"
_INSERT_MEMBER: Final = "INSERT INTO memberships VALUES (%s, %s, %s, %s)"
_SCOPES: Final = """
SELECT r.record_seq, r.actor, r.action, r.resource, r.matching, s.actor_key, s.action_key, s.resource_key
FROM records r LEFT JOIN constraint_scopes s USING (record_seq) WHERE r.record_type = 'constraint'
"""
_SUPERFLUOUS: Final = """
SELECT record_seq FROM {table} WHERE record_seq NOT IN (
  SELECT record_seq FROM records WHERE record_type = '{type}')
UNION ALL SELECT record_seq FROM {table} GROUP BY record_seq HAVING count(*) > 1
"""
_MISPLACED: Final = """
SELECT r.record_seq FROM records r LEFT JOIN memberships m USING (record_seq)
WHERE r.record_type = 'membership'
AND (m.field, m.member, m.group_name) IS DISTINCT FROM (r.field, r.member, r.group_name)
"""


def index_scope(writing: Writing, record_seq: int, content: Content, schema: int) -> None:
    """Index one record, if it is a constraint or a membership."""
    if isinstance(content, ConstraintContent):
        writing.put(_INSERT_SCOPE, (*_encode_keys(content.scope), record_seq))
    elif isinstance(content, MembershipContent) and schema >= SCOPE_SCHEMA:
        member = (content.field.value, content.member, content.group, record_seq)
        writing.put(_INSERT_MEMBER, member)


def find_misplaced(reading: Reading, schema: int) -> Iterator[int]:
    """The records whose keys in the tables are not those of their content."""
    for record_seq, actor, action, resource, matching, *keys in reading.stream(_SCOPES):
        if tuple(keys) != _encode_keys(decode_scope(actor, action, resource, matching)):
            yield record_seq
    statements = [_SUPERFLUOUS.format(table="constraint_scopes", type="constraint")]
    if schema >= SCOPE_SCHEMA:
        statements += [_MISPLACED, _SUPERFLUOUS.format(table="memberships", type="membership")]
    for statement in statements:
        yield from (record_seq for (record_seq,) in reading.read(statement))


def _encode_keys(scope: Scope) -> tuple[str, ...]:
    return tuple(encode_pattern(value, match) for _, value, match in scope.patterns())
