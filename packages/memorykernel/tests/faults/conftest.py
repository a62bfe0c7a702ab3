"""Disks that are small, full, or read-only: real ones, mounted for a test."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SIZE_BYTES = 4 * 2**20


@dataclass(frozen=True)
class Disk:
    """A disk of our own.

    Attributes:
        path: Where it is mounted.
    """

    path: Path

    @property
    def _filler(self) -> Path:
        return self.path / ".filler"

    def fill(self, *, spare_bytes: int = 0) -> None:
        """Leave so much room and no more."""
        with self._filler.open("ab") as file:
            found = os.statvfs(self.path)
            file.write(bytes(max(0, found.f_bavail * found.f_frsize - spare_bytes)))

    def empty(self) -> None:
        """Make room again."""
        self._filler.unlink(missing_ok=True)

    def forbid_writing(self) -> None:
        """Be read-only from now on; nobody may have a file open for writing."""
        _run("mount", "-o", "remount,ro", str(self.path))

    def allow_writing(self) -> None:
        """Be writable again."""
        _run("mount", "-o", "remount,rw", str(self.path))

    def list_names(self) -> set[str]:
        """The files that are there."""
        return {each.name for each in self.path.iterdir()} - {self._filler.name}


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)  # fixed commands


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 4 MiB; mounting one needs root."""
    path = tmp_path / "disk"
    path.mkdir()
    mount = shutil.which("mount")
    if mount is None:
        pytest.skip("needs `mount`, to mount a small disk")
    mounted = subprocess.run(  # a fixed command
        [mount, "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(path)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a small disk: {mounted.stderr.decode().strip()}")
    try:
        yield Disk(path)
    finally:
        _run("umount", "--lazy", str(path))


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def mk(kit: Any) -> Callable[..., Ran]:
    """Run `mk` as a process of its own."""

    def run(*arguments: str | Path, stdout: Path | None = None, before: Sequence[str] = ()) -> Ran:
        command = [*before, *kit.mk, *map(str, arguments)]
        if stdout is None:
            done = subprocess.run(command, capture_output=True, check=False)  # our own
            return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        with stdout.open("wb") as file:
            done = subprocess.run(  # our own
                command, stdout=file, stderr=subprocess.PIPE, check=False
            )
        return Ran(done.returncode, "", done.stderr.decode())

    return run


@pytest.fixture
def unprivileged() -> list[str]:
    """What to put before a command so that permissions bind it, for root too."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("needs `setpriv`, because permissions do not bind root")
    return [setpriv, "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"]
