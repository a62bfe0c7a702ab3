"""The lists of recall-ordering.v3 in PostgreSQL; derived data, see `sqlite_postings`.

A search is one statement and one round trip. It takes from every list what `core.recall_search` lets it take.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from memorykernel.adapters.postgres_database import Reading, Writing
from memorykernel.adapters.postgres_terms import list_texts
from memorykernel.adapters.rows import PLACE_COLUMNS, place_row
from memorykernel.adapters.sqlite_postings import SEEN_COLUMNS, bind_search, list_postings, sum_postings
from memorykernel.core.evidence import Snapshot
from memorykernel.core.posting import TIERS, Posting, find_slots, index_word
from memorykernel.core.recall_search import RecallSearch
from memorykernel.core.terms import unicode_terms

POSTINGS: Final = """
CREATE TABLE postings (
  word text COLLATE "C" NOT NULL,
  slot smallint NOT NULL,
  rank bytea NOT NULL,
  record_seq bigint NOT NULL,
  PRIMARY KEY (word, slot, rank, record_seq)
);
"""

_INSERT: Final = "INSERT INTO postings SELECT unnest(%s::text[]), %s, %s, %s"
_PLACES: Final = f"SELECT record_seq, {', '.join(PLACE_COLUMNS)} FROM records WHERE record_seq = ANY(%s)"  # noqa: S608  # column names
_HELD: Final = "SELECT word, slot, rank, record_seq FROM postings"

_STATE: Final = "p.record_seq <= %(newest_record)s"
_BEFORE: Final = "ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING"
_OF_KIND: Final = f"p.slot BETWEEN k.slots AND k.slots + {TIERS - 1}"
_IN_EFFECT: Final = f"p.rank >= %(in_effect)s::bytea AND {_STATE}"
SEARCH_SQL: Final = f"""
WITH kinds AS MATERIALIZED (SELECT unnest(%(kinds)s::smallint[]) AS slots),
words AS MATERIALIZED (
  SELECT w.word, (SELECT count(*) FROM (
    SELECT 1 FROM kinds k CROSS JOIN LATERAL (
      SELECT 1 FROM postings p WHERE p.word = w.word AND {_OF_KIND} AND {_STATE} LIMIT %(max_read)s + 1) o
    LIMIT %(max_read)s + 1) counted) AS held
  FROM unnest(%(words)s::text[] COLLATE "C") w (word)
),
queue AS MATERIALIZED (
  SELECT word, held, %(max_read)s - coalesce(sum(held) OVER (ORDER BY held, word {_BEFORE}), 0) AS room
  FROM words WHERE held > 0
),
cut AS MATERIALIZED (SELECT word, room FROM queue WHERE room > 0 AND held > room),
tiers AS MATERIALIZED (
  SELECT c.word, t.tier, (SELECT count(*) FROM (
    SELECT 1 FROM kinds k CROSS JOIN LATERAL (
      SELECT 1 FROM postings p WHERE p.word = c.word AND p.slot = k.slots + t.tier AND {_IN_EFFECT}
      LIMIT %(max_read)s) o
    LIMIT %(max_read)s) counted) AS held
  FROM cut c CROSS JOIN generate_series(0, {TIERS - 1}) t (tier)
),
starts AS MATERIALIZED (
  SELECT word, tier, coalesce(sum(held) OVER (ORDER BY tier {_BEFORE}), 0) AS before FROM tiers
),
best AS MATERIALIZED (
  SELECT p.slot, p.rank, p.record_seq FROM starts s CROSS JOIN kinds k CROSS JOIN LATERAL (
    SELECT p.slot, p.rank, p.record_seq FROM postings p
    WHERE p.word = s.word AND p.slot = k.slots + s.tier AND {_IN_EFFECT}
    ORDER BY p.rank, p.record_seq LIMIT %(max_read)s) p
  WHERE s.before < (SELECT room FROM cut)
  ORDER BY s.tier, p.rank, p.record_seq LIMIT (SELECT room FROM cut)
),
pool AS MATERIALIZED (
  SELECT slot, rank, record_seq FROM best
  UNION
  SELECT p.slot, p.rank, p.record_seq FROM queue q CROSS JOIN kinds k CROSS JOIN LATERAL (
    SELECT p.slot, p.rank, p.record_seq FROM postings p
    WHERE p.word = q.word AND {_OF_KIND} AND {_STATE} LIMIT %(max_read)s) p
  WHERE q.held <= q.room
),
ranked AS MATERIALIZED (
  SELECT p.record_seq, (SELECT count(*) FROM queue q CROSS JOIN LATERAL (
    SELECT 1 FROM postings o
    WHERE o.word = q.word AND o.slot = p.slot AND o.rank = p.rank AND o.record_seq = p.record_seq
    LIMIT 1) o) AS matched,
    substring(p.rank FROM 17) AS standing, substring(p.rank FROM 1 FOR 16) AS rank
  FROM pool p
),
seen AS MATERIALIZED (
  SELECT record_seq, matched FROM ranked
  WHERE (-matched, standing, rank) > (%(matched)s::bigint, %(standing)s::bytea, %(rank)s::bytea)
  ORDER BY matched DESC, standing, rank, record_seq LIMIT %(max_seen)s + 1
)
SELECT coalesce(%(head)s::bytea, (SELECT head FROM memory_chain ORDER BY entry_seq DESC LIMIT 1)),
  (SELECT json_agg(json_build_array(word, held))::text FROM words),
  c.memory_version_id, c.authority, c.truth_status, c.effective_at_us, s.matched,
  {", ".join(f"r.{each}" for each in SEEN_COLUMNS)}
FROM (VALUES (1)) one (row)
LEFT JOIN seen s ON true
LEFT JOIN records r ON r.record_seq = s.record_seq
LEFT JOIN links l ON l.to_version_id = r.memory_version_id AND l.relation = 'supersedes'
  AND l.link_seq <= %(newest_link)s
LEFT JOIN records c ON c.memory_version_id = l.from_version_id
"""  # noqa: S608  # assembled from the constants above


def create_postings(writing: Writing) -> None:
    """Fill the lists with the records that are there."""
    for record_seq, text, posting in _list_places(writing):
        index_posting(writing, record_seq, text, posting)


def index_posting(writing: Writing, record_seq: int, text: str, posting: Posting) -> None:
    """Put one record into the lists of its words."""
    words = list(map(index_word, unicode_terms(text)))
    writing.put(_INSERT, (words, posting.slot, posting.rank, record_seq))


def find_misposted(reading: Reading) -> Iterator[int]:
    """The records that stand in other lists, or at other places, than they should."""
    held = sum_postings(reading.stream(_HELD))
    for record_seq, text, posting in _list_places(reading):
        expected = list_postings(record_seq, unicode_terms(text), posting)
        if held.pop(record_seq, 0) != sum(map(hash, expected)):
            yield record_seq
    yield from held


def ask_search(search: RecallSearch, known: Snapshot | None) -> tuple[str, dict[str, Any]]:
    """The statement and parameters of a search."""
    asked = bind_search(search, known)
    asked["head"] = None if known is None else bytes.fromhex(known.head)
    asked["kinds"] = sorted(map(find_slots, search.record_types))
    asked["words"] = list(map(index_word, search.words))
    return SEARCH_SQL, asked


def _list_places(reading: Reading) -> Iterator[tuple[int, str, Posting]]:
    for batch in list_texts(reading):
        for record_seq, *columns in reading.read(_PLACES, (list(batch),)):
            yield record_seq, batch[record_seq], place_row(tuple(columns))
