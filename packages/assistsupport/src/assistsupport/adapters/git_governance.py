"""Reads governance from one commit of a git repository, never from a work tree.

A reader of files sees mixed and missing ones while they are replaced. Here the ref is resolved once, and the
three files are read by the commit's id, all by one `git cat-file --batch` process: whatever moves the ref
meanwhile, the files belong together.

git runs with an argument list, no environment but PATH, no system or user configuration, no replaced objects,
no hooks, no network and a time limit; everything read has a size limit.
"""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from assistsupport.core.governance import (
    MANIFEST_PATH,
    MATRIX_PATH,
    PIN_PATH,
    GovernanceCommit,
    build_governance_commit,
)
from assistsupport.core.governance_location import GovernanceLocation, list_ref_candidates
from assistsupport.core.integration import GovernanceStatus
from assistsupport.errors import GovernanceUnreadable

#: The longest governance file, or commit object, that is read.
MAX_OBJECT_BYTES: Final = 1024 * 1024
_MAX_HEADER_BYTES: Final = 1024

_OPTIONS: Final = (
    "--no-replace-objects",
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "protocol.allow=never",
)  # fmt: skip


class GitGovernance:
    """A `GovernanceSource` over a local repository, bare or not.

    Every call is a process of its own, so nothing goes stale and threads need no lock.
    """

    def __init__(
        self, location: GovernanceLocation, *, allow_remote: bool = False, timeout_s: float = 2.0
    ) -> None:
        """Remember the location; touch nothing.

        Args:
            location: Repository and ref.
            allow_remote: Accept a pin whose base URL is not loopback.
            timeout_s: The time that git has for one read, in seconds.
        """
        self._location = location
        self._allow_remote = allow_remote
        self._timeout_s = timeout_s

    def describe(self) -> GovernanceStatus:
        """Return repository and ref as they were given; touches nothing."""
        return GovernanceStatus(repository=self._location.repository, ref=self._location.ref, commit=None)

    def resolve(self) -> str:
        """Return the commit that the ref names now; see `GovernanceSource.resolve`."""
        with self._batch() as batch:
            return self._resolve(batch)

    def read(self) -> GovernanceCommit:
        """Return the three files of the one commit that the ref names now; see `GovernanceSource.read`."""
        with self._batch() as batch:
            commit = self._resolve(batch)
            pin, manifest, matrix = (
                batch.read_blob(commit, path) for path in (PIN_PATH, MANIFEST_PATH, MATRIX_PATH)
            )
        return build_governance_commit(
            commit, pin=pin, manifest=manifest, matrix=matrix, allow_remote=self._allow_remote
        )

    def _resolve(self, batch: "_Batch") -> str:
        for name in list_ref_candidates(self._location.ref):
            commit = batch.find_commit(name)
            if commit is not None:
                return commit
        ref, repository = self._location.ref, self._location.repository
        raise GovernanceUnreadable(f"no commit named {ref!r} in {repository}; push it or correct the ref")

    @contextmanager
    def _batch(self) -> Iterator["_Batch"]:
        command = ["git", f"--git-dir={_find_git_dir(self._location.repository)}", *_OPTIONS]
        try:
            process = subprocess.Popen(
                [*command, "cat-file", "--batch"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_calculate_environment(),
                # A terminal's Ctrl-C is the server's to handle; git ends when its input does.
                start_new_session=True,
            )
        except OSError as exc:
            raise GovernanceUnreadable(f"git cannot be started: {exc.strerror}; install git") from exc
        deadline = threading.Timer(self._timeout_s, process.kill)
        deadline.daemon = True
        deadline.start()
        try:
            yield _Batch(process, self._location.repository)
        except BrokenPipeError as exc:
            raise _ended(self._location.repository) from exc
        finally:
            deadline.cancel()
            _end(process)


class _Batch:
    """One running `git cat-file --batch`: a line in, an object out."""

    def __init__(self, process: subprocess.Popen[bytes], repository: str) -> None:
        # Both are pipes, because _batch asked for them.
        self._input = cast("IO[bytes]", process.stdin)
        self._output = cast("IO[bytes]", process.stdout)
        self._repository = repository

    def find_commit(self, name: str) -> str | None:
        """Return the id of the commit that a ref, or an annotated tag behind it, names; None for none."""
        found = self._ask(f"{name}^{{commit}}")
        return None if found is None else found[0]

    def read_blob(self, commit: str, path: str) -> bytes:
        """Return a file of a commit, or raise with its path and what is wrong."""
        found = self._ask(f"{commit}:{path}")
        if found is None:
            raise GovernanceUnreadable(
                f"{path} is missing in commit {commit}; commit the three files together"
            )
        if found[1] != "blob":
            raise GovernanceUnreadable(
                f"{path} in commit {commit} is no file: expected a blob, got a {found[1]}"
            )
        return found[2]

    def _ask(self, name: str) -> tuple[str, str, bytes] | None:
        self._input.write(name.encode() + b"\n")
        self._input.flush()
        header = self._output.readline(_MAX_HEADER_BYTES)
        if not header.endswith(b"\n"):
            raise _ended(self._repository)
        # "<id> <type> <size>", or "<name> missing|ambiguous|submodule"
        fields = header.decode(errors="replace").split()
        if len(fields) != 3 or not fields[2].isdigit():
            return None
        size = int(fields[2])
        if size > MAX_OBJECT_BYTES:
            raise GovernanceUnreadable(
                f"{name} is too long: expected at most {MAX_OBJECT_BYTES} bytes, got {size}"
            )
        content = self._output.read(size + 1)
        if len(content) != size + 1:
            raise _ended(self._repository)
        return fields[0], fields[1], content[:-1]


def _find_git_dir(repository: str) -> Path:
    """Return the git folder itself, so that git never looks for one in the folders above."""
    path = Path(repository)
    nested = path / ".git"
    git_dir = nested if nested.exists() else path
    if git_dir.is_file() or (git_dir / "HEAD").is_file():
        return git_dir.absolute()
    raise GovernanceUnreadable(f"{repository} is no git repository: expected a clone or a bare repository")


def _calculate_environment() -> dict[str, str]:
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
    }


def _ended(repository: str) -> GovernanceUnreadable:
    return GovernanceUnreadable(f"git ended before it had answered about {repository}; run git fsck there")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Leave nothing behind: a reader that stopped early leaves git blocked on its output."""
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # bytes that git no longer wants
    process.wait()
