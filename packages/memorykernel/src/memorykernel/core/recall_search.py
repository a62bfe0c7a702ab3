"""What recall-ordering.v3 asks a store for: a bounded part of the records that share a word.

The rule, which every store follows to the letter:

1. The words of the question are looked up, the first `max_words` of them.
2. They queue, the rarest first: by how many records of the types and of the state have them, as far as
   `max_read`; then by the word, as `posting.index_word` names it. What is behind `max_read` is "more".
3. As many lists are read as have room for `max_read` entries together. A list that fits is read whole. The
   first one that does not is cut: its best entries in effect at as_of fill what room there is, in the order
   of `posting`: by tier, then by rank. The words behind it find nothing, they only rank.
4. What was found is ranked by how many of the words it has, all of them, and by its sort key.
5. Behind the end of the page before, the first `max_seen` records are looked at.

Nothing here grows with the store. A small store's lists all fit, and then every record that shares a word is
found; where a list is cut, the answer says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

import msgspec

from memorykernel.core.evidence import WordCount
from memorykernel.core.posting import index_word
from memorykernel.core.vocabulary import RecordType


class SearchBounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much a search looks at; see the module."""

    max_words: int
    max_read: int
    max_seen: int


BOUNDS: Final = SearchBounds(max_words=32, max_read=512, max_seen=128)
"""The bounds of recall-ordering.v3: part of the ruleset, so no setting."""


class Place(NamedTuple):
    """Where a page ended: how many words the last record has, and its `posting.sort_key`."""

    matched: int
    key: bytes


class RecallSearch(msgspec.Struct, frozen=True, kw_only=True):
    """One search; see the module.

    Attributes:
        words: As `terms.list_words` has them, as many as are looked up.
        behind: Where the page before ended; None for the first one.
        bounds: A store reads one record more than `max_seen`, to say that there are more.
    """

    words: tuple[str, ...]
    record_types: tuple[RecordType, ...]
    as_of_us: int
    behind: Place | None = None
    bounds: SearchBounds = BOUNDS


class Reading(NamedTuple):
    """What became of the words, in the order of the queue: read whole, cut, or asked only for ranking."""

    whole: tuple[WordCount, ...]
    cut: tuple[WordCount, ...]
    ranking: tuple[WordCount, ...]


def plan_reading(words: Iterable[WordCount], max_read: int) -> Reading:
    """Say which lists are read, by how many records have each word. Pure.

    Args:
        words: Those that any record has; more than `max_read` records count as `max_read` + 1.
        max_read: As in `SearchBounds`.
    """
    queue = sorted((each for each in words if each.held), key=lambda each: (each.held, index_word(each.word)))
    whole: list[WordCount] = []
    rest: list[WordCount] = []
    room = max_read
    for each in queue:
        (whole if each.held <= room and not rest else rest).append(each)
        room -= each.held
    cuts = 1 if rest and sum(each.held for each in whole) < max_read else 0
    return Reading(whole=tuple(whole), cut=tuple(rest[:cuts]), ranking=tuple(rest[cuts:]))
