"""Moving a store's data: out as a bundle, and in again, all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from memorykernel.core.bundle import (
    FORMAT,
    MANIFEST_PATH,
    SCHEMA_VERSION,
    SIGNATURE_PATH,
    Manifest,
    Member,
    StoreState,
    encode_manifest,
)
from memorykernel.core.bundle_signature import PrivateKey, sign_manifest
from memorykernel.core.instant import format_instant
from memorykernel.ports import (
    Bundle,
    BundleWriter,
    Clock,
    DataSource,
    DataTarget,
    PublishedData,
    PublishedTarget,
)


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did.

    Attributes:
        exact: Whether the store held nothing and now has the heads of the bundle.
        added: Lines that were taken over.
        identical: Lines that were there already.
        answers_left_out: Answers that a merge leaves out, because the store never had the states that they
            were given on.
        source: What the bundle says that it holds.
        exported_at: When the newest entry of the bundle was recorded, or what its maker said.
    """

    exact: bool
    added: int
    identical: int
    answers_left_out: int
    source: StoreState
    exported_at: str | None


class TakeoverReport(msgspec.Struct, frozen=True, kw_only=True):
    """What taking over published data did.

    Attributes:
        added: Records, links and answers that were taken over.
        identical: Those that were there already.
        schema_version: The schema that the data says it has.
    """

    added: int
    identical: int
    schema_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Moving:
    """Exports and imports one store."""

    source: DataSource
    target: DataTarget
    published: PublishedTarget
    clock: Clock

    def export(
        self, writer: BundleWriter, *, exported_at: str | None = None, sign_key: PrivateKey | None = None
    ) -> Iterator[bytes]:
        """Give the bytes of a bundle of the newest state, piece by piece, in constant memory.

        The same state, time and key give the same bytes. Writers of the store go on meanwhile.

        Args:
            writer: The container.
            exported_at: RFC 3339 UTC, for the manifest; when the newest entry was recorded if None.
            sign_key: Signs the manifest.

        Raises:
            SchemaUnavailable: The store is older than schema 4.
            QueryFailed: The store could not, or is damaged.
        """
        with self.source.hold() as snapshot:
            for member in Member:
                for lines in snapshot.encode_lines(member):
                    yield from writer.encode_chunk(member, lines)
            newest_us = snapshot.load_newest_us()
            if exported_at is None and newest_us is not None:
                exported_at = format_instant(newest_us)
            manifest = Manifest(
                format=FORMAT,
                schema_version=SCHEMA_VERSION,
                exported_at=exported_at,
                state=snapshot.load_state(),
                files=writer.list_files(),
            )
        encoded = encode_manifest(manifest)
        yield from writer.encode_file(MANIFEST_PATH, encoded)
        if sign_key is not None:
            yield from writer.encode_file(SIGNATURE_PATH, sign_manifest(sign_key, encoded))
        yield writer.encode_end()

    def take_over(self, bundle: Bundle) -> ImportReport:
        """Import a bundle: verify all of it, then take it over, all of it or nothing.

        Raises:
            BundleInvalid: It is damaged, cut off, not signed as required, or says what no store lets in.
            SchemaUnavailable: The store is too old.
            WriteConflict: A link leads nowhere, or the store has other content under the same id.
            WriteFailed: The store could not.
        """
        manifest = bundle.verify()
        imported = self.target.load(bundle, manifest, now_us=self.clock.now_us())
        return ImportReport(
            exact=imported.exact,
            added=imported.added,
            identical=imported.identical,
            answers_left_out=imported.left_out,
            source=manifest.state,
            exported_at=manifest.exported_at,
        )

    def take_over_published(self, data: PublishedData) -> TakeoverReport:
        """Take over what the published implementation wrote, all of it or nothing.

        Raises:
            BundleInvalid: It is damaged, or says what no request may.
            SchemaUnavailable: The store is too old.
            WriteConflict: A link leads nowhere, or the store has other content under the same id.
            WriteFailed: The store could not.
        """
        manifest = data.verify()
        imported = self.published.load(data, now_us=self.clock.now_us())
        return TakeoverReport(
            added=imported.added, identical=imported.identical, schema_version=manifest.schema_version
        )
