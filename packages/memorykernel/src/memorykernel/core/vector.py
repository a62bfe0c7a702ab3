"""Vectors of texts, as whole numbers, so that comparing them gives the same everywhere.

An encoder makes a vector of floats, whose last bits depend on the processor and the number of threads. It is
kept as 384 signed bytes. Whatever comes after is exact: products and sums of bytes are whole numbers, the
square root and the division are rounded as IEEE 754 says, and a similarity is a whole number of hundredths,
finer than which the bytes say nothing.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections.abc import Iterable
from typing import Final

import msgspec

DIMENSIONS: Final = 384
"""How many numbers a vector has; one byte each, -127 to 127."""


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What makes vectors; those of two models have nothing to do with each other.

    Attributes:
        name: The model and how its numbers become bytes.
        weights_sha256: The digest of its weights, 64 lower-case hex digits.
    """

    name: str
    weights_sha256: str


class QuestionVector(msgspec.Struct, frozen=True, kw_only=True):
    """The vector of a question and the model that made it; kept with the question, so that it can be asked
    again without the model."""

    model: Model
    vector: bytes


def calculate_similarity(one: bytes, other: bytes) -> int:
    """The cosine between two vectors, in hundredths, -100 to 100; a vector of zeros is similar to nothing.

    The specification of what an index calculates for many at once.
    """
    left, right = array("b", one), array("b", other)
    product = sum(a * b for a, b in zip(left, right, strict=True))
    squares = sum(a * a for a in left) * sum(b * b for b in right)
    return round(product / math.sqrt(squares) * 100) if squares else 0


def digest_vectors(vectors: Iterable[tuple[str, bytes]]) -> str:
    """One digest of vectors with their memory_version_ids, in whatever order they come."""
    digest = hashlib.sha256()
    for memory_version_id, vector in sorted(vectors):
        digest.update(memory_version_id.encode() + b"\n" + vector)
    return digest.hexdigest()
