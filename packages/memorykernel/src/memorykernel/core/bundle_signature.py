"""Signing a bundle: Ed25519 over its manifest, which holds the digest of every other byte.

The signature is over a name of its own and then the manifest, so that no signature for another purpose can be
taken for one of a bundle.

Source: RFC 8032.
"""

from __future__ import annotations

import hashlib
from typing import Final, Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from memorykernel.errors import BundleInvalid

PrivateKey = Ed25519PrivateKey
PublicKey = Ed25519PublicKey

_CONTEXT: Final = b"memorykernel.bundle.v1 manifest\n"


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A signature file; `key_sha256` says which key to look for, and proves nothing."""

    algorithm: Literal["ed25519"]
    key_sha256: str
    signature: bytes


def sign_manifest(key: PrivateKey, manifest: bytes) -> bytes:
    """Sign a manifest; the same key and manifest always give the same bytes."""
    signature = Signature(
        algorithm="ed25519",
        key_sha256=fingerprint(key.public_key()),
        signature=key.sign(_CONTEXT + manifest),
    )
    return msgspec.json.encode(signature) + b"\n"


def verify_manifest(key: PublicKey, manifest: bytes, signature: bytes | None) -> None:
    """Pass when the key signed the manifest.

    Raises:
        BundleInvalid: It did not, or there is no signature.
    """
    if signature is None:
        raise BundleInvalid("the bundle is not signed; export it with --sign-key, or leave --verify-key out")
    try:
        parsed = msgspec.json.decode(signature, type=Signature)
        key.verify(parsed.signature, _CONTEXT + manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise BundleInvalid(f"the signature cannot be read: {exc}; export again") from exc
    except InvalidSignature as exc:
        raise BundleInvalid(
            f"the signature is not that of the expected key: expected key {fingerprint(key)[:16]},"
            f" the bundle names {parsed.key_sha256[:16]}; do not import it unless you know why"
        ) from exc


def fingerprint(key: PublicKey) -> str:
    """SHA-256 of the raw public key, 64 hex digits."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()
