"""Whose key signs: keys by the name that a command was given, and entry 0 by two of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from securesystemslib.signer import Signer

from cutover.adapters.key_folder import KeyFolder, key_stem
from cutover.core.key import KeyKind, Party, PublicKey
from cutover.errors import KeyUnusable, Refused
from cutover.service import opening
from cutover.service.opening import Opening
from cutover.wiring.workspace import Workspace

EXECUTOR = "executor"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """A signing key with what it may be used for."""

    public: PublicKey
    signer: Signer

    @property
    def party(self) -> Party:
        """The party that the key speaks for.

        Raises:
            Refused: When it is an executor's.
        """
        if self.public.party is None:
            raise Refused("an executor key speaks for no party; use --as producer or --as consumer")
        return self.public.party


def load_identity(keys: Path, who: str) -> Identity:
    """Load the key that a command signs with.

    Args:
        keys: The caller's own key folder.
        who: `producer`, `consumer`, `executor`, or the name of a holder.

    Raises:
        KeyUnusable: When the folder has no such key, or another one under that name.
    """
    folder = KeyFolder(keys)
    party = Party(who) if who in set(Party) else None
    kind = KeyKind.PARTY if party else KeyKind.EXECUTOR if who == EXECUTOR else KeyKind.HOLDER
    stem = key_stem(kind, who)
    public = folder.load_public(stem)
    if public.kind is not kind or (party is not None and public.party is not party):
        raise KeyUnusable(
            f"{keys / stem}.key is the {public.party or 'executor'}'s {public.kind} key, "
            f"expected the {who}'s; name its folder with --keys"
        )
    return Identity(public=public, signer=folder.load_signer(stem))


def load_public(path: Path) -> PublicKey:
    """Read a public key file.

    Raises:
        KeyUnusable: When it is missing or does not read.
    """
    return KeyFolder(path.parent).load_public(path.name.removesuffix(".pub.json"))


def open_as_party(workspace: Workspace, identity: Identity, others: tuple[Path, ...]) -> Opening:
    """Propose entry 0 (again, over one's own proposal), or countersign what the other party proposed.

    Args:
        workspace: The program folder.
        identity: The party's key.
        others: Public key files of the other party and the executor.

    Raises:
        Refused: When the program or the keys do not allow it.
    """
    known = (identity.public, *(load_public(path) for path in others))
    path = workspace.proposal_path
    if path.exists() and not opening.is_signed_by(path.read_bytes(), identity.public.keyid):
        return _countersign(workspace, identity, path.read_bytes(), known)
    made = opening.propose(
        workspace.program,
        workspace.program_bytes,
        known,
        party=identity.party,
        signer=identity.signer,
        log=workspace.log,
        now=workspace.clock.now(),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.proposal or b"")
    return made


def _countersign(
    workspace: Workspace, identity: Identity, proposal: bytes, known: tuple[PublicKey, ...]
) -> Opening:
    return opening.countersign(
        proposal,
        workspace.program_bytes,
        party=identity.party,
        signer=identity.signer,
        expected=known,
        log=workspace.log,
        evidence=workspace.evidence,
    )
