"""The use cases that replay, prove and verify, and those that service.v4 adds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.core.release import default_release
from memorykernel.core.vocabulary import ConflictPolicy
from memorykernel.errors import DatabaseMissing, MemoryKernelError
from memorykernel.ports import Provenance
from memorykernel.service.known_state import Remembered
from memorykernel.service.proving import Proving
from memorykernel.service.replaying import Replaying
from memorykernel.wiring.kernel import Kernel, is_dsn, open_kernel, require_driver

if TYPE_CHECKING:
    from memorykernel.adapters.verification import VerifyReport
    from memorykernel.service.suite import Suite


def open_replaying(kernel: Kernel) -> Replaying:
    """The use case of computing a kernel's answers again."""
    return Replaying(remembered=_remember(kernel), schema_care=kernel.schema_care)


def open_proving(kernel: Kernel) -> Proving:
    """The use case of proving a kernel's answers."""
    return Proving(remembered=_remember(kernel), provenance=_trace(kernel), schema_care=kernel.schema_care)


def verify_store(
    location: Path | str, *, answers: bool, jobs: int, progress: Callable[[int, int], None]
) -> VerifyReport:
    """Verify a whole database; see `adapters.verification`.

    Raises:
        DatabaseMissing: There is no such file.
        SchemaUnavailable: The server's database cannot be read, or is none of ours.
    """
    if is_dsn(location):
        require_driver()
        from memorykernel.adapters import postgres_verify

        report = postgres_verify.verify(str(location), answers=answers, jobs=jobs, progress=progress)
    else:
        from memorykernel.adapters import sqlite_verify

        path = Path(location)
        if not path.is_file():
            raise DatabaseMissing(f"there is no database at '{path}'; correct the path")
        report = sqlite_verify.verify(path, answers=answers, jobs=jobs, progress=progress)
    return msgspec.structs.replace(report, warnings=_list_warnings(location)) if report.ok else report


def _list_warnings(location: Path | str) -> tuple[str, ...]:
    from memorykernel.service.clock_care import ClockCare

    kernel = open_kernel(location, default_release())
    try:
        # Older schemas have no times, and then there is nothing to warn of.
        with suppress(MemoryKernelError):
            return ClockCare(memory=kernel.asking.memory, clock=kernel.remembering.clock).list_warnings()
        return ()
    finally:
        kernel.file.close()


def build_suite(kernel: Kernel, conflicts: ConflictPolicy = ConflictPolicy.WARN) -> Suite:
    """The use cases that service.v4 adds, over a kernel's store."""
    from memorykernel.service.suite import Suite

    return Suite.build(kernel.asking, kernel.remembering, provenance=_trace(kernel), conflicts=conflicts)


def _trace(kernel: Kernel) -> Provenance:
    # Imported here: few commands need it.
    if isinstance(kernel.file, SqliteFile):
        from memorykernel.adapters.sqlite_provenance import SqliteProvenance

        return SqliteProvenance(kernel.file)
    from memorykernel.adapters.postgres_provenance import PostgresProvenance

    return PostgresProvenance(kernel.file)


def _remember(kernel: Kernel) -> Remembered:
    asking = kernel.asking
    return Remembered(memory=asking.memory, answers=asking.answers, semantic=asking.semantic)
