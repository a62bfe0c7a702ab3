"""What commands print: JSON with `contract_version` first on stdout, narration on stderr."""

from __future__ import annotations

import sys
from typing import Final

import msgspec

from memorykernel.service.idempotency import Written

CLI_CONTRACT: Final = "cli.v1"


def print_result(data: bytes) -> None:
    """Print an encoded JSON object, with the CLI's contract version as its first key."""
    head = b'{"contract_version":"%b"' % CLI_CONTRACT.encode()
    body = head + (b"}" if data == b"{}" else b"," + data[1:])
    sys.stdout.write(msgspec.json.format(body, indent=2).decode() + "\n")
    sys.stdout.flush()


def print_record(record: msgspec.Struct) -> None:
    """Print a record as `print_result` does."""
    print_result(msgspec.json.encode(record))


def print_written(written: Written) -> None:
    """Print what a guarded write made, and warn of the conflicts it brought."""
    print_result(bytes(written.data))
    if written.conflicts:
        more = " and more" if written.more_conflicts else ""
        narrate(
            f"warning: in conflict since this write: {', '.join(written.conflicts)}{more};"
            " what both decide is inconclusive until one is superseded: mk memory link --relation supersedes"
        )


def narrate(line: str) -> None:
    """Tell the person at the terminal what happens."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
