"""Open a program: entry 0, signed by one party and countersigned by the other.

The first party writes a proposal (a DSSE envelope with one signature) into a file; the second one
checks that it says what its own copy of `cutover.toml` and its own keys say, adds its signature and
appends. One key never fills both parties.
Source: cutover-program, "Parties, roles, keys" and "The decision log".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec
import rfc8785
from securesystemslib.dsse import Envelope
from securesystemslib.signer import Signer

from cutover.core.entry import Entry, Opened
from cutover.core.key import KeyKind, Party, PublicKey
from cutover.core.log import VerifiedLog, encode_statement, sign_line
from cutover.core.program import Program
from cutover.errors import LogDamaged, Refused
from cutover.ports import EvidenceStore, OpeningLog


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What one party's `open` came to.

    Args:
        proposal: The envelope for the other party to countersign; None when the program is open now.
        entry: Entry 0, when the program is open now.
        keys: Every key the program knows, for both parties to compare by telephone.
    """

    proposal: bytes | None
    entry: Entry | None
    keys: tuple[PublicKey, ...]


def propose(
    program: Program,
    program_bytes: bytes,
    keys: Sequence[PublicKey],
    *,
    party: Party,
    signer: Signer,
    log: OpeningLog,
    now: datetime,
) -> Opening:
    """Write and sign the proposal of entry 0.

    Args:
        program: Parsed from `program_bytes`.
        program_bytes: What entry 0 fixes by digest.
        keys: Both party keys and at least one executor key.
        party: Who proposes; the signer's key must be this party's among `keys`.
        signer: The party's key.
        log: Must be empty.
        now: The proposed time of entry 0.

    Raises:
        Refused: When the program is open, a key is missing, or one key fills two places.
    """
    _require_closed(log)
    verify_keys(keys)
    _require_own(keys, party, signer)
    body = Opened(program=program.name, program_digest=_digest(program_bytes), keys=tuple(keys))
    line = sign_line(encode_statement(body, head=VerifiedLog().head, time=now), (signer,))
    return Opening(proposal=line, entry=None, keys=tuple(keys))


def countersign(
    proposal: bytes,
    program_bytes: bytes,
    *,
    party: Party,
    signer: Signer,
    expected: Sequence[PublicKey],
    log: OpeningLog,
    evidence: EvidenceStore,
) -> Opening:
    """Check the other party's proposal, add the second signature and append entry 0.

    Args:
        proposal: As `propose` wrote it.
        program_bytes: This party's own copy of `cutover.toml`.
        party: Who countersigns.
        signer: This party's key.
        expected: Keys that this party knows and wants to find in the proposal, its own among them.
        log: Must be empty.
        evidence: Keeps the program's bytes.

    Raises:
        Refused: When the proposal is about another program or other keys, is one's own, or one key
            fills two places.
        LogDamaged: When its signature does not fit.
    """
    _require_closed(log)
    body, envelope = _read_proposal(proposal)
    verify_keys(body.keys)
    _require_own(body.keys, party, signer)
    if signer.public_key.keyid in envelope.signatures:
        raise Refused(
            f"the proposal is already signed by the {party}; expected the other party to countersign"
        )
    if body.program_digest != _digest(program_bytes):
        raise Refused(
            "the proposal fixes another cutover.toml than the one here; compare them, then propose anew"
        )
    for key in expected:
        if key not in body.keys:
            raise Refused(
                f"the proposal does not name {key.name}'s key {key.keyid[:12]}; propose anew with it"
            )
    entry = log.append_line(_add_signature(envelope, signer))
    evidence.store(program_bytes)
    return Opening(proposal=None, entry=entry, keys=body.keys)


def is_signed_by(proposal: bytes, keyid: str) -> bool:
    """Say whether a proposal carries a signature under a key id. Pure; the signature is not verified.

    Raises:
        LogDamaged: When it does not read.
    """
    return keyid in _read_proposal(proposal)[1].signatures


def verify_keys(keys: Sequence[PublicKey]) -> None:
    """Refuse a set of keys that cannot open a program, in the words of the rule it breaks. Pure.

    Raises:
        Refused: When one key fills two places, a party key is missing or doubled, there is no executor
            key, or a holder's key is among them.
    """
    seen: dict[str, PublicKey] = {}
    for key in keys:
        if (other := seen.setdefault(key.public, key)) is not key:
            raise Refused(
                f"one key fills two places: {_describe(other)} and {_describe(key)} are the same key "
                f"{key.keyid[:12]}; each needs one of its own"
            )
    for party in Party:
        found = [key for key in keys if key.kind is KeyKind.PARTY and key.party is party]
        if len(found) != 1:
            raise Refused(f"the {party} has {len(found)} party keys here, expected one; name it with --with")
    if not any(key.kind is KeyKind.EXECUTOR for key in keys):
        raise Refused("no executor key is named; name its public key file with --with")
    if any(key.kind is KeyKind.HOLDER for key in keys):
        raise Refused("a holder's key comes with 'cutover bind', not with 'cutover open'; leave it out")


def _describe(key: PublicKey) -> str:
    return f"the {key.party} {key.kind} ({key.name})" if key.party else f"the {key.kind} ({key.name})"


def _require_closed(log: OpeningLog) -> None:
    if log.read().entries:
        raise Refused("the program is open already; go on with 'cutover status'")


def _require_own(keys: Sequence[PublicKey], party: Party, signer: Signer) -> None:
    own = next(key for key in keys if key.kind is KeyKind.PARTY and key.party is party)
    if own.keyid != signer.public_key.keyid:
        raise Refused(
            f"the {party}'s key in the proposal is {own.keyid[:12]} ({own.name}), the one in this folder is "
            f"{signer.public_key.keyid[:12]}; propose anew with the right one"
        )


def _read_proposal(proposal: bytes) -> tuple[Opened, Envelope]:
    """Parse as strictly as a log would, by letting an empty log refuse it for its one signature only."""
    try:
        envelope = Envelope.from_dict(msgspec.json.decode(proposal))
        statement = msgspec.json.decode(envelope.payload)
        body = msgspec.convert(statement["predicate"]["body"], Opened)
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError) as exc:
        raise LogDamaged(0, f"the proposal does not read: {exc}") from exc
    return body, envelope


def _add_signature(envelope: Envelope, signer: Signer) -> bytes:
    envelope.sign(signer)
    ordered = dict(sorted(envelope.signatures.items()))
    return rfc8785.dumps(Envelope(envelope.payload, envelope.payload_type, ordered).to_dict())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
