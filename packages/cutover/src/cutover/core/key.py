"""Kinds of keys and what each may sign.

Three kinds of Ed25519 keys, never mixed: a *party* key approves and signs its checkpoint packet,
a *holder* key (certified by its party) acknowledges a role and stops, an *executor* key signs
observations and stops and nothing else. One key never fills two places.
Source: cutover-program, "Parties, roles, keys".
"""

from __future__ import annotations

from enum import StrEnum

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from securesystemslib.signer import SSlibKey


class Party(StrEnum):
    """The two sides of a program."""

    PRODUCER = "producer"
    CONSUMER = "consumer"


class KeyKind(StrEnum):
    """What a key is for."""

    PARTY = "party"
    HOLDER = "holder"
    EXECUTOR = "executor"


class PublicKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An Ed25519 public key with the one thing it may be used for.

    Args:
        keyid: 64 hex digits, as securesystemslib derives it from the key.
        public: 64 hex digits, the raw public key.
        kind: What the key may sign.
        party: The party it speaks for; None for the executor.
        name: Who holds it, for people.
    """

    keyid: str
    public: str
    kind: KeyKind
    party: Party | None
    name: str

    @property
    def is_genuine(self) -> bool:
        """Whether `public` is an Ed25519 key in its one spelling and `keyid` is the one derived from it.

        Without this one key could fill two places: hex digits can be written in two ways, and a key id
        can be made up.
        """
        try:
            derived = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(bytes.fromhex(self.public)))
        except ValueError:
            return False
        return (self.keyid, self.public) == (derived.keyid, derived.keyval["public"])

    def to_verifier(self) -> SSlibKey:
        """Return the key in the form that verifies DSSE envelopes."""
        return SSlibKey(self.keyid, "ed25519", "ed25519", {"public": self.public})
