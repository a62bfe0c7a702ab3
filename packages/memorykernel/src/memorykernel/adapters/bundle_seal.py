"""Keys from files, and encryption with age.

age (https://age-encryption.org/v1) and not a format of our own: keys and files work with the `age` program,
the format authenticates every 64 KiB and its end, so that a cut is noticed, and `pyrage` streams. Recipients
are bound by age's header; everything else by the manifest inside.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import pyrage  # type: ignore[import-untyped]  # it has no stubs
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from memorykernel.adapters.bundle_archive import Opener, Readable
from memorykernel.core.bundle_signature import PrivateKey, PublicKey
from memorykernel.errors import BundleInvalid, KeyUnusable

AGE_BEGINS: Final = b"age-encryption.org/v1\n"
"""How an encrypted file begins."""

_READ_ONLY_OWNER: Final = 0o077


def load_sign_key(path: Path) -> PrivateKey:
    """Read an Ed25519 private key in PEM (PKCS 8).

    Raises:
        KeyUnusable: There is none, others can read it, or it is another kind of key.
    """
    data = _read(path)
    if path.stat().st_mode & _READ_ONLY_OWNER:
        raise KeyUnusable(f"others can read the key '{path}'; run: chmod 600 '{path}'")
    try:
        key = load_pem_private_key(data, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise _no_key(path, "private key", "openssl genpkey -algorithm ed25519 -out KEY") from exc
    if not isinstance(key, PrivateKey):
        raise _no_key(path, "private key", "openssl genpkey -algorithm ed25519 -out KEY")
    return key


def load_verify_key(path: Path) -> PublicKey:
    """Read an Ed25519 public key in PEM.

    Raises:
        KeyUnusable: There is none, or it is another kind of key.
    """
    try:
        key = load_pem_public_key(_read(path))
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise _no_key(path, "public key", "openssl pkey -in KEY -pubout -out PUB") from exc
    if not isinstance(key, PublicKey):
        raise _no_key(path, "public key", "openssl pkey -in KEY -pubout -out PUB")
    return key


def parse_recipient(text: str) -> Any:
    """Read an age recipient, `age1...`.

    Raises:
        KeyUnusable: It is none.
    """
    try:
        return pyrage.x25519.Recipient.from_str(text)
    except pyrage.RecipientError as exc:
        raise KeyUnusable(
            f"'{text[:16]}...' is no age recipient: expected age1 and 58 characters; see 'age-keygen -y'"
        ) from exc


def load_identities(path: Path) -> list[Any]:
    """Read the identities of a file as age-keygen writes it.

    Raises:
        KeyUnusable: It has none.
    """
    lines = _read(path).decode("utf-8", "replace").splitlines()
    keys = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    try:
        identities = [pyrage.x25519.Identity.from_str(each) for each in keys]
    except pyrage.IdentityError as exc:
        raise KeyUnusable(f"'{path}' holds no age identity: expected AGE-SECRET-KEY-1...") from exc
    if not identities:
        raise KeyUnusable(f"'{path}' holds no age identity: expected AGE-SECRET-KEY-1...")
    return identities


def seal(chunks: Iterator[bytes], target: BinaryIO, recipients: list[Any]) -> None:
    """Encrypt a stream, as it comes, into a file."""
    pyrage.encrypt_io(_IteratorReader(chunks), target, recipients)


def make_opener(path: Path, identities: list[Any] | None) -> Opener:
    """How to open the tar stream of a bundle file, sealed or not.

    Raises:
        BundleInvalid: The file cannot be read; it is sealed and there is no identity.
    """
    try:
        with path.open("rb") as file:
            is_sealed = file.read(len(AGE_BEGINS)) == AGE_BEGINS
    except OSError as exc:
        raise BundleInvalid(f"'{path}' cannot be read: {exc.strerror}; correct the path") from exc
    if not is_sealed:
        return lambda: path.open("rb")
    if identities is None:
        raise BundleInvalid("the bundle is encrypted; name the key with --identity FILE")
    return lambda: _unseal(path, identities)


@contextmanager
def _unseal(path: Path, identities: list[Any]) -> Iterator[Readable]:
    """age pushes what it decrypts, a reader pulls: between them are a pipe and a thread."""
    reading, writing = os.pipe()
    reader, writer = os.fdopen(reading, "rb"), os.fdopen(writing, "wb")
    failures: list[BaseException] = []

    def decrypt() -> None:
        try:
            with path.open("rb") as sealed, writer:
                pyrage.decrypt_io(sealed, writer, identities)
        except (OSError, pyrage.DecryptError) as exc:
            failures.append(exc)

    thread = threading.Thread(target=decrypt, name="unseal", daemon=True)
    thread.start()
    try:
        yield _Pipe(reader, thread, failures)
    finally:
        reader.close()
        thread.join()


class _Pipe:
    """The plain end; its end of file counts only when decryption ended well."""

    def __init__(self, reader: BinaryIO, thread: threading.Thread, failures: list[BaseException]) -> None:
        self._reader, self._thread, self._failures = reader, thread, failures

    def read(self, size: int = -1, /) -> bytes:
        data = self._reader.read(size)
        if not data:
            self._thread.join()
            if self._failures:
                raise BundleInvalid(
                    f"the bundle cannot be decrypted: {self._failures[0]};"
                    " it is damaged, cut off, or sealed for another key"
                )
        return data


class _IteratorReader:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._left = chunks, memoryview(b"")

    def read(self, size: int = -1) -> bytes:
        while not self._left:
            following = next(self._chunks, None)
            if following is None:
                return b""
            self._left = memoryview(following)
        taken = self._left if size < 0 else self._left[:size]
        self._left = self._left[len(taken) :]
        return bytes(taken)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise KeyUnusable(f"the key '{path}' cannot be read: {exc.strerror}; correct the path") from exc


def _no_key(path: Path, kind: str, command: str) -> KeyUnusable:
    return KeyUnusable(
        f"'{path}' holds no Ed25519 {kind} in PEM without a password; make one with: {command}"
    )
