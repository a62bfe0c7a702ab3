"""A party's checkpoint packet: this target, this log.

Both packets must name one log head with nothing but packets after it, so the second party signs the
head that the first one signed, however late it comes.
Source: cutover-program, gate `checkpoints`.
"""

from __future__ import annotations

from collections.abc import Sequence

from cutover.core.entry import CheckpointPacket, Entry
from cutover.core.log import Head
from cutover.errors import Refused
from cutover.service.station import Station


def checkpoint(station: Station) -> Entry:
    """Sign a packet over the log as it stood before any trailing packets.

    Args:
        station: With a party's key.

    Raises:
        Refused: Before a hand-off, or when this party's packet over this head stands already.
    """
    handed, program = station.handed_off(), station.program
    log = station.log.read()
    size = find_packet_base(log.entries)
    head = log.head_at(size)
    body = CheckpointPacket(
        release_tag=handed.release_tag,
        commit_sha=handed.commit_sha,
        service_contract_version=program.target.service_contract_version,
        log_head=head.root,
        log_size=head.size,
    )
    _require_new(log.entries[size:], body, head, station.signer.public_key.keyid)
    return station.log.append(body, station.signer)


def find_packet_base(entries: Sequence[Entry]) -> int:
    """Return how many entries stand before the packets at the end of the log. Pure."""
    size = len(entries)
    while size and isinstance(entries[size - 1].body, CheckpointPacket):
        size -= 1
    return size


def _require_new(packets: Sequence[Entry], body: CheckpointPacket, head: Head, keyid: str) -> None:
    if any(entry.body == body and entry.signer.keyid == keyid for entry in packets):
        raise Refused(
            f"this party's packet over the log at {head.size} entries stands already; is the other missing?"
        )
