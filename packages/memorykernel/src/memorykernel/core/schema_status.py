"""Where a database's schema stands against what a release needs."""

from __future__ import annotations

import msgspec

from memorykernel.core.release import SCHEMA_VERSIONS
from memorykernel.errors import SchemaUnavailable


class SchemaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The schema in the file and the one the release wants.

    `inferred_from_legacy` is always false here: this program has never written a database without a version;
    the key belongs to the published contract.
    """

    current_version: int
    target_version: int
    pending_versions: tuple[int, ...]
    inferred_from_legacy: bool = False


def compare_schema(current_version: int, target_version: int) -> SchemaStatus:
    """Compare a database with a release. A newer database has nothing pending: migrations only add."""
    pending = tuple(n for n in SCHEMA_VERSIONS if current_version < n <= target_version)
    return SchemaStatus(
        current_version=current_version, target_version=target_version, pending_versions=pending
    )


def require_lists(found: bool) -> None:
    """Pass when a database of schema 4 has the lists of recall-ordering.v3.

    Versions of this program before its first release made the schema without them.

    Raises:
        SchemaUnavailable: It has none.
    """
    if not found:
        raise SchemaUnavailable(
            "the database was made before schema 4 was final and has no table 'postings'; export it with the"
            " version that made it, and import that"
        )


def require_usable(status: SchemaStatus) -> None:
    """Pass when a release can work on the database.

    Raises:
        SchemaUnavailable: A migration is pending, or the schema is newer than this program knows
            and may therefore need writes that it would leave out.
    """
    if status.current_version > SCHEMA_VERSIONS[-1]:
        raise SchemaUnavailable(
            f"database schema {status.current_version} is newer than this program knows"
            f" ({SCHEMA_VERSIONS[-1]}); run a newer release",
            {"current_version": status.current_version, "target_version": status.target_version},
        )
    if status.pending_versions:
        raise SchemaUnavailable(
            f"database schema is {status.current_version}, expected {status.target_version};"
            " run 'mk db migrate' or POST /v1/db/migrate",
            {"current_version": status.current_version, "target_version": status.target_version},
        )
