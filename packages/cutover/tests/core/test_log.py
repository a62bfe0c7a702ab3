"""The decision log: every way of tampering with a line or the sequence is found, and located."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import timedelta

import pytest
import rfc8785
from cutover.core.entry import (
    SIGNERS,
    Approved,
    Body,
    Decided,
    EntryBody,
    HandedOff,
    Observed,
    Opened,
    RoleBound,
    Scope,
    StopCondition,
    Stopped,
)
from cutover.core.key import KeyKind, Party, PublicKey
from cutover.core.log import (
    EMPTY_ROOT,
    MAX_LINE_BYTES,
    PAYLOAD_TYPE,
    Head,
    Tree,
    VerifiedLog,
    calculate_leaf,
    encode_statement,
    sign_line,
    verify_log,
)
from cutover.errors import LogDamaged
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from securesystemslib.dsse import Envelope
from securesystemslib.signer import Signature

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import GoodCase, make_public, make_signer

SMALL = GoodCase().run(until="hand-off")
LINES = tuple(SMALL.lines)
KEYS = (
    make_public("producer", KeyKind.PARTY, Party.PRODUCER),
    make_public("consumer", KeyKind.PARTY, Party.CONSUMER),
    make_public("executor", KeyKind.EXECUTOR, None),
)
few = settings(max_examples=100, deadline=None)


def damage_at(lines: tuple[bytes, ...], *, against: Head | None = None) -> int:
    with pytest.raises(LogDamaged) as found:
        verify_log(lines, against=against)
    assert str(found.value.index) in str(found.value)
    return found.value.index


class TestTree:
    """Vectors of RFC 6962, as published with Google's certificate-transparency reference."""

    LEAVES = (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
    ROOTS = (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )

    def test_the_published_roots(self) -> None:
        tree = Tree()
        assert tree.head() == Head(size=0, root=EMPTY_ROOT)
        for size, (leaf, root) in enumerate(zip(self.LEAVES, self.ROOTS, strict=True), 1):
            tree.append(calculate_leaf(bytes.fromhex(leaf)))
            assert tree.head() == Head(size=size, root=root)

    @few
    @given(st.lists(st.binary(max_size=4), max_size=40))
    def test_it_equals_the_recursive_definition(self, leaves: list[bytes]) -> None:
        tree = Tree()
        for leaf in leaves:
            tree.append(calculate_leaf(leaf))
        assert tree.head().root == _define_root(leaves).hex()


def _define_root(leaves: list[bytes]) -> bytes:
    """The definition of RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(b"\x01" + _define_root(leaves[:split]) + _define_root(leaves[split:])).digest()


def test_a_log_in_order_verifies_and_is_incremental() -> None:
    log = verify_log(LINES)
    assert len(log.entries) == len(LINES) == log.head.size
    assert [entry.index for entry in log.entries] == list(range(len(LINES)))
    assert log.head_at(0).root == EMPTY_ROOT
    for size in range(len(LINES) + 1):
        assert verify_log(LINES[:size]).head == log.head_at(size)
    assert log.key(KEYS[0].keyid) == KEYS[0]
    assert log.key("0" * 64) is None


class TestTampering:
    @settings(max_examples=300, deadline=None)
    @given(st.integers(0, sum(map(len, LINES)) - 1), st.integers(1, 255))
    def test_every_changed_byte_is_found_in_its_line(self, at: int, flip: int) -> None:
        index = 0
        while at >= len(LINES[index]):
            at -= len(LINES[index])
            index += 1
        line = bytearray(LINES[index])
        line[at] ^= flip
        assert damage_at((*LINES[:index], bytes(line), *LINES[index + 1 :])) == index

    def test_every_single_byte_of_one_line(self) -> None:
        log = verify_log(LINES[:1])
        line = LINES[1]
        for at in range(len(line)):
            changed = line[:at] + bytes([line[at] ^ 1]) + line[at + 1 :]
            with pytest.raises(LogDamaged) as found:
                log.append(changed)
            assert found.value.index == 1
        assert log.append(line).index == 1

    @few
    @given(st.integers(0, len(LINES) - 2))
    def test_a_dropped_line_is_found_where_it_was(self, index: int) -> None:
        assert damage_at((*LINES[:index], *LINES[index + 1 :])) == index

    @few
    @given(st.integers(0, len(LINES) - 2))
    def test_two_exchanged_lines_are_found(self, index: int) -> None:
        lines = (*LINES[:index], LINES[index + 1], LINES[index], *LINES[index + 2 :])
        assert damage_at(lines) == index

    @few
    @given(st.integers(0, len(LINES) - 1))
    def test_a_repeated_line_is_found(self, index: int) -> None:
        assert damage_at((*LINES[: index + 1], LINES[index], *LINES[index + 1 :])) == index + 1

    @few
    @given(st.integers(1, len(LINES) - 1))
    def test_truncation_is_found_only_against_a_kept_head(self, size: int) -> None:
        kept = verify_log(LINES).head
        assert verify_log(LINES[:size]).head.size == size
        assert damage_at(LINES[:size], against=kept) == size

    def test_a_longer_log_contains_the_kept_head(self) -> None:
        kept = verify_log(LINES[:5]).head
        assert verify_log(LINES, against=kept).head.size == len(LINES)

    def test_a_fork_is_found_against_a_kept_head(self) -> None:
        fork = GoodCase().run(until="open")
        fork.hand_off(tag_object=good.sha("another"))
        kept = verify_log(LINES).head
        assert verify_log(fork.lines).head.size == kept.size
        assert damage_at(tuple(fork.lines), against=kept) == kept.size - 1

    @pytest.mark.parametrize("index", [0, 1, len(LINES) - 1])
    def test_a_stripped_signature_is_found(self, index: int) -> None:
        envelope = json.loads(LINES[index])
        del envelope["signatures"][0]
        assert damage_at((*LINES[:index], rfc8785.dumps(envelope), *LINES[index + 1 :])) == index

    def test_a_second_signature_is_refused(self) -> None:
        body = Observed(subject="world", facts={})
        log = verify_log(LINES)
        statement = encode_statement(body, head=log.head, time=SMALL.now)
        line = sign_line(statement, [make_signer("executor"), make_signer("producer")])
        assert damage_at((*LINES, line)) == len(LINES)

    def test_a_signature_of_other_content_does_not_fit(self) -> None:
        envelope = json.loads(LINES[-1])
        envelope["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()
        assert damage_at((*LINES[:-1], rfc8785.dumps(envelope))) == len(LINES) - 1

    @pytest.mark.parametrize(
        "change",
        [
            lambda line: line + b" ",
            lambda line: b" " + line,
            lambda line: line.replace(b":", b": ", 1),
            lambda _line: b"",
            lambda _line: b"{}",
            lambda _line: b"[" * 5000,
            lambda _line: b"x" * (MAX_LINE_BYTES + 1),
            lambda line: line[:-1] + b',"extra":1}',
        ],
        ids=["space-after", "space-before", "space-inside", "empty", "no-keys", "deep", "long", "key"],
    )
    def test_what_is_not_canonical_is_refused(self, change: object) -> None:
        assert callable(change)
        assert damage_at((*LINES[:-1], change(LINES[-1]))) == len(LINES) - 1

    def test_a_line_that_is_refused_leaves_the_log_as_it_was(self) -> None:
        log = verify_log(LINES)
        head = log.head
        with pytest.raises(LogDamaged):
            log.append(LINES[-1])
        assert log.head == head


class TestWhoMaySign:
    def refuse(self, body: EntryBody, *signers: str, at: float = 0.0, log: GoodCase | None = None) -> str:
        log = log or GoodCase().run(until="open")
        with pytest.raises(LogDamaged) as found:
            log.add(body, *signers, at=log.now + timedelta(seconds=at))
        assert found.value.index == log.log.head.size
        return found.value.reason

    def test_every_kind_of_entry_has_its_signers(self) -> None:
        kinds = {kind for kind in Body.__subclasses__() if not kind.__subclasses__()}
        assert kinds == set(SIGNERS)
        assert SIGNERS[Approved] == SIGNERS[HandedOff] == {KeyKind.PARTY}
        assert KeyKind.PARTY not in SIGNERS[Decided]

    @pytest.mark.parametrize("signer", ["executor", "holder of decision-log-owner"])
    def test_an_approval_needs_a_party_key(self, signer: str) -> None:
        body = Approved(scope=Scope.EXECUTION, decision_digest="0" * 64)
        assert "may not sign Approved" in self.refuse(body, signer)

    def test_an_unknown_key_is_refused(self) -> None:
        assert "does not know" in self.refuse(Observed(subject="x", facts={}), "stranger")

    def test_nobody_is_refused(self) -> None:
        assert "0 signatures" in self.refuse(Observed(subject="x", facts={}))

    def test_one_key_stops(self) -> None:
        for signer in ("producer", "consumer", "executor", "holder of decision-log-owner"):
            log = GoodCase().run(until="open")
            log.stop(StopCondition.MANUAL, "no", signer=signer)
            assert isinstance(log.log.entries[-1].body, Stopped)

    def test_a_party_binds_only_its_own_roles_and_holder_keys(self) -> None:
        bound = next(entry.body for entry in SMALL.log.entries if isinstance(entry.body, RoleBound))
        assert "cannot bind" in self.refuse(bound, "consumer")
        other = RoleBound(**{f: getattr(bound, f) for f in bound.__struct_fields__} | {"key": KEYS[0]})
        assert "not a holder key" in self.refuse(other, "producer")

    def test_a_holder_key_cannot_be_another_key_again(self) -> None:
        bound = next(entry.body for entry in SMALL.log.entries if isinstance(entry.body, RoleBound))
        fields = {f: getattr(bound, f) for f in bound.__struct_fields__}
        renamed = PublicKey(
            keyid=KEYS[2].keyid,
            public=KEYS[2].public,
            kind=KeyKind.HOLDER,
            party=Party.PRODUCER,
            name="executor in disguise",
        )
        body = RoleBound(**fields | {"key": renamed})
        assert self.refuse(body, "producer") == "one key fills two places"

    def test_a_holder_key_cannot_be_another_key_in_another_spelling(self) -> None:
        bound = next(entry.body for entry in SMALL.log.entries if isinstance(entry.body, RoleBound))
        disguised = replace(bound.key, keyid="0" * 64, public=KEYS[2].public.upper())
        said = self.refuse(replace(bound, key=disguised), "producer")
        assert said == f"the key of {bound.key.name} is not written as its key id says"

    def test_the_clock_may_not_run_backwards_beyond_the_skew(self) -> None:
        body = Observed(subject="x", facts={})
        assert "precedes" in self.refuse(body, "executor", at=-7.0)
        log = GoodCase().run(until="open")
        log.add(body, "executor", at=log.now - timedelta(seconds=5))

    def test_a_program_opens_once(self) -> None:
        opened = SMALL.log.entries[0].body
        assert isinstance(opened, Opened)
        assert "only entry 0" in self.refuse(opened, "producer", "consumer")
        first = Observed(subject="x", facts={})
        assert "only entry 0" in self.refuse(first, "executor", log=GoodCase())


class TestOpening:
    def refuse(self, keys: tuple[PublicKey, ...], *signers: str) -> str:
        body = Opened(program="p", program_digest="0" * 64, keys=keys)
        statement = encode_statement(body, head=VerifiedLog().head, time=good.START)
        line = sign_line(statement, [make_signer(name) for name in signers])
        with pytest.raises(LogDamaged) as found:
            verify_log([line])
        assert found.value.index == 0
        return found.value.reason

    def test_one_key_cannot_fill_both_parties(self) -> None:
        twice = make_public("producer", KeyKind.PARTY, Party.CONSUMER)
        assert self.refuse((KEYS[0], twice, KEYS[2]), "producer") == "one key fills two places"

    def test_one_key_under_two_ids_cannot_either(self) -> None:
        twice = PublicKey(
            keyid="0" * 64, public=KEYS[0].public, kind=KeyKind.PARTY, party=Party.CONSUMER, name="x"
        )
        assert self.refuse((KEYS[0], twice), "producer") == "the key of x is not written as its key id says"

    def test_one_key_spelled_in_two_ways_cannot_either(self) -> None:
        signer = make_signer("producer")
        twice = PublicKey(
            keyid="0" * 64, public=KEYS[0].public.upper(), kind=KeyKind.PARTY, party=Party.CONSUMER, name="x"
        )
        body = Opened(program="p", program_digest="0" * 64, keys=(KEYS[0], twice, KEYS[2]))
        envelope = Envelope(
            encode_statement(body, head=VerifiedLog().head, time=good.START), PAYLOAD_TYPE, {}
        )
        own = envelope.sign(signer)
        signatures = {"0" * 64: Signature("0" * 64, own.signature), own.keyid: own}
        line = rfc8785.dumps(Envelope(envelope.payload, PAYLOAD_TYPE, signatures).to_dict())
        with pytest.raises(LogDamaged, match="not written as its key id says"):
            verify_log([line])

    def test_the_executors_key_cannot_be_a_party_key(self) -> None:
        both = make_public("producer", KeyKind.EXECUTOR, None)
        assert self.refuse((*KEYS[:2], both), "producer", "consumer") == "one key fills two places"

    @pytest.mark.parametrize("signers", [(), ("producer",), ("consumer",), ("executor",)])
    def test_both_parties_must_sign(self, signers: tuple[str, ...]) -> None:
        assert "not signed by both parties" in self.refuse(KEYS, *signers)

    def test_there_is_one_key_of_each_party(self) -> None:
        assert "expected one of each party" in self.refuse((KEYS[0], KEYS[2]), "producer")
        third = make_public("third", KeyKind.PARTY, Party.CONSUMER)
        assert "expected one of each party" in self.refuse((*KEYS, third), "producer", "consumer")

    def test_holder_keys_come_later(self) -> None:
        holder = make_public("holder", KeyKind.HOLDER, Party.CONSUMER)
        assert "role binding" in self.refuse((*KEYS, holder), "producer", "consumer")
