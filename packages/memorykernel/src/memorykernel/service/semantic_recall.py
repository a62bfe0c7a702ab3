"""Recalls by meaning: the vectors of records, and the evidence that they lead to.

A write does not wait for a model. The vectors of new records are made by the next recall, a few at once, or
all by `mk db embed`; a recall never leaves out a record because its vector is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import UNSET

from memorykernel.core.evidence import RecallEvidence, Snapshot
from memorykernel.core.question import RecallQuestion
from memorykernel.core.recall_ordering_v2 import list_recall_types
from memorykernel.core.recall_semantic import MIN_SIMILARITY, needs_more
from memorykernel.core.vector import QuestionVector
from memorykernel.errors import ModeUnavailable
from memorykernel.ports import Encoder, Memory, Vectors

MAX_AT_ONCE: Final = 64
"""How many vectors a recall makes by itself at most: a fraction of a second."""

_BATCH: Final = 8
"""How many vectors are lost at most when the work is stopped."""

_FIRST_READ: Final = 256
_GROWTH: Final = 4
_ANY_TIME_US: Final = 2**62


class Embedded(msgspec.Struct, frozen=True, kw_only=True):
    """What came of making vectors, in the key order of the command's JSON."""

    model: str
    weights_sha256: str
    records: int
    encoded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticRecall:
    """Finds records by meaning, with one model."""

    memory: Memory
    vectors: Vectors
    encoder: Encoder

    def measure(self, question: RecallQuestion) -> RecallQuestion:
        """The question with its vector."""
        vector = QuestionVector(model=self.encoder.model, vector=self.encoder.encode(question.text))
        return msgspec.structs.replace(question, meaning=vector)

    def read(self, question: RecallQuestion, known: Snapshot | None) -> RecallEvidence:
        """Read what recall-semantic.v1 needs.

        Args:
            question: With its vector.
            known: The state; None for all that is there.

        Raises:
            ModeUnavailable: The vector is another model's, or too many records have none.
            QueryFailed: The store could not.
        """
        meaning = question.meaning
        if meaning is UNSET or meaning.model != self.encoder.model:
            given = "none" if meaning is UNSET else f"{meaning.model.name} {meaning.model.weights_sha256}"
            raise ModeUnavailable(
                f"this answer was given with other weights: expected {self.encoder.model.name}"
                f" {self.encoder.model.weights_sha256}, got {given}; install the version that has them"
            )
        state = known or self._find_newest()
        self._catch_up(state)
        types, read = list_recall_types(question), _FIRST_READ
        while True:
            evidence = self.vectors.read_nearest(
                meaning.vector, types, known=state, limit=read, at_least=MIN_SIMILARITY
            )
            if not needs_more(question, evidence, read):
                return evidence
            read *= _GROWTH

    def embed(self, progress: Callable[[int, int], None], *, rebuild: bool = False) -> Embedded:
        """Make the vectors that are missing; when it is stopped, what was made is kept.

        Args:
            progress: Told after each batch how many are made, of how many.
            rebuild: Make all of them anew.

        Raises:
            QueryFailed: The store could not.
        """
        if rebuild:
            self.vectors.drop()
        state = self._find_newest()
        missing, encoded = self.vectors.count_missing(state), 0
        while made := self._encode_some(state):
            encoded += made
            progress(encoded, missing)
        return Embedded(
            model=self.encoder.model.name,
            weights_sha256=self.encoder.model.weights_sha256,
            records=state.newest_record_seq,
            encoded=encoded,
        )

    def _catch_up(self, state: Snapshot) -> None:
        if (missing := self.vectors.count_missing(state)) > MAX_AT_ONCE:
            raise ModeUnavailable(
                f"{missing} records have no vector yet, expected at most {MAX_AT_ONCE};"
                " make them with 'mk db embed'",
                {"missing": missing},
            )
        while missing and self._encode_some(state):
            pass

    def _encode_some(self, state: Snapshot) -> int:
        texts = self.vectors.list_missing(state, limit=_BATCH)
        self.vectors.keep([(each, self.encoder.encode(each.text)) for each in texts])
        return len(texts)

    def _find_newest(self) -> Snapshot:
        newest = self.memory.find_snapshot(_ANY_TIME_US)
        if newest is None:
            raise AssertionError("a chain has its first entry at every time")
        return newest


OpenSemantic = Callable[[], SemanticRecall]
"""Makes recalls by meaning ready; raises ModeUnavailable where they cannot be."""


def refuse_semantic() -> SemanticRecall:
    """Of a store that keeps no vectors.

    Raises:
        ModeUnavailable: Always.
    """
    raise ModeUnavailable(
        "this database keeps no vectors: expected an SQLite file for mode 'semantic'; ask in mode 'lexical'",
        {"field": "mode"},
    )
