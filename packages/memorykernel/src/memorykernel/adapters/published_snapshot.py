"""Snapshots of the published implementation: a folder, or a tar archive of one; see `ports.PublishedData`.

    manifest.json            {schema_version, exported_at, files[{path, sha256, records}]}
    memory_records.ndjson    one memory record a line, as the wire has it
    context_packages.ndjson  one context package a line, as the wire has it

Every file is compared with the manifest before a line of it is parsed.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Final

from memorykernel.core.admission import NewRecord
from memorykernel.core.bundle import MANIFEST_PATH
from memorykernel.core.published import (
    PACKAGES_PATH,
    RECORDS_PATH,
    PublishedAnswer,
    PublishedManifest,
    parse_published_answer,
    parse_published_manifest,
    parse_published_record,
)
from memorykernel.core.record import Link
from memorykernel.errors import BundleInvalid

MAX_LINE_BYTES: Final = 16 * 2**20
_MAX_MANIFEST_BYTES: Final = 2**20
_BLOCK: Final = 2**20


class PublishedSnapshot:
    """One snapshot.

    Args:
        path: A folder, or a tar file, compressed or not, that has the files at its top or in one folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def verify(self) -> PublishedManifest:
        """See `ports.PublishedData`."""
        with self._open(MANIFEST_PATH) as file:
            manifest = parse_published_manifest(file.read(_MAX_MANIFEST_BYTES))
        names = [each.path for each in manifest.files]
        if RECORDS_PATH not in names or not set(names) <= {RECORDS_PATH, PACKAGES_PATH}:
            raise BundleInvalid(
                f"the snapshot has the files {', '.join(names)[:200]}: expected {RECORDS_PATH} and perhaps"
                f" {PACKAGES_PATH}; export it again"
            )
        for each in manifest.files:
            if self._measure(each.path) != (each.sha256, each.records):
                raise BundleInvalid(f"'{each.path}' is not what the manifest says; export it again")
        return manifest

    def read_records(self) -> Iterator[NewRecord]:
        """See `ports.PublishedData`."""
        for where, line in self._read_lines(RECORDS_PATH):
            yield parse_published_record(line, where)

    def read_links(self) -> Iterator[Link]:
        """See `ports.PublishedData`; a snapshot has links in its records only."""
        yield from ()

    def read_answers(self) -> Iterator[PublishedAnswer]:
        """See `ports.PublishedData`."""
        if self._has(PACKAGES_PATH):
            for where, line in self._read_lines(PACKAGES_PATH):
                yield parse_published_answer(line, where)

    def _read_lines(self, name: str) -> Iterator[tuple[str, bytes]]:
        with self._open(name) as file:
            number = 0
            while line := file.readline(MAX_LINE_BYTES + 1):
                number += 1
                if len(line) > MAX_LINE_BYTES:
                    raise BundleInvalid(f"{name} line {number}: has more than {MAX_LINE_BYTES} bytes")
                if line.strip():
                    yield f"{name} line {number}", line.strip()

    def _measure(self, name: str) -> tuple[str, int]:
        digest, lines, last = hashlib.sha256(), 0, b"\n"
        with self._open(name) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                lines += block.count(b"\n")
                last = block[-1:]
        return digest.hexdigest(), lines + (last != b"\n")

    def _has(self, name: str) -> bool:
        try:
            with self._open(name):
                return True
        except BundleInvalid:
            return False

    def _open(self, name: str) -> AbstractContextManager[IO[bytes]]:
        return self._open_file(name) if self._path.is_dir() else self._open_member(name)

    @contextmanager
    def _open_file(self, name: str) -> Iterator[IO[bytes]]:
        try:
            with (self._path / name).open("rb") as file:
                yield file
        except OSError as exc:
            raise BundleInvalid(f"'{name}' of the snapshot cannot be read: {exc.strerror}") from exc

    @contextmanager
    def _open_member(self, name: str) -> Iterator[IO[bytes]]:
        try:
            with tarfile.open(self._path) as archive:
                found = [each for each in archive if each.isfile() and Path(each.name).name == name]
                file = archive.extractfile(found[0]) if len(found) == 1 else None
                if file is None:
                    raise BundleInvalid(f"the snapshot has {len(found)} files named '{name}', expected one")
                with file:
                    yield file
        except (OSError, tarfile.TarError, EOFError) as exc:
            raise BundleInvalid(
                f"'{self._path}' is no export, no snapshot and no SQLite file, or was cut off;"
                " name what 'mk export' wrote, or copy it again"
            ) from exc
