"""Computing a stored answer again, to see that it is what the rules say and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from memorykernel.core.context_package import encode_package
from memorykernel.core.identity import snapshot_v2
from memorykernel.core.recall_semantic import has_other_vectors
from memorykernel.core.ruleset import SEMANTIC_RULESET
from memorykernel.core.stored_question import StoredAnswer
from memorykernel.service.known_state import Remembered, require_question
from memorykernel.service.schema_care import SchemaCare

_SHOWN: Final = 80
"""How many bytes of each side are shown from the first difference on."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Where two packages first differ: the offset in bytes, and what stands there on both sides."""

    offset: int
    stored: str
    replayed: str


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a replay, in the key order of the wire.

    `other_vectors` is there when a recall by meaning comes out differently because its records have other
    vectors now: they were made anew, by another processor.
    """

    context_package_id: str
    identical: bool
    ruleset_version: str
    snapshot_id: str
    first_difference: Difference | None
    other_vectors: bool | UnsetType = UNSET


@dataclass(frozen=True, slots=True, kw_only=True)
class Replaying:
    """Recomputes answers by their own ruleset on their own state."""

    remembered: Remembered
    schema_care: SchemaCare

    def replay(self, context_package_id: str) -> Replay:
        """Compute an answer again and compare it byte for byte.

        Raises:
            InvalidRequest: The answer was stored before questions were.
            ModeUnavailable: It is a recall by meaning, and there are no weights, or others.
            SchemaUnavailable: The database waits for a migration.
            ContextPackageNotFound: There is no such answer.
            ContextLookupFailed: The state that it was given on is gone, or the store could not.
            QueryFailed: The store could not.
        """
        self.schema_care.require_usable()
        return self.compare(self.remembered.find(context_package_id))

    def compare(self, answer: StoredAnswer) -> Replay:
        """As `replay`, of an answer that was read already."""
        asked = require_question(answer)
        replayed = encode_package(self.remembered.resolve(asked))
        return Replay(
            context_package_id=answer.context_package_id,
            identical=replayed == answer.package,
            ruleset_version=asked.ruleset,
            snapshot_id=snapshot_v2(asked.head),
            first_difference=find_difference(answer.package, replayed),
            other_vectors=_compare_vectors(asked.ruleset, answer.package, replayed),
        )


def _compare_vectors(ruleset: str, stored: bytes, replayed: bytes) -> bool | UnsetType:
    if ruleset != SEMANTIC_RULESET.name or stored == replayed:
        return UNSET
    return has_other_vectors(stored, replayed)


def find_difference(stored: bytes, replayed: bytes) -> Difference | None:
    """The first place where two packages differ, None when they are equal. Pure."""
    if stored == replayed:
        return None
    offset = next(at for at, (one, other) in enumerate(zip_longest(stored, replayed)) if one != other)
    return Difference(offset=offset, stored=_show(stored, offset), replayed=_show(replayed, offset))


def _show(package: bytes, offset: int) -> str:
    return package[offset : offset + _SHOWN].decode(errors="replace")
