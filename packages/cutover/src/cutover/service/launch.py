"""Start what `cutover.toml` declares: placeholders filled in, exports made for this one use."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from cutover.errors import CommandFailed
from cutover.ports import Repository


def fill_placeholders(command: Sequence[str], values: Mapping[str, str]) -> tuple[str, ...]:
    """Return the argument list with `{name}` replaced, in one pass per argument.

    Raises:
        CommandFailed: When an argument names a placeholder that has no value here.
    """
    try:
        return tuple(argument.format_map(dict(values)) for argument in command)
    except (LookupError, ValueError, AttributeError, TypeError) as exc:
        raise CommandFailed(
            f"{command[0]} names a placeholder that has no value here ({exc}); "
            f"expected one of {', '.join(sorted(values))}"
        ) from exc


def export_tree(repository: Repository, commit: str, folder: Path) -> Path:
    """Write a commit's tree into `folder`, in place of whatever is there; returns the folder.

    What was exported earlier may have been written to since, so nothing is reused.
    """
    shutil.rmtree(folder, ignore_errors=True)
    repository.export(commit, folder)
    return folder
