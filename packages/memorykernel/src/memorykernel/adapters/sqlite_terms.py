"""The term index of recall-ordering.v2: which record has which word.

Derived data: everything in it follows from the records, and `mk db integrity-check` compares. A record
and its terms are written in one transaction, by every release that finds the index in the file, also by one
that does not read it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from typing import Final

from memorykernel.core.terms import unicode_terms

TEXTS: Final = """
SELECT record_seq, coalesce(summary, actor || ' ' || action || ' ' || resource || ' ' || coalesce(note, ''))
FROM records
"""
"""The text that each record is found by."""


def index_record(connection: sqlite3.Connection, record_seq: int, text: str) -> None:
    """Index one record by the words of its text."""
    rows = [(term, record_seq) for term in unicode_terms(text)]
    connection.executemany("INSERT INTO record_terms VALUES (?, ?)", rows)


def index_every_record(connection: sqlite3.Connection) -> None:
    """Index all records; what the migration does for those that were there before it."""
    for record_seq, text in connection.execute(TEXTS):
        index_record(connection, record_seq, text)


def find_misindexed(connection: sqlite3.Connection) -> Iterator[int]:
    """The records whose terms in the index are not those of their text; needs readable text."""
    held: defaultdict[int, set[str]] = defaultdict(set)
    for term, record_seq in connection.execute("SELECT term, record_seq FROM record_terms"):
        held[record_seq].add(term)
    for record_seq, text in connection.execute(TEXTS):
        if held.pop(record_seq, set()) != set(unicode_terms(text)):
            yield record_seq
    yield from held
