"""A release folder on disk: the export of a tag."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memorykernel.core.release import RELEASE_FILE, Release, parse_release
from memorykernel.errors import ReleaseInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseFolder:
    """What a release folder holds; `openapi` is the document's bytes, served as they are."""

    release: Release
    openapi: bytes


def load_release_folder(folder: Path) -> ReleaseFolder:
    """Read a release folder.

    Raises:
        ReleaseInvalid: A file is missing or `release.toml` is wrong.
    """
    release = parse_release(_read(folder / RELEASE_FILE))
    openapi = _read(folder / (release.openapi or ""))
    _read(folder / (release.manifest or ""))
    return ReleaseFolder(release=release, openapi=openapi)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ReleaseInvalid(
            f"release file '{path}' cannot be read: {exc.strerror}; export the whole tag into the folder"
        ) from exc
