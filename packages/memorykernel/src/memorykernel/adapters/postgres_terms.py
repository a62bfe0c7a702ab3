"""The term index of recall-ordering.v2 in PostgreSQL; derived data, see `sqlite_terms`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from memorykernel.adapters.postgres_database import Reading, Writing
from memorykernel.core.terms import unicode_terms

_BATCH: Final = 1000
_INSERT: Final = "INSERT INTO record_terms SELECT unnest(%s::text[]), %s"
_TEXTS: Final = """
SELECT record_seq, coalesce(summary, actor || ' ' || action || ' ' || resource || ' ' || coalesce(note, ''))
FROM records WHERE record_seq > %s ORDER BY record_seq LIMIT %s
"""


def index_record(writing: Writing, record_seq: int, text: str) -> None:
    """Index one record by the words of its text."""
    writing.put(_INSERT, (list(unicode_terms(text)), record_seq))


def index_every_record(writing: Writing) -> None:
    """Index all records; what the migration does for those that were there before it."""
    for batch in list_texts(writing):
        for record_seq, text in batch.items():
            index_record(writing, record_seq, text)


def find_misindexed(reading: Reading) -> Iterator[int]:
    """The records whose terms in the index are not those of their text."""
    held: defaultdict[int, list[str]] = defaultdict(list)
    for record_seq, term in reading.stream("SELECT record_seq, term FROM record_terms"):
        held[record_seq].append(term)
    for batch in list_texts(reading):
        for record_seq, text in batch.items():
            if sorted(held.pop(record_seq, [])) != list(unicode_terms(text)):
                yield record_seq
    yield from held


def list_texts(reading: Reading) -> Iterator[dict[int, str]]:
    """The text that each record is found by, some at a time."""
    after = 0
    while rows := reading.read(_TEXTS, (after, _BATCH)):
        yield dict(rows)
        after = rows[-1][0]
