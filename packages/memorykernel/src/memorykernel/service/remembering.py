"""Writing memory: records and links."""

from __future__ import annotations

from dataclasses import dataclass

from memorykernel.core.admission import Fresh, admit_link, admit_record
from memorykernel.core.record import Link, MemoryRecord
from memorykernel.core.request import AddLink, AddRecord
from memorykernel.ports import Clock, Ids, Memory
from memorykernel.service.schema_care import SchemaCare


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembering:
    """Adds records and links; what is acknowledged is durable."""

    memory: Memory
    schema_care: SchemaCare
    clock: Clock
    ids: Ids

    def add_record(self, request: AddRecord) -> MemoryRecord:
        """Remember one version of a memory.

        Raises:
            MistypedField: An id or time cannot be read.
            InvalidRequest: A required text is blank or a number is out of its range.
            SchemaUnavailable: The database waits for a migration.
            WriteConflict: The version exists, or a link's target does not.
            WriteFailed: The store could not.
        """
        now_us = self.clock.now_us()
        fresh = Fresh(
            memory_version_id=self.ids.mint_ulid(now_us), memory_id=self.ids.mint_ulid(now_us), now_us=now_us
        )
        new = admit_record(request, fresh)
        self.schema_care.require_usable()
        self.memory.add_record(new, now_us=now_us)
        return new.record

    def add_link(self, request: AddLink) -> Link:
        """State how one version relates to another; stating it again changes nothing.

        Raises:
            MistypedField: An id cannot be read.
            InvalidRequest: A text is blank.
            SchemaUnavailable: The database waits for a migration.
            WriteConflict: An end does not exist, both are the same, or a cycle of supersessions closes.
            WriteFailed: The store could not.
        """
        link = admit_link(request)
        self.schema_care.require_usable()
        self.memory.add_link(link, now_us=self.clock.now_us())
        return link
