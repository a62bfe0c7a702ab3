"""Reading evidence in PostgreSQL: one statement a question, so one round trip and one state.

The rows are SQLite's (see `sqlite_evidence`): a head, a claimant, the number of matched terms, a candidate.
Every table is entered by an index (a test reads the plans). A constraint is found by the keys of its
patterns; a question that compares exactly has two keys a field. An earlier state is the same statement
with the state's last rows as bounds; a replica that lacks the state gives another head than the state's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from memorykernel.adapters.rows import CANDIDATE_COLUMNS, RECORD_COLUMNS_4
from memorykernel.core.evidence import Snapshot
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.scope_pattern import ANY_KEY, list_keys
from memorykernel.core.vocabulary import RecordType

_FIELDS: Final = ("actor", "action", "resource")
_ALL: Final = 2**63 - 1

CANDIDATE: Final = ", ".join(f"r.{each}" for each in (*CANDIDATE_COLUMNS, *RECORD_COLUMNS_4))
_EVIDENCE: Final = """
SELECT (SELECT head FROM memory_chain WHERE entry_seq <= %(newest_entry)s ORDER BY entry_seq DESC LIMIT 1),
  s.memory_version_id, s.authority, s.truth_status, s.effective_at_us, r.matched, {columns}
FROM (VALUES (1)) one (row)
LEFT JOIN (
  SELECT records.*, {matched} AS matched FROM {found}
) r ON true
LEFT JOIN links l ON l.to_version_id = r.memory_version_id AND l.relation = 'supersedes'
  AND l.link_seq <= %(newest_link)s
LEFT JOIN records s ON s.memory_version_id = l.from_version_id
"""
_CUT: Final = "ARRAY(SELECT left(key, 200) FROM unnest({keys}) key)"


def among(column: str, keys: str) -> str:
    """The condition that a column of free text is one of some keys, by the index over its beginning."""
    return f"left({column}, 200) = ANY({_CUT.format(keys=keys)}) AND {column} = ANY({keys})"


def _evidence(found: str, matched: str = "NULL::bigint") -> str:
    return _EVIDENCE.format(found=found, matched=matched, columns=CANDIDATE)


def _scopes(keys: str) -> str:
    conditions = " AND ".join(among(f"{field}_key", keys.format(field=field)) for field in _FIELDS)
    return f"SELECT record_seq FROM constraint_scopes WHERE {conditions}"  # noqa: S608  # constants


_MEMBERS: Final = " UNION ALL ".join(
    f"SELECT field, group_name, record_seq FROM memberships WHERE field = '{field}'"  # noqa: S608  # three names
    f" AND left(member, 200) = left(%({field})s, 200) AND member = %({field})s"
    for field in _FIELDS
)
_GROUP_KEYS: Final = "ARRAY(SELECT '@' || group_name FROM groups WHERE field = '{field}')"
_FIELD_KEYS: Final = ", ".join(
    f"%({field}_keys)s::text[] || {_GROUP_KEYS.format(field=field)} AS {field}" for field in _FIELDS
)
_BOUND: Final = "record_seq <= %(newest_record)s"

EXACT_SQL: Final = _evidence(
    f"({_scopes('%({field}_keys)s::text[]')} AND {_BOUND}) f JOIN records USING (record_seq)"
)
PATTERN_SQL: Final = f"""
WITH groups AS MATERIALIZED (SELECT * FROM ({_MEMBERS}) m WHERE {_BOUND}),
keys AS MATERIALIZED (SELECT {_FIELD_KEYS}),
hits AS MATERIALIZED (
  {_scopes("(SELECT {field} FROM keys)::text[]")} AND {_BOUND}
  UNION ALL SELECT record_seq FROM groups
)
{_evidence("hits JOIN records USING (record_seq)")}"""  # noqa: S608  # constants
TYPES_SQL: Final = _evidence(f"records WHERE record_type = ANY(%(types)s::text[]) AND {_BOUND}")
TERMS_SQL: Final = f"""
WITH hits AS MATERIALIZED (
  SELECT record_seq, count(*) AS matched FROM record_terms
  WHERE {among("term", "%(terms)s::text[]")} AND {_BOUND} GROUP BY record_seq
)
{
    _evidence(
        "hits JOIN records USING (record_seq) WHERE record_type = ANY(%(types)s::text[])", "hits.matched"
    )
}"""  # noqa: S608  # constants

Asked = dict[str, Any]


def ask_policy(question: PolicyQuestion, *, patterns: bool, known: Snapshot | None) -> tuple[str, Asked]:
    """The statement and parameters of a policy question."""
    values = {"actor": question.actor, "action": question.action, "resource": question.resource}
    if patterns:
        keys = {f"{field}_keys": list(list_keys(value)) for field, value in values.items()}
        return PATTERN_SQL, {**values, **keys, **_bound(known)}
    exact = {f"{field}_keys": [ANY_KEY, f"={value}"] for field, value in values.items()}
    return EXACT_SQL, {**exact, **_bound(known)}


def ask_terms(
    record_types: Collection[RecordType], terms: Collection[str], known: Snapshot | None
) -> tuple[str, Asked]:
    """The statement and parameters for the records of the types that have a term."""
    return TERMS_SQL, {"types": _names(record_types), "terms": list(terms), **_bound(known)}


def ask_types(record_types: Collection[RecordType], known: Snapshot | None) -> tuple[str, Asked]:
    """The statement and parameters for every record of the types."""
    return TYPES_SQL, {"types": _names(record_types), **_bound(known)}


def _names(record_types: Collection[RecordType]) -> list[str]:
    return [each.value for each in record_types]


def _bound(known: Snapshot | None) -> Asked:
    if known is None:
        return {"newest_entry": _ALL, "newest_record": _ALL, "newest_link": _ALL}
    return {
        "newest_entry": known.entry_seq,
        "newest_record": known.newest_record_seq,
        "newest_link": known.newest_link_seq,
    }
