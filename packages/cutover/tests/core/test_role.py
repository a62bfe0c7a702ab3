"""Roles: resolved by exactly one acknowledged holder for the whole span, and by nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest
from cutover.core.entry import RoleAcknowledged, RoleBound, RoleReleased
from cutover.core.key import KeyKind, Party
from cutover.core.role import calculate_role_states, check_roles, find_role_problem

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import GoodCase, make_public

ROLE = "producer-rollback-owner"
FIRST = f"holder of {ROLE}"


def bind(log: GoodCase, holder: str, *, begins: float = -1.0, ends: float = 30.0, role: str = ROLE) -> None:
    log.add(
        RoleBound(
            role=role,
            party=Party.PRODUCER,
            holder=holder,
            contact="",
            key=make_public(holder, KeyKind.HOLDER, Party.PRODUCER),
            not_before=good.START + timedelta(days=begins),
            not_after=good.START + timedelta(days=ends),
        ),
        "producer",
    )


def release(log: GoodCase, holder: str, *, signer: str = "producer", party: Party = Party.PRODUCER) -> None:
    keyid = make_public(holder, KeyKind.HOLDER, Party.PRODUCER).keyid
    log.add(RoleReleased(role=ROLE, party=party, keyid=keyid), signer)


def problem_of(log: GoodCase, *, begins: datetime | None = None, ends: datetime | None = None) -> str | None:
    window = log.program.window
    states = calculate_role_states(
        log.program,
        log.log.entries,
        opens_at=begins or window.opens_at,
        closes_at=ends or window.closes_at,
    )
    found = find_role_problem(next(state for state in states if state.role == ROLE))
    return None if found is None else found[0]


@pytest.fixture
def opened() -> GoodCase:
    """A program with every role resolved."""
    return GoodCase().run(until="open")


def test_one_acknowledged_holder_resolves(opened: GoodCase) -> None:
    assert problem_of(opened) is None
    assert check_roles(opened.program, opened.log.entries, opened.now) == ()


def test_nobody_is_unfilled() -> None:
    log = GoodCase()
    log.open(roles=[role for role in good.ROLES if role != ROLE])
    assert problem_of(log) == "role-unfilled"
    assert check_roles(log.program, log.log.entries, log.now) == (f"nobody is bound to {ROLE}",)


def test_two_are_ambiguous_also_before_the_second_acknowledges(opened: GoodCase) -> None:
    bind(opened, "second")
    assert problem_of(opened) == "role-ambiguous"
    assert "2 holders are bound" in check_roles(opened.program, opened.log.entries, opened.now)[0]


def test_a_second_for_a_part_of_the_window_is_ambiguous(opened: GoodCase) -> None:
    bind(opened, "second", begins=0.5)
    assert problem_of(opened) == "role-ambiguous"
    assert check_roles(opened.program, opened.log.entries, opened.now) == ()
    at_noon = good.START + timedelta(days=0.6)
    assert len(check_roles(opened.program, opened.log.entries, at_noon)) == 1


def test_a_second_outside_the_window_is_none(opened: GoodCase) -> None:
    bind(opened, "second", begins=2.0, ends=3.0)
    assert problem_of(opened) is None


def test_a_holder_for_a_part_of_the_window_only(opened: GoodCase) -> None:
    release(opened, FIRST)
    bind(opened, "second", ends=0.5)
    opened.add(RoleAcknowledged(role=ROLE), "second")
    assert problem_of(opened) == "role-for-a-part-only"
    assert check_roles(opened.program, opened.log.entries, opened.now) == ()
    after = good.START + timedelta(days=0.75)
    assert check_roles(opened.program, opened.log.entries, after) == (f"nobody is bound to {ROLE}",)


def test_a_binding_without_acknowledgement(opened: GoodCase) -> None:
    release(opened, FIRST)
    bind(opened, "second")
    assert problem_of(opened) == "role-unacknowledged"
    opened.add(RoleAcknowledged(role="producer-incident-commander"), "second")
    assert problem_of(opened) == "role-unacknowledged"
    opened.add(RoleAcknowledged(role=ROLE), FIRST)
    assert problem_of(opened) == "role-unacknowledged"
    opened.add(RoleAcknowledged(role=ROLE), "second")
    assert problem_of(opened) is None


def test_binding_again_needs_a_new_acknowledgement(opened: GoodCase) -> None:
    bind(opened, FIRST)
    assert problem_of(opened) == "role-unacknowledged"


def test_a_release_ends_it_and_only_its_own_party_releases(opened: GoodCase) -> None:
    release(opened, FIRST, signer="consumer")
    release(opened, FIRST, signer="consumer", party=Party.CONSUMER)
    assert problem_of(opened) is None
    release(opened, "nobody")
    assert problem_of(opened) is None
    release(opened, FIRST)
    assert problem_of(opened) == "role-unfilled"


def test_a_party_cannot_fill_the_others_role(opened: GoodCase) -> None:
    bind(opened, "second", role="consumer-rollback-owner")
    assert check_roles(opened.program, opened.log.entries, opened.now) == ()


def test_either_party_fills_a_joint_role_but_not_both(opened: GoodCase) -> None:
    bind(opened, "second", role="decision-log-owner")
    assert "decision-log-owner" in check_roles(opened.program, opened.log.entries, opened.now)[0]


def test_two_keys_of_one_person_are_two_holders(opened: GoodCase) -> None:
    body = next(e.body for e in opened.log.entries if isinstance(e.body, RoleBound) and e.body.role == ROLE)
    other = msgspec.structs.replace(body, key=make_public("second", KeyKind.HOLDER, Party.PRODUCER))
    opened.add(other, "producer")
    assert problem_of(opened) == "role-ambiguous"
