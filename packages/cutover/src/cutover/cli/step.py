"""What most commands do: open the folder, load the key, take one step, show the entry it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cutover.cli.output import narrate, show_json, show_line

if TYPE_CHECKING:
    from cutover.core.entry import Entry
    from cutover.service.station import Executor, Station
    from cutover.wiring.workspace import Workspace


def open_workspace(folder: Path) -> Workspace:
    """Open a program folder."""
    from cutover.wiring.workspace import Workspace

    return Workspace(folder)


def open_station(folder: Path, keys: Path, who: str) -> Station:
    """Open a program folder with one key."""
    from cutover.wiring.identity import load_identity

    return open_workspace(folder).station(load_identity(keys, who).signer, narrate)


def open_executor(folder: Path, keys: Path) -> Executor:
    """Open a program folder with the executor's key, and what it moves."""
    from cutover.wiring.identity import EXECUTOR, load_identity

    return open_workspace(folder).executor(load_identity(keys, EXECUTOR).signer, narrate)


def show_entry(entry: Entry, *, as_json: bool) -> None:
    """Show an entry that was appended."""
    if as_json:
        show_json(entry)
        return
    names, kind = ", ".join(key.name for key in entry.signers), entry.body.__struct_config__.tag
    show_line(f"entry {entry.index}: {kind} signed by {names} at {entry.time:%H:%M:%S}Z")
