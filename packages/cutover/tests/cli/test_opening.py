"""Two parties open a program, with keys of their own; everything that must not open it does not."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from packages.cutover.tests.cli.world import World


def _propose(world: World) -> None:
    world.make_keys()
    others = ("--with", world.public("consumer"), "--with", world.public("executor", "executor"))
    world.did("open", "--as", "producer", *others, keys="producer")


def test_one_signature_proposes_and_the_other_opens(world: World) -> None:
    _propose(world)
    assert world.run("log", "head").code == 3, "a proposal is no entry"
    entry = world.did("open", "--as", "consumer", "--json", keys="consumer").document["entry"]
    assert {key["party"] for key in entry["signers"]} == {"producer", "consumer"}
    assert world.did("log", "verify", "--json").document["size"] == 1


def test_the_consumer_may_propose_as_well(world: World) -> None:
    world.make_keys()
    others = ("--with", world.public("producer"), "--with", world.public("executor", "executor"))
    world.did("open", "--as", "consumer", *others, keys="consumer")
    world.did("open", "--as", "producer", keys="producer")
    assert world.did("log", "head", "--json").document["size"] == 1


def test_the_programs_bytes_are_kept_as_evidence(opened: World) -> None:
    body = msgspec.json.decode((opened.folder / "log" / "entries.jsonl").read_bytes())
    assert body["payloadType"] == "application/vnd.in-toto+json"
    kept = [path.read_bytes() for path in (opened.folder / "evidence").iterdir()]
    assert kept == [(opened.folder / "cutover.toml").read_bytes()]


def test_one_key_for_two_parties_is_refused(world: World) -> None:
    world.make_keys()
    shutil.copy(world.keys("producer") / "party.key", world.keys("consumer") / "party.key")
    shared = (world.keys("producer") / "party.pub.json").read_bytes()
    stolen = shared.replace(b'"producer"', b'"consumer"')
    (world.keys("consumer") / "party.pub.json").write_bytes(stolen)
    others = ("--with", world.public("consumer"), "--with", world.public("executor", "executor"))
    ran = world.run("open", "--as", "producer", *others, keys="producer")
    assert ran.code == 1
    assert "error: one key fills two places" in ran.err
    assert not (world.folder / "log").exists()


def test_the_executor_may_not_share_a_partys_key(world: World) -> None:
    world.make_keys()
    public = msgspec.json.decode((world.keys("producer") / "party.pub.json").read_bytes())
    shared = world.keys("executor") / "executor.pub.json"
    shared.write_bytes(msgspec.json.encode({**public, "kind": "executor", "party": None}))
    others = ("--with", world.public("consumer"), "--with", str(shared))
    ran = world.run("open", "--as", "producer", *others, keys="producer")
    assert (ran.code, "one key fills two places" in ran.err) == (1, True)


def test_a_missing_party_or_executor_key_is_refused(world: World) -> None:
    world.make_keys()
    alone = world.run("open", "--as", "producer", keys="producer")
    assert "the consumer has 0 party keys here, expected one" in alone.err
    both = world.run("open", "--as", "producer", "--with", world.public("consumer"), keys="producer")
    assert "no executor key is named" in both.err


def test_a_program_that_changed_after_the_proposal_is_not_countersigned(world: World) -> None:
    _propose(world)
    path = world.folder / "cutover.toml"
    path.write_text(path.read_text().replace("notice_days = 0", "notice_days = 14"))
    ran = world.run("open", "--as", "consumer", keys="consumer")
    assert ran.code == 1
    assert "the proposal fixes another cutover.toml" in ran.err


def test_after_a_change_the_first_party_proposes_again(world: World) -> None:
    _propose(world)
    path = world.folder / "cutover.toml"
    path.write_text(path.read_text().replace("notice_days = 0", "notice_days = 14"))
    others = ("--with", world.public("consumer"), "--with", world.public("executor", "executor"))
    world.did("open", "--as", "producer", *others, keys="producer")
    world.did("open", "--as", "consumer", keys="consumer")


def test_a_proposal_for_another_consumer_key_is_not_countersigned(world: World) -> None:
    _propose(world)
    world.did("keys", "consumer", "--name", "Somebody else", keys="other")
    ran = world.run("open", "--as", "consumer", keys="other")
    assert ran.code == 1
    assert "propose anew with the right one" in ran.err


def test_an_executor_key_that_the_proposal_does_not_name_is_refused(world: World) -> None:
    _propose(world)
    world.did("keys", "executor", "--name", "Another executor", keys="other")
    known = world.public("other", "executor")
    ran = world.run("open", "--as", "consumer", "--with", known, keys="consumer")
    assert ran.code == 1
    assert "the proposal does not name Another executor's key" in ran.err


def test_an_altered_proposal_is_damage(world: World) -> None:
    _propose(world)
    path = world.folder / "log" / "opening.json"
    document = msgspec.json.decode(path.read_bytes())
    document["signatures"][0]["sig"] = "00" * 64
    path.write_bytes(msgspec.json.encode(document))
    ran = world.run("open", "--as", "consumer", keys="consumer")
    assert (ran.code, "does not verify" in ran.err) == (1, True)


def test_a_proposal_that_is_no_proposal_is_damage(world: World) -> None:
    _propose(world)
    (world.folder / "log" / "opening.json").write_bytes(b"{}")
    ran = world.run("open", "--as", "consumer", keys="consumer")
    assert (ran.code, "the proposal does not read" in ran.err) == (1, True)


def test_a_program_opens_once(opened: World) -> None:
    ran = opened.run("open", "--as", "consumer", keys="consumer")
    assert (ran.code, "open already" in ran.err) == (1, True)


def test_a_changed_program_file_is_refused_by_every_command(opened: World) -> None:
    path = opened.folder / "cutover.toml"
    path.write_text(path.read_text().replace("notice_days = 0", "notice_days = 14"))
    ran = opened.run("handoff", keys="producer")
    assert ran.code == 1
    assert "cutover.toml was changed after both parties signed it" in ran.err


def test_a_key_folder_of_the_other_party_is_refused(opened: World) -> None:
    ran = opened.run("handoff", keys="consumer")
    assert ran.code == 1
    assert "expected the producer's" in ran.err


def test_a_private_key_that_others_can_read_signs_nothing(opened: World) -> None:
    (opened.keys("producer") / "party.key").chmod(0o644)
    ran = opened.run("handoff", keys="producer")
    assert (ran.code, "chmod 600" in ran.err) == (1, True)


def test_a_folder_without_a_program_is_said(tmp_path: Path, world: World) -> None:
    (world.folder / "cutover.toml").unlink()
    ran = world.run("status")
    assert (ran.code, "name its folder with --program" in ran.err) == (2, True)
