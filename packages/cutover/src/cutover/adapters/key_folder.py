"""A party's own key folder: Ed25519 private keys as PEM files that only their owner can read.

`party.key`, `holder-<name>.key` and `executor.key`, each beside its `.pub.json`. A key is written once
and never overwritten; one that others could read is not used.
Source: cutover-program, "Parties, roles, keys"; RFC 5958 (PKCS #8), RFC 8410.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Signer, SSlibKey

from cutover.core.key import KeyKind, Party, PublicKey
from cutover.errors import KeyUnusable

_SLUG: Final = re.compile(r"[^a-z0-9]+")
_MAX_FILE_BYTES: Final = 64 * 1024


class KeyFolder:
    """Generates and loads the keys of one folder.

    Args:
        folder: Where they are; created with the first key.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def folder(self) -> Path:
        """Where the keys are."""
        return self._folder

    def generate(self, kind: KeyKind, *, party: Party | None, name: str) -> PublicKey:
        """Generate a key pair and keep it.

        Args:
            kind: What the key may sign.
            party: The party it speaks for; None for an executor, and only for it.
            name: Who holds it, for people; a holder's file is named after it.

        Raises:
            KeyUnusable: When such a key is there already, or kind and party do not go together.
        """
        if party is not None and kind is KeyKind.EXECUTOR:
            raise KeyUnusable(f"an executor key speaks for no party, got {party}; leave the party out")
        if party is None and kind is not KeyKind.EXECUTOR:
            raise KeyUnusable(f"a {kind} key speaks for a party, got none; name producer or consumer")
        private = Ed25519PrivateKey.generate()
        derived = SSlibKey.from_crypto(private.public_key())
        public = PublicKey(
            keyid=derived.keyid, public=derived.keyval["public"], kind=kind, party=party, name=name
        )
        stem = key_stem(kind, name)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write_new(f"{stem}.key", _encode_private(private), mode=0o600)
        self._write_new(f"{stem}.pub.json", _encode_public(public), mode=0o644)
        return public

    def load_public(self, stem: str) -> PublicKey:
        """Return the public half of `party`, `executor` or `holder-<name>`.

        Raises:
            KeyUnusable: When it is missing or does not read.
        """
        path = self._folder / f"{stem}.pub.json"
        try:
            return msgspec.json.decode(_read(path), type=PublicKey)
        except msgspec.MsgspecError as exc:
            raise KeyUnusable(f"{path} does not read as a public key: {exc}") from exc

    def load_signer(self, stem: str) -> Signer:
        """Return what signs with the private half.

        Raises:
            KeyUnusable: When it is missing, readable by others, no Ed25519 key, or not the one that
                its public half names.
        """
        path = self._folder / f"{stem}.key"
        private = _decode_private(path, _read_private(path))
        public = self.load_public(stem)
        derived = SSlibKey.from_crypto(private.public_key())
        if (derived.keyid, derived.keyval["public"]) != (public.keyid, public.public):
            raise KeyUnusable(
                f"{path} and {stem}.pub.json are not one pair; restore the files that belong together"
            )
        return CryptoSigner(private, public.to_verifier())

    def stems(self) -> tuple[str, ...]:
        """Return the stems of all keys in the folder, sorted."""
        return tuple(sorted(path.name.removesuffix(".key") for path in self._folder.glob("*.key")))

    def _write_new(self, name: str, data: bytes, *, mode: int) -> None:
        """Write a file whole or not at all, and never over another: a link refuses what exists."""
        handle, scratch = tempfile.mkstemp(dir=self._folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                os.fchmod(file.fileno(), mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(scratch, self._folder / name)
        except FileExistsError as exc:
            raise KeyUnusable(
                f"{self._folder / name} exists; a key is never overwritten, move it away first"
            ) from exc
        finally:
            Path(scratch).unlink()
        _sync_folder(self._folder)


def key_stem(kind: KeyKind, name: str) -> str:
    """Return the file stem of a key: `party`, `executor`, or `holder-` and the name in lower case.

    Raises:
        KeyUnusable: When a holder's name has no letter or digit.
    """
    if kind is not KeyKind.HOLDER:
        return str(kind)
    slug = _SLUG.sub("-", name.lower()).strip("-")
    if not slug:
        raise KeyUnusable(f"{name!r} is no holder's name; expected letters or digits")
    return f"holder-{slug}"


def _encode_private(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _encode_public(public: PublicKey) -> bytes:
    return msgspec.json.format(msgspec.json.encode(public), indent=2) + b"\n"


def _decode_private(path: Path, data: bytes) -> Ed25519PrivateKey:
    try:
        private = serialization.load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise KeyUnusable(f"{path} does not read as a private key; expected unencrypted PKCS #8 PEM") from exc
    if not isinstance(private, Ed25519PrivateKey):
        raise KeyUnusable(f"{path} is no Ed25519 key; generate one with `cutover keys`")
    return private


def _read_private(path: Path) -> bytes:
    """Read through one descriptor, so that what was checked is what is read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as exc:
        raise KeyUnusable(f"{path} cannot be read: {exc.strerror}; expected a private key file") from exc
    with os.fdopen(handle, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise KeyUnusable(f"{path} is no regular file; expected a private key file")
        if facts.st_mode & 0o077:
            raise KeyUnusable(
                f"{path} can be read by others (mode {stat.S_IMODE(facts.st_mode):o}); run chmod 600 on it"
            )
        return file.read(_MAX_FILE_BYTES)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as exc:
        raise KeyUnusable(f"{path} cannot be read: {exc.strerror}; generate it with `cutover keys`") from exc


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
