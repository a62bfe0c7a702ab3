"""The database's schema: is it usable, and bringing it to where the release needs it."""

from __future__ import annotations

import msgspec

from memorykernel.core.release import SCHEMA_VERSIONS
from memorykernel.core.schema_status import SchemaStatus, require_usable
from memorykernel.ports import Clock, Schema


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """What a migration did or would do, in the key order of the wire."""

    dry_run: bool
    current_version: int
    target_version: int
    would_apply_versions: tuple[int, ...]
    inferred_from_legacy: bool
    after_version: int | None
    up_to_date: bool | None


class ReadyChecks(msgspec.Struct, frozen=True, kw_only=True):
    """What readiness rests on, in the key order of the wire."""

    current_schema_version: int
    target_schema_version: int
    pending_migrations: int
    inferred_from_legacy: bool


class SchemaCare:
    """Knows the schema.

    Once usable a schema stays usable, because migrations only add; so the positive answer is remembered
    and a question costs no extra read.
    """

    def __init__(self, *, schema: Schema, clock: Clock) -> None:
        self._schema = schema
        self._clock = clock
        self._usable = False

    def load_status(self) -> SchemaStatus:
        """Say where the schema stands; creates nothing.

        Raises:
            SchemaUnavailable: The file is no database of this program.
        """
        return self._schema.load_status()

    def require_usable(self) -> None:
        """Pass when questions and writes can be served.

        Raises:
            SchemaUnavailable: They cannot; the message names the command to run.
        """
        if not self._usable:
            require_usable(self.load_status())
            self._usable = True

    def check_ready(self) -> ReadyChecks:
        """Look at the file anew and say what readiness rests on.

        Raises:
            SchemaUnavailable: The release cannot work on the database.
        """
        status = self.load_status()
        require_usable(status)
        return ReadyChecks(
            current_schema_version=status.current_version,
            target_schema_version=status.target_version,
            pending_migrations=len(status.pending_versions),
            inferred_from_legacy=status.inferred_from_legacy,
        )

    def migrate(self, *, dry_run: bool) -> Migration:
        """Bring the schema to the release's, or only say what that would apply. Idempotent.

        Raises:
            SchemaUnavailable: The file is no database of this program.
            MigrationFailed: It could not; nothing was applied.
        """
        before = self.load_status()
        after = None if dry_run else self._schema.migrate(self._clock.now_us())
        return Migration(
            dry_run=dry_run,
            current_version=before.current_version,
            target_version=before.target_version,
            would_apply_versions=before.pending_versions,
            inferred_from_legacy=before.inferred_from_legacy,
            after_version=None if after is None else after.current_version,
            up_to_date=None if after is None else _is_up_to_date(after),
        )


def _is_up_to_date(status: SchemaStatus) -> bool:
    return not status.pending_versions and status.current_version <= SCHEMA_VERSIONS[-1]
