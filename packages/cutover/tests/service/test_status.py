"""What status says once nothing is left to decide."""

from __future__ import annotations

from cutover.core.entry import Operation, Scope, StopCondition
from cutover.core.outcome import Outcome
from cutover.core.phase import Phase
from cutover.service.status import Status, calculate_status

from packages.cutover.tests.good_case import GoodCase


def _checkpoints(status: Status) -> Outcome:
    return next(gate.outcome for gate in status.gates if gate.gate == "checkpoints")


def test_a_complete_program_shows_its_gates_as_they_were_decided() -> None:
    status = calculate_status(GoodCase().run().case())
    assert status.phase is Phase.COMPLETE
    assert {gate.outcome for gate in status.gates} == {Outcome.PASSED}
    assert status.gates_decided_at is not None
    assert {decision.standing for decision in status.decisions} == {"carried out; the program is complete"}
    assert not any(decision.authorizes for decision in status.decisions)


def test_gates_of_a_program_that_was_taken_back_are_those_it_moved_by() -> None:
    log = GoodCase().run(until="approve-execution")
    log.execute(until="reload-consumer")
    log.stop(StopCondition.CONTRACT_MISMATCH, "an envelope broke the policy")
    log.restore(Operation.ABORT)
    status = calculate_status(log.case())
    assert (status.phase, _checkpoints(status)) == (Phase.ROLLED_BACK, Outcome.PASSED)
    assert "decide again" in status.decisions[1].standing


def test_gates_are_judged_now_while_a_decision_may_still_be_needed() -> None:
    log = GoodCase().run(until="approve-execution")
    log.collect("envelope", "executor")
    status = calculate_status(log.case())
    assert (status.gates_decided_at, _checkpoints(status)) == (None, Outcome.FAILED)
    assert status.decisions[list(Scope).index(Scope.EXECUTION)].authorizes is False
