"""MemoryKernel inside a Python program, without a server.

    with Kernel.open("memory.db", create=True) as kernel:
        kernel.add_constraint(actor="contractor", action="use", resource="vpn", effect="deny", ...)
        kernel.ask(actor="contractor", action="use", resource="vpn").answer.result

A kernel may be used by any number of threads: a lock lets one call in at a time, which costs less than a
microsecond where nobody waits. Threads that shall read at the same time open a kernel each, on the same
database; SQLite and PostgreSQL let readers and one writer work side by side. A kernel does not survive a
`fork`: open one in the child.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import msgspec

from memorykernel.core.conflict import Conflicts
from memorykernel.core.context_package import ContextPackage
from memorykernel.core.explain_request import Compare, FindBlastRadius
from memorykernel.core.proof import encode_proof
from memorykernel.core.record import Link, MemoryRecord
from memorykernel.core.record_reader import read_record
from memorykernel.core.release import default_release
from memorykernel.core.request import AddConstraintV4, AddLink, AddMembership, AddSummaryV4, AskV4, RecallV4
from memorykernel.core.vocabulary import ConflictPolicy
from memorykernel.errors import DatabaseMissing
from memorykernel.ports import Clock, Ids
from memorykernel.service.comparing import ComparedAnswers
from memorykernel.service.exclusions import ExcludedItems
from memorykernel.service.explaining import BlastRadius, WhatWouldFlip
from memorykernel.service.idempotency import check_key
from memorykernel.service.lineage import MemoryStory, RecordStory
from memorykernel.service.replaying import Replay
from memorykernel.service.semantic_recall import Embedded
from memorykernel.surface import Surface, warn_of_conflicts
from memorykernel.wiring import Kernel as UseCases
from memorykernel.wiring import build_suite, is_dsn, open_kernel

Result = TypeVar("Result")


class Kernel(Surface):
    """A MemoryKernel on one database, by the rules of service.v4.

    Open one with `Kernel.open`; it is a context manager.
    """

    def __init__(self, use_cases: UseCases, conflicts: ConflictPolicy = ConflictPolicy.WARN) -> None:
        self._use_cases = use_cases
        self._lock = threading.RLock()
        self._suite = build_suite(use_cases, conflicts)

    @classmethod
    def open(
        cls,
        location: Path | str,
        *,
        create: bool = False,
        conflicts: ConflictPolicy | str = ConflictPolicy.WARN,
        replica: str | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> Self:
        """Open a database.

        Args:
            location: A file, or the DSN of a PostgreSQL database (`postgresql://...`).
            create: Make what is missing, the file and its schema. Without it a mistyped path is an error and
                an older database stays as it is.
            conflicts: What becomes of a write that makes questions inconclusive: "refuse" it, "warn" of it by
                a `ConflictWarning`, or "ignore" that it does.
            replica: The DSN of a read replica of a PostgreSQL database.
            clock: The real clock if None.
            ids: Random ids if None.

        Raises:
            DatabaseMissing: There is no such file, and none may be made.
            SchemaUnavailable: The database is older than this program, and may not be migrated.
            DriverMissing: It is a DSN, and the PostgreSQL driver is not installed.
        """
        use_cases = open_kernel(location, default_release(), clock=clock, ids=ids, replica=replica)
        if create:
            use_cases.schema_care.migrate(dry_run=False)
        elif not is_dsn(location) and not Path(location).is_file():
            raise DatabaseMissing(
                f"there is no database at '{location}'; correct the path, or open it with create=True"
            )
        use_cases.schema_care.require_usable()
        return cls(use_cases, ConflictPolicy(conflicts))

    def find(self, context_package_id: str) -> ContextPackage:
        with self._lock:
            return _decode(self._use_cases.asking.find(context_package_id))

    def list_exclusions(self, context_package_id: str, cursor: str | None = None) -> ExcludedItems:
        with self._lock:
            return self._suite.exclusions.list_page(context_package_id, cursor)

    def show_record(self, memory_version_id: str) -> RecordStory:
        with self._lock:
            return self._suite.lineage.show_record(memory_version_id)

    def show_lineage(self, memory_id: str) -> MemoryStory:
        with self._lock:
            return self._suite.lineage.show_memory(memory_id)

    def replay(self, context_package_id: str) -> Replay:
        with self._lock:
            return self._suite.replaying.replay(context_package_id)

    def prove(self, context_package_id: str) -> bytes:
        with self._lock:
            return encode_proof(self._suite.proving.prove(context_package_id))

    def find_counterfactual(self, context_package_id: str) -> WhatWouldFlip:
        with self._lock:
            return self._suite.explaining.find_flips(context_package_id)

    def find_blast_radius(
        self, memory_version_id: str, *, cursor: str | None = None, limit: int | None = None
    ) -> BlastRadius:
        asked = FindBlastRadius(memory_version_id=memory_version_id, cursor=cursor, limit=limit)
        with self._lock:
            return self._suite.explaining.find_blast_radius(asked)

    def embed(
        self, progress: Callable[[int, int], None] = lambda done, total: None, *, rebuild: bool = False
    ) -> Embedded:
        """Make the vectors that recalls by meaning need; what was made is kept when it is stopped.

        Args:
            progress: Told now and then how many were made, of how many.
            rebuild: Make all of them anew.

        Raises:
            ModeUnavailable: The database keeps no vectors, or the extra `semantic` is not installed.
        """
        with self._lock:
            return self._use_cases.open_semantic().embed(progress, rebuild=rebuild)

    def close(self) -> None:
        """Close the database; the next call opens it again."""
        with self._lock:
            self._use_cases.file.close()

    def _add_record(
        self, request: AddConstraintV4 | AddSummaryV4 | AddMembership, key: str | None
    ) -> MemoryRecord:
        with self._lock:
            written = self._suite.guarding.add_record(request, key=None if key is None else check_key(key))
        warn_of_conflicts(written.conflicts, has_more=written.more_conflicts)
        return read_record(msgspec.json.decode(written.data))

    def _add_link(self, request: AddLink, key: str | None) -> Link:
        with self._lock:
            written = self._suite.guarding.add_link(request, key=None if key is None else check_key(key))
        warn_of_conflicts(written.conflicts, has_more=written.more_conflicts)
        return msgspec.json.decode(written.data, type=Link)

    def _check_constraint(self, request: AddConstraintV4) -> Conflicts:
        with self._lock:
            return self._suite.guarding.check_constraint(request)

    def _compare(self, request: Compare) -> ComparedAnswers:
        with self._lock:
            return self._suite.comparing.compare(request)

    def _ask(self, request: AskV4) -> ContextPackage:
        with self._lock:
            return _decode(self._use_cases.asking.ask(request))

    def _recall(self, request: RecallV4) -> ContextPackage:
        with self._lock:
            return _decode(self._use_cases.asking.recall(request))


def _decode(package: bytes) -> ContextPackage:
    return msgspec.json.decode(package, type=ContextPackage)
