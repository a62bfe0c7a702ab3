"""Looking at records: one version with its place in time, and all versions of a memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import msgspec

from memorykernel.core.identity import snapshot_v2
from memorykernel.core.instant import format_instant
from memorykernel.core.record import MemoryRecord
from memorykernel.core.stored_record import StoredRecord
from memorykernel.core.ulid import parse_ulid
from memorykernel.errors import RecordNotFound
from memorykernel.ports import Memory
from memorykernel.service.schema_care import SchemaCare

MAX_VERSIONS: Final = 200
"""How many versions of a memory are shown at most."""


class RecordStory(msgspec.Struct, frozen=True, kw_only=True):
    """A record version where it stands, in the key order of the wire.

    `snapshot_id` names the state that the record was the last to join: what was known right then.
    """

    record: MemoryRecord
    recorded_at: str | None
    entry: int
    snapshot_id: str
    superseded_by: tuple[str, ...]
    contradicted_by: tuple[str, ...]

    @classmethod
    def tell(cls, stored: StoredRecord) -> Self:
        """Write a stored record as the wire shows it."""
        recorded = stored.recorded_at_us
        return cls(
            record=stored.record,
            recorded_at=None if recorded is None else format_instant(recorded),
            entry=stored.entry_seq,
            snapshot_id=snapshot_v2(stored.head),
            superseded_by=stored.superseded_by,
            contradicted_by=stored.contradicted_by,
        )


class MemoryStory(msgspec.Struct, frozen=True, kw_only=True):
    """The versions of a memory from the first on, at most `MAX_VERSIONS`."""

    memory_id: str
    versions: tuple[RecordStory, ...]
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """Shows records with their place in the hash chain and who speaks about them."""

    memory: Memory
    schema_care: SchemaCare

    def show_record(self, memory_version_id: str) -> RecordStory:
        """One version of a memory.

        Raises:
            MistypedField: The id is no ULID.
            SchemaUnavailable: The database waits for a migration.
            RecordNotFound: No record has the id.
            QueryFailed: The store could not.
        """
        version_id = parse_ulid(memory_version_id, field="memory_version_id")
        self.schema_care.require_usable()
        stored = self.memory.load_record(version_id)
        if stored is None:
            raise RecordNotFound("record", "memory_version_id", version_id)
        return RecordStory.tell(stored)

    def show_memory(self, memory_id: str) -> MemoryStory:
        """Every version of a memory, by version number.

        Raises:
            MistypedField: The id is no ULID.
            SchemaUnavailable: The database waits for a migration.
            RecordNotFound: No memory has the id.
            QueryFailed: The store could not.
        """
        found_id = parse_ulid(memory_id, field="memory_id")
        self.schema_care.require_usable()
        found = self.memory.list_versions(found_id, after=0, limit=MAX_VERSIONS + 1)
        if not found:
            raise RecordNotFound("memory", "memory_id", found_id)
        return MemoryStory(
            memory_id=found_id,
            versions=tuple(map(RecordStory.tell, found[:MAX_VERSIONS])),
            truncated=len(found) > MAX_VERSIONS,
        )
