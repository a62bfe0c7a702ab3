"""The use cases that replay, prove and verify, and those that service.v4 adds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.core.vocabulary import ConflictPolicy
from memorykernel.errors import DatabaseMissing, InvalidRequest
from memorykernel.service.known_state import Remembered
from memorykernel.service.proving import Proving
from memorykernel.service.replaying import Replaying
from memorykernel.wiring.kernel import Kernel

if TYPE_CHECKING:
    from memorykernel.adapters.sqlite_verify import VerifyReport
    from memorykernel.service.suite import Suite


def open_replaying(kernel: Kernel) -> Replaying:
    """The use case of computing a kernel's answers again."""
    return Replaying(remembered=_remember(kernel), schema_care=kernel.schema_care)


def open_proving(kernel: Kernel) -> Proving:
    """The use case of proving a kernel's answers.

    Raises:
        InvalidRequest: The kernel is not on a file.
    """
    if not isinstance(kernel.file, SqliteFile):
        raise InvalidRequest("proofs are written from a file; import an export of this database into one")
    # Imported here: few commands need it.
    from memorykernel.adapters.sqlite_provenance import SqliteProvenance

    return Proving(
        remembered=_remember(kernel),
        provenance=SqliteProvenance(kernel.file),
        schema_care=kernel.schema_care,
    )


def verify_file(
    path: Path, *, answers: bool, jobs: int, progress: Callable[[int, int], None]
) -> VerifyReport:
    """Verify a whole file; see `adapters.sqlite_verify`.

    Raises:
        DatabaseMissing: There is no such file.
    """
    from memorykernel.adapters.sqlite_verify import verify

    if not path.is_file():
        raise DatabaseMissing(f"there is no database at '{path}'; correct the path")
    return verify(path, answers=answers, jobs=jobs, progress=progress)


def build_suite(kernel: Kernel, conflicts: ConflictPolicy = ConflictPolicy.WARN) -> Suite:
    """The use cases that service.v4 adds, over a kernel's store."""
    provenance = None
    if isinstance(kernel.file, SqliteFile):
        from memorykernel.adapters.sqlite_provenance import SqliteProvenance

        provenance = SqliteProvenance(kernel.file)
    from memorykernel.service.suite import Suite

    return Suite.build(kernel.asking, kernel.remembering, provenance=provenance, conflicts=conflicts)


def _remember(kernel: Kernel) -> Remembered:
    return Remembered(memory=kernel.asking.memory, answers=kernel.asking.answers)
