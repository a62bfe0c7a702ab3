"""The lists of recall-ordering.v3 in SQLite: which record has which word, the best ones first.

Derived data, as `sqlite_terms`: everything in it follows from the records, and is written in their
transaction.

A search is one statement. It enters every list by its key and leaves it when it has what `core.recall_search`
lets it take, so its work does not depend on how long the lists are (a test reads the plan). A question about
an earlier state passes over the entries that were written since, as far as they stand in front.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from memorykernel.adapters.rows import PLACE_COLUMNS, Row, decode_claim, place_row
from memorykernel.adapters.sqlite_terms import TEXTS
from memorykernel.core.evidence import UNREAD, Candidate, RecallEvidence, Snapshot, WordCount
from memorykernel.core.posting import TIERS, Posting, find_slots, first_in_effect, index_word
from memorykernel.core.recall_search import RecallSearch
from memorykernel.core.terms import unicode_terms
from memorykernel.core.vocabulary import Authority, RecordType, TruthStatus

POSTINGS: Final = """
CREATE TABLE postings (
  word TEXT NOT NULL,
  slot INTEGER NOT NULL,
  rank BLOB NOT NULL,
  record_seq INTEGER NOT NULL REFERENCES records (record_seq),
  PRIMARY KEY (word, slot, rank, record_seq)
) STRICT, WITHOUT ROWID;
"""
_HELD: Final = "SELECT word, slot, rank, record_seq FROM postings"
_INSERT: Final = "INSERT INTO postings VALUES (?, ?, ?, ?)"
_PLACES: Final = f"SELECT record_seq, {', '.join(PLACE_COLUMNS)} FROM records ORDER BY record_seq"  # noqa: S608  # column names

_NO_SLOT: Final = -TIERS
"""Where the list of a type begins that is not asked for; none of its slots holds anything."""

_STATE: Final = "record_seq <= :newest_record"
_LIST: Final = " UNION ALL ".join(
    f"SELECT rank FROM postings WHERE word = {{word}} AND slot = :slots_{kind} + {{tier}}"  # noqa: S608  # names
    f" AND rank >= :in_effect AND {_STATE}"
    for kind in range(len(RecordType))
)
SEEN_COLUMNS: Final = (
    *("memory_version_id", "memory_id", "record_type", "version", "truth_status", "authority"),
    *("confidence", "created_at_us", "effective_at_us", "expires_at_us"),
)
SEARCH_SQL: Final = f"""
WITH kinds (slots) AS MATERIALIZED (SELECT value FROM json_each(:kinds)),
words (word, held) AS MATERIALIZED (
  SELECT w.value, (SELECT count(*) FROM (
    SELECT 1 FROM kinds k CROSS JOIN postings p
    WHERE p.word = w.value AND p.slot BETWEEN k.slots AND k.slots + {TIERS - 1} AND p.{_STATE}
    LIMIT :max_read + 1))
  FROM json_each(:words) w
),
queue (word, held, room) AS MATERIALIZED (
  SELECT word, held, :max_read - coalesce(sum(held) OVER (
    ORDER BY held, word ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
  FROM words WHERE held > 0
),
cut (word, room) AS MATERIALIZED (SELECT word, room FROM queue WHERE room > 0 AND held > room),
tiers (word, tier, held) AS MATERIALIZED (
  SELECT c.word, t.value, (SELECT count(*) FROM (
    SELECT 1 FROM ({_LIST.format(word="c.word", tier="t.value")}) LIMIT :max_read))
  FROM cut c CROSS JOIN json_each('[{", ".join(map(str, range(TIERS)))}]') t
),
starts (word, tier, before) AS MATERIALIZED (
  SELECT word, tier, coalesce(sum(held) OVER (
    ORDER BY tier ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
  FROM tiers
),
ends (word, tier, last) AS MATERIALIZED (
  SELECT s.word, s.tier, (
    SELECT rank FROM ({_LIST.format(word="s.word", tier="s.tier")})
    ORDER BY rank LIMIT 1 OFFSET (SELECT room FROM cut) - 1)
  FROM starts s WHERE s.before < (SELECT room FROM cut)
),
best (slot, rank, record_seq) AS MATERIALIZED (
  SELECT p.slot, p.rank, p.record_seq FROM ends e CROSS JOIN kinds k CROSS JOIN postings p
    ON p.word = e.word AND p.slot = k.slots + e.tier AND p.{_STATE}
    AND p.rank >= :in_effect AND p.rank <= coalesce(e.last, x'ff')
  ORDER BY e.tier, p.rank, p.record_seq LIMIT coalesce((SELECT room FROM cut), 0)
),
pool (slot, rank, record_seq) AS MATERIALIZED (
  SELECT slot, rank, record_seq FROM best
  UNION
  SELECT p.slot, p.rank, p.record_seq FROM queue q CROSS JOIN kinds k CROSS JOIN postings p
    ON p.word = q.word AND p.slot BETWEEN k.slots AND k.slots + {TIERS - 1} AND p.{_STATE}
  WHERE q.held <= q.room
),
ranked (record_seq, matched, standing, rank) AS MATERIALIZED (
  SELECT p.record_seq, (
    SELECT count(*) FROM queue q CROSS JOIN postings o
    WHERE o.word = q.word AND o.slot = p.slot AND o.rank = p.rank AND o.record_seq = p.record_seq),
    substr(p.rank, 17), substr(p.rank, 1, 16)
  FROM pool p
),
seen (record_seq, matched) AS MATERIALIZED (
  SELECT record_seq, matched FROM ranked
  WHERE (-matched, standing, rank) > (:matched, :standing, :rank)
  ORDER BY matched DESC, standing, rank, record_seq LIMIT :max_seen + 1
)
SELECT h.head, (SELECT json_group_array(json_array(word, held)) FROM words),
  c.memory_version_id, c.authority, c.truth_status, c.effective_at_us, s.matched,
  {", ".join(f"r.{each}" for each in SEEN_COLUMNS)}
FROM memory_chain h
LEFT JOIN seen s
LEFT JOIN records r ON r.record_seq = s.record_seq
LEFT JOIN links l ON l.to_version_id = r.memory_version_id AND l.relation = 'supersedes'
  AND l.link_seq <= :newest_link
LEFT JOIN records c ON c.memory_version_id = l.from_version_id
WHERE h.entry_seq = coalesce(:entry_seq, (SELECT max(entry_seq) FROM memory_chain))
"""  # noqa: S608  # assembled from the constants above

_ALL: Final = 2**63 - 1
_BEFORE_ALL: Final = (-(2**62), b"")
_STANDING_BYTES: Final = 3
_COUNTS: Final = msgspec.json.Decoder(list[tuple[str, int]])

_RECORD_TYPE: Final = {each.value: each for each in RecordType}
_TRUTH_STATUS: Final = {each.value: each for each in TruthStatus}
_AUTHORITY: Final = {each.value: each for each in Authority}


def create_postings(connection: sqlite3.Connection) -> None:
    """Create the lists, and fill them with the records that are there."""
    connection.execute(POSTINGS)
    texts = connection.execute(f"{TEXTS} ORDER BY record_seq")
    for (record_seq, *columns), (_, text) in zip(connection.execute(_PLACES), texts, strict=True):
        index_posting(connection, record_seq, text, place_row(tuple(columns)))


def index_posting(connection: sqlite3.Connection, record_seq: int, text: str, posting: Posting) -> None:
    """Put one record into the lists of its words."""
    connection.executemany(_INSERT, list_postings(record_seq, unicode_terms(text), posting))


def list_postings(record_seq: int, words: Iterable[str], posting: Posting) -> list[Row]:
    """A record's entries in the lists of its words."""
    return [(index_word(word), posting.slot, posting.rank, record_seq) for word in words]


def find_misposted(connection: sqlite3.Connection) -> Iterator[int]:
    """The records that stand in other lists, or at other places, than they should; needs readable text."""
    held = sum_postings(connection.execute(_HELD))
    texts = connection.execute(f"{TEXTS} ORDER BY record_seq")
    for (record_seq, *columns), (_, text) in zip(connection.execute(_PLACES), texts, strict=True):
        expected = list_postings(record_seq, unicode_terms(text), place_row(tuple(columns)))
        if held.pop(record_seq, 0) != sum(map(hash, expected)):
            yield record_seq
    yield from held


def sum_postings(rows: Iterable[Row]) -> defaultdict[int, int]:
    """A number per record that tells its entries from others, in this process; they would take much room.

    Args:
        rows: Word, slot, rank and record_seq of all entries.
    """
    sums: defaultdict[int, int] = defaultdict(int)
    for word, slot, rank, record_seq in rows:
        sums[record_seq] += hash((word, slot, bytes(rank), record_seq))
    return sums


def search_rows(connection: sqlite3.Connection, search: RecallSearch, known: Snapshot | None) -> list[Row]:
    """The rows of a search: one per record and claimant, at least one."""
    return connection.execute(SEARCH_SQL, bind_question(search, known)).fetchall()


def bind_question(search: RecallSearch, known: Snapshot | None) -> dict[str, Any]:
    """The parameters of `SEARCH_SQL`."""
    asked = bind_search(search, known)
    kinds = {find_slots(each) for each in search.record_types}
    for kind in range(len(RecordType)):
        slots = kind * TIERS
        asked[f"slots_{kind}"] = slots if slots in kinds else _NO_SLOT
    asked["kinds"] = _encode(sorted(kinds))
    asked["words"] = _encode(map(index_word, search.words))
    return asked


def bind_search(search: RecallSearch, known: Snapshot | None) -> dict[str, Any]:
    """The parameters that a search has in every store."""
    behind = search.behind
    matched, key = _BEFORE_ALL if behind is None else (-behind.matched, behind.key)
    return {
        "max_read": search.bounds.max_read,
        "max_seen": search.bounds.max_seen,
        "in_effect": first_in_effect(search.as_of_us),
        "matched": matched,
        "standing": key[:_STANDING_BYTES],
        "rank": key[_STANDING_BYTES:],
        "entry_seq": None if known is None else known.entry_seq,
        "newest_record": _ALL if known is None else known.newest_record_seq,
        "newest_link": _ALL if known is None else known.newest_link_seq,
    }


def decode_search(search: RecallSearch, rows: list[Row]) -> RecallEvidence:
    """Make evidence of the rows of a search."""
    counts = dict(_COUNTS.decode(rows[0][1]))
    found = {row[7]: row for row in rows if row[7] is not None}
    return RecallEvidence(
        head=bytes(rows[0][0]).hex(),
        candidates=tuple(_decode_candidate(row[7:]) for row in found.values()),
        supersessions=tuple(decode_claim(row[7], row[2:6]) for row in rows if row[2] is not None),
        matched={version_id: row[6] for version_id, row in found.items()},
        words=tuple(WordCount(word, counts[index_word(word)]) for word in search.words),
    )


def _decode_candidate(row: Row) -> Candidate:
    return Candidate(
        memory_version_id=row[0],
        memory_id=row[1],
        record_type=_RECORD_TYPE[row[2]],
        version=row[3],
        truth_status=_TRUTH_STATUS[row[4]],
        authority=_AUTHORITY[row[5]],
        confidence=row[6],
        created_at_us=row[7],
        effective_at_us=row[8],
        expires_at_us=row[9],
        content=UNREAD,
    )


def _encode(values: Iterable[object]) -> str:
    return msgspec.json.encode(list(values)).decode()
