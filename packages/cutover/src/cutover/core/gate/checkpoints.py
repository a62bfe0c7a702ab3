"""Gate `checkpoints`: both parties' packets name the same target and the same head; only packets follow it.

Derived from the newest packet of each party. Anything else after the head, evidence included, has been
seen by neither packet: take new ones.
Source: cutover-program, table "Gates".
"""

from __future__ import annotations

from msgspec.structs import replace

from cutover.core.case import Case
from cutover.core.entry import CheckpointPacket, Entry, HandedOff
from cutover.core.evidence import Checkpoints, PacketFacts
from cutover.core.gate.gate import Clause, ClauseGate, calculate_change, find_difference
from cutover.core.key import Party

PACKET = "checkpoint-packet"


class CheckpointsGate(ClauseGate[Checkpoints]):
    """The newest packet of each party beside target and log."""

    name = "checkpoints"

    def gather(self, case: Case) -> tuple[Checkpoints, tuple[str, ...]] | None:
        """Derive the evidence; None before anything was handed off or anybody took a checkpoint."""
        handed, newest = case.newest(HandedOff), _newest_packets(case)
        if handed is None or not newest:
            return None
        size = min(body.log_size for _, body in newest.values())
        return (
            Checkpoints(
                packets=tuple(_facts(case, party, body) for party, (_, body) in sorted(newest.items())),
                target={
                    "release_tag": case.program.target.release_tag,
                    "commit_sha": handed[1].commit_sha,
                    "service_contract_version": case.program.target.service_contract_version,
                },
                entries_after_head=tuple(_kind(entry) for entry in case.entries[max(0, size) :]),
            ),
            (),
        )

    def describe(self, evidence: Checkpoints) -> str:
        """Return what the packets agree on."""
        tag = evidence.target["release_tag"]
        return f"both parties' packets name {tag} and one head, and only they follow it"

    rows = (
        Clause(
            reason_code="packet-missing",
            find_breach=lambda e: (
                None
                if sorted(p.party for p in e.packets) == sorted(Party)
                else f"packets of {sorted(p.party for p in e.packets)} are there, expected one of each party"
            ),
            break_fact=lambda e: (
                *(replace(e, packets=tuple(p for p in e.packets if p.party != party)) for party in Party),
                replace(e, packets=tuple(replace(p, party=Party.CONSUMER) for p in e.packets)),
            ),
        ),
        Clause(
            reason_code="packet-names-another-target",
            find_breach=lambda e: next(
                (
                    f"the packet of the {packet.party}: {difference}"
                    for packet in e.packets
                    if (difference := _compare(packet, e)) is not None
                ),
                None,
            ),
            break_fact=lambda e: (
                *_change_each(e, "release_tag"),
                *_change_each(e, "commit_sha"),
                *_change_each(e, "service_contract_version"),
            ),
        ),
        Clause(
            reason_code="heads-differ",
            find_breach=lambda e: (
                None
                if len({(packet.log_head, packet.log_size) for packet in e.packets}) == 1
                else "the packets name different heads; take both checkpoints on the same log"
            ),
            break_fact=lambda e: (
                *_change_each(e, "log_head"),
                replace(
                    e, packets=(*e.packets[:-1], replace(e.packets[-1], log_size=e.packets[-1].log_size + 1))
                ),
            ),
        ),
        Clause(
            reason_code="not-our-head",
            find_breach=lambda e: next(
                (
                    f"the head in the packet of the {p.party} is not this log's"
                    for p in e.packets
                    if not p.head_is_ours
                ),
                None,
            ),
            break_fact=lambda e: tuple(
                replace(e, packets=(*e.packets[:i], replace(p, head_is_ours=False), *e.packets[i + 1 :]))
                for i, p in enumerate(e.packets)
            ),
        ),
        Clause(
            reason_code="entries-after-head",
            find_breach=lambda e: next(
                (
                    f"a {kind} entry stands after the head; take new checkpoints"
                    for kind in e.entries_after_head
                    if kind != PACKET
                ),
                None,
            ),
            break_fact=lambda e: (
                replace(e, entries_after_head=(*e.entries_after_head, "evidence-collected")),
                replace(e, entries_after_head=("waived", *e.entries_after_head)),
            ),
        ),
    )


def _newest_packets(case: Case) -> dict[Party, tuple[Entry, CheckpointPacket]]:
    """Return each party's newest packet; one that is too old fails on the entries after its head."""
    return {
        entry.signer.party: (entry, body)
        for entry, body in case.all(CheckpointPacket)
        if entry.signer.party is not None
    }


def _facts(case: Case, party: Party, body: CheckpointPacket) -> PacketFacts:
    is_ours = 0 < body.log_size <= len(case.entries) and case.head_at(body.log_size).root == body.log_head
    return PacketFacts(
        party=party,
        release_tag=body.release_tag,
        commit_sha=body.commit_sha,
        service_contract_version=body.service_contract_version,
        log_head=body.log_head,
        log_size=body.log_size,
        head_is_ours=is_ours,
    )


def _kind(entry: Entry) -> str:
    return str(type(entry.body).__struct_config__.tag)


def _compare(packet: PacketFacts, evidence: Checkpoints) -> str | None:
    return find_difference(
        release_tag=(packet.release_tag, evidence.target.get("release_tag")),
        commit=(packet.commit_sha, evidence.target.get("commit_sha")),
        service_contract=(packet.service_contract_version, evidence.target.get("service_contract_version")),
    )


def _change_each(evidence: Checkpoints, fact: str) -> tuple[Checkpoints, ...]:
    return tuple(
        replace(
            evidence,
            packets=(
                *evidence.packets[:i],
                replace(packet, **{fact: calculate_change(getattr(packet, fact))}),
                *evidence.packets[i + 1 :],
            ),
        )
        for i, packet in enumerate(evidence.packets)
    )
