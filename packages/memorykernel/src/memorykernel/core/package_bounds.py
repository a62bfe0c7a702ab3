"""The bounds of a v3 package: at most 64 KB, whatever is stored and whatever is asked.

The budget, in bytes of JSON: the question 12 KiB (`admission` refuses longer ones), the selected items 32 KiB
and the excluded ones 12 KiB; the rest is reasons, counts and cursors of bounded length. Items are dropped
from the end of their list; counts and cursors still tell of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from memorykernel.core.context_package import Item, Query, describe_question
from memorykernel.core.question import PolicyQuestion, RecallQuestion

MAX_PACKAGE_BYTES: Final = 64_000
"""How large an encoded package is at most."""

MAX_QUESTION_BYTES: Final = 12 * 1024
"""How large the text and the scope of a question are at most, as JSON."""

MAX_SELECTED: Final = 50
MAX_SELECTED_BYTES: Final = 32 * 1024
MAX_EXCLUDED: Final = 20
MAX_EXCLUDED_BYTES: Final = 12 * 1024

_EXCERPT: Final = 40


def fit_items(items: Iterable[Item], max_items: int, max_bytes: int) -> tuple[Item, ...]:
    """The first items, as many as fit both bounds."""
    found = tuple(items)
    if len(found) <= max_items and len(msgspec.json.encode(found)) - 1 <= max_bytes:
        return found
    kept: list[Item] = []
    room = max_bytes
    for item in found:
        room -= len(msgspec.json.encode(item)) + 1
        if len(kept) == max_items or room < 0:
            break
        kept.append(item)
    return tuple(kept)


def excerpt(text: str) -> str:
    """The beginning of a text that a caller chose, for a sentence."""
    return text if len(text) <= _EXCERPT else f"{text[:_EXCERPT]}…"


def echo_question(question: PolicyQuestion | RecallQuestion) -> Query:
    """The question as a v3 package shows it: with as_known_at, null when it was not given."""
    return msgspec.structs.replace(describe_question(question), as_known_at=question.as_known_at or None)
