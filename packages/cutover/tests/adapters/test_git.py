"""Real git in temporary folders: what gates read, what `prepare` writes, and what is refused."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cutover.adapters.git import BareRepository
from cutover.adapters.git_workspace import GitWorkspace
from cutover.errors import RepositoryError

AUTHOR = "Hanne Kolstad <hanne@norrwick.example>"
WHEN = datetime(2026, 2, 3, 8, 47, tzinfo=UTC)
MAIN = "refs/heads/main"
NOWHERE = "1" * 40


@pytest.fixture
def clone(tmp_path: Path) -> GitWorkspace:
    GitWorkspace.init_bare(tmp_path / "origin.git")
    clone = GitWorkspace.clone(tmp_path / "origin.git", tmp_path / "clone")
    (clone.folder / "docs").mkdir()
    (clone.folder / "docs" / "note.md").write_text("one\n")
    (clone.folder / "run.sh").write_text("#!/bin/sh\n")
    (clone.folder / "run.sh").chmod(0o755)
    clone.commit_all(AUTHOR, WHEN, "Begin")
    clone.push(MAIN)
    return clone


@pytest.fixture
def origin(clone: GitWorkspace, tmp_path: Path) -> BareRepository:
    return BareRepository(tmp_path / "origin.git")


def _head(origin: BareRepository) -> str:
    head = origin.resolve(MAIN)
    assert head is not None
    return head


def _raw(origin: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Git as somebody hostile would use it."""
    done = subprocess.run(
        ("git", f"--git-dir={origin}", *arguments), input=stdin, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def _hostile_commit(origin: Path, tree: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@x.example")
    return _raw(origin, *who, "commit-tree", tree, "-m", "hostile")


def test_a_commit_made_again_from_the_same_files_is_the_same(clone: GitWorkspace, tmp_path: Path) -> None:
    GitWorkspace.init_bare(tmp_path / "other.git")
    other = GitWorkspace.clone(tmp_path / "other.git", tmp_path / "other")
    (other.folder / "docs").mkdir()
    (other.folder / "docs" / "note.md").write_text("one\n")
    (other.folder / "run.sh").write_text("#!/bin/sh\n")
    (other.folder / "run.sh").chmod(0o755)
    assert other.commit_all(AUTHOR, WHEN, "Begin") == clone.head()


def test_refs_and_object_names_resolve_to_commits(origin: BareRepository) -> None:
    head = _head(origin)
    assert origin.resolve(head) == head
    assert origin.resolve("refs/heads/nope") is None
    assert origin.resolve(NOWHERE) is None


@pytest.mark.parametrize(
    "name", ["main", "--all", "refs/heads/main~1", "HEAD", "refs/../x", "refs/heads/main:x"]
)
def test_anything_but_a_full_ref_or_object_name_is_refused(origin: BareRepository, name: str) -> None:
    with pytest.raises(RepositoryError, match="no full ref"):
        origin.resolve(name)


def test_an_annotated_tag_names_its_own_object_and_its_commit(
    clone: GitWorkspace, origin: BareRepository
) -> None:
    tag_object = clone.annotated_tag("v0.4.0", author=AUTHOR, when=WHEN, message="v0.4.0")
    clone.push("refs/tags/v0.4.0")
    tag = origin.read_tag("v0.4.0")
    assert tag is not None
    assert (tag.tag_object, tag.commit, tag.annotated) == (tag_object, clone.head(), True)
    assert origin.read_tag("v0.5.0") is None


def test_a_lightweight_tag_is_not_annotated(
    clone: GitWorkspace, origin: BareRepository, tmp_path: Path
) -> None:
    _raw(tmp_path / "origin.git", "tag", "v0.4.0", clone.head())
    tag = origin.read_tag("v0.4.0")
    assert tag is not None
    assert not tag.annotated


def test_a_moved_tag_has_another_object_even_on_the_same_commit(
    clone: GitWorkspace, origin: BareRepository
) -> None:
    first = clone.annotated_tag("v0.4.0", author=AUTHOR, when=WHEN, message="v0.4.0")
    clone.push("refs/tags/v0.4.0")
    clone.annotated_tag("v0.4.0", author=AUTHOR, when=WHEN, message="again", force=True)
    clone.push("refs/tags/v0.4.0", force=True)
    tag = origin.read_tag("v0.4.0")
    assert tag is not None
    assert tag.tag_object != first


def test_blobs_are_read_from_a_commit_and_nothing_else_is(origin: BareRepository) -> None:
    head = _head(origin)
    assert origin.read_blob(head, "docs/note.md") == b"one\n"
    assert origin.read_blob(head, "docs") is None
    assert origin.read_blob(head, "docs/other.md") is None
    assert origin.read_blob(NOWHERE, "docs/note.md") is None
    with pytest.raises(RepositoryError, match="no path inside"):
        origin.read_blob(head, "../note.md")


def test_an_export_has_the_trees_bytes_modes_and_no_git(origin: BareRepository, tmp_path: Path) -> None:
    origin.export(_head(origin), tmp_path / "export")
    files = {
        p.relative_to(tmp_path / "export").as_posix() for p in (tmp_path / "export").rglob("*") if p.is_file()
    }
    assert files == {"docs/note.md", "run.sh"}
    assert (tmp_path / "export" / "run.sh").stat().st_mode & 0o100


def test_an_export_ignores_attributes_that_would_change_it(
    clone: GitWorkspace, origin: BareRepository, tmp_path: Path
) -> None:
    (clone.folder / ".gitattributes").write_text("docs export-ignore\n*.txt export-subst eol=crlf\n")
    (clone.folder / "id.txt").write_text("$Format:%H$\n")
    clone.commit_all(AUTHOR, WHEN, "Add attributes")
    clone.push(MAIN)
    origin.export(_head(origin), tmp_path / "export")
    assert (tmp_path / "export" / "id.txt").read_bytes() == b"$Format:%H$\n"
    assert (tmp_path / "export" / "docs" / "note.md").exists()


def test_an_export_into_a_folder_with_files_is_refused(origin: BareRepository, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    (tmp_path / "export" / "mine").write_text("keep me")
    with pytest.raises(RepositoryError, match="not empty"):
        origin.export(_head(origin), tmp_path / "export")


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "docs/../../outside"])
def test_a_link_that_leaves_the_tree_is_refused(
    clone: GitWorkspace, origin: BareRepository, tmp_path: Path, target: str
) -> None:
    (clone.folder / "link").symlink_to(target)
    clone.commit_all(AUTHOR, WHEN, "Add a link")
    clone.push(MAIN)
    with pytest.raises(RepositoryError, match="outside the tree"):
        origin.export(_head(origin), tmp_path / "export")


def test_a_tree_with_a_climbing_name_is_refused(origin: BareRepository, tmp_path: Path) -> None:
    bare = tmp_path / "origin.git"
    blob = bytes.fromhex(_raw(bare, "hash-object", "-w", "--stdin", stdin=b"x"))
    inner = _raw(
        bare, "hash-object", "-w", "-t", "tree", "--stdin", "--literally", stdin=b"100644 evil\0" + blob
    )
    outer = b"40000 ..\0" + bytes.fromhex(inner)
    tree = _raw(bare, "hash-object", "-w", "-t", "tree", "--stdin", "--literally", stdin=outer)
    with pytest.raises(RepositoryError, match="no path inside"):
        origin.export(_hostile_commit(bare, tree), tmp_path / "out" / "export")
    assert not (tmp_path / "out" / "evil").exists()


def test_a_submodule_is_refused(origin: BareRepository, tmp_path: Path) -> None:
    bare = tmp_path / "origin.git"
    tree = _raw(bare, "mktree", "--missing", stdin=f"160000 commit {NOWHERE}\tsub\n".encode())
    with pytest.raises(RepositoryError, match="mode 160000"):
        origin.export(_hostile_commit(bare, tree), tmp_path / "export")


def test_commit_files_replaces_only_the_named_files_and_moves_no_ref(origin: BareRepository) -> None:
    head = _head(origin)
    files = {"docs/note.md": b"two\n", "config/pin.json": b"{}\n", "run.sh": b"#!/bin/sh\nexit\n"}
    commit = origin.commit_files(head, files, "Repin", AUTHOR, WHEN)
    assert origin.changed_paths(head, commit) == ("config/pin.json", "docs/note.md", "run.sh")
    assert origin.read_blob(commit, "docs/note.md") == b"two\n"
    assert origin.parent(commit) == head
    assert _head(origin) == head


def test_commit_files_is_deterministic_and_keeps_modes(origin: BareRepository, tmp_path: Path) -> None:
    head, files = _head(origin), {"run.sh": b"#!/bin/sh\nexit\n"}
    first = origin.commit_files(head, files, "Repin", AUTHOR, WHEN)
    assert origin.commit_files(head, files, "Repin", AUTHOR, WHEN) == first
    origin.export(first, tmp_path / "export")
    assert (tmp_path / "export" / "run.sh").stat().st_mode & 0o100


def test_restoring_the_files_restores_the_tree(origin: BareRepository) -> None:
    head = _head(origin)
    there = origin.commit_files(head, {"docs/note.md": b"two\n"}, "There", AUTHOR, WHEN)
    back = origin.commit_files(there, {"docs/note.md": b"one\n"}, "Back", AUTHOR, WHEN)
    assert origin.tree_id(back) == origin.tree_id(head)


@pytest.mark.parametrize("author", ["nobody", "A <a@b> <c@d>", "A\nB <a@b>", " <>"])
def test_an_author_of_another_form_is_refused(origin: BareRepository, author: str) -> None:
    with pytest.raises(RepositoryError, match="no author"):
        origin.commit_files(_head(origin), {}, "x", author, WHEN)


def test_compare_and_swap_moves_a_ref_from_where_it_is(origin: BareRepository) -> None:
    head = _head(origin)
    commit = origin.commit_files(head, {"a": b"a"}, "A", AUTHOR, WHEN)
    assert origin.compare_and_swap(MAIN, commit, head)
    assert _head(origin) == commit


def test_compare_and_swap_says_no_when_the_ref_is_elsewhere(origin: BareRepository) -> None:
    head = _head(origin)
    commit = origin.commit_files(head, {"a": b"a"}, "A", AUTHOR, WHEN)
    assert not origin.compare_and_swap(MAIN, head, commit)
    assert not origin.compare_and_swap(MAIN, commit, None)
    assert not origin.compare_and_swap("refs/cutover/p/forward", commit, head)
    assert _head(origin) == head


def test_compare_and_swap_creates_an_absent_ref(origin: BareRepository) -> None:
    head = _head(origin)
    assert origin.compare_and_swap("refs/cutover/p/forward", head, None)
    assert origin.resolve("refs/cutover/p/forward") == head


def test_compare_and_swap_to_a_missing_object_is_an_error(origin: BareRepository) -> None:
    with pytest.raises(RepositoryError, match="could not move"):
        origin.compare_and_swap(MAIN, NOWHERE, _head(origin))


def test_ancestry(origin: BareRepository) -> None:
    head = _head(origin)
    child = origin.commit_files(head, {"a": b"a"}, "A", AUTHOR, WHEN)
    assert origin.is_ancestor(head, child)
    assert origin.is_ancestor(head, head)
    assert not origin.is_ancestor(child, head)
    with pytest.raises(RepositoryError, match="merge-base"):
        origin.is_ancestor(NOWHERE, head)


def test_a_root_commit_has_no_parent(origin: BareRepository) -> None:
    with pytest.raises(RepositoryError, match="no parent"):
        origin.parent(_head(origin))


def test_hooks_of_the_repository_do_not_run(origin: BareRepository, tmp_path: Path) -> None:
    hooks = tmp_path / "origin.git" / "hooks"
    hooks.mkdir(exist_ok=True)
    (hooks / "reference-transaction").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (hooks / "reference-transaction").chmod(0o755)
    origin.compare_and_swap("refs/cutover/p/forward", _head(origin), None)
    assert not (tmp_path / "ran").exists()


def test_a_missing_repository_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="is not there"):
        BareRepository(tmp_path / "nope.git")
    (tmp_path / "plain").mkdir()
    with pytest.raises(RepositoryError, match="not a git repository"):
        BareRepository(tmp_path / "plain").resolve(MAIN)
