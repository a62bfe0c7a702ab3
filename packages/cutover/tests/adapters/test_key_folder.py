"""Keys on disk: written once, for their owner only, and never used when something about them is off."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cutover.adapters.key_folder import KeyFolder, key_stem
from cutover.core.key import KeyKind, Party
from cutover.errors import KeyUnusable


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


def test_a_generated_key_signs_what_its_public_half_verifies(keys: KeyFolder) -> None:
    public = keys.generate(KeyKind.PARTY, party=Party.PRODUCER, name="Policy Records")
    signature = keys.load_signer("party").sign(b"payload")
    public.to_verifier().verify_signature(signature, b"payload")
    assert signature.keyid == public.keyid
    assert keys.load_public("party") == public


def test_private_keys_are_for_their_owner_only(keys: KeyFolder) -> None:
    keys.generate(KeyKind.EXECUTOR, party=None, name="executor")
    assert (keys.folder / "executor.key").stat().st_mode & 0o777 == 0o600
    assert keys.folder.stat().st_mode & 0o077 == 0


def test_holders_files_are_named_after_them(keys: KeyFolder) -> None:
    keys.generate(KeyKind.HOLDER, party=Party.CONSUMER, name="Priya Raman")
    assert keys.stems() == ("holder-priya-raman",)


def test_a_key_is_never_overwritten(keys: KeyFolder) -> None:
    keys.generate(KeyKind.PARTY, party=Party.PRODUCER, name="one")
    before = (keys.folder / "party.key").read_bytes()
    with pytest.raises(KeyUnusable, match="never overwritten"):
        keys.generate(KeyKind.PARTY, party=Party.PRODUCER, name="two")
    assert (keys.folder / "party.key").read_bytes() == before
    assert sorted(path.name for path in keys.folder.iterdir()) == ["party.key", "party.pub.json"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_can_read_is_refused(keys: KeyFolder, mode: int) -> None:
    keys.generate(KeyKind.PARTY, party=Party.PRODUCER, name="one")
    (keys.folder / "party.key").chmod(mode)
    with pytest.raises(KeyUnusable, match="chmod 600"):
        keys.load_signer("party")


def test_a_link_in_place_of_a_key_is_refused(keys: KeyFolder) -> None:
    keys.generate(KeyKind.PARTY, party=Party.PRODUCER, name="one")
    (keys.folder / "party.key").rename(keys.folder / "elsewhere")
    (keys.folder / "party.key").symlink_to(keys.folder / "elsewhere")
    with pytest.raises(KeyUnusable, match="cannot be read"):
        keys.load_signer("party")


def test_halves_of_two_pairs_are_refused(keys: KeyFolder, tmp_path: Path) -> None:
    keys.generate(KeyKind.PARTY, party=Party.PRODUCER, name="one")
    other = KeyFolder(tmp_path / "other").generate(KeyKind.PARTY, party=Party.PRODUCER, name="one")
    (keys.folder / "party.pub.json").write_bytes(msgspec.json.encode(other))
    with pytest.raises(KeyUnusable, match="not one pair"):
        keys.load_signer("party")


def test_another_algorithm_is_refused(keys: KeyFolder) -> None:
    keys.generate(KeyKind.PARTY, party=Party.PRODUCER, name="one")
    curve = generate_private_key(SECP256R1())
    (keys.folder / "party.key").write_bytes(
        curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with pytest.raises(KeyUnusable, match="no Ed25519 key"):
        keys.load_signer("party")


@pytest.mark.parametrize("name", ["party.key", "party.pub.json"])
def test_a_file_that_does_not_read_is_refused(keys: KeyFolder, name: str) -> None:
    keys.generate(KeyKind.PARTY, party=Party.PRODUCER, name="one")
    (keys.folder / name).write_bytes(b"nonsense")
    with pytest.raises(KeyUnusable, match="does not read"):
        keys.load_signer("party")


def test_a_missing_key_is_refused(keys: KeyFolder) -> None:
    with pytest.raises(KeyUnusable, match="cannot be read"):
        keys.load_signer("party")
    with pytest.raises(KeyUnusable, match="cutover keys"):
        keys.load_public("party")


@pytest.mark.parametrize(("kind", "party"), [(KeyKind.EXECUTOR, Party.PRODUCER), (KeyKind.PARTY, None)])
def test_kind_and_party_go_together(keys: KeyFolder, kind: KeyKind, party: Party | None) -> None:
    with pytest.raises(KeyUnusable, match=r"leave the party out|name producer or consumer"):
        keys.generate(kind, party=party, name="x")


def test_a_holder_needs_a_name() -> None:
    with pytest.raises(KeyUnusable, match="no holder's name"):
        key_stem(KeyKind.HOLDER, "../")
