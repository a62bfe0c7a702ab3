"""Cuts text into sentences, by offsets.

Small and predictable on purpose: a full stop, question or exclamation mark ends a sentence when white
space and something that looks like a beginning follow, except after an abbreviation, an initial or
inside a code span or a link.
"""

import re
from collections.abc import Iterator

# possessive, and never begun inside a run of marks: a line of a million full stops takes one pass
_END = re.compile(
    r"(?<![.!?])[.!?]++[\"'”’)\]*_]*+(?=\s+[\"'“‘(\[*_`<]*[^\W\d_a-z]|\s+[\"'“‘(\[*_`]*\d|\s*$)"
)
_OPAQUE = re.compile(r"`[^`]*`|\]\([^)\s]*\)|<https?://[^>]*>")
_INITIAL = re.compile(r"(?:^|\s)[A-Z]\.$")
_ABBREVIATION = re.compile(
    r"(?:^|[\s(\[\"'“‘])(?:e\.g|i\.e|etc|vs|cf|approx|nr|fig|dr|mr|mrs|ms|inc|ltd|dept|ext)\.$", re.IGNORECASE
)
_HEAD_CHARS = 16  # more than the longest abbreviation with what must stand before it


def split_sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yield the sentences of one paragraph as (start, end) offsets, white space trimmed. Pure.

    Args:
        text: One paragraph; its line breaks are white space.
    """
    # what is inside a code span or a link target never ends a sentence; lengths stay the same
    masked = _OPAQUE.sub(lambda match: "x" * len(match.group()), text)
    start = 0
    for match in _END.finditer(masked):
        head = masked[max(start, match.end() - _HEAD_CHARS) : match.end()]
        if _ABBREVIATION.search(head) or _INITIAL.search(head):
            continue
        yield from _trim(text, start, match.end())
        start = match.end()
    yield from _trim(text, start, len(text))


def _trim(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    raw = text[start:end]
    first = start + len(raw) - len(raw.lstrip())
    last = start + len(raw.rstrip())
    if first < last:
        yield first, last
