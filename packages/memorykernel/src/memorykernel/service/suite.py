"""What service.v4 adds to the use cases, put together over the ports of one store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from memorykernel.core.vocabulary import ConflictPolicy
from memorykernel.ports import Provenance
from memorykernel.service.asking import Asking
from memorykernel.service.comparing import Comparing
from memorykernel.service.exclusions import Exclusions
from memorykernel.service.explaining import Explaining
from memorykernel.service.freshness import Freshness
from memorykernel.service.guarding import Guarding
from memorykernel.service.known_state import Remembered
from memorykernel.service.lineage import Lineage
from memorykernel.service.proving import Proving
from memorykernel.service.remembering import Remembering
from memorykernel.service.replaying import Replaying


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The use cases of service.v4 besides asking, remembering and schema care."""

    guarding: Guarding
    lineage: Lineage
    exclusions: Exclusions
    replaying: Replaying
    explaining: Explaining
    comparing: Comparing
    freshness: Freshness
    proving: Proving

    @classmethod
    def build(
        cls,
        asking: Asking,
        remembering: Remembering,
        *,
        provenance: Provenance,
        conflicts: ConflictPolicy = ConflictPolicy.WARN,
    ) -> Self:
        """Put it together over what the published use cases work on."""
        memory, care = asking.memory, asking.schema_care
        remembered = Remembered(memory=memory, answers=asking.answers, semantic=asking.semantic)
        return cls(
            guarding=Guarding(
                memory=remembering.memory,
                schema_care=care,
                clock=remembering.clock,
                ids=remembering.ids,
                conflicts=conflicts,
            ),
            lineage=Lineage(memory=memory, schema_care=care),
            exclusions=Exclusions(remembered=remembered, schema_care=care),
            replaying=Replaying(remembered=remembered, schema_care=care),
            explaining=Explaining(remembered=remembered, schema_care=care),
            comparing=Comparing(remembered=remembered, schema_care=care),
            freshness=Freshness(memory=memory),
            proving=Proving(remembered=remembered, provenance=provenance, schema_care=care),
        )
