"""The container of a bundle: a tar stream of chunks, then the manifest, then perhaps its signature.

tar, because every machine can list it and it needs no seeking: a chunk is in memory before its header is
written, so nothing is spooled to disk, and the manifest at the end can hold every digest. The headers are the
same for the same content (no owner, no time, mode 0644).

Reading takes two passes. The first one checks every digest against the manifest, and the manifest's
signature, before one line is parsed; the second one hands out the chunks and checks each digest again,
because the file could have been changed in between.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Final, Protocol

from memorykernel.core.bundle import (
    MANIFEST_PATH,
    MAX_CHUNK_BYTES,
    SIGNATURE_PATH,
    BundleFile,
    Manifest,
    Member,
    find_member,
    name_chunk,
    parse_manifest,
)
from memorykernel.core.bundle_signature import PublicKey, verify_manifest
from memorykernel.errors import BundleInvalid
from memorykernel.ports import BundleChunk, EncodedLines

_BLOCK: Final = 512
_MAX_PATH: Final = 100
_REGULAR: Final = (tarfile.REGTYPE, tarfile.AREGTYPE)


class Readable(Protocol):
    """A stream of bytes to read from."""

    def read(self, size: int = -1, /) -> bytes:
        """At most `size` bytes; none at the end."""
        ...


Opener = Callable[[], AbstractContextManager[Readable]]


def read_entries(stream: Readable) -> Iterator[tuple[str, bytes]]:
    """Read the files of a tar stream, one after the other.

    Raises:
        BundleInvalid: It is no tar stream, ends early, or a file is too large or of another kind.
    """
    while (header := _read_exactly(stream, _BLOCK)) != bytes(_BLOCK):
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError) as exc:
            raise BundleInvalid(f"the file is no bundle: {exc}; name one that 'mk export' wrote") from exc
        if info.type not in _REGULAR or not 0 <= info.size <= MAX_CHUNK_BYTES or len(info.name) > _MAX_PATH:
            raise BundleInvalid(
                f"'{info.name[:80]}' is no member of a bundle:"
                f" expected a file of at most {MAX_CHUNK_BYTES} bytes; export again"
            )
        data = _read_exactly(stream, info.size)
        _read_exactly(stream, -info.size % _BLOCK)
        yield info.name, data
    while stream.read(2**16):
        # What comes after belongs to nobody; it is read so that a sealed stream proves its end.
        pass


class BundleArchive:
    """One bundle on disk; see `ports.Bundle`.

    Args:
        opener: Opens the plain tar stream from its beginning, each time that it is called.
        verify_key: Whose signature is required; None to require none.
    """

    def __init__(self, opener: Opener, verify_key: PublicKey | None) -> None:
        self._opener = opener
        self._verify_key = verify_key

    def verify(self) -> Manifest:
        """See `ports.Bundle`."""
        digests: dict[str, tuple[str, int]] = {}
        rest: dict[str, bytes] = {}
        with self._opener() as stream:
            for path, data in read_entries(stream):
                if path in digests or path in rest:
                    raise BundleInvalid(f"'{path}' is in the bundle twice; export again")
                if path in (MANIFEST_PATH, SIGNATURE_PATH):
                    rest[path] = data
                else:
                    find_member(path)
                    digests[path] = (hashlib.sha256(data).hexdigest(), data.count(b"\n"))
        if MANIFEST_PATH not in rest:
            raise BundleInvalid("the bundle has no manifest: it was cut off, or is none; export again")
        if self._verify_key is not None:
            verify_manifest(self._verify_key, rest[MANIFEST_PATH], rest.get(SIGNATURE_PATH))
        manifest = parse_manifest(rest[MANIFEST_PATH])
        _compare(manifest, digests)
        return manifest

    def read_chunks(self, manifest: Manifest) -> Iterator[BundleChunk]:
        """See `ports.Bundle`."""
        expected = {each.path: each.sha256 for each in manifest.files}
        with self._opener() as stream:
            for path, data in read_entries(stream):
                if path in (MANIFEST_PATH, SIGNATURE_PATH):
                    continue
                if expected.pop(path, None) != hashlib.sha256(data).hexdigest():
                    raise BundleInvalid(f"'{path}' changed while it was read; import again")
                yield BundleChunk(member=find_member(path), path=path, data=data)
        if expected:
            raise BundleInvalid("the bundle changed while it was read; import again")


class TarWriter:
    """The files of one bundle, as a tar stream; see `ports.BundleWriter`."""

    def __init__(self) -> None:
        self._files: list[BundleFile] = []
        self._counts: Counter[Member] = Counter()

    def encode_chunk(self, member: Member, lines: EncodedLines) -> Iterator[bytes]:
        """See `ports.BundleWriter`."""
        self._counts[member] += 1
        path = name_chunk(member, self._counts[member])
        sha256 = hashlib.sha256(lines.data).hexdigest()
        self._files.append(BundleFile(path=path, sha256=sha256, records=lines.lines))
        return self.encode_file(path, lines.data)

    def list_files(self) -> tuple[BundleFile, ...]:
        """See `ports.BundleWriter`."""
        return tuple(self._files)

    def encode_file(self, path: str, data: bytes) -> Iterator[bytes]:
        """See `ports.BundleWriter`."""
        info = tarfile.TarInfo(path)
        info.size, info.mode = len(data), 0o644
        yield info.tobuf(tarfile.USTAR_FORMAT)
        yield data
        yield bytes(-len(data) % _BLOCK)

    def encode_end(self) -> bytes:
        """See `ports.BundleWriter`."""
        return bytes(2 * _BLOCK)


def _compare(manifest: Manifest, found: dict[str, tuple[str, int]]) -> None:
    """Refuse a bundle whose files are not exactly those of its manifest."""
    named = {each.path: (each.sha256, each.records) for each in manifest.files}
    if len(named) != len(manifest.files):
        raise BundleInvalid("the manifest names a file twice; export again")
    for path in sorted(named.keys() | found.keys()):
        if path not in found:
            raise BundleInvalid(f"'{path}' is missing from the bundle; export again")
        if path not in named:
            raise BundleInvalid(f"'{path}' is not named by the manifest; export again")
        if named[path] != found[path]:
            raise BundleInvalid(f"'{path}' is not what the manifest says; export again")


def _read_exactly(stream: Readable, size: int) -> bytes:
    data = stream.read(size) if size else b""
    while len(data) < size:
        more = stream.read(size - len(data))
        if not more:
            raise BundleInvalid(
                "the file ends early: it was cut off, or is no bundle; copy or export it again"
            )
        data += more
    return data
