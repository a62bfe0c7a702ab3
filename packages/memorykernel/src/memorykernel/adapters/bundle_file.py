"""Bundle files: writing one whole or not at all, and telling what a file is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

from memorykernel.adapters.bundle_archive import BundleArchive
from memorykernel.adapters.bundle_seal import AGE_BEGINS, load_identities, load_verify_key, make_opener, seal
from memorykernel.adapters.published_snapshot import PublishedSnapshot
from memorykernel.adapters.published_sqlite import PublishedSqlite
from memorykernel.adapters.storage_fault import explain
from memorykernel.core.bundle import Member
from memorykernel.errors import BundleInvalid, WriteConflict, WriteFailed
from memorykernel.ports import Bundle, PublishedData

_SQLITE_BEGINS: Final = b"SQLite format 3\0"
_HEADER_BYTES: Final = 512
_OURS: Final = (*(f"{member}/".encode() for member in Member), b"manifest.json\0")


class Kind(StrEnum):
    """What can be imported."""

    BUNDLE = "bundle"
    PUBLISHED_SNAPSHOT = "published snapshot"
    PUBLISHED_SQLITE = "published SQLite file"


def find_kind(path: Path) -> Kind:
    """Tell what a file is by how it begins.

    Raises:
        BundleInvalid: It cannot be read.
    """
    if path.is_dir():
        return Kind.PUBLISHED_SNAPSHOT
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as exc:
        raise BundleInvalid(f"'{path}' cannot be read: {exc.strerror}; correct the path") from exc
    if header.startswith(_SQLITE_BEGINS):
        return Kind.PUBLISHED_SQLITE
    if header.startswith(AGE_BEGINS) or (header.startswith(_OURS) and not _is_published(path)):
        return Kind.BUNDLE
    return Kind.PUBLISHED_SNAPSHOT


def open_bundle(path: Path, *, verify_key: Path | None, identity: Path | None) -> Bundle:
    """A bundle file, with the keys to read and trust it.

    Raises:
        KeyUnusable: A key file is not what it should be.
        BundleInvalid: The file is encrypted and there is no identity.
    """
    identities = None if identity is None else load_identities(identity)
    key = None if verify_key is None else load_verify_key(verify_key)
    return BundleArchive(make_opener(path, identities), key)


def open_published(path: Path, kind: Kind) -> PublishedData:
    """What the published implementation wrote."""
    return PublishedSqlite(path) if kind is Kind.PUBLISHED_SQLITE else PublishedSnapshot(path)


def write_stream(chunks: Iterator[bytes], target: BinaryIO, recipients: list[Any]) -> None:
    """Write a bundle to an open stream, encrypted if there are recipients."""
    if recipients:
        seal(chunks, target, recipients)
    else:
        target.writelines(chunks)
    target.flush()


def write_file(chunks: Iterator[bytes], path: Path, recipients: list[Any]) -> int:
    """Write a bundle into a new file, which appears when it is whole and on disk; its size in bytes.

    Raises:
        WriteConflict: There is a file already.
        WriteFailed: It could not be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            # It may hold everything that the store knows: for its owner only.
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                write_stream(chunks, file, recipients)
                os.fsync(file.fileno())
            os.link(draft, path)
            return path.stat().st_size
        finally:
            with suppress(FileNotFoundError):
                draft.unlink()
    except FileExistsError as exc:
        raise WriteConflict(f"'{path}' exists; name a new file") from exc
    except OSError as exc:
        raise WriteFailed(f"the export was not written: {explain(exc)}") from exc


def replace_file(data: bytes, path: Path) -> None:
    """Write a file, whole or not at all, over one of its name if there is one.

    Raises:
        WriteFailed: It could not be written; what was there is there.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            draft.write_bytes(data)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as exc:
        raise WriteFailed(f"'{path}' was not written: {explain(exc)}") from exc


def _is_published(path: Path) -> bool:
    """A published archive can begin with its manifest, as ours can when somebody packs it anew."""
    try:
        PublishedSnapshot(path).verify()
    except BundleInvalid:
        return False
    return True
