"""Reading what a conflict check looks at in PostgreSQL; see `ports.Nearby`.

As in `sqlite_overlap`, a bound on the rows is a bound on the work. All boxes that the same index finds in the
same way are one statement, which saves round trips.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from itertools import islice
from typing import Any, Final

import msgspec

from memorykernel.adapters.postgres_database import Reading
from memorykernel.adapters.postgres_evidence import CANDIDATE
from memorykernel.adapters.rows import decode_overlap, encode_standing
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
from memorykernel.core.vocabulary import Field

KEYS: Final = ("actor_key", "action_key", "resource_key")

_RECORDS: Final = f"""
SELECT s.memory_version_id, s.authority, s.truth_status, s.effective_at_us, {CANDIDATE}
FROM (
  SELECT * FROM records WHERE record_seq = ANY(%(record_seqs)s::bigint[])
  {{condition}} ORDER BY record_seq DESC LIMIT %(limit)s
) r
LEFT JOIN links l ON l.to_version_id = r.memory_version_id AND l.relation = 'supersedes'
LEFT JOIN records s ON s.memory_version_id = l.from_version_id
ORDER BY r.record_seq DESC
"""  # noqa: S608  # column names
_OF_STANDING: Final = """AND effect = %(effect)s AND authority = %(authority)s
  AND truth_status = %(truth_status)s AND coalesce(confidence, %(neutral)s) = %(confidence)s"""
_ANY: Final = _RECORDS.format(condition="")
_EQUAL: Final = _RECORDS.format(condition=_OF_STANDING)
GROUPS_SQL: Final = """
SELECT field, member, m.group_name FROM unnest(%(fields)s::text[], %(members)s::text[]) w (field, member)
CROSS JOIN LATERAL (
  SELECT group_name FROM memberships o WHERE o.field = w.field
  AND left(o.member, 200) = left(w.member, 200) AND o.member = w.member
  LIMIT %(limit)s
) m
"""
MEMBERS_SQL: Final = """
SELECT place, m.record_seq FROM unnest(
  %(fields)s::text[], %(groups)s::text[], %(lows)s::text[], %(highs)s::text[]
) WITH ORDINALITY w (field, group_name, low, high, place)
CROSS JOIN LATERAL (
  SELECT record_seq FROM memberships o WHERE o.field = w.field
  AND left(o.group_name, 200) = left(w.group_name, 200)
  AND o.group_name = w.group_name
  AND left(o.member, 200) BETWEEN left(w.low, 200) AND left(w.high, 200)
  AND o.member BETWEEN w.low AND w.high
  ORDER BY left(o.member, 200), record_seq LIMIT %(limit)s
) m
"""
_SIZE: Final = """
SELECT count(*) FROM (SELECT FROM memberships WHERE field = %s AND left(group_name, 200) = left(%s, 200)
  AND group_name = %s LIMIT %s) few
