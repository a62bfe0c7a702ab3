"""Finds and reads documents below a folder, and nothing outside of it.

Symbolic links are never followed, neither to files nor to folders: what is drafted for a customer
must come from the folder that the team named.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from assistsupport.adapters.readers.documents import FORMAT_BY_SUFFIX, MAX_BYTES, choose_format
from assistsupport.core.knowledge import FoundFile, FoundSource
from assistsupport.errors import ArticleRefused, SourceRefused

MAX_FILES = 200_000
MAX_DEPTH = 24
_SUFFIXES = ", ".join(sorted(FORMAT_BY_SUFFIX))


class DocumentFolder:
    """Implements `ports.ArticleFiles` on the file system."""

    def find(self, path: Path, name: str | None, known: Mapping[str, Path]) -> FoundSource:
        """Return the articles at a folder or file, in the order of their ids."""
        if path.is_symlink():
            raise SourceRefused(f"{path} is a symbolic link; name the folder that it points to")
        path = Path(os.path.abspath(path))  # noqa: PTH100 - not resolve(): links inside must not be followed
        if path.is_dir():
            return _find_folder(path, name or path.name, known, explicit=name is not None)
        if not path.is_file():
            raise SourceRefused(f"{path} does not exist; expected a folder of documents, or one of them")
        if path.suffix.lower() not in FORMAT_BY_SUFFIX:
            raise SourceRefused(f"{path} is no document: expected {_SUFFIXES}, got '{path.suffix}'")
        return _find_file(path, name, known)

    def read(self, file: FoundFile) -> bytes:
        """Return the file's bytes; a link put in its place since it was found is refused."""
        limit = MAX_BYTES[choose_format(file.path.name)]
        try:
            descriptor = os.open(file.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as handle:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise ArticleRefused("it is no regular file; leave it out")
                data = handle.read(limit + 1)
        except OSError as exc:
            raise ArticleRefused(f"it cannot be read: {exc.strerror}; check its permissions") from exc
        if len(data) > limit:
            raise ArticleRefused(f"file is too large: expected at most {limit} bytes; split it")
        return data


def _find_folder(root: Path, name: str, known: Mapping[str, Path], *, explicit: bool) -> FoundSource:
    _check_name(name)
    if not explicit and known.get(name, root) != root:
        raise SourceRefused(
            f"source '{name}' was added from {known[name]}, got {root}; "
            f"pass --name to add this folder under another name, or --name {name} to replace the first"
        )
    files, refused = [], []
    for path in _walk(root, 0):
        article_id = f"{name}/{path.relative_to(root).as_posix()}"
        if path.is_symlink():
            refused.append((article_id, "it is a symbolic link; copy the file into the folder"))
        else:
            files.append(FoundFile(article_id=article_id, path=path))
        if len(files) > MAX_FILES:
            raise SourceRefused(f"{root} holds too many files: expected at most {MAX_FILES}; add parts of it")
    if not files:
        raise SourceRefused(f"{root} holds no document; expected at least one of {_SUFFIXES} below it")
    files.sort(key=lambda file: file.article_id)
    return FoundSource(
        name=name, root=root, files=tuple(files), is_whole=True, refused=tuple(sorted(refused))
    )


def _find_file(path: Path, name: str | None, known: Mapping[str, Path]) -> FoundSource:
    """A single file keeps the id that it has as a part of its folder."""
    holders = [
        (each, root) for each, root in known.items() if path.is_relative_to(root) and name in {None, each}
    ]
    source, root = max(
        holders, key=lambda item: len(item[1].parts), default=(name or path.parent.name, path.parent)
    )
    _check_name(source)
    if known.get(source, root) != root:
        raise SourceRefused(
            f"source '{source}' was added from {known[source]}, got a file of {root}; pass --name"
        )
    article_id = f"{source}/{path.relative_to(root).as_posix()}"
    return FoundSource(
        name=source, root=root, files=(FoundFile(article_id=article_id, path=path),), is_whole=False
    )


def _check_name(name: str) -> None:
    if not name or name in {".", ".."} or "/" in name or not name.isprintable():
        raise SourceRefused(f"source name {name!r} is not usable: expected a plain word; pass --name")


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    if depth > MAX_DEPTH:
        raise SourceRefused(
            f"{folder} lies too deep: expected at most {MAX_DEPTH} levels; add it as a source"
        )
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as exc:
        raise SourceRefused(f"{folder} cannot be read: {exc.strerror}; check its permissions") from exc
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), depth + 1)
        elif Path(entry.name).suffix.lower() in FORMAT_BY_SUFFIX:
            yield Path(entry.path)
