"""A party's bare `origin` through real git: facts are read from it, commits are written by plumbing.

Names are taken as full refs or full object names only, so nothing a payload says can become revision
syntax or an option. An export writes the blobs of the tree byte for byte: no attributes, no filters.
Source: cutover-program, "Parties, roles, keys" (gates read `origin`) and "Switch".
"""

from __future__ import annotations

import os
import posixpath
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from cutover.adapters.git_command import Git, identity, verify_folder
from cutover.errors import RepositoryError
from cutover.ports import Tag

ABSENT: Final = "0" * 40
_OBJECT: Final = re.compile(r"[0-9a-f]{40}")
_REF: Final = re.compile(r"refs(/[A-Za-z0-9_][A-Za-z0-9._+-]*)+")
_FILE_MODES: Final = {"100644": 0o644, "100664": 0o644, "100755": 0o755}
_LINK_MODE: Final = "120000"


class BareRepository:
    """`ports.Repository` on one bare repository.

    Args:
        folder: The bare repository.

    Raises:
        RepositoryError: When the folder is not there.
    """

    def __init__(self, folder: Path) -> None:
        verify_folder(folder, what="repository")
        self._folder = folder
        self._git = Git(f"--git-dir={folder}", name=str(folder))

    def resolve(self, ref: str) -> str | None:
        """Return the commit that a full ref or object name peels to, or None."""
        return self._peel(ref, "commit")

    def read_tag(self, name: str) -> Tag | None:
        """Return the tag `refs/tags/<name>`, or None when it is absent or does not lead to a commit."""
        ref = f"refs/tags/{name}"
        tag_object, commit = self._peel(ref, "object"), self._peel(ref, "commit")
        if tag_object is None or commit is None:
            return None
        return Tag(name=name, tag_object=tag_object, commit=commit, annotated=tag_object != commit)

    def read_blob(self, commit: str, path: str) -> bytes | None:
        """Return a file of a commit's tree, or None when it is not there."""
        blob = self._revision(f"{_verify_object(commit)}:{_verify_path(path)}")
        if blob is None or self._git.line("cat-file", "-t", blob) != "blob":
            return None
        return self._git.run("cat-file", "blob", blob)[1]

    def parent(self, commit: str) -> str:
        """Return the first parent.

        Raises:
            RepositoryError: When it has none.
        """
        found = self._revision(f"{_verify_object(commit)}^1")
        if found is None:
            raise RepositoryError(f"commit {commit[:12]} in {self._folder} has no parent")
        return found

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Say whether one commit is reachable from the other; a commit is its own ancestor."""
        pair = (_verify_object(ancestor), _verify_object(descendant))
        return self._git.run("merge-base", "--is-ancestor", *pair, allowed=(0, 1))[0] == 0

    def changed_paths(self, old: str, new: str) -> tuple[str, ...]:
        """Return the sorted paths that differ between two commits; a rename is two paths."""
        pair = (_verify_object(old), _verify_object(new))
        options = ("-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv")
        _, listed = self._git.run("diff-tree", *options, *pair, "--")
        return tuple(sorted(path.decode(errors="surrogateescape") for path in listed.split(b"\0") if path))

    def tree_id(self, commit: str) -> str:
        """Return the id of a commit's tree.

        Raises:
            RepositoryError: When there is no such commit.
        """
        found = self._peel(commit, "tree")
        if found is None:
            raise RepositoryError(f"commit {commit[:12]} is not in {self._folder}")
        return found

    def export(self, commit: str, folder: Path) -> None:
        """Write a commit's tree into an empty or new folder, byte for byte; no `.git`.

        Raises:
            RepositoryError: When the folder is not empty, or the tree holds a submodule, a path or a
                link that would leave the folder.
        """
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise RepositoryError(f"{folder} is not empty; expected an empty folder to export into")
        # Links last: while files are written there is none that could lead out of the folder.
        items = sorted(self._list_tree(self.tree_id(commit)), key=lambda item: item.mode == _LINK_MODE)
        for item in items:
            _verify_item(item)
        for item, data in zip(items, self._read_blobs([item.blob for item in items]), strict=True):
            _write(item, data, folder)

    def commit_files(
        self, parent: str, files: Mapping[str, bytes], message: str, author: str, when: datetime
    ) -> str:
        """Write a child of `parent` with these files replaced; moves no ref. Same inputs, same commit.

        Args:
            parent: The commit to build on.
            files: Path -> bytes; an existing file keeps its mode, a new one is a plain file.
            message: The commit message, a final line break is added.
            author: `Name <email>`, also the committer.
            when: Author and committer time.
        """
        modes = {item.path: item.mode for item in self._list_tree(self.tree_id(parent))}
        with tempfile.TemporaryDirectory(prefix="cutover-index-") as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
            self._git.run("read-tree", _verify_object(parent), env=index)
            listing = "".join(
                f"{modes.get(_verify_path(path), '100644')} {self._store(data)} 0\t{path}\0"
                for path, data in sorted(files.items())
            )
            self._git.run("update-index", "-z", "--index-info", stdin=listing.encode(), env=index)
            tree = self._git.line("write-tree", env=index)
        text = f"{message.rstrip()}\n".encode()
        return self._git.line(
            "commit-tree", "-p", parent, "-F", "-", tree, stdin=text, env=identity(author, when)
        )

    def compare_and_swap(self, ref: str, new: str, old: str | None) -> bool:
        """Move `ref` to `new` if it is at `old` (None: absent), durably; False when it was elsewhere.

        Raises:
            RepositoryError: When git refuses for another reason.
        """
        expected = ABSENT if old is None else _verify_object(old)
        move = ("update-ref", "--no-deref", "-m", "cutover", _verify_ref(ref), _verify_object(new), expected)
        code, _ = self._git.run(*move, allowed=(0, 1, 128))
        if code == 0:
            return True
        if self._peel(ref, "object") != old:
            return False
        raise RepositoryError(
            f"git could not move {ref} in {self._folder} to {new[:12]}; check that the object is there, "
            "that the folder may be written and that no lock file is left"
        )

    def _peel(self, name: str, kind: str) -> str | None:
        if not _OBJECT.fullmatch(name):
            _verify_ref(name)
        # Without a suffix rev-parse repeats any 40 hex digits unread.
        suffix = "^{object}" if kind == "object" else f"^{{{kind}}}"
        return self._revision(f"{name}{suffix}")

    def _revision(self, revision: str) -> str | None:
        arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", revision)
        code, found = self._git.run(*arguments, allowed=(0, 1))
        return found.decode().strip() if code == 0 else None

    def _read_blobs(self, names: Sequence[str]) -> Iterator[bytes]:
        _, said = self._git.run("cat-file", "--batch", stdin="".join(f"{n}\n" for n in names).encode())
        at = 0
        for name in names:
            end = said.index(b"\n", at)
            parts = said[at:end].split(b" ")
            if parts[1:2] != [b"blob"]:
                raise RepositoryError(f"{name} is no file in {self._folder}; run git fsck there")
            at = end + 1 + int(parts[2]) + 1
            yield said[end + 1 : at - 1]

    def _store(self, data: bytes) -> str:
        return self._git.line("hash-object", "-w", "--stdin", stdin=data)

    def _list_tree(self, tree: str) -> Iterator[_Item]:
        _, listed = self._git.run("ls-tree", "-r", "-z", "--full-tree", tree)
        for line in listed.split(b"\0"):
            if line:
                facts, _, path = line.partition(b"\t")
                mode, _, blob = facts.decode().split(" ")
                yield _Item(path=path.decode(errors="surrogateescape"), mode=mode, blob=blob)


class _Item(NamedTuple):
    path: str
    mode: str
    blob: str


def _verify_item(item: _Item) -> None:
    _verify_path(item.path)
    if item.mode not in {*_FILE_MODES, _LINK_MODE}:
        raise RepositoryError(f"{item.path} has mode {item.mode}; expected a file, remove it from the tree")


def _write(item: _Item, data: bytes, folder: Path) -> None:
    place = folder.joinpath(*PurePosixPath(item.path).parts)
    place.parent.mkdir(parents=True, exist_ok=True)
    if item.mode == _LINK_MODE:
        place.symlink_to(_verify_link(item.path, data.decode(errors="surrogateescape")))
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(place, flags, _FILE_MODES[item.mode]), "wb") as file:
        file.write(data)


def _verify_object(name: str) -> str:
    if not _OBJECT.fullmatch(name):
        raise RepositoryError(f"{name!r} is no object name; expected 40 lower-case hex digits")
    return name


def _verify_ref(name: str) -> str:
    if not _REF.fullmatch(name) or ".." in name or name.endswith((".lock", ".")):
        raise RepositoryError(f"{name!r} is no full ref; expected one like refs/heads/main")
    return name


def _verify_path(path: str) -> str:
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts) or re.search(
        r"[\\\n\0]", path
    ):
        raise RepositoryError(f"{path!r} is no path inside a repository")
    return path


def _verify_link(path: str, target: str) -> str:
    landing = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if target.startswith("/") or landing == ".." or landing.startswith("../"):
        raise RepositoryError(f"{path} links to {target}, outside the tree; remove the link")
    return target
