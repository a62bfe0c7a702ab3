"""The decision log as one file of lines that several processes append to.

Invariants: every append happens under an exclusive `flock`, on a head that was verified under the same
lock, and is on the disk (`fdatasync`; the folder too when the file is new) before it returns. A line that
does not verify is never written. What already verified is not verified again, so a reader that follows
the file pays for new lines only; a file that shrank or was replaced underneath is damage.

A crash in the middle of a write leaves bytes after the last newline. Readers look at complete lines
only and count the rest (`torn_bytes`); the next appender repairs it: a line that only lacks its newline
is completed, anything else is moved to `<file>.torn`. A complete line that does not verify is damage
wherever it stands, the last one included, and is left alone: tampering must not heal itself.

It leaves to others what the entries mean. Source: cutover-program, "The decision log".
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from securesystemslib.signer import Signer

from cutover.core.entry import Entry, EntryBody
from cutover.core.log import DEFAULT_SKEW, MAX_LINE_BYTES, VerifiedLog, encode_statement, sign_line
from cutover.errors import LogConflict, LogDamaged, LogError
from cutover.ports import Clock, Unless

_MAX_LOG_BYTES = 1 << 30
_READ_BYTES = 1 << 20
_LOCK_PAUSE_S = 0.001
PATIENCE_S = 10.0
"""Reading and writing take milliseconds each; a disk may be slow, a process that waits for ever is worse."""


class FileLog:
    """A `LogStore` on a file. Thread-safe, and safe between processes on one machine.

    Args:
        path: The file; it and its folder are made by the first append.
        clock: Stamps the entries that `append` writes.
        skew: How far this clock may lie behind the newest entry.
        patience_s: How long to wait while another process reads or writes.
    """

    def __init__(
        self, path: Path, clock: Clock, *, skew: timedelta = DEFAULT_SKEW, patience_s: float = PATIENCE_S
    ) -> None:
        self._path = path
        self._clock = clock
        self._skew = skew
        self._patience_s = patience_s
        self._log = VerifiedLog(skew=skew)
        self._offset = 0
        self._inode: int | None = None
        self._tail = b""
        self._mutex = threading.RLock()

    @property
    def path(self) -> Path:
        """The file behind the log."""
        return self._path

    @property
    def torn_bytes(self) -> int:
        """How many bytes stood after the last newline at the last read: a write that a crash cut off."""
        return len(self._tail)

    def read(self) -> VerifiedLog:
        """Return the log, verified up to the newest complete line; empty when there is no file yet.

        Raises:
            LogDamaged: When a line does not verify, or the file shrank or was replaced.
            LogError: When the file cannot be read.
        """
        with self._mutex:
            if not self._path.exists() and self._inode is None:
                return self._log
            with self._open(os.O_RDONLY, fcntl.LOCK_SH) as fd:
                fresh = self._read_fresh(fd)
            self._take(fresh)  # verified without the lock: a reader holds up no appender
            return self._log

    def append(self, body: EntryBody, *signers: Signer, unless: Unless | None = None) -> Entry:
        """Sign `body` onto the newest head and make it durable before returning.

        The time is the clock's, or the newest entry's when the clock lies behind it within the skew.

        Raises:
            LogConflict: With the reason that `unless` gave, asked under the lock; nothing was appended.
            LogDamaged: When what is there does not verify, or `body` may not stand there.
            LogError: When the clock is too far behind, or the line cannot be written; the log is unharmed.
        """
        with self._mutex, self._appending() as fd:
            reason = unless(self._log.entries) if unless is not None else None
            if reason is not None:
                raise LogConflict(reason)
            statement = encode_statement(body, head=self._log.head, time=self._now())
            return self._write(fd, sign_line(statement, signers))

    def append_line(self, line: bytes) -> Entry:
        """Append a raw line (no newline) that was signed elsewhere; as `append` otherwise."""
        with self._mutex, self._appending() as fd:
            return self._write(fd, line)

    def _now(self) -> datetime:
        now = self._clock.now()
        if not self._log.entries or now >= (newest := self._log.entries[-1].time):
            return now
        if newest - now > self._skew:
            raise LogError(
                f"the clock is {newest - now} behind the newest entry, expected at most {self._skew}; "
                "set the clock and repeat"
            )
        return newest

    @contextmanager
    def _appending(self) -> Iterator[int]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._open(os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as fd:
            if self._inode is None and os.fstat(fd).st_size == 0:
                _sync_folder(self._path.parent)
            self._take(self._read_fresh(fd))
            self._repair(fd)
            yield fd

    @contextmanager
    def _open(self, flags: int, lock: int) -> Iterator[int]:
        try:
            fd = os.open(self._path, flags | os.O_CLOEXEC, 0o644)
        except OSError as exc:
            raise LogError(f"the decision log cannot be opened: {exc}; check {self._path}") from exc
        try:
            self._lock(fd, lock)  # let go by close
            yield fd
        finally:
            os.close(fd)

    def _lock(self, fd: int, lock: int) -> None:
        """Wait for whoever writes, but not for one that was stopped in the middle: it never lets go."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                fcntl.flock(fd, lock | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise LogError(
                        f"another process has held the decision log for {self._patience_s:g} s; "
                        f"look for one that is stopped or hangs ('fuser {self._path}') and end it"
                    ) from None
                time.sleep(_LOCK_PAUSE_S)
            else:
                return

    def _read_fresh(self, fd: int) -> bytes:
        """Return the bytes after what was verified; the file must still be the one that was verified."""
        found = os.fstat(fd)
        if self._inode not in (None, found.st_ino):
            raise LogDamaged(self._log.head.size, "the file was replaced while it was in use")
        if found.st_size < self._offset:
            raise LogDamaged(self._log.head.size, f"the file shrank to {found.st_size} bytes while in use")
        if found.st_size > _MAX_LOG_BYTES:
            raise LogDamaged(self._log.head.size, f"the file is longer than {_MAX_LOG_BYTES} bytes")
        self._inode = found.st_ino
        return _read_from(fd, self._offset, found.st_size)

    def _take(self, fresh: bytes) -> None:
        """Verify complete lines that are new; each is taken only if it and all before it verify."""
        *lines, self._tail = fresh.split(b"\n")
        for line in lines:
            self._log.append(line)
            self._offset += len(line) + 1

    def _repair(self, fd: int) -> None:
        """Deal with what a crash left after the last newline; the caller holds the lock."""
        if not self._tail:
            return
        try:
            self._log.append(self._tail, persist=lambda _: self._store(fd, b"\n", self._end()))
            self._offset = self._end() + 1
        except LogDamaged:
            self._move_away(fd)
        self._tail = b""

    def _move_away(self, fd: int) -> None:
        torn = self._path.with_name(f"{self._path.name}.torn")
        with torn.open("ab") as copy:
            copy.write(self._tail + b"\n")
            copy.flush()
            os.fsync(copy.fileno())
        os.ftruncate(fd, self._offset)
        os.fsync(fd)

    def _end(self) -> int:
        return self._offset + len(self._tail)

    def _write(self, fd: int, line: bytes) -> Entry:
        if len(line) > MAX_LINE_BYTES:
            raise LogError(
                f"an entry of {len(line)} bytes, expected at most {MAX_LINE_BYTES}; "
                "keep the bulk as evidence beside the log"
            )
        entry = self._log.append(line, persist=lambda raw: self._store(fd, raw + b"\n", self._offset))
        self._offset += len(line) + 1
        return entry

    def _store(self, fd: int, data: bytes, offset: int) -> None:
        """Write all of `data` at `offset` durably, or leave the file as it was."""
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(fd, data[written:], offset + written)
            os.fdatasync(fd)
        except OSError as exc:
            os.ftruncate(fd, offset)
            raise LogError(
                f"the decision log cannot be written: {exc.strerror}; nothing was appended, "
                f"make room for {self._path} and repeat"
            ) from exc


def _read_from(fd: int, offset: int, end: int) -> bytes:
    chunks: list[bytes] = []
    while offset < end and (chunk := os.pread(fd, min(_READ_BYTES, end - offset), offset)):
        chunks.append(chunk)
        offset += len(chunk)
    return b"".join(chunks)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
