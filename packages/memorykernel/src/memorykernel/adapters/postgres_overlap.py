"""Reading the constraints in PostgreSQL that can match a question which a given scope matches too.

The way is SQLite's (see `sqlite_overlap`): the keys that overlap with each field of the scope are few and are
listed, then the constraints that have one of them in every field are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from memorykernel.adapters.postgres_database import Reading
from memorykernel.adapters.postgres_evidence import CANDIDATE, among
from memorykernel.adapters.postgres_line import Row
from memorykernel.adapters.rows import decode_candidate, decode_claim
from memorykernel.core.evidence import Candidate, PolicyEvidence
from memorykernel.core.record import ConstraintContent, Scope
from memorykernel.core.scope_pattern import list_keys
from memorykernel.core.vocabulary import WILDCARD, Effect, Field, Match

_HEAD: Final = "SELECT head FROM memory_chain ORDER BY entry_seq DESC LIMIT 1"
_RECORDS: Final = f"""
SELECT s.memory_version_id, s.authority, s.truth_status, s.effective_at_us, {CANDIDATE}
FROM unnest(%s::bigint[]) WITH ORDINALITY wanted (record_seq, place)
JOIN records r ON r.record_seq = wanted.record_seq
LEFT JOIN links l ON l.to_version_id = r.memory_version_id AND l.relation = 'supersedes'
LEFT JOIN records s ON s.memory_version_id = l.from_version_id
ORDER BY place
"""  # noqa: S608  # column names
_NEWEST: Final = """
SELECT record_seq FROM records WHERE record_type = 'constraint' AND effect = ANY(%(effects)s::text[])
ORDER BY record_seq DESC LIMIT %(limit)s
"""
_AMONG: Final = """
SELECT record_seq FROM constraint_scopes JOIN records USING (record_seq)
WHERE {conditions} AND effect = ANY(%(effects)s::text[]) ORDER BY record_seq DESC LIMIT %(limit)s
"""
_WITHIN: Final = (
    "left({column}, 200) BETWEEN left(%({low})s, 200) AND left(%({high})s, 200)"
    " AND {column} >= %({low})s AND {column} < %({high})s"
)
_IS: Final = "left({column}, 200) = left(%(value)s, 200) AND {column} = %(value)s"
_GROUPS_OF: Final = f"""
SELECT DISTINCT '@' || group_name FROM memberships
WHERE field = %(field)s AND {_IS.format(column="member")}
"""  # noqa: S608  # column names
_BESIDE: Final = f"""
SELECT DISTINCT m.member, '@' || o.group_name FROM memberships m
JOIN memberships o ON o.field = m.field AND left(o.member, 200) = left(m.member, 200) AND o.member = m.member
WHERE m.field = %(field)s AND {_IS.format(column="m.group_name")}
"""  # noqa: S608  # column names
_BELOW: Final = f"""
SELECT DISTINCT {{field}}_key FROM constraint_scopes
WHERE {_WITHIN.format(column="{field}_key", low="exact", high="exact_end")}
UNION SELECT DISTINCT {{field}}_key FROM constraint_scopes
WHERE {_WITHIN.format(column="{field}_key", low="prefix", high="prefix_end")}
UNION SELECT '@' || group_name FROM memberships
WHERE field = %(field)s AND {_WITHIN.format(column="member", low="value", high="value_end")}
"""  # noqa: S608  # column names
_MEMBERSHIPS: Final = f"""
SELECT record_seq FROM memberships
JOIN unnest(%s::text[], %s::text[]) wanted (field, group_name) USING (field, group_name)
WHERE {among("group_name", "%s::text[]")} ORDER BY record_seq
"""  # noqa: S608  # column names


def read_overlapping(reading: Reading, scope: Scope, effect: Effect | None, limit: int) -> PolicyEvidence:
    """See `ports.WriteTransaction`."""
    head = bytes(reading.read(_HEAD)[0][0]).hex()
    rows = reading.read(_RECORDS, (_find_constraints(reading, scope, effect, limit),))
    constraints = _decode(rows)
    members = reading.read(_RECORDS, (_find_memberships(reading, scope, constraints),))
    claims = tuple(decode_claim(row[4], row[:4]) for row in (*rows, *members) if row[0] is not None)
    return PolicyEvidence(head=head, candidates=(*constraints, *_decode(members)), supersessions=claims)


def _find_constraints(reading: Reading, scope: Scope, effect: Effect | None, limit: int) -> list[int]:
    effects = [each.value for each in (Effect if effect is None else (effect,))]
    asked: dict[str, Any] = {"effects": effects, "limit": limit}
    conditions = []
    for field, value, match in scope.patterns():
        if match is not Match.EXACT or value != WILDCARD:
            conditions.append(among(f"{field}_key", f"%({field})s::text[]"))
            asked[field.value] = sorted(_list_overlapping_keys(reading, field, value, match))
    statement = _AMONG.format(conditions=" AND ".join(conditions)) if conditions else _NEWEST
    return [record_seq for (record_seq,) in reading.read(statement, asked)]


def _list_overlapping_keys(reading: Reading, field: Field, value: str, match: Match) -> set[str]:
    asked = {"field": field.value, "value": value}
    if match is Match.EXACT:
        return {*list_keys(value), *(key for (key,) in reading.read(_GROUPS_OF, asked))}
    if match is Match.GROUP:
        keys = {f"@{value}", *list_keys(WILDCARD)}
        for member, group_key in reading.read(_BESIDE, asked):
            keys.update((group_key, *list_keys(member)))
        return keys
    # A prefix ends with an ASCII character, and so has a next text that begins with none of its values.
    beyond = value[:-1] + chr(ord(value[-1]) + 1)
    asked |= {"value_end": beyond, "exact": f"={value}", "exact_end": f"={beyond}"}
    asked |= {"prefix": f"^{value}", "prefix_end": f"^{beyond}"}
    return {*list_keys(value), *(key for (key,) in reading.read(_BELOW.format(field=field), asked))}


def _find_memberships(reading: Reading, scope: Scope, constraints: Iterable[Candidate]) -> list[int]:
    scopes = [
        scope,
        *(each.content.scope for each in constraints if isinstance(each.content, ConstraintContent)),
    ]
    named = sorted(
        {
            (field.value, value)
            for each in scopes
            for field, value, match in each.patterns()
            if match is Match.GROUP
        }
    )
    if not named:
        return []
    fields, groups = map(list, zip(*named, strict=True))
    return [record_seq for (record_seq,) in reading.read(_MEMBERSHIPS, (fields, groups, groups, groups))]


def _decode(rows: list[Row]) -> tuple[Candidate, ...]:
    distinct = {row[4]: row[4:] for row in rows}
    return tuple(map(decode_candidate, distinct.values()))
