"""Evidence bytes as one file per digest beside the log.

Invariants: a file's name is the sha256 of its bytes, it appears whole or not at all (temporary file,
`fsync`, rename, `fsync` of the folder) and is never changed; bytes that do not fit their name are not
handed out. Source: cutover-program, "The decision log".
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from pathlib import Path

from cutover.errors import EvidenceUnreadable

MAX_EVIDENCE_BYTES = 64 << 20
_DIGEST = re.compile(r"[0-9a-f]{64}")


class EvidenceFolder:
    """An `EvidenceStore` on a folder. Safe between threads and processes.

    Args:
        path: The folder; made by the first `store`.
        max_bytes: Longest evidence that is kept or read.
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_EVIDENCE_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes

    def store(self, data: bytes) -> str:
        """Keep bytes durably; return their sha256 hex. Idempotent: a damaged copy is replaced.

        Raises:
            EvidenceUnreadable: When they are too long or cannot be written.
        """
        if len(data) > self._max_bytes:
            raise EvidenceUnreadable(
                f"evidence of {len(data)} bytes, expected at most {self._max_bytes}; collect less"
            )
        digest = hashlib.sha256(data).hexdigest()
        try:
            if self._bytes_of(digest) != data:
                self._write(digest, data)
        except OSError as exc:
            raise EvidenceUnreadable(
                f"evidence cannot be written: {exc.strerror}; make room for {self._path} and repeat"
            ) from exc
        return digest

    def load(self, digest: str) -> bytes:
        """Return the bytes of a digest.

        Raises:
            EvidenceUnreadable: When they are missing, too long or do not match the digest.
        """
        if not _DIGEST.fullmatch(digest):
            raise EvidenceUnreadable(f"{digest[:80]!r} is no digest, expected 64 lower-case hex digits")
        data = self._bytes_of(digest)
        if data is None:
            raise EvidenceUnreadable(f"evidence {digest[:12]} is missing; expected it in {self._path}")
        if len(data) > self._max_bytes:
            raise EvidenceUnreadable(f"evidence {digest[:12]} is longer than {self._max_bytes} bytes")
        if (found := hashlib.sha256(data).hexdigest()) != digest:
            raise EvidenceUnreadable(
                f"evidence {digest[:12]} was altered: expected its digest, got {found[:12]}; collect it again"
            )
        return data

    def _bytes_of(self, digest: str) -> bytes | None:
        """Return at most one byte more than may be kept: enough to see that a file is too long."""
        try:
            with (self._path / digest).open("rb") as file:
                return file.read(self._max_bytes + 1)
        except FileNotFoundError:
            return None

    def _write(self, digest: str, data: bytes) -> None:
        self._path.mkdir(parents=True, exist_ok=True)
        fd, temporary = tempfile.mkstemp(dir=self._path, prefix=f".{digest[:12]}-")
        try:
            with open(fd, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o644)
            Path(temporary).replace(self._path / digest)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
