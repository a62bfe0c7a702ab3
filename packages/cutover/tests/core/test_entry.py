"""Entries and keys: what is written reads back, unknown fields are refused, every kind has its tag."""

from __future__ import annotations

import msgspec
import pytest
from cutover.core.entry import SIGNERS, Body, EntryBody, Observed
from cutover.core.key import KeyKind, Party, PublicKey

from packages.cutover.tests.good_case import GoodCase, make_public, make_signer

EVERY = GoodCase().run()


def test_every_body_reads_back() -> None:
    for entry in EVERY.log.entries:
        assert msgspec.json.decode(msgspec.json.encode(entry.body), type=EntryBody) == entry.body


def test_kinds_are_kebab_case_and_unique() -> None:
    tags = [str(kind.__struct_config__.tag) for kind in SIGNERS]
    assert len(set(tags)) == len(tags)
    assert {"evidence-collected", "checkpoint-packet", "decided"} <= set(tags)


@pytest.mark.parametrize(
    "data", [b'{"kind":"observed","subject":"x","facts":{},"more":1}', b'{"kind":"other"}', b"{}"]
)
def test_what_is_not_an_entry_is_refused(data: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(data, type=EntryBody)


def test_a_body_cannot_be_changed() -> None:
    body = Observed(subject="x", facts={})
    with pytest.raises(AttributeError):
        body.subject = "y"  # type: ignore[misc]  # that it is refused is the test
    assert isinstance(body, Body)


def test_a_key_verifies_what_its_signer_signed() -> None:
    key, signer = make_public("producer", KeyKind.PARTY, Party.PRODUCER), make_signer("producer")
    key.to_verifier().verify_signature(signer.sign(b"data"), b"data")
    assert msgspec.json.decode(msgspec.json.encode(key), type=PublicKey) == key


def test_entry_zero_has_two_signers_and_every_other_one() -> None:
    assert {key.party for key in EVERY.log.entries[0].signers} == set(Party)
    assert all(entry.signers == (entry.signer,) for entry in EVERY.log.entries[1:])
