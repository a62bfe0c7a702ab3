"""Cursors: where a page of a sorted list ended, as opaque text that is safe to take back.

A cursor holds the sort key of the last item shown, so the next page begins behind it wherever that is: a
record written between two pages neither repeats an item nor hides one. It is bound to its question; a cursor
of another question, or one that was edited, is refused. Cursors are not secret.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, TypeVar

import msgspec

from memorykernel.core.evidence import Candidate
from memorykernel.core.vocabulary import AUTHORITY_RANK, TRUTH_STATUS_RANK
from memorykernel.errors import MistypedField

MAX_CURSOR: Final = 512
"""The longest cursor, in characters."""

_PREFIX: Final = "cur_"
_SHAPE: Final = re.compile(r"cur_[A-Za-z0-9_-]+")
_LONGEST_ID: Final = 64
_BINDING_DIGITS: Final = 16

PageKey = tuple[int, int, int, int, float, int, int, str, str]
"""Two numbers that lead, authority, truth, confidence and times, all negated; then the two ids."""

RecallKey = tuple[int, str, int]
"""Under recall-ordering.v3: matched words, negated; the `posting.sort_key` as hex; and, in a cursor of
selected items, how many were shown up to there."""


class _Position(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    binding: str
    key: PageKey | None


class _RecallPosition(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    binding: str
    key: RecallKey | None


_AnyPosition = TypeVar("_AnyPosition", _Position, _RecallPosition)
_DECODER: Final = msgspec.json.Decoder(_Position)
_RECALL_DECODER: Final = msgspec.json.Decoder(_RecallPosition)
_RECALL_KEY: Final = re.compile(r"[0-9a-f]{38}")


def page_key(candidate: Candidate, lead: tuple[int, int]) -> PageKey:
    """The sort key of a record under the v3 rulesets, smallest first; no two versions share one.

    Args:
        candidate: The record.
        lead: What decides first, larger before smaller: the specificity, or matched terms and 0.
    """
    return (
        -lead[0],
        -lead[1],
        -AUTHORITY_RANK[candidate.authority],
        -TRUTH_STATUS_RANK[candidate.truth_status],
        -candidate.effective_confidence,
        -candidate.effective_at_us,
        -candidate.created_at_us,
        _bound_id(candidate.memory_id),
        _bound_id(candidate.memory_version_id),
    )


def bind_cursor(*parts: object) -> str:
    """A short digest of what a cursor belongs to: JSON values."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:_BINDING_DIGITS]


def encode_cursor(binding: str, key: PageKey | RecallKey | None) -> str:
    """Write a cursor; a key of None is the beginning of the list."""
    document = msgspec.json.encode((binding, key))
    return _PREFIX + urlsafe_b64encode(document).decode().rstrip("=")


def decode_cursor(text: str, binding: str) -> PageKey | None:
    """Read a cursor.

    Args:
        text: What a caller sent.
        binding: From `bind_cursor`, for the question that the caller asks now.

    Raises:
        MistypedField: It is no cursor, or one of another question.
    """
    return _decode(text, binding, _DECODER).key


def decode_recall_cursor(text: str, binding: str) -> RecallKey | None:
    """Read a cursor of recall-ordering.v3; as `decode_cursor`."""
    key = _decode(text, binding, _RECALL_DECODER).key
    if key is not None and not (_RECALL_KEY.fullmatch(key[1]) and -(2**31) < key[0] <= 0 <= key[2] < 2**63):
        raise _refuse("is no cursor")
    return key


def _decode(text: str, binding: str, decoder: msgspec.json.Decoder[_AnyPosition]) -> _AnyPosition:
    if len(text) > MAX_CURSOR or not _SHAPE.fullmatch(text):
        raise _refuse("is no cursor")
    encoded = text.removeprefix(_PREFIX)
    try:
        position = decoder.decode(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except ValueError as exc:  # bad padding, bad UTF-8 and msgspec's errors are all of this kind
        raise _refuse("is no cursor") from exc
    if position.binding != binding:
        raise _refuse("belongs to another question")
    if encode_cursor(binding, position.key) != text:
        raise _refuse("is no cursor")
    return position


def _refuse(fact: str) -> MistypedField:
    return MistypedField("cursor", f"{fact}: expected a next_cursor of this question; send it as you got it")


def _bound_id(text: str) -> str:
    """An id of this program as it is; any other text by its digest, so that a cursor stays short."""
    if len(text) <= _LONGEST_ID and text.isascii() and text.isalnum():
        return text
    return f"~{hashlib.sha256(text.encode()).hexdigest()}"