"""
COMMON_SQL: Final = """
SELECT a.record_seq, b.record_seq FROM (
  SELECT member, record_seq FROM memberships WHERE field = %(field)s
  AND left(group_name, 200) = left(%(small)s, 200) AND group_name = %(small)s
  ORDER BY left(member, 200), record_seq LIMIT %(max_keys)s
) a CROSS JOIN LATERAL (
  SELECT record_seq FROM memberships o WHERE o.field = %(field)s AND left(o.member, 200) = left(a.member, 200)
  AND left(o.group_name, 200) = left(%(large)s, 200) AND o.member = a.member AND o.group_name = %(large)s
) b LIMIT %(limit)s
"""


class PostgresNearby:
    """What is near in one state.

    Args:
        reading: The transaction.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading

    def list_groups(self, values: Collection[Value], *, limit: int) -> tuple[Groups, bool]:
        """See `ports.Nearby`."""
        found: defaultdict[Value, dict[str, None]] = defaultdict(dict)
        if values:
            fields, members = map(list, zip(*values, strict=True))
            asked = {"fields": fields, "members": members, "limit": limit + 1}
            for field, member, group in self._reading.read(GROUPS_SQL, asked):
                found[Field(field), member][group] = None
        is_cut = any(len(each) > limit for each in found.values())
        return {value: list(names)[:limit] for value, names in found.items()}, is_cut

    def find_rules(
        self, boxes: Iterable[Box], standing: Standing | None, *, max_keys: int, limit: int
    ) -> Overlap:
        """See `ports.Nearby`."""
        found: set[int] = set()
        first = list(islice(boxes, max_keys + 1))
        left = max_keys
        for statement, asked, together in _plan(first[:max_keys]):
            rows = self._reading.read(statement, asked | {"limit": left + 1})
            found.update(
                row[3]
                for row in rows
                if any(is_inside(row[:3], box) for box in together)
                and (standing is None or measure_keys(row[:3]) == standing.specificity)
            )
            left -= max(len(together), len(rows))
            if left < 0:
                break
        read = self._read_records(found, standing, limit)
        return msgspec.structs.replace(read, is_cut=read.is_cut or left < 0 or len(first) > max_keys)

    def find_members(self, meetings: Iterable[Meeting], *, max_keys: int, limit: int) -> Overlap:
        """See `ports.Nearby`."""
        asked = list(meetings)
        found, is_cut = self._find_in_ranges([each for each in asked if each.other_group is None], limit)
        for each in asked:
            if each.other_group is not None:
                record_seqs, more = self._find_common(each, each.other_group, max_keys, limit)
                found.update(record_seqs)
                is_cut |= more
        return msgspec.structs.replace(self._read_records(found, None, len(found)), is_cut=is_cut)

    def _find_in_ranges(self, meetings: Sequence[Meeting], limit: int) -> tuple[set[int], bool]:
        if not meetings:
            return set(), False
        asked = {
            "fields": [each.field.value for each in meetings],
            "groups": [each.group for each in meetings],
            "lows": [each.members.low for each in meetings],
            "highs": [each.members.high for each in meetings],
            "limit": limit + 1,
        }
        by_place: defaultdict[int, list[int]] = defaultdict(list)
        for place, record_seq in self._reading.read(MEMBERS_SQL, asked):
            by_place[place].append(record_seq)
        is_cut = any(len(each) > limit for each in by_place.values())
        return {record_seq for each in by_place.values() for record_seq in each[:limit]}, is_cut

    def _find_common(self, meeting: Meeting, other: str, max_keys: int, limit: int) -> tuple[list[int], bool]:
        field = meeting.field.value
        (mine,), (yours,) = (
            self._reading.read(_SIZE, (field, each, each, max_keys + 1))[0] for each in (meeting.group, other)
        )
        small, large = (meeting.group, other) if mine <= yours else (other, meeting.group)
        asked = {"field": field, "small": small, "large": large, "max_keys": max_keys, "limit": limit + 1}
        rows = self._reading.read(COMMON_SQL, asked)
        is_cut = len(rows) > limit or min(mine, yours) > max_keys
        return [record_seq for row in rows[:limit] for record_seq in row], is_cut

    def _read_records(self, record_seqs: Iterable[int], standing: Standing | None, limit: int) -> Overlap:
        asked: dict[str, Any] = {"record_seqs": list(record_seqs), "limit": limit + 1}
        if not asked["record_seqs"]:
            return decode_overlap([], limit)
        if standing is None:
            return decode_overlap(self._reading.read(_ANY, asked), limit)
        return decode_overlap(self._reading.read(_EQUAL, asked | encode_standing(standing)), limit)


def _plan(boxes: Sequence[Box]) -> list[tuple[str, dict[str, Any], list[Box]]]:
    """One statement for all boxes that are found in the same way."""
    ways: dict[tuple[Order, int], list[Box]] = {}
    for box in boxes:
        ways.setdefault(choose_order(box), []).append(box)
    return [
        (
            find_keys(order, pinned),
            {
                f"{end}{place}": [getattr(box[each], end) for box in together]
                for place, each in enumerate(order[: pinned + 1])
                for end in ("low", "high")
            },
            together,
        )
        for (order, pinned), together in ways.items()
    ]


@cache
def find_keys(order: Order, pinned: int) -> str:
    """The statement that lists the keys in boxes, and perhaps some beside them.

    Args:
        order: Of the fields. pinned: How many of them have one key in every box.
    """
    used = order[: pinned + 1]
    names = [f"{end}{place}" for place in range(len(used)) for end in ("low", "high")]
    conditions = [_write_condition(KEYS[each], place, place < pinned) for place, each in enumerate(used)]
    newest = (
        "record_seq DESC"
        if pinned == len(order)
        else ", ".join(f"left({KEYS[each]}, 200)" for each in order[pinned:])
    )
    return f"""
SELECT found.* FROM unnest({", ".join(f"%({name})s::text[]" for name in names)}) box ({", ".join(names)})
CROSS JOIN LATERAL (
  SELECT {", ".join(KEYS)}, record_seq FROM constraint_scopes
  WHERE {" AND ".join(conditions)} ORDER BY {newest} LIMIT %(limit)s
) found LIMIT %(limit)s
"""  # noqa: S608  # column names


def _write_condition(name: str, place: int, is_one: bool) -> str:
    low, high = f"box.low{place}", f"box.high{place}"
    if is_one:
        return f"left({name}, 200) = left({low}, 200) AND {name} = {low}"
    within = f"left({name}, 200) BETWEEN left({low}, 200) AND left({high}, 200)"
    return f"{within} AND {name} BETWEEN {low} AND {high}"
