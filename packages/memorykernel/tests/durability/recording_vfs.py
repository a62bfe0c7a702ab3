"""A recording VFS for the SQLite that Python uses, registered through ctypes.

It records every write, truncation and sync of the database and its WAL, in order, while the real files are
written as always. From such a journal the disk after a power cut can be made: what was synced is there, and
of what was written since any part may be, down to single sectors. The shared memory of the WAL is not
recorded: SQLite rebuilds it.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

SECTOR: Final = 512
_OPEN_MAIN_DB: Final = 0x100
_OPEN_WAL: Final = 0x80000
_DEFAULT: Final = "unix"

_Int64 = ctypes.c_longlong
_Void = ctypes.c_void_p
_Write = ctypes.CFUNCTYPE(ctypes.c_int, _Void, _Void, ctypes.c_int, _Int64)
_Truncate = ctypes.CFUNCTYPE(ctypes.c_int, _Void, _Int64)
_Sync = ctypes.CFUNCTYPE(ctypes.c_int, _Void, ctypes.c_int)
_Close = ctypes.CFUNCTYPE(ctypes.c_int, _Void)
_Open = ctypes.CFUNCTYPE(ctypes.c_int, _Void, _Void, _Void, ctypes.c_int, ctypes.POINTER(ctypes.c_int))


class _Methods(ctypes.Structure):
    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("xClose", _Close),
        ("xRead", _Void),
        ("xWrite", _Write),
        ("xTruncate", _Truncate),
        ("xSync", _Sync),
        ("rest", _Void * 13),
    )


class _File(ctypes.Structure):
    _fields_ = (("pMethods", ctypes.POINTER(_Methods)),)


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("iVersion", ctypes.c_int),
        ("szOsFile", ctypes.c_int),
        ("mxPathname", ctypes.c_int),
        ("pNext", _Void),
        ("zName", ctypes.c_char_p),
        ("pAppData", _Void),
        ("xOpen", _Open),
        ("rest", _Void * 15),
    )


@dataclass(frozen=True, slots=True)
class Step:
    """What happened to a file: `data` was written at `offset`, or it was cut to `offset`, or synced."""

    name: str
    offset: int = 0
    data: bytes | None = None
    synced: bool = False


@dataclass
class Journal:
    """What happened to the files, in order.

    `moments` says how many steps there were when something was said.
    """

    steps: list[Step] = field(default_factory=list)
    moments: list[tuple[int, Any]] = field(default_factory=list)

    def say(self, fact: Any) -> None:
        """Note a fact, such as an acknowledgement, at its place among the steps."""
        self.moments.append((len(self.steps), fact))

    def said_before(self, cut: int) -> list[Any]:
        """What was said when `cut` steps had been taken."""
        return [fact for at, fact in self.moments if at <= cut]

    def restore(self, cut: int, folder: Path, chance: random.Random) -> None:
        """Write the files as a power cut after `cut` steps may leave them.

        Whatever was synced is there. Of what was written to a file since its last sync each step is kept,
        lost or torn at a sector, as chance has it.
        """
        names = {step.name for step in self.steps[:cut]}
        for name in names:
            own = [step for step in self.steps[:cut] if step.name == name]
            safe = max((number for number, step in enumerate(own) if step.synced), default=-1)
            content = bytearray()
            for number, step in enumerate(own):
                if number <= safe:
                    _apply(content, step, None)
                elif chance.random() < 0.7:
                    _apply(content, step, chance if chance.random() < 0.3 else None)
            (folder / name).write_bytes(content)


def _apply(content: bytearray, step: Step, tear: random.Random | None) -> None:
    if step.synced:
        return
    if step.data is None:
        del content[step.offset :]
        return
    data = step.data
    if tear is not None:
        data = data[: tear.randrange(0, len(data) // SECTOR + 1) * SECTOR]
    end = step.offset + len(data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[step.offset : end] = data


_KEPT: Final[list[object]] = []
"""What SQLite was given must live as long as SQLite may call it: a connection may outlive its test."""


class RecordingVfs:
    """Makes itself SQLite's default VFS until it is closed.

    Args:
        journal: Where the steps go.
        fail_sync: Asked before each sync; True makes it fail with an I/O error.
    """

    def __init__(self, journal: Journal, *, fail_sync: Callable[[str], bool] = lambda _: False) -> None:
        self._sqlite = ctypes.CDLL(_sqlite3.__file__)
        self._sqlite.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        self._journal = journal
        self._fail_sync = fail_sync
        self._plain = self._sqlite.sqlite3_vfs_find(_DEFAULT.encode())
        self._vfs = _Vfs()
        ctypes.memmove(ctypes.byref(self._vfs), self._plain, ctypes.sizeof(_Vfs))
        self._vfs.zName = b"recording"
        self._open = _Open(self._on_open)
        self._vfs.xOpen = self._open
        _KEPT.append(self)
        self._sqlite.sqlite3_vfs_register(ctypes.byref(self._vfs), 1)

    def close(self) -> None:
        """Make the plain VFS the default again; files that are open keep this one."""
        self._sqlite.sqlite3_vfs_unregister(ctypes.byref(self._vfs))
        self._sqlite.sqlite3_vfs_register(self._plain, 1)

    def _on_open(self, vfs: int, path: int, file: int, flags: int, out_flags: Any) -> int:
        result: int = self._plain.contents.xOpen(vfs, path, file, flags, out_flags)
        if result == 0 and flags & (_OPEN_MAIN_DB | _OPEN_WAL):
            name = Path(ctypes.string_at(path).decode()).name
            self._wrap(ctypes.cast(file, ctypes.POINTER(_File)), name)
        return result

    def _wrap(self, file: Any, name: str) -> None:
        plain = file.contents.pMethods.contents
        methods = _Methods()
        ctypes.memmove(ctypes.byref(methods), ctypes.byref(plain), ctypes.sizeof(_Methods))
        steps, fail_sync = self._journal.steps, self._fail_sync

        def write(handle: int, data: int, size: int, offset: int) -> int:
            steps.append(Step(name, offset, ctypes.string_at(data, size)))
            return int(plain.xWrite(handle, data, size, offset))

        def truncate(handle: int, size: int) -> int:
            steps.append(Step(name, size))
            return int(plain.xTruncate(handle, size))

        def sync(handle: int, flags: int) -> int:
            if fail_sync(name):
                return 10 | (4 << 8)  # SQLITE_IOERR_FSYNC
            result = int(plain.xSync(handle, flags))
            steps.append(Step(name, synced=True))
            return result

        methods.xWrite, methods.xTruncate, methods.xSync = _Write(write), _Truncate(truncate), _Sync(sync)
        _KEPT.extend((methods, plain))
        file.contents.pMethods = ctypes.pointer(methods)
