"""Verify: who collects what, in which order, and what stays when one collection cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest
from cutover.core.gate.gate import CollectedGate
from cutover.core.gate.table import EXECUTION_GATES
from cutover.errors import CommandFailed, Refused
from cutover.service.verify import COLLECTORS, verify

from packages.cutover.tests.service.fakes import FakeWorld


@pytest.fixture
def world(tmp_path: Path) -> FakeWorld:
    return FakeWorld(tmp_path, until="prepare")


def test_each_gate_is_collected_by_whom_the_gate_expects() -> None:
    expected = {gate.name: gate.collector for gate in EXECUTION_GATES if isinstance(gate, CollectedGate)}
    for who, own in COLLECTORS.items():
        assert {expected[gate] or "executor" for gate in own} == {who}
    collected = {gate for own in COLLECTORS.values() for gate in own}
    assert set(expected) - collected == {"rehearsal", "drill", "answers"}


def test_a_stranger_and_somebody_elses_gate_are_refused(world: FakeWorld) -> None:
    with pytest.raises(Refused, match="nobody collects nothing"):
        verify(world.executor, "nobody")
    with pytest.raises(Refused, match="executor does not collect trio; expected one of contract-change"):
        verify(world.executor, "executor", gates=("trio",))
    assert not [line for line in world.narrated if line.startswith("collecting")]


def test_a_named_gate_is_collected_alone_and_appended(world: FakeWorld) -> None:
    assert verify(world.executor, "consumer", gates=("trio",)) == ("trio",)
    newest = world.log.read().entries[-1].body
    assert getattr(newest, "gate", None) == "trio"
    assert getattr(newest, "environment", None) == {"platform": "test"}
    assert getattr(newest, "duration_s", -1.0) >= 0.0


def test_what_was_collected_before_a_failure_stays(world: FakeWorld) -> None:
    with pytest.raises(CommandFailed):
        verify(world.executor, "consumer")
    case = world.executor.read_case()
    assert case.newest_evidence("trio") is not None
    assert case.newest_evidence("consumer-suite") is None
