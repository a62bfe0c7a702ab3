"""Governance read from real git repositories."""

import os
import stat
import subprocess
import threading
from pathlib import Path

import pytest
from assistsupport.adapters.git_governance import MAX_OBJECT_BYTES, GitGovernance
from assistsupport.core.governance import MANIFEST_PATH, MATRIX_PATH, PIN_PATH
from assistsupport.core.governance_location import GovernanceLocation
from assistsupport.errors import GovernanceInconsistent, GovernanceUnreadable

from packages.assistsupport.tests.policy_world import make_manifest, make_matrix, make_pin

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{role}_NAME": "x" for role in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{role}_EMAIL": "x@example.org" for role in ("AUTHOR", "COMMITTER")},
}


class Repository:
    """A bare repository into which commits are written without a work tree."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._git("init", "--quiet", "--bare", "--initial-branch=main", str(path))

    def commit(self, contract: str = "service.v3", **replaced: bytes | None) -> str:
        """Write a commit with the three files; a file given as None is left out. Move nothing."""
        files = {
            PIN_PATH: replaced.get("pin", make_pin(contract=contract)),
            MANIFEST_PATH: replaced.get("manifest", make_manifest(contract)),
            MATRIX_PATH: replaced.get("matrix", make_matrix(contract)),
        }
        index = {"GIT_INDEX_FILE": str(self.path / "scratch.index")}
        self.git("read-tree", "--empty", env=index)
        for path, data in files.items():
            if data is not None:
                blob = self.git("hash-object", "-w", "--stdin", data=data)
                self.git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=index)
        return self.git("commit-tree", "-m", contract, self.git("write-tree", env=index))

    def move(self, commit: str, ref: str = "refs/heads/main") -> None:
        """Move a ref."""
        self.git("update-ref", ref, commit)

    def git(self, *arguments: str, data: bytes = b"", env: dict[str, str] | None = None) -> str:
        """Run git on the repository and return its output."""
        return self._git(f"--git-dir={self.path}", *arguments, data=data, env=env)

    def _git(self, *arguments: str, data: bytes = b"", env: dict[str, str] | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], input=data, env=ENVIRONMENT | (env or {}), capture_output=True, check=True
        )
        return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "governance.git")


def source(repository: Repository, ref: str = "main") -> GitGovernance:
    return GitGovernance(GovernanceLocation(repository=str(repository.path), ref=ref))


def test_the_three_files_of_one_commit_are_read(repository: Repository) -> None:
    commit = repository.commit()
    repository.move(commit)
    governance = source(repository).read()
    assert governance.commit == commit == source(repository).resolve()
    assert governance.pin.release_tag == "v0.4.0"


def test_a_moved_ref_is_seen_at_the_next_read(repository: Repository) -> None:
    old, new = repository.commit("service.v2"), repository.commit("service.v3")
    reader = source(repository)
    for commit, release_tag in ((old, "v0.3.2"), (new, "v0.4.0"), (old, "v0.3.2")):
        repository.move(commit)
        governance = reader.read()
        assert (governance.commit, governance.pin.release_tag) == (commit, release_tag)


def test_no_reading_mixes_two_commits_while_the_ref_moves(repository: Repository) -> None:
    commits = {repository.commit("service.v2"): "v0.3.2", repository.commit("service.v3"): "v0.4.0"}
    repository.move(next(iter(commits)))
    ended = threading.Event()

    def move_to_and_fro() -> None:
        while not ended.is_set():
            for commit in commits:
                repository.move(commit)

    mover = threading.Thread(target=move_to_and_fro)
    mover.start()
    try:
        readings = [source(repository).read() for _ in range(25)]
    finally:
        ended.set()
        mover.join()
    assert all(commits[governance.commit] == governance.pin.release_tag for governance in readings)


def test_a_work_tree_is_never_read(tmp_path: Path, repository: Repository) -> None:
    repository.move(repository.commit())
    clone = tmp_path / "clone"
    repository.git("clone", "--quiet", str(repository.path), str(clone))
    (clone / PIN_PATH).write_bytes(b"half a fi")
    reader = GitGovernance(GovernanceLocation(repository=str(clone), ref="main"))
    assert reader.read().pin.release_tag == "v0.4.0"


def test_a_linked_work_tree_is_a_repository_too(tmp_path: Path, repository: Repository) -> None:
    commit = repository.commit()
    repository.move(commit)
    linked = tmp_path / "linked"
    repository.git("worktree", "add", "--quiet", "--detach", str(linked), commit)
    assert GitGovernance(GovernanceLocation(repository=str(linked), ref="main")).read().commit == commit


def test_an_annotated_tag_and_a_commit_id_are_refs_too(repository: Repository) -> None:
    commit = repository.commit()
    repository.git("tag", "-a", "-m", "x", "approved", commit)
    for ref in ("approved", "refs/tags/approved", commit):
        assert source(repository, ref).read().commit == commit


def test_a_tag_does_not_shadow_the_branch_of_the_same_name(repository: Repository) -> None:
    old, new = repository.commit("service.v2"), repository.commit("service.v3")
    repository.move(new)
    repository.move(old, "refs/tags/main")
    assert source(repository).resolve() == new


@pytest.mark.parametrize("name", ["pin", "manifest", "matrix"])
def test_a_missing_file_is_refused(repository: Repository, name: str) -> None:
    missing: dict[str, bytes | None] = {name: None}
    repository.move(repository.commit("service.v3", **missing))
    with pytest.raises(GovernanceUnreadable, match="is missing in commit"):
        source(repository).read()


def test_an_oversized_file_is_refused_unread(repository: Repository) -> None:
    repository.move(repository.commit(pin=b" " * (MAX_OBJECT_BYTES + 1)))
    with pytest.raises(GovernanceUnreadable, match="too long"):
        source(repository).read()


def test_a_bad_pin_is_refused(repository: Repository) -> None:
    repository.move(repository.commit(pin=b"{"))
    with pytest.raises(GovernanceUnreadable, match="malformed"):
        source(repository).read()


def test_files_of_two_releases_in_one_commit_are_refused(repository: Repository) -> None:
    repository.move(repository.commit(manifest=make_manifest("service.v2")))
    with pytest.raises(GovernanceInconsistent, match="contradicts itself"):
        source(repository).read()


def test_a_folder_in_the_place_of_a_file_is_refused(repository: Repository) -> None:
    commit = repository.commit()
    tree = repository.git("mktree", data=f"040000 tree {commit_tree(repository, commit)}\tx\n".encode())
    nested = f"040000 tree {tree}\tmemorykernel-integration-pin.json\n".encode()
    config = repository.git("mktree", data=nested)
    root = repository.git("mktree", data=f"040000 tree {config}\tconfig\n".encode())
    repository.move(repository.git("commit-tree", "-m", "x", root))
    with pytest.raises(GovernanceUnreadable, match="got a tree"):
        source(repository).read()


def commit_tree(repository: Repository, commit: str) -> str:
    return repository.git("rev-parse", f"{commit}^{{tree}}")


def test_a_missing_ref_is_refused(repository: Repository) -> None:
    with pytest.raises(GovernanceUnreadable, match="no commit named 'main'"):
        source(repository).resolve()


def test_a_missing_repository_is_refused(tmp_path: Path) -> None:
    reader = GitGovernance(GovernanceLocation(repository=str(tmp_path / "nowhere"), ref="main"))
    with pytest.raises(GovernanceUnreadable, match="no git repository"):
        reader.read()


def test_git_never_looks_in_the_folders_above(tmp_path: Path) -> None:
    Repository(tmp_path / ".git").move(Repository(tmp_path / ".git").commit())
    inner = tmp_path / "inner"
    inner.mkdir()
    with pytest.raises(GovernanceUnreadable, match="no git repository"):
        GitGovernance(GovernanceLocation(repository=str(inner), ref="main")).resolve()


def test_a_broken_repository_is_refused(tmp_path: Path) -> None:
    (tmp_path / "HEAD").write_text("ref: refs/heads/main\n")
    with pytest.raises(GovernanceUnreadable, match="git ended"):
        GitGovernance(GovernanceLocation(repository=str(tmp_path), ref="main")).resolve()


def test_the_environment_cannot_lead_git_elsewhere(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.move(repository.commit())
    for name in ("GIT_DIR", "GIT_OBJECT_DIRECTORY", "GIT_WORK_TREE", "GIT_CONFIG"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert source(repository).read().pin.release_tag == "v0.4.0"


def test_a_replaced_object_does_not_count(repository: Repository) -> None:
    old, new = repository.commit("service.v2"), repository.commit("service.v3")
    repository.move(new)
    repository.git("replace", new, old)
    assert source(repository).read().pin.release_tag == "v0.4.0"


def test_a_git_that_hangs_is_given_up(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.move(repository.commit())
    hanging = tmp_path / "bin" / "git"
    hanging.parent.mkdir()
    hanging.write_text("#!/bin/sh\nexec tail -f /dev/null\n")
    hanging.chmod(hanging.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(hanging.parent), prepend=os.pathsep)
    reader = GitGovernance(GovernanceLocation(repository=str(repository.path), ref="main"), timeout_s=0.1)
    with pytest.raises(GovernanceUnreadable, match="git ended"):
        reader.resolve()


def test_a_machine_without_git_is_told(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GovernanceUnreadable, match="install git"):
        source(repository).resolve()
