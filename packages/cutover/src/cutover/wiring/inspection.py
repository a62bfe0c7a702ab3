"""What only looks at a program folder: check, the log against a kept head, and the rendered record."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from cutover.adapters.key_folder import KeyFolder
from cutover.core.log import Head, VerifiedLog, verify_prefix
from cutover.core.phase import Phase, calculate_phase
from cutover.errors import CutoverError, EvidenceUnreadable, KeyUnusable, LogDamaged, Refused
from cutover.service.check import Finding, check_commands, check_repositories
from cutover.service.record import render_record
from cutover.wiring.workspace import Workspace, find_program


def check_workspace(workspace: Workspace, keys: Path | None) -> tuple[Finding, ...]:
    """Look at everything a program needs; every look that fails is a finding, the others go on.

    Raises:
        InvalidProgram: When `cutover.toml` itself is not acceptable: nothing else can be looked at then.
    """
    program = workspace.program
    looks: Mapping[str, Callable[[], Iterable[Finding]]] = {
        "repositories": lambda: check_repositories(
            program, workspace.producer_origin, workspace.consumer_origin
        ),
        "commands": lambda: check_commands(program, find_program, sys.executable),
        "material": lambda: _look_at_material(workspace),
        "log": lambda: _look_at_log(workspace),
        "keys": lambda: () if keys is None else _look_at_keys(keys),
    }
    findings: list[Finding] = [Finding(subject="cutover.toml", ok=True, detail=program.name)]
    for subject, look in looks.items():
        try:
            findings += look()
        except CutoverError as exc:
            findings.append(Finding(subject=subject, ok=False, detail=str(exc)))
    return tuple(findings)


def _look_at_material(workspace: Workspace) -> Iterable[Finding]:
    material = workspace.material
    counts = {
        "questions": len(material.questions),
        "tickets": len(material.tickets),
        "seed": len(material.seed),
    }
    return [Finding(subject=f"traffic.{name}", ok=True, detail=f"{n} lines") for name, n in counts.items()]


def _look_at_log(workspace: Workspace) -> Iterable[Finding]:
    head = workspace.log.read().head
    return [Finding(subject="log", ok=True, detail=f"{head.size} entries verify")]


def _look_at_keys(keys: Path) -> Iterable[Finding]:
    folder = KeyFolder(keys)
    stems = folder.stems()
    if not stems:
        yield Finding(subject="keys", ok=False, detail=f"{keys} has no key; generate one with 'cutover keys'")
    for stem in stems:
        try:
            keyid = folder.load_signer(stem).public_key.keyid
            yield Finding(subject=f"key {stem}", ok=True, detail=keyid)
        except KeyUnusable as exc:
            yield Finding(subject=f"key {stem}", ok=False, detail=str(exc))


def write_record(workspace: Workspace) -> tuple[str, ...]:
    """Render the record from the log into its three files; return their names."""
    documents = render_record(workspace.read_case())
    for name, data in documents.items():
        (workspace.folder / name).write_bytes(data)
    return tuple(documents)


def verify_record(workspace: Workspace) -> tuple[str, ...]:
    """Return the names of record files that are not, byte for byte, what the log renders to."""
    return tuple(
        name
        for name, data in render_record(workspace.read_case()).items()
        if _read(workspace.folder / name) != data
    )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


class LogFile(msgspec.Struct, frozen=True, kw_only=True):
    """What the file of a log proves.

    Args:
        size: How many entries verify.
        root: Their RFC 6962 root, hex.
        torn_bytes: How many bytes after them are no complete entry; 0 in a whole file.
    """

    size: int
    root: str
    torn_bytes: int

    def check_whole(self) -> None:
        """Refuse bytes after the newest entry.

        Raises:
            LogDamaged: At the entry that they would be.
        """
        if self.torn_bytes:
            raise LogDamaged(
                self.size,
                f"{self.torn_bytes} bytes after {_describe_end(self.size)} are no complete entry "
                "(a torn write or an edit); compare the file with a copy or a kept head",
            )


def verify_log_file(workspace: Workspace, against: Head | None) -> LogFile:
    """Verify every complete line of the log, and that a kept head is a prefix of it.

    Raises:
        ProgramMissing: When the folder has neither a log nor a program file.
        EvidenceUnreadable: When the log is empty: nothing is proved then.
        LogDamaged: At the first entry that does not verify, or where log and kept head part.
    """
    log = _read_log(workspace)
    if against is not None:
        verify_prefix(log, against)
    return LogFile(size=log.head.size, root=log.head.root, torn_bytes=workspace.log.torn_bytes)


def read_log_head(workspace: Workspace) -> Head:
    """Return size and root of a log that has entries; raises as `verify_log_file` without a kept head."""
    return _read_log(workspace).head


def _read_log(workspace: Workspace) -> VerifiedLog:
    if not workspace.log.path.exists():
        _ = workspace.program_bytes  # without either file the folder is no program
    log = workspace.log.read()
    if not log.head.size and not workspace.log.torn_bytes:
        raise EvidenceUnreadable(f"the log of {workspace.folder} is empty; expected 'cutover open' first")
    return log


def _describe_end(size: int) -> str:
    return f"entry {size - 1}" if size else "the start of the file"


def require_incomplete(workspace: Workspace) -> None:
    """Refuse a switch of a program that is complete, whatever of it still runs here.

    Raises:
        Refused: When it is complete.
    """
    if calculate_phase(workspace.read_case().entries) is Phase.COMPLETE:
        raise Refused(
            "the program is complete: the target is the new baseline and nothing is left to execute; "
            "see 'cutover status'"
        )


def read_head(path: Path) -> Head:
    """Read a head that was kept as JSON.

    Raises:
        EvidenceUnreadable: When it is missing or does not read.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=Head)
    except (OSError, msgspec.MsgspecError) as exc:
        raise EvidenceUnreadable(
            f"{path} does not read as a kept head: {exc}; expected the output of 'cutover log head --json'"
        ) from exc
