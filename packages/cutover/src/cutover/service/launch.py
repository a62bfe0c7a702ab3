"""Start what `cutover.toml` declares: placeholders filled in, exports written once per commit."""

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
    except (KeyError, ValueError, IndexError) as exc:
        raise CommandFailed(
            f"{command[0]} names the placeholder {exc}; expected one of {', '.join(sorted(values))}"
        ) from exc


def export_once(repository: Repository, commit: str, folder: Path) -> Path:
    """Export a commit into `folder/<commit>` unless it is there; an export cut short is not."""
    target = folder / commit
    if not target.is_dir():
        partial = folder / f"{commit}.partial"
        shutil.rmtree(partial, ignore_errors=True)
        repository.export(commit, partial)
        partial.rename(target)
    return target
