"""The access file: for its owner only, replaced as a whole, and read anew when it changed."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from memorykernel.core.access import AccessList, digest_token, encode_access, parse_access
from memorykernel.errors import AccessInvalid

MAX_BYTES: Final = 1024 * 1024
LOOK_EVERY_S: Final = 1.0
"""How soon a revoked token is refused."""


def mint_token() -> tuple[str, str, str]:
    """A new token nobody has seen: (its id, the token, its digest)."""
    token_id = secrets.token_hex(8)
    token = f"mk_{token_id}_{secrets.token_urlsafe(32)}"
    return token_id, token, digest_token(token)


def load_access(path: Path) -> AccessList:
    """Read an access file.

    Raises:
        AccessInvalid: It is missing, a link, not the owner's alone, too large, or malformed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as exc:
        raise AccessInvalid(
            f"the access file '{path}' cannot be opened: {exc.strerror};"
            " name a file that 'mk tokens add' has written"
        ) from exc
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        _require_private(path, status)
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise AccessInvalid(f"the access file has more than {MAX_BYTES} bytes; revoke tokens")
    return parse_access(data)


def change_access(path: Path, change: Callable[[AccessList], AccessList]) -> AccessList:
    """Replace an access file by what a function makes of it, all or nothing, one writer at a time.

    A missing file counts as an empty one, and is made with mode 0600.

    Raises:
        AccessInvalid: The file cannot be read or written.
    """
    try:
        with _locked_folder(path.parent):
            present = load_access(path) if os.path.lexists(path) else AccessList(())
            changed = change(present)
            _replace(path, encode_access(changed))
            return changed
    except OSError as exc:
        raise AccessInvalid(f"the access file '{path}' cannot be written: {exc.strerror}") from exc


class AccessFile:
    """The newest access list of a file, which is looked at again after a while.

    Args:
        path: The file.
        look_every_s: How old the list may be.

    A file that became unreadable, malformed or too open lets nobody in until it is mended: what was
    revoked must not come back because of a mistake.
    """

    def __init__(self, path: Path, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._path = path
        self._look_every_s = look_every_s
        self._seen: tuple[int, int, int, int] | None = None
        self._looked_s = float("-inf")
        self._list = AccessList(())
        self._fault: str | None = None

    @property
    def fault(self) -> str | None:
        """Why nobody is let in; None while the file can be used."""
        return self._fault

    def load(self) -> AccessList:
        """The list as of now, or of a moment ago."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= self._look_every_s:
            self._looked_s = now_s
            self._look()
        return self._list

    def _look(self) -> None:
        try:
            status = self._path.lstat()
            seen = (status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode)
            if seen != self._seen:
                self._list, self._seen, self._fault = load_access(self._path), seen, None
        except AccessInvalid as error:
            self._list, self._seen, self._fault = AccessList(()), None, error.message
        except OSError as exc:
            self._list, self._seen, self._fault = (
                AccessList(()),
                None,
                f"it is gone: {exc.strerror}",
            )


def _require_private(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise AccessInvalid(f"the access file '{path}' is no regular file; name one")
    if status.st_mode & 0o077:
        raise AccessInvalid(
            f"the access file '{path}' has mode {stat.S_IMODE(status.st_mode):04o}, expected 0600;"
            f" run: chmod 600 {path}"
        )


@contextmanager
def _locked_folder(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: Path, data: bytes) -> None:
    # mkstemp makes files of mode 0600.
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)  # noqa: PTH105  # the name is a string
    except BaseException:
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108  # the name is a string
        raise
