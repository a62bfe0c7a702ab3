"""The real git binary, run so that only its arguments decide what it does.

No shell, no system or user configuration, no hooks, no replace refs, no prompts, no optional locks; every
write is fsynced. What a repository's own configuration could change is overridden on the command line.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cutover.errors import RepositoryError

TIMEOUT_S: Final = 60.0
_OPTIONS: Final = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsync=all",
    "-c", "core.autocrlf=false",
    "-c", "core.attributesFile=/dev/null",
    "-c", "core.excludesFile=/dev/null",
    "-c", "core.quotePath=false",
    "-c", "i18n.commitEncoding=utf-8",
    "-c", "commit.gpgSign=false",
    "-c", "tag.gpgSign=false",
    "-c", "gc.auto=0",
    "-c", "protocol.allow=never",
    "-c", "protocol.file.allow=always",
)  # fmt: skip
_PERSON: Final = re.compile(r"(?P<name>[^<>\n\0]+) <(?P<email>[^<>\s\0]+)>")


class Git:
    """Runs git with fixed leading arguments.

    Args:
        leading: Such as `--git-dir=/path` or `-C /path`.
        name: What messages call the repository.
    """

    def __init__(self, *leading: str, name: str) -> None:
        self._command = ("git", *_OPTIONS, *leading)
        self._name = name
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
        }

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        allowed: Sequence[int] = (0,),
    ) -> tuple[int, bytes]:
        """Run one git command.

        Args:
            arguments: Subcommand and its arguments.
            stdin: Bytes for its standard input.
            env: Added to the fixed environment.
            allowed: Exit codes that are answers; any other is an error.

        Returns:
            Exit code and standard output.

        Raises:
            RepositoryError: When git is missing, hangs or ends with another code.
        """
        try:
            done = subprocess.run(
                (*self._command, *arguments),
                input=stdin,
                capture_output=True,
                env={**self._environment, **(env or {})},
                timeout=TIMEOUT_S,
                check=False,
            )
        except FileNotFoundError as exc:
            raise RepositoryError("git is not on the PATH; install it") from exc
        except subprocess.TimeoutExpired as exc:
            raise RepositoryError(
                f"git {arguments[0]} in {self._name} did not end within {TIMEOUT_S:g} s"
            ) from exc
        if done.returncode not in allowed:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise RepositoryError(
                f"git {arguments[0]} failed in {self._name}: {said[-1] if said else 'it said nothing'}"
            )
        return done.returncode, done.stdout

    def line(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        """Run one git command and return its only line of output."""
        return self.run(*arguments, stdin=stdin, env=env)[1].decode().rstrip("\n")


def identity(author: str, when: datetime) -> dict[str, str]:
    """Return the variables that make a commit's author, committer and times fixed.

    Args:
        author: `Name <email>`.
        when: Aware; whole seconds count.

    Raises:
        RepositoryError: When `author` has another form.
    """
    person = _PERSON.fullmatch(author)
    if person is None:
        raise RepositoryError(f"{author!r} is no author; expected 'Name <email>'")
    date = f"{int(when.astimezone(UTC).timestamp())} +0000"
    return {
        "GIT_AUTHOR_NAME": person["name"].strip(),
        "GIT_AUTHOR_EMAIL": person["email"],
        "GIT_AUTHOR_DATE": date,
        "GIT_COMMITTER_NAME": person["name"].strip(),
        "GIT_COMMITTER_EMAIL": person["email"],
        "GIT_COMMITTER_DATE": date,
    }


def verify_folder(folder: Path, *, what: str) -> None:
    """Refuse a folder that is not there, before git words it its own way.

    Raises:
        RepositoryError: When `folder` is no folder.
    """
    if not folder.is_dir():
        raise RepositoryError(f"{what} {folder} is not there; expected a git repository")
