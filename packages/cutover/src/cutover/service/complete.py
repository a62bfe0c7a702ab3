"""The point of no return: the target becomes the baseline.

Allowed only when the execution took every step, the watch ended undisturbed, the drill is still fresh
and the world is where the entries say. Afterwards there is no way back but another program.
Source: cutover-program, "Switch" (after `complete`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from cutover.core.case import Case
from cutover.core.entry import (
    Completed,
    Entry,
    EvidenceCollected,
    HandedOff,
    Operation,
    RoutePointed,
    StepDone,
    StepIntended,
)
from cutover.core.log import encode_canonical
from cutover.core.outcome import DecisionOutcome
from cutover.core.role import check_roles
from cutover.core.route import calculate_routes
from cutover.core.switch import ForwardStep, OperationState, calculate_operation
from cutover.errors import LogConflict, Refused
from cutover.service.station import Executor
from cutover.service.turn import be_the_executor, take_turn

BASELINE_GATE = "active-runtime-baseline"
"""Name under which the new baseline's document is collected; it is nobody's gate."""

_POINT = "point-to-target"


class ActiveRuntimeBaseline(msgspec.Struct, frozen=True, kw_only=True):
    """What runs now, in the words of a hand-off's `active_runtime_baseline`, and where the consumer is."""

    release_tag: str
    commit_sha: str
    expected_service_contract_version: str
    expected_api_contract_version: str
    integration_baseline: str
    governance_commit: str


def complete(executor: Executor) -> Entry:
    """Make the target the baseline.

    Args:
        executor: With an executor key.

    Raises:
        Refused: With everything that is still missing.
    """
    with be_the_executor(executor.folder), take_turn(executor.folder):
        return _complete(executor)


def _complete(executor: Executor) -> Entry:
    """Look and append; a stop that lands meanwhile is found under the log's lock."""
    baseline = check_complete(executor)
    document = executor.evidence.store(encode_canonical(baseline))
    state = calculate_operation(executor.read_case().entries)
    attempt = 1 if state is None else state.attempt
    _point_to_target(executor, attempt)
    executor.log.append(
        EvidenceCollected(
            gate=BASELINE_GATE,
            digest=document,
            exit_code=0,
            duration_s=0.0,
            environment=dict(executor.environment),
        ),
        executor.signer,
    )
    body = Completed(
        release_tag=baseline.release_tag,
        commit_sha=baseline.commit_sha,
        governance_commit=baseline.governance_commit,
        posture=DecisionOutcome.GO,
    )
    try:
        return executor.log.append(body, executor.signer, unless=_find_stop)
    except LogConflict as exc:
        raise Refused(f"not complete: {exc}") from exc


def _find_stop(entries: Sequence[Entry]) -> str | None:
    """Asked under the log's lock: whoever said stop before `Completed` is heard."""
    state = calculate_operation(entries)
    if state is None or state.operation is not Operation.FORWARD:
        return "the execution is no longer in progress"
    return "it was stopped meanwhile" if state.is_returning else None


def check_complete(executor: Executor) -> ActiveRuntimeBaseline:
    """Return the baseline that `complete` would write; changes nothing.

    Raises:
        Refused: With everything that is still missing.
    """
    case = executor.read_case()
    if case.newest(Completed) is not None:
        raise Refused("the program is complete already; see 'cutover record'")
    state, handed = calculate_operation(case.entries), case.newest(HandedOff)
    if state is None or handed is None or state.operation is not Operation.FORWARD:
        raise Refused("no execution is in progress; expected 'cutover execute' to have ended stable first")
    problems = (
        *_missing_steps(state),
        *_stale_drill(case),
        *check_roles(case.program, case.entries, case.now),
    )
    problems += _look(executor, case, state)
    if problems:
        raise Refused(f"not yet complete: {'; '.join(problems)}")
    target = case.program.target
    return ActiveRuntimeBaseline(
        release_tag=target.release_tag,
        commit_sha=handed[1].commit_sha,
        expected_service_contract_version=target.service_contract_version,
        expected_api_contract_version=target.api_contract_version,
        integration_baseline=target.integration_baseline,
        governance_commit=state.repin.forward_commit,
    )


def _missing_steps(state: OperationState) -> tuple[str, ...]:
    if state.is_returning:
        reason = state.stop.stopped.reason if state.stop else "the way back was begun"
        return (f"it was stopped: {reason}",)
    missing = [str(step) for step in ForwardStep if not state.is_done(step)]
    return (f"steps not done: {', '.join(missing)}; run 'cutover execute'",) if missing else ()


def _stale_drill(case: Case) -> tuple[str, ...]:
    found, limit = case.newest_evidence("drill"), case.program.thresholds.drill_max_age_s
    if found is None:
        return ("no drill was collected",)
    age = case.now - found[0].time
    if age > timedelta(seconds=limit):
        return (f"the drill is {age.total_seconds():.0f} s old, expected at most {limit:g}; refresh it",)
    return ()


def _look(executor: Executor, case: Case, state: OperationState) -> tuple[str, ...]:
    """What the world shows, beside what the entries say."""
    forward, problems = state.repin.forward_commit, []
    live = executor.consumer_origin.resolve(state.live_ref)
    if live != forward:
        problems.append(f"{state.live_ref} is at {live}, expected {forward}")
    running = executor.consumer.governance_commit()
    if running != forward:
        problems.append(f"the consumer runs on {running}, expected {forward}")
    target = case.program.target
    if not calculate_routes(case.entries).is_open(target.service_contract_version, target.release_tag):
        problems.append(f"the route {target.service_contract_version} does not lead to {target.release_tag}")
    return tuple(problems)


def _point_to_target(executor: Executor, attempt: int) -> None:
    """Lead requests that name no contract to the target; the baseline's route stays open for its overlap."""
    contract = executor.program.target.service_contract_version
    if calculate_routes(executor.log.read().entries).active == contract:
        return
    intent = StepIntended(operation=Operation.COMPLETE, attempt=attempt, step=_POINT)
    executor.log.append(intent, executor.signer)
    executor.log.append(RoutePointed(service_contract=contract), executor.signer)
    applied = executor.gateway.refresh().routes.get(contract, "nothing")
    done = StepDone(
        operation=Operation.COMPLETE,
        attempt=attempt,
        step=_POINT,
        facts={"route": f"{contract} -> {applied}"},
    )
    executor.log.append(done, executor.signer)
