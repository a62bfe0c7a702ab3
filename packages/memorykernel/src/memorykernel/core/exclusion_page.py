"""Pages of exclusions: where a page begins and ends in a sorted list, and the cursor behind it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from memorykernel.core.context_package import Item
from memorykernel.core.cursor import PageKey, RecallKey, decode_cursor, encode_cursor
from memorykernel.errors import InvalidRequest

MAX_PAGE: Final = 100
"""How many exclusions a page holds at most."""


class ExclusionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some of the records that could have counted and do not; ranks count through all pages."""

    total: int
    by_reason: dict[str, int]
    items: tuple[Item, ...]
    next_cursor: str | None


def cut_page(
    keys: Sequence[PageKey], cursor: str | None, limit: int, binding: str
) -> tuple[int, int, str | None]:
    """Find a page.

    Args:
        keys: The sort keys of all items, in order.
        cursor: None for the first page.
        limit: How many items at most, 1 to `MAX_PAGE`.
        binding: What the cursor must belong to.

    Returns:
        Where the page begins, where it ends, and the cursor of the next one.

    Raises:
        MistypedField: The cursor is none of this binding.
        InvalidRequest: The limit is out of its range.
    """
    require_limit(limit)
    start = find_start(keys, cursor, binding)
    stop = min(start + limit, len(keys))
    return start, stop, point_behind(stop, keys, lambda: binding)


def require_limit(limit: int) -> None:
    """Pass when a page may have so many items.

    Raises:
        InvalidRequest: The limit is out of its range.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"field 'limit' expected 1 to {MAX_PAGE}, got {limit}", {"field": "limit"})


def find_start(keys: Sequence[PageKey], cursor: str | None, binding: str) -> int:
    """The position of the first item behind a cursor.

    Raises:
        MistypedField: The cursor is none of this binding.
    """
    key = None if cursor is None else decode_cursor(cursor, binding)
    return 0 if key is None else bisect_right(keys, key)


def point_behind(
    stop: int, keys: Sequence[PageKey] | Sequence[RecallKey], bind: Callable[[], str]
) -> str | None:
    """The cursor of what comes behind the first `stop` items; None when nothing does."""
    if stop >= len(keys):
        return None
    return encode_cursor(bind(), keys[stop - 1] if stop else None)
