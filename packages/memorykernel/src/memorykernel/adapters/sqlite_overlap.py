"""Reading what a conflict check looks at in SQLite; see `ports.Nearby`.

Every statement enters one index at one place and reads on from there, so a bound on the rows that it gives is
a bound on its work (a test reads the plans). Constraints are in three indexes, whose orders of the fields are
rotations of each other: of a box with one open field one index holds nothing else in one piece.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable
from functools import cache
from typing import Final

import msgspec

from memorykernel.adapters.rows import (
    CANDIDATE_COLUMNS,
    RECORD_COLUMNS_4,
    decode_overlap,
    encode_standing,
)
from memorykernel.core.overlap import (
    Box,
    Groups,
    Meeting,
    Order,
    Overlap,
    Standing,
    Value,
    choose_order,
    is_inside,
)
from memorykernel.core.scope_pattern import measure_keys

KEYS: Final = ("actor_key", "action_key", "resource_key")

_CANDIDATE: Final = ", ".join(f"r.{each}" for each in (*CANDIDATE_COLUMNS, *RECORD_COLUMNS_4))
_RECORDS: Final = f"""
SELECT s.memory_version_id, s.authority, s.truth_status, s.effective_at_us, {_CANDIDATE}
FROM (
  SELECT records.* FROM json_each(:record_seqs) wanted JOIN records ON record_seq = wanted.value
  {{condition}} ORDER BY record_seq DESC LIMIT :limit
) r
LEFT JOIN links l ON l.to_version_id = r.memory_version_id AND l.relation = 'supersedes'
LEFT JOIN records s ON s.memory_version_id = l.from_version_id
"""  # noqa: S608  # column names
_OF_STANDING: Final = """WHERE effect = :effect AND authority = :authority AND truth_status = :truth_status
  AND coalesce(confidence, :neutral) = :confidence"""
_ANY: Final = _RECORDS.format(condition="")
_EQUAL: Final = _RECORDS.format(condition=_OF_STANDING)
GROUPS_SQL: Final = "SELECT DISTINCT group_name FROM memberships WHERE field = ? AND member = ? LIMIT ?"
MEMBERS_SQL: Final = """
SELECT record_seq FROM memberships WHERE field = ? AND group_name = ? AND member >= ? AND member <= ?
ORDER BY member LIMIT ?
"""
_SIZE: Final = """
SELECT count(*) FROM (SELECT 1 FROM memberships WHERE field = ? AND group_name = ? LIMIT ?)
"""
COMMON_SQL: Final = """
SELECT a.record_seq, b.record_seq FROM (
  SELECT field, member, record_seq FROM memberships WHERE field = ? AND group_name = ? ORDER BY member LIMIT ?
) a CROSS JOIN memberships b ON b.field = a.field AND b.member = a.member AND b.group_name = ? LIMIT ?
"""


class SqliteNearby:
    """What is near in one state.

    Args:
        connection: Inside a transaction.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def list_groups(self, values: Collection[Value], *, limit: int) -> tuple[Groups, bool]:
        """See `ports.Nearby`."""
        found = {
            (field, value): [
                name for (name,) in self._connection.execute(GROUPS_SQL, (field, value, limit + 1))
            ]
            for field, value in values
        }
        is_cut = any(len(each) > limit for each in found.values())
        return {value: names[:limit] for value, names in found.items()}, is_cut

    def find_rules(
        self, boxes: Iterable[Box], standing: Standing | None, *, max_keys: int, limit: int
    ) -> Overlap:
        """See `ports.Nearby`."""
        found: set[int] = set()
        left = max_keys
        for box in boxes:
            statement, values = find_keys(box)
            rows = self._connection.execute(statement, (*values, left + 1)).fetchall()
            found.update(
                row[3]
                for row in rows
                if is_inside(row[:3], box)
                and (standing is None or measure_keys(row[:3]) == standing.specificity)
            )
            # To look in vain is work too.
            left -= max(1, len(rows))
            if left < 0:
                break
        read = self._read_records(found, standing, limit)
        return msgspec.structs.replace(read, is_cut=read.is_cut or left < 0)

    def find_members(self, meetings: Iterable[Meeting], *, max_keys: int, limit: int) -> Overlap:
        """See `ports.Nearby`."""
        found: set[int] = set()
        is_cut = False
        for each in meetings:
            record_seqs, more = self._find_members(each, max_keys, limit)
            found.update(record_seqs)
            is_cut |= more
        return msgspec.structs.replace(self._read_records(found, None, len(found)), is_cut=is_cut)

    def _find_members(self, meeting: Meeting, max_keys: int, limit: int) -> tuple[list[int], bool]:
        field, group, members, other = meeting
        if other is None:
            rows = self._connection.execute(MEMBERS_SQL, (field, group, *members, limit + 1)).fetchall()
            return [record_seq for (record_seq,) in rows[:limit]], len(rows) > limit
        (mine,), (yours,) = (
            self._connection.execute(_SIZE, (field, each, max_keys + 1)).fetchone() for each in (group, other)
        )
        small, large = (group, other) if mine <= yours else (other, group)
        rows = self._connection.execute(COMMON_SQL, (field, small, max_keys, large, limit + 1)).fetchall()
        is_cut = len(rows) > limit or min(mine, yours) > max_keys
        return [record_seq for row in rows[:limit] for record_seq in row], is_cut

    def _read_records(self, record_seqs: Iterable[int], standing: Standing | None, limit: int) -> Overlap:
        asked = {"record_seqs": msgspec.json.encode(sorted(record_seqs)).decode(), "limit": limit + 1}
        if standing is None:
            return decode_overlap(self._connection.execute(_ANY, asked).fetchall(), limit)
        return decode_overlap(
            self._connection.execute(_EQUAL, asked | encode_standing(standing)).fetchall(), limit
        )


def find_keys(box: Box) -> tuple[str, list[str]]:
    """The statement, and its values but the limit, that lists the keys in a box, and perhaps some beside."""
    order, pinned = choose_order(box)
    values = [box[each].low for each in order[:pinned]]
    values += [key for each in order[pinned : pinned + 1] for key in box[each]]
    return _write_statement(order, pinned), values


@cache
def _write_statement(order: Order, pinned: int) -> str:
    names = [KEYS[each] for each in order]
    conditions = [f"{name} = ?" for name in names[:pinned]]
    if pinned < len(names):
        conditions.append(f"{names[pinned]} >= ? AND {names[pinned]} <= ?")
    newest = "record_seq DESC" if pinned == len(names) else ", ".join(names[pinned:])
    return (
        f"SELECT {', '.join(KEYS)}, record_seq FROM constraint_scopes"  # noqa: S608  # column names
        f" WHERE {' AND '.join(conditions)} ORDER BY {newest} LIMIT ?"
    )
