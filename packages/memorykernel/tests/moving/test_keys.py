"""Signed and encrypted exports through the command line: the right keys open them, others do not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyrage  # type: ignore[import-untyped]  # it has no stubs
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

MK = (sys.executable, "-c", "from memorykernel.cli import main; main()")


def mk(*arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*MK, *map(str, arguments)], capture_output=True, check=False)


def write_keys(folder: Path, name: str) -> tuple[Path, Path]:
    key = Ed25519PrivateKey.generate()
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    private.chmod(0o600)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def write_identity(folder: Path, name: str) -> tuple[Path, str]:
    identity = pyrage.x25519.Identity.generate()
    path = folder / name
    path.write_text(f"# public key: {identity.to_public()}\n{identity}\n")
    return path, str(identity.to_public())


def test_a_signed_and_encrypted_export_opens_with_the_right_keys_only(store: Path, tmp_path: Path) -> None:
    private, public = write_keys(tmp_path, "ours")
    _, stranger = write_keys(tmp_path, "theirs")
    identity, recipient = write_identity(tmp_path, "ours.txt")
    other, _ = write_identity(tmp_path, "theirs.txt")
    sealed, copy = tmp_path / "s.age", tmp_path / "copy.db"
    done = mk("export", "--db", store, "-o", sealed, "--sign-key", private, "--encrypt-to", recipient)
    assert done.returncode == 0, done.stderr
    assert oct(sealed.stat().st_mode)[-3:] == "600"
    assert b"policy-team" not in sealed.read_bytes()
    for arguments, message in (
        ((), b"--identity"),
        (("--identity", other), b"cannot be decrypted"),
        (("--identity", identity, "--verify-key", stranger), b"not that of the expected key"),
        (("--identity", public), b"no age identity"),
        (("--identity", identity, "--verify-key", private), b"no Ed25519 public key"),
    ):
        refused = mk("import", sealed, "--db", copy, *arguments)
        assert (refused.returncode, message in refused.stderr) == (2, True), refused.stderr
        assert not copy.exists()
    cut = tmp_path / "cut.age"
    cut.write_bytes(sealed.read_bytes()[:-20])
    assert mk("import", cut, "--db", copy, "--identity", identity).returncode == 2
    assert mk("import", sealed, "--db", copy, "--identity", identity, "--verify-key", public).returncode == 0
    plain, again = tmp_path / "a.tar", tmp_path / "b.tar"
    assert mk("export", "--db", store, "-o", plain).returncode == 0
    assert mk("export", "--db", copy, "-o", again).returncode == 0
    assert plain.read_bytes() == again.read_bytes()
    unsigned = mk("import", plain, "--db", tmp_path / "c.db", "--verify-key", public)
    assert (unsigned.returncode, b"not signed" in unsigned.stderr) == (2, True)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_signing_key_that_others_can_read_is_refused(store: Path, tmp_path: Path) -> None:
    private, _ = write_keys(tmp_path, "ours")
    private.chmod(0o644)
    done = mk("export", "--db", store, "-o", tmp_path / "a.tar", "--sign-key", private)
    assert (done.returncode, b"chmod 600" in done.stderr) == (2, True)
    assert not (tmp_path / "a.tar").exists()


def test_an_export_goes_to_a_pipe_and_never_over_a_file(store: Path, tmp_path: Path) -> None:
    piped = mk("export", "--db", store)
    target = tmp_path / "a.tar"
    assert mk("export", "--db", store, "-o", target).returncode == 0
    assert piped.stdout == target.read_bytes()
    assert mk("export", "--db", store, "-o", target).returncode == 1
    later = mk("export", "--db", store, "--exported-at", "2030-01-01T00:00:00Z")
    assert b'"exported_at": "2030-01-01T00:00:00Z"' in later.stdout
