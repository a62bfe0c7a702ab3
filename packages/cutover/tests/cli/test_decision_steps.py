"""Packets, decision, approvals and waivers: who signs what, and what nobody signs."""

from __future__ import annotations

from packages.cutover.tests.cli.world import World


def _decide(world: World, scope: str = "rehearsal") -> dict[str, object]:
    ran = world.run("decide", "--scope", scope, "--json", keys="executor")
    assert ran.code in {1, 3}
    document: dict[str, object] = ran.document
    return document


def test_both_parties_sign_the_same_head(handed_off: World) -> None:
    first = handed_off.did("checkpoint", "--as", "producer", "--json", keys="producer").document["body"]
    second = handed_off.did("checkpoint", "--as", "consumer", "--json", keys="consumer").document["body"]
    assert first == second
    assert (first["release_tag"], first["log_size"]) == ("v0.4.0", 2)


def test_a_party_signs_one_packet_per_head(handed_off: World) -> None:
    handed_off.did("checkpoint", "--as", "producer", keys="producer")
    ran = handed_off.run("checkpoint", "--as", "producer", keys="producer")
    assert (ran.code, "stands already" in ran.err) == (1, True)


def test_after_another_entry_packets_are_signed_anew(handed_off: World) -> None:
    handed_off.did("checkpoint", "--as", "producer", keys="producer")
    handed_off.did("prepare", keys="consumer")
    body = handed_off.did("checkpoint", "--as", "producer", "--json", keys="producer").document["body"]
    assert body["log_size"] == 4


def test_no_packet_before_a_hand_off(opened: World) -> None:
    ran = opened.run("checkpoint", "--as", "producer", keys="producer")
    assert (ran.code, "nothing was handed off yet" in ran.err) == (1, True)


def test_without_evidence_the_decision_is_not_go_and_its_document_is_kept(prepared: World) -> None:
    document = _decide(prepared)
    assert document["outcome"] in {"NO-GO", "HOLD"}
    assert (prepared.folder / "evidence" / str(document["digest"])).is_file()


def test_hold_exits_three_and_no_go_one(prepared: World) -> None:
    for scope in ("rehearsal", "execution"):
        ran = prepared.run("decide", "--scope", scope, "--json", keys="executor")
        assert ran.code == {"NO-GO": 1, "HOLD": 3}[ran.document["outcome"]]


def test_a_party_key_cannot_decide(prepared: World) -> None:
    ran = prepared.run("decide", "--scope", "rehearsal", keys="producer")
    assert (ran.code, "executor.pub.json cannot be read" in ran.err) == (1, True)


def test_what_is_not_go_is_not_approved(prepared: World) -> None:
    _decide(prepared)
    ran = prepared.run("approve", "--as", "producer", "--scope", "rehearsal", keys="producer")
    assert (ran.code, "there is nothing to approve" in ran.err) == (1, True)


def test_what_was_not_decided_is_not_approved(prepared: World) -> None:
    ran = prepared.run("approve", "--as", "producer", "--scope", "execution", keys="producer")
    assert (ran.code, "no execution decision was taken" in ran.err) == (1, True)


def _waive(world: World, *changes: str) -> str:
    given = {
        "--gate": "runtime-target",
        "--reason-code": "metadata-only-descendant",
        "--reason": "docs",
        "--until": "2999-01-01T00:00:00Z",
    }
    given |= dict(zip(changes[::2], changes[1::2], strict=True))
    options = [word for pair in given.items() for word in pair]
    ran = world.run("waive", "--as", "producer", *options, keys="producer")
    return ran.err if ran.code else ""


def test_a_waiver_is_signed_with_its_reason(opened: World) -> None:
    assert _waive(opened) == ""
    assert opened.did("log", "head", "--json").document["size"] == 2


def test_a_waiver_of_no_gate_without_reason_or_in_the_past_is_refused(opened: World) -> None:
    assert "is no gate; expected one of answers" in _waive(opened, "--gate", "luck")
    assert "needs a reason of one line" in _waive(opened, "--reason", " ")
    assert "would have expired" in _waive(opened, "--until", "2020-01-01T00:00:00Z")


def test_nothing_is_stopped_or_taken_back_when_nothing_moves(prepared: World) -> None:
    for command in ("stop", "rollback"):
        ran = prepared.run(command, "--as", "producer", "--reason", "smoke", keys="producer")
        assert (ran.code, "nothing is in progress" in ran.err) == (1, True)


def test_moving_things_needs_a_gateway(prepared: World) -> None:
    for command in ("execute", "complete", "drill"):
        ran = prepared.run(command, keys="executor")
        assert (ran.code, "no gateway is known here" in ran.err) == (3, True)
