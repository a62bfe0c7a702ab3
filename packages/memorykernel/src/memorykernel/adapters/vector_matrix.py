"""Vectors of many records in memory, and which of them are nearest to another one.

Exact: every vector is compared. The bytes are multiplied as 32-bit floats, which hold every whole number up
to 2**24, more than 384 products of bytes can sum up to; so neither the order of the sums nor the number of
threads can change a result. It is `core.vector.calculate_similarity` of all rows.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from memorykernel.adapters.one_thread import use_one_thread
from memorykernel.core.vector import DIMENSIONS
from memorykernel.core.vocabulary import RecordType

_FIRST_ROWS: Final = 1024
_BLOCK: Final = 512
"""Rows that are compared at once: as floats 800 KB, which a processor's own cache holds."""

_CODES: Final = {each: code for code, each in enumerate(RecordType)}


class VectorMatrix:
    """The vectors of the records 1 to `size`, of which some can be missing."""

    def __init__(self) -> None:
        self.size = 0
        self._vectors = np.zeros((_FIRST_ROWS, DIMENSIONS), np.int8)
        self._squares = np.zeros(_FIRST_ROWS, np.float64)
        self._types = np.zeros(_FIRST_ROWS, np.int8)

    def extend(self, record_types: Sequence[RecordType]) -> None:
        """Make room for records behind the last one; their vectors are missing."""
        size = self.size + len(record_types)
        if size > len(self._types):
            rows = max(size, 2 * len(self._types)) - len(self._types)
            self._vectors = np.concatenate((self._vectors, np.zeros((rows, DIMENSIONS), np.int8)))
            self._squares = np.concatenate((self._squares, np.zeros(rows, np.float64)))
            self._types = np.concatenate((self._types, np.zeros(rows, np.int8)))
        self._types[self.size : size] = [_CODES[each] for each in record_types]
        self.size = size

    def put(self, record_seqs: Sequence[int], vectors: bytes) -> None:
        """Set vectors of records; `vectors` is one behind the other."""
        rows = np.frombuffer(vectors, np.int8).reshape(len(record_seqs), DIMENSIONS)
        at = np.asarray(record_seqs, np.int64) - 1
        self._vectors[at] = rows
        self._squares[at] = np.square(rows, dtype=np.float32).sum(axis=1)

    def get(self, record_seq: int) -> bytes:
        """The vector of a record."""
        row: NDArray[np.int8] = self._vectors[record_seq - 1]
        return row.tobytes()

    def find_nearest(
        self, vector: bytes, record_types: Collection[RecordType], *, newest: int, limit: int, at_least: int
    ) -> dict[int, int]:
        """The records up to `newest` that are nearest to a vector, nearest first, and how near they are.

        Args:
            vector: What to compare with.
            record_types: Which records.
            newest: The last record.
            limit: How many at most; of equally near ones the newest.
            at_least: The smallest similarity, in hundredths.
        """
        similarities = self._measure(np.frombuffer(vector, np.int8).astype(np.float32), newest)
        wanted = np.isin(self._types[:newest], [_CODES[each] for each in record_types])
        (found,) = np.nonzero(wanted & (similarities >= at_least))
        order = similarities[found] * np.int64(2**40) + found
        if len(found) > limit:
            order = np.partition(order, len(order) - limit)[-limit:]
        nearest = np.flip(np.sort(order))
        return {int(each % 2**40) + 1: int(each // 2**40) for each in nearest}

    def _measure(self, question: NDArray[np.float32], newest: int) -> NDArray[np.int64]:
        products = np.empty(newest, np.float32)
        block = np.empty((_BLOCK, DIMENSIONS), np.float32)
        with use_one_thread():
            for start in range(0, newest, _BLOCK):
                stop = min(start + _BLOCK, newest)
                np.copyto(block[: stop - start], self._vectors[start:stop])
                np.dot(block[: stop - start], question, out=products[start:stop])
        squares = self._squares[:newest] * np.float64(question @ question)
        # A missing vector has only zeros, as its product has.
        similarities = products.astype(np.float64) / np.sqrt(np.where(squares == 0, 1, squares)) * 100
        return np.rint(similarities).astype(np.int64)
