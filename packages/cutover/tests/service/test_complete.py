"""The point of no return: only from a stable, watched, drilled and resolved move."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cutover.core.entry import (
    Completed,
    Entry,
    EntryBody,
    EvidenceCollected,
    HandedOff,
    Operation,
    RoleAcknowledged,
    RoleBound,
    RouteClosed,
    RoutePointed,
    StopCondition,
    Stopped,
)
from cutover.core.key import KeyKind, Party
from cutover.core.log import VerifiedLog
from cutover.core.switch import ForwardStep
from cutover.errors import Refused
from cutover.ports import Unless
from cutover.service.complete import BASELINE_GATE, check_complete, complete
from securesystemslib.signer import Signer

from packages.cutover.tests.good_case import make_public
from packages.cutover.tests.move import LIVE_REF, V3, Move
from packages.cutover.tests.service.moving import FakeGateway, make_executor

COMMIT = "c" * 40


def _resolve_roles(move: Move) -> None:
    for role, facts in move.program.roles.items():
        party = facts.party or Party.CONSUMER
        name = f"holder-{role}"
        now = datetime.now(UTC)
        bound = RoleBound(
            role=role, party=party, holder=name, contact="x@x.example",
            key=make_public(name, KeyKind.HOLDER, party),
            not_before=now - timedelta(days=1), not_after=now + timedelta(days=1),
        )  # fmt: skip
        move.add(bound, signer=party)
        move.add(RoleAcknowledged(role=role), signer=name)


def _drilled(move: Move) -> None:
    body = EvidenceCollected(gate="drill", digest="d" * 64, exit_code=0, duration_s=1.0, environment={})
    move.add(body)


@pytest.fixture
def move(tmp_path: Path) -> Move:
    """An execution that ended stable."""
    move = Move(tmp_path)
    handed = HandedOff(
        handoff_digest="a" * 64,
        release_tag="v0.4.0",
        commit_sha=COMMIT,
        tag_object="b" * 40,
        manifest_commit=COMMIT,
    )
    move.add(handed, signer="producer")
    _resolve_roles(move)
    _drilled(move)
    move.open_baseline()
    move.forward(Operation.FORWARD, until=ForwardStep.STABILIZE)
    return move


def _refusal(move: Move) -> str:
    executor = make_executor(move, FakeGateway(move))
    with pytest.raises(Refused) as caught:
        check_complete(executor)
    with pytest.raises(Refused):
        complete(executor)
    assert move.bodies(Completed) == []
    return str(caught.value)


def test_the_target_becomes_the_baseline(move: Move) -> None:
    executor = make_executor(move, FakeGateway(move))
    entry = complete(executor)
    forward = move.prepared.execution.forward_commit
    assert entry.body == Completed(
        release_tag=move.program.target.release_tag,
        commit_sha=COMMIT,
        governance_commit=forward,
        posture="GO",
    )
    collected = [body for body in move.bodies(EvidenceCollected) if body.gate == BASELINE_GATE]  # type: ignore[union-attr]  # of this kind
    document = msgspec.json.decode(executor.evidence.load(collected[0].digest))  # type: ignore[union-attr]  # of this kind
    assert document["expected_service_contract_version"] == V3
    assert move.bodies(RoutePointed)[-1] == RoutePointed(service_contract=V3)
    assert move.state() is None


def test_a_dry_run_changes_nothing(move: Move) -> None:
    size = move.log.read().head.size
    assert check_complete(make_executor(move, FakeGateway(move))).commit_sha == COMMIT
    assert move.log.read().head.size == size


def test_it_is_complete_once(move: Move) -> None:
    executor = make_executor(move, FakeGateway(move))
    complete(executor)
    with pytest.raises(Refused, match="complete already"):
        complete(executor)


def test_a_stopped_move_is_not_completed(move: Move) -> None:
    move.stop()
    assert "it was stopped: for a test" in _refusal(move)


def test_a_stale_drill_must_be_refreshed(move: Move) -> None:
    limits = msgspec.structs.replace(move.program.thresholds, drill_max_age_s=0.0)
    move.program = msgspec.structs.replace(move.program, thresholds=limits)
    assert "refresh it" in _refusal(move)


def test_an_unresolved_role_holds_it_back(move: Move) -> None:
    role = next(iter(move.program.roles))
    party = move.program.roles[role].party or Party.CONSUMER
    now = datetime.now(UTC)
    second = RoleBound(
        role=role, party=party, holder="second", contact="x@x.example",
        key=make_public("second", KeyKind.HOLDER, party),
        not_before=now - timedelta(days=1), not_after=now + timedelta(days=1),
    )  # fmt: skip
    move.add(second, signer=party)
    assert f"2 holders are bound to {role}" in _refusal(move)


def test_a_live_ref_that_is_elsewhere_holds_it_back(move: Move) -> None:
    repin = move.prepared.execution
    assert move.origin.compare_and_swap(LIVE_REF, repin.inverse_commit, repin.forward_commit)
    assert f"expected {repin.forward_commit}" in _refusal(move)


def test_a_consumer_that_runs_on_another_commit_holds_it_back(move: Move) -> None:
    move.consumer.commit = move.prepared.execution.base_commit
    assert "the consumer runs on" in _refusal(move)


def test_a_closed_target_route_holds_it_back(move: Move) -> None:
    move.add(RouteClosed(service_contract=V3, reason="test"))
    assert f"the route {V3} does not lead to" in _refusal(move)


def test_every_missing_thing_is_named_at_once(move: Move) -> None:
    move.add(RouteClosed(service_contract=V3, reason="test"))
    move.consumer.commit = move.prepared.execution.base_commit
    refusal = _refusal(move)
    assert "the consumer runs on" in refusal
    assert "does not lead to" in refusal


@pytest.mark.parametrize(
    "until", [ForwardStep.START_TARGET, ForwardStep.RELOAD_CONSUMER, ForwardStep.RUN_SUITES]
)
def test_an_execution_that_did_not_end_stable_is_not_completed(tmp_path: Path, until: ForwardStep) -> None:
    move = Move(tmp_path / "other")
    handed = HandedOff(
        handoff_digest="a" * 64,
        release_tag="v0.4.0",
        commit_sha=COMMIT,
        tag_object="b" * 40,
        manifest_commit=COMMIT,
    )
    move.add(handed, signer="producer")
    move.forward(Operation.FORWARD, until=until)
    assert "stabilize" in _refusal(move)


def test_nothing_is_completed_before_an_execution(tmp_path: Path) -> None:
    assert "no execution is in progress" in _refusal(Move(tmp_path / "other"))


def test_a_stop_that_lands_while_it_completes_is_heard(move: Move) -> None:
    """The stop comes after everything was checked, just before the last entry."""
    executor = make_executor(move, FakeGateway(move))

    class LateStop:
        """A log into which a holder says stop right before the point of no return."""

        def read(self) -> VerifiedLog:
            return move.log.read()

        def append(self, body: EntryBody, *signers: Signer, unless: Unless | None = None) -> Entry:
            if isinstance(body, Completed):
                stop = Stopped(condition=StopCondition.MANUAL, reason="wait", observed_at=datetime.now(UTC))
                move.add(stop)
            return move.log.append(body, *signers, unless=unless)

    with pytest.raises(Refused, match="stopped meanwhile"):
        complete(dataclasses.replace(executor, log=LateStop()))
    assert not any(isinstance(entry.body, Completed) for entry in move.log.read().entries)
