"""A bare origin and a working clone: what a party commits, tags and pushes with.

Everything is told, nothing is taken from the machine: author, time and message are arguments, so a
repository made twice from the same files has the same commits and tags.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from cutover.adapters.git_command import Git, identity, verify_folder
from cutover.errors import RepositoryError


class GitWorkspace:
    """A working clone of a bare origin.

    Args:
        folder: The clone.

    Raises:
        RepositoryError: When the folder is not there.
    """

    def __init__(self, folder: Path) -> None:
        verify_folder(folder, what="working clone")
        self._folder = folder
        self._git = Git("-C", str(folder), name=str(folder))

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._folder

    @classmethod
    def init_bare(cls, folder: Path, *, branch: str = "main") -> None:
        """Create an empty bare repository whose head is `branch`.

        Raises:
            RepositoryError: When the folder exists and is not empty.
        """
        if folder.exists() and any(folder.iterdir()):
            raise RepositoryError(f"{folder} is not empty; expected a new folder for the repository")
        folder.parent.mkdir(parents=True, exist_ok=True)
        Git(name=str(folder)).run(
            "init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", "--", str(folder)
        )

    @classmethod
    def clone(cls, origin: Path, folder: Path) -> GitWorkspace:
        """Clone a bare repository (an empty one too) and return the clone."""
        verify_folder(origin, what="repository")
        folder.parent.mkdir(parents=True, exist_ok=True)
        Git(name=str(folder)).run("clone", "--quiet", "--template=", "--", str(origin), str(folder))
        return cls(folder)

    def head(self) -> str:
        """Return the commit that is checked out."""
        return self._git.line("rev-parse", "--verify", "HEAD^{commit}")

    def commit_all(self, author: str, when: datetime, message: str) -> str:
        """Commit the files as they are now (ignored ones excepted); returns the commit.

        Args:
            author: `Name <email>`, also the committer.
            when: Author and committer time.
            message: Subject, and a body after an empty line.
        """
        self._git.run("add", "--all", "--", ".")
        self._git.run(
            *("commit", "--quiet", "--allow-empty", "--no-verify", "--no-gpg-sign", "--cleanup=verbatim"),
            *("--file", "-"),
            stdin=f"{message.strip()}\n".encode(),
            env=identity(author, when),
        )
        return self.head()

    def annotated_tag(
        self,
        name: str,
        *,
        author: str,
        when: datetime,
        message: str,
        commit: str = "HEAD",
        force: bool = False,
    ) -> str:
        """Write an annotated tag; returns the tag object.

        Args:
            name: Such as v0.4.0.
            author: The tagger, `Name <email>`.
            when: The tagger's time.
            message: What the tag says.
            commit: What it points at.
            force: Replace a tag of that name: what nobody should do, and gates must notice.
        """
        self._git.run(
            *("tag", "--annotate", "--no-sign", "--cleanup=verbatim", "--file", "-"),
            *(("--force",) if force else ()),
            *("--", name, commit),
            stdin=f"{message.strip()}\n".encode(),
            env=identity(author, when),
        )
        return self._git.line("rev-parse", "--verify", f"refs/tags/{name}")

    def push(self, *refs: str, force: bool = False) -> None:
        """Push full refs to origin, all of them or none.

        Args:
            refs: Such as `refs/heads/main`, `refs/tags/v0.4.0`; or `source:destination`.
            force: Also when origin's ref would lose commits or is a tag that exists.
        """
        options = ("--quiet", "--atomic", *(("--force",) if force else ()))
        self._git.run("push", *options, "--", "origin", *refs)

    def set_origin(self, origin: Path) -> None:
        """Point the clone at another bare repository, as after both were copied elsewhere."""
        self._git.run("remote", "set-url", "--", "origin", str(origin))

    def pull(self) -> None:
        """Fast-forward the checked-out branch to origin's."""
        self._git.run("pull", "--quiet", "--ff-only", "--no-rebase")
