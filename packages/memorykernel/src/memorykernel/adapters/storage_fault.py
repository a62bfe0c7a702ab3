"""What a file or its disk refused, in words: the fact, and what to do about it.

SQLite and the operating system name the same fault differently ("database or disk is full", "No space left on
device"), and neither says what to do. Everything that touches a file ends its message with what `explain`
says.
"""

from __future__ import annotations

import errno
import sqlite3
from typing import Final

_FULL: Final = "no space left on the device; make room there, then repeat it"
_READ_ONLY: Final = (
    "the disk, the folder or the file is read-only; allow writing there (also to read: -wal and -shm are made"
    " beside a database), then repeat it"
)
_FORBIDDEN: Final = "this user may not write there; allow it, then repeat it"
_DAMAGED: Final = (
    "the database is damaged; find where with 'mk verify' and restore a backup with 'mk restore'"
)
_UNREADABLE: Final = "the file is not a database; correct the path, or restore a backup with 'mk restore'"
_LOCKED: Final = (
    "another process has held the database for too long; wait until it is done (a migration, an import),"
    " then repeat it"
)
_MOVED: Final = "the file was moved or replaced while it was open; put it back or restart, then repeat it"
_CANNOT_OPEN: Final = (
    "the file, or its -wal and -shm beside it, cannot be opened; allow reading and writing in its folder"
)
_FAILING: Final = "the disk failed to read or write; look at its state and limits, then repeat it"

_BY_ERRNO: Final = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _FORBIDDEN,
    errno.EPERM: _FORBIDDEN,
    errno.EIO: _FAILING,
}
_BY_EXTENDED_CODE: Final = {
    # The file of shared memory is extended before it is used, and that is all that can fail there.
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,
    sqlite3.SQLITE_READONLY_DBMOVED: _MOVED,
}
_BY_CODE: Final = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_PERM: _FORBIDDEN,
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _UNREADABLE,
    sqlite3.SQLITE_CANTOPEN: _CANNOT_OPEN,
    sqlite3.SQLITE_IOERR: _FAILING,
}


def explain(error: Exception) -> str:
    """Say what a failure is and what to do about it, in one line. Pure.

    Args:
        error: Of SQLite, or of the operating system; anything else is told in its own words.

    Source: https://www.sqlite.org/rescode.html
    """
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0, f"{error.strerror or error}; correct that, then repeat it")
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return str(error)
    return (
        _BY_EXTENDED_CODE.get(code) or _BY_CODE.get(code & 0xFF) or f"{error}; correct that, then repeat it"
    )


def is_no_damage(error: sqlite3.Error) -> bool:
    """Say whether a failure says nothing about the data: it is one of disk, rights or locks. Pure."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
    )
