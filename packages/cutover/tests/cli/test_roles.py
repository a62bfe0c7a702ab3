"""Roles are bound by parties, accepted by holders, and ended; nobody else can."""

from __future__ import annotations

from packages.cutover.tests.cli.world import ROLES, World

ROLE = "consumer-rollback-owner"


def _problem(world: World, role: str) -> str:
    states = world.did("status", "--json").document["roles"]
    return str(next(state["problem"] for state in states if state["role"] == role))


def test_a_bound_and_acknowledged_role_is_resolved(opened: World) -> None:
    assert "nobody is bound" in _problem(opened, ROLE)
    assert opened.bind(ROLE, "declan", "consumer").code == 0
    assert "has not acknowledged" in _problem(opened, ROLE)
    opened.did("acknowledge", "--role", ROLE, "--as", "declan", keys="declan")
    assert _problem(opened, ROLE) == ""


def test_all_roles_can_be_resolved(opened: World) -> None:
    opened.resolve_roles()
    assert [_problem(opened, role) for role in ROLES] == [""] * len(ROLES)


def test_a_released_role_is_unresolved_again(opened: World) -> None:
    opened.bind(ROLE, "declan", "consumer")
    opened.did("unbind", "--role", ROLE, "--as", "consumer", "--holder", "declan", keys="consumer")
    assert "nobody is bound" in _problem(opened, ROLE)


def test_the_other_partys_role_cannot_be_bound(opened: World) -> None:
    ran = opened.bind(ROLE, "marta", "producer")
    assert (ran.code, "belongs to the consumer" in ran.err) == (1, True)


def test_an_unknown_role_is_refused_with_those_that_exist(opened: World) -> None:
    ran = opened.bind("janitor", "declan", "consumer")
    assert (ran.code, "joint-decision-log-owner" in ran.err) == (1, True)


def test_a_party_key_cannot_be_bound_as_a_holders(opened: World) -> None:
    key = ("--key", opened.public("consumer"), "--contact", "x@x.example")
    ran = opened.run("bind", "--role", ROLE, "--as", "consumer", *key, keys="consumer")
    assert (ran.code, "expected a holder key of the consumer" in ran.err) == (1, True)


def test_times_that_end_before_they_begin_are_refused(opened: World) -> None:
    opened.did("keys", "holder", "--party", "consumer", "--name", "declan", keys="declan")
    key = ("--key", opened.public("declan", "holder-declan"), "--contact", "x@x.example")
    times = ("--from", "2026-02-08T13:00:00Z", "--until", "2026-02-08T12:00:00Z")
    ran = opened.run("bind", "--role", ROLE, "--as", "consumer", *key, *times, keys="consumer")
    assert (ran.code, "before it begins" in ran.err) == (1, True)


def test_who_is_not_bound_cannot_acknowledge(opened: World) -> None:
    opened.bind(ROLE, "declan", "consumer")
    opened.did("keys", "holder", "--party", "consumer", "--name", "eve", keys="eve")
    ran = opened.run("acknowledge", "--role", ROLE, "--as", "eve", keys="eve")
    assert (ran.code, "is not bound to" in ran.err) == (1, True)


def test_a_role_is_acknowledged_once_per_binding(opened: World) -> None:
    opened.bind(ROLE, "declan", "consumer")
    opened.did("acknowledge", "--role", ROLE, "--as", "declan", keys="declan")
    ran = opened.run("acknowledge", "--role", ROLE, "--as", "declan", keys="declan")
    assert (ran.code, "acknowledged with this key already" in ran.err) == (1, True)


def test_after_a_release_the_holder_cannot_acknowledge(opened: World) -> None:
    opened.bind(ROLE, "declan", "consumer")
    opened.did("unbind", "--role", ROLE, "--as", "consumer", "--holder", "declan", keys="consumer")
    ran = opened.run("acknowledge", "--role", ROLE, "--as", "declan", keys="declan")
    assert (ran.code, "is not bound to" in ran.err) == (1, True)


def test_a_binding_that_does_not_stand_cannot_be_released(opened: World) -> None:
    ran = opened.run("unbind", "--role", ROLE, "--as", "consumer", "--holder", "declan", keys="consumer")
    assert (ran.code, "declan is not bound" in ran.err) == (1, True)


def test_one_key_cannot_hold_a_role_of_each_party(opened: World) -> None:
    opened.bind(ROLE, "declan", "consumer")
    path = opened.keys("declan") / "holder-declan.pub.json"
    path.write_bytes(path.read_bytes().replace(b'"consumer"', b'"producer"'))
    key = ("--key", str(path), "--contact", "x@x.example")
    ran = opened.run("bind", "--role", "producer-rollback-owner", "--as", "producer", *key, keys="producer")
    assert (ran.code, "one key fills two places" in ran.err) == (1, True)
