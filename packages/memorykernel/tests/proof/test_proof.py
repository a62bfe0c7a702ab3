"""Proofs hold for answers that were given, and for nothing else."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from memorykernel.cli.proof_check import Answering, Refused, check_inputs, check_proof, encode, hash_values
from memorykernel.core.chain import GENESIS_MEMORY, next_head
from memorykernel.core.instant import format_instant
from memorykernel.core.request import AddConstraintV4, Recall, read_request
from memorykernel.errors import ContextLookupFailed, InvalidRequest


@pytest.mark.parametrize("ruleset", ["v2", "v3"])
@pytest.mark.parametrize("seed", range(12))
def test_a_proof_of_any_answer_holds(stage: Any, proof_kit: Any, ruleset: str, seed: int) -> None:
    chance = random.Random(seed)
    scene = stage(ruleset)
    proof_kit.fill(scene, chance, 25 if seed else 0, v3=ruleset == "v3")
    for _ in range(12):
        package = scene.ask(**proof_kit.draw_question(chance))
        shown = check_proof(scene.prove(package))
        assert shown["context_package_id"] == package["context_package_id"]
        assert shown["result"] == package["answer"]["result"]


def test_a_proof_holds_when_lists_are_cut_and_cursors_lead_on(stage: Any) -> None:
    scene = stage()
    for number in range(90):
        common = {
            "authority": "note",
            "truth_status": "asserted",
            "effect": "allow" if number % 2 else "deny",
        }
        dated = {"effective_at": "2027-01-01T00:00:00Z"} if number < 30 else {}
        scene.add(AddConstraintV4, actor="ada", action="read", resource="docs/hr/pay.pdf", **common, **dated)
    package = scene.ask()
    assert len(package["selected_items"]) == 50
    assert package["exclusions"]["next_cursor"] is not None
    assert "and 20 more" in package["answer"]["why"]
    assert check_proof(scene.prove(package))["inputs"] == 90


def test_a_proof_reaches_into_the_time_before_jumps(stage: Any, proof_kit: Any) -> None:
    old = stage("v2", schema_version=3, name="old.db")
    for number in range(20):
        rule = {"actor": "ada", "action": "read", "resource": "*", "effect": "deny" if number else "allow"}
        old.add(AddConstraintV4, **rule, authority="note", truth_status="asserted")
    before = old.ask()
    new = stage("v3", name="old.db")
    proof_kit.fill(new, random.Random(1), 20, v3=True)
    after = new.ask()
    assert check_proof(new.prove(after))["result"] == after["answer"]["result"]
    assert check_proof(new.prove(before))["result"] == before["answer"]["result"]
    assert {each["jump"] is None for each in json.loads(new.prove(after))["chain"]} == {False, True}


@pytest.mark.parametrize("named", ["head", "time"])
def test_an_answer_as_known_earlier_has_a_proof(stage: Any, proof_kit: Any, named: str) -> None:
    scene = stage()
    proof_kit.fill(scene, random.Random(3), 30, v3=True)
    state = scene.ask()["determinism"]["snapshot_id"]
    asked = {"as_known_at": state if named == "head" else "2026-02-08T13:19:53.51Z"}
    proof_kit.fill(scene, random.Random(4), 30, v3=True)
    document = scene.prove(scene.ask(**asked))
    assert (
        check_proof(document)["snapshot_id"]
        == json.loads(json.loads(document)["package"])["determinism"]["snapshot_id"]
    )
    if named == "head":
        assert check_proof(document)["snapshot_id"] == state


def test_what_cannot_be_proved_is_refused(stage: Any) -> None:
    scene = stage("v1")
    answer = scene.ask()
    with pytest.raises(InvalidRequest, match=r"ordering\.v1 has no proof"):
        scene.prove(answer)
    recall = read_request({"text": "usb", "record_types": []}, Recall, strict=True)
    recalled = json.loads(scene.kernel.asking.recall(recall))
    with pytest.raises(InvalidRequest, match="has no proof"):
        scene.prove(recalled)


def test_an_altered_answer_gets_no_proof(stage: Any) -> None:
    scene = stage()
    answer = scene.ask()
    scene.stranger.replace_in_packages("inconclusive", "allow")
    with pytest.raises(ContextLookupFailed, match="not what its rules give"):
        scene.prove(answer)


@pytest.mark.parametrize(
    ("document", "because"),
    [
        (b"", "cannot be read"),
        (b"[]", "no proof"),
        (b"{}", "no proof"),
        (b'{"proof_version": "memorykernel.proof.v1"}', "no proof"),
        (b'{"a": 1, "a": 1}', "a name is there twice"),
        (b'{"a": NaN}', "NaN is no number"),
        (b"\xff", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
    ],
)
def test_what_is_no_proof_is_refused(document: bytes, because: str) -> None:
    with pytest.raises(Refused, match=because):
        check_proof(document)


def forge(head: str, inputs: list[Any], chain: list[Any], **changes: Any) -> bytes:
    """A proof whose package follows from its inputs, as somebody would write it who has the checker."""
    question: dict[str, Any] = {"text": "may I?", "actor": "eve", "action": "read", "resource": "pay"}
    question |= {"as_of_us": 10**15, "as_known_at": None} | changes
    entries = {each["entry_seq"]: each for each in chain}
    package = Answering("ordering.v3", question, *check_inputs(inputs, entries)).build(head)
    proof: dict[str, Any] = {"proof_version": "memorykernel.proof.v1", "ruleset": "ordering.v3"}
    proof |= {"snapshot": {"head": head, "entry_seq": max(entries)}, "question": question}
    return json.dumps(proof | {"package": encode(package), "inputs": inputs, "chain": chain}).encode()


def test_a_jump_that_no_hash_covers_leads_to_no_forged_record() -> None:
    heads = [GENESIS_MEMORY]
    for number in range(1, 7):
        heads.append(next_head(heads[-1], kind="record", subject=number, digest=bytes(32)))
    columns: list[Any] = ["01J" + "9" * 23, "01J" + "8" * 23, 1, "constraint", 1, 1, "asserted"]
    columns += ["authoritative", 0.5, "w", "j", "u", None, "[]", "*", "*", "*", "allow", None, None]
    columns += [None] * 5
    names = ("entry_seq", "kind", "subject", "digest", "recorded_at_us", "previous", "jump")
    digest = hash_values(columns[:20])
    forged = next_head(bytes(32), kind="record", subject=3, digest=digest)
    made = (3, "record", 3, digest.hex(), None, bytes(32).hex(), None)
    # Entry 6 is true but for its jump, which leads to entry 3: none was in the hashes before schema 4.
    newest = (6, "record", 6, bytes(32).hex(), None, heads[5].hex(), forged.hex())
    chain = [dict(zip(names, each, strict=True)) for each in (newest, made)]
    inputs = [{"entry_seq": 3, "kind": "record", "columns": columns}]
    with pytest.raises(Refused, match="jump"):
        check_proof(forge(heads[6].hex(), inputs, chain))


@pytest.mark.parametrize("known", ["2026-02-08T13:19:53.5Z", f"txn_{'0' * 64}", "yesterday"])
def test_an_answer_is_not_passed_off_as_known_earlier(stage: Any, known: str) -> None:
    scene = stage()
    rule = {"actor": "*", "action": "read", "resource": "*", "effect": "allow"}
    scene.add(AddConstraintV4, **rule, authority="note", truth_status="asserted")
    document = json.loads(scene.prove(scene.ask()))
    parts = (document["snapshot"]["head"], document["inputs"], document["chain"])
    recorded = format_instant(document["chain"][0]["recorded_at_us"])
    assert check_proof(forge(*parts, as_known_at=recorded))["inputs"] == 1
    assert check_proof(forge(*parts, as_known_at=f"txn_{parts[0]}"))["inputs"] == 1
    with pytest.raises(Refused):
        check_proof(forge(*parts, as_known_at=known))
