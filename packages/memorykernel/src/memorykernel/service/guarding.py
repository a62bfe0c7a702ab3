"""Guarded writes: each with its request key in one transaction."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from memorykernel.core.admission import Fresh, NewRecord, admit_link, admit_record
from memorykernel.core.request import AddLink, AddRecord
from memorykernel.ports import Clock, Ids, Memory, WriteTransaction
from memorykernel.service.idempotency import Written, write_once
from memorykernel.service.schema_care import SchemaCare


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarding:
    """Adds records and links; what is acknowledged is durable, and under a request key it happens once."""

    memory: Memory
    schema_care: SchemaCare
    clock: Clock
    ids: Ids

    def add_record(self, request: AddRecord, *, key: str | None = None) -> Written:
        """Remember one version of a memory.

        Args:
            request: The record.
            key: From `idempotency.check_key`.

        Raises:
            MistypedField: An id or time cannot be read.
            InvalidRequest: A required text is blank, a scope cannot match, or a number is out of its range.
            SchemaUnavailable: The database waits for a migration.
            WriteConflict: The version exists, a link's target does not, or the key was used for another
                request.
            WriteFailed: The store could not.
        """
        now_us = self.clock.now_us()
        new = self._admit(request, now_us)
        self.schema_care.require_usable()

        def write(transaction: WriteTransaction) -> Written:
            return write_once(transaction, key, request, lambda: _add(transaction, new))

        return self.memory.write(write, now_us=now_us)

    def add_link(self, request: AddLink, *, key: str | None = None) -> Written:
        """State how one version relates to another; stating it again changes nothing.

        Raises:
            MistypedField: An id cannot be read.
            InvalidRequest: A text is blank.
            SchemaUnavailable: The database waits for a migration.
            WriteConflict: An end does not exist, both are the same, a cycle of supersessions closes, or the key
                was used for another request.
            WriteFailed: The store could not.
        """
        link = admit_link(request)
        self.schema_care.require_usable()

        def write(transaction: WriteTransaction) -> Written:
            return write_once(
                transaction,
                key,
                request,
                lambda: Written(data=_encode(link), head=transaction.add_link(link)),
            )

        return self.memory.write(write, now_us=self.clock.now_us())

    def _admit(self, request: AddRecord, now_us: int) -> NewRecord:
        fresh = Fresh(
            memory_version_id=self.ids.mint_ulid(now_us), memory_id=self.ids.mint_ulid(now_us), now_us=now_us
        )
        return admit_record(request, fresh)


def _add(transaction: WriteTransaction, new: NewRecord) -> Written:
    return Written(data=_encode(new.record), head=transaction.add_record(new))


def _encode(record: msgspec.Struct) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(record))
