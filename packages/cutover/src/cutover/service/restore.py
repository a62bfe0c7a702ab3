"""The way back to the baseline: one function for abort, drill and recovery, whoever takes it.

A `Stopped` entry in a move in progress is the durable decision; from there only the way back is open.
Its steps are: close the target's route (durable, then applied), compare-and-swap the live ref from the
forward commit to its inverse, make the consumer reload, wait for the first answer of the baseline. Each is
intended durably before and written after it was seen to hold, and each may be taken again: whoever starts
after a crash takes the steps that are not done and ends in the same state. One takes it at a time
(`cutover.service.turn`); who comes second finds nothing left to do. Whoever holds the turn and hangs is
waited for no longer than `TURN_PATIENCE_S`: then the live ref is taken to the inverse commit from wherever it
is, so that a swap from base to forward that is still to come finds another commit and fails.

Times are instants of this machine's clock: `t_observed` from the stop, `t_decided` when the stop was
known to be durable, `t_routed` when the gateway had swapped its routes, `t_first_baseline_reply` when it
passed on the baseline's first answer after that.
Source: cutover-program, "Switch".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from securesystemslib.signer import Signer

from cutover.core.entry import (
    EntryBody,
    Observed,
    Restored,
    RouteClosed,
    RouteOpened,
    RoutePointed,
    StepDone,
    StepIntended,
)
from cutover.core.program import Program
from cutover.core.route import calculate_routes
from cutover.core.switch import OperationState, ReturnStep, StopSeen, calculate_operation
from cutover.errors import CutoverError, ReleaseUnreachable, RepositoryError
from cutover.ports import Clock, ConsumerControl, GatewayControl, LogStore, Repository
from cutover.service.traffic import RemoteTraffic, Traffic
from cutover.service.turn import take_turn_or_go_on

RELOAD_TRIES = 3
RELOAD_PAUSE_S = 0.1
REPLY_TIMEOUT_S = 3.0
TURN_PATIENCE_S = 2.0
"""How long somebody else's act may take before it counts as hung; one is some milliseconds of work."""
_NOT_SEEN = "not seen"


class WayBack(Protocol):
    """What the way back needs; an `Executor` is one, the gateway makes one of its own."""

    @property
    def folder(self) -> Path:
        """The program folder."""
        ...

    @property
    def program(self) -> Program:
        """The program."""
        ...

    @property
    def log(self) -> LogStore:
        """The decision log."""
        ...

    @property
    def consumer_origin(self) -> Repository:
        """The repository with the live ref."""
        ...

    @property
    def consumer(self) -> ConsumerControl:
        """The running consumer."""
        ...

    @property
    def clock(self) -> Clock:
        """The real clock."""
        ...

    @property
    def signer(self) -> Signer:
        """An executor key."""
        ...

    @property
    def narrate(self) -> Callable[[str], None]:
        """Told one line for people at each step."""
        ...


class ExecutorWayBack(WayBack, Protocol):
    """What an executor brings along."""

    @property
    def gateway(self) -> GatewayControl:
        """The gateway's control endpoint."""
        ...


def restore(executor: ExecutorWayBack) -> Restored | None:
    """Take the way back from outside the gateway; for when the gateway does not do it. See `take_back`."""
    program = executor.program
    traffic = RemoteTraffic(
        executor.gateway,
        executor.clock,
        baseline_tag=program.baseline.release_tag,
        target_tag=program.target.release_tag,
    )
    return take_back(executor, traffic)


def take_back(
    way: WayBack,
    traffic: Traffic,
    *,
    reply_timeout_s: float = REPLY_TIMEOUT_S,
    turn_patience_s: float = TURN_PATIENCE_S,
) -> Restored | None:
    """Take the way back if a move in progress was stopped. Idempotent; one at a time on this machine.

    A consumer that cannot be told to reload does not hold it up: it polls, and the entries say so.

    Args:
        way: Ports.
        traffic: Who carries the traffic.
        reply_timeout_s: How long to wait for the first answer of the baseline.
        turn_patience_s: How long to wait for whoever else is moving something.

    Returns:
        What was measured; None when nothing is in progress (any more), or nobody said stop.

    Raises:
        RepositoryError: When the live ref is neither on the move's commits nor movable; the stop stays,
            and what was seen is appended.
        LogError: When the log cannot be written; routes, refs and consumer stay as they are.
    """
    with take_turn_or_go_on(way.folder, way.clock, patience_s=turn_patience_s) as is_alone:
        state = calculate_operation(way.log.read().entries)
        if state is None or state.stop is None:
            return None
        if not is_alone:
            way.narrate(f"somebody has held the turn for {turn_patience_s:g} s; going on without it")
        back = _Return(way=way, traffic=traffic, state=state, stop=state.stop, is_alone=is_alone)
        return back.run(reply_timeout_s)


@dataclass(frozen=True, kw_only=True)
class _Return:
    """The way back of one attempt; not `is_alone` when somebody who hangs may still be in an act forward."""

    way: WayBack
    traffic: Traffic
    state: OperationState
    stop: StopSeen
    is_alone: bool

    def run(self, reply_timeout_s: float) -> Restored:
        before = self.traffic.counts()
        closed = self._step(ReturnStep.CLOSE_TARGET, self._close_target)
        # A process that died took its routes with it: whoever carries the traffic now must have them too.
        self.traffic.apply_routes()
        moved = self._step(ReturnStep.MOVE_REF_BACK, self._move_ref_back)
        self._step(ReturnStep.RELOAD_CONSUMER_BACK, lambda: self._reload_consumer(moved["commit"]))
        routed = datetime.fromisoformat(closed["routed_at"])
        first = self._step(
            ReturnStep.FIRST_BASELINE_REPLY, lambda: self._await_reply(routed, reply_timeout_s)
        )
        if (taken := self._find_taken()) is not None:
            return taken
        restored = Restored(
            operation=self.state.return_operation,
            attempt=self.state.attempt,
            t_observed=self.stop.stopped.observed_at,
            t_decided=datetime.fromisoformat(closed["decided_at"]),
            t_routed=routed,
            t_first_baseline_reply=_parse_seen(first["replied_at"]),
            requests_at_risk=int(closed["requests_at_risk"]),
            counts=_grown(before, self.traffic.counts()),
        )
        self._append(restored)
        self.way.narrate(f"restored to {self.way.program.baseline.release_tag}")
        return restored

    def _find_taken(self) -> Restored | None:
        """Return what somebody measured who took the same way meanwhile; only possible when not alone."""
        mine = (self.state.return_operation, self.state.attempt)
        bodies = (entry.body for entry in self.way.log.read().entries[self.state.since :])
        ended = (body for body in bodies if isinstance(body, Restored))
        return next((body for body in ended if (body.operation, body.attempt) == mine), None)

    def _step(self, step: ReturnStep, act: Callable[[], Mapping[str, str]]) -> Mapping[str, str]:
        """Take a step that is not done yet: durable intent before, what was seen after."""
        if (facts := self.state.done.get(step)) is not None:
            return facts
        operation, attempt = self.state.return_operation, self.state.attempt
        self._append(StepIntended(operation=operation, attempt=attempt, step=step))
        facts = dict(act())
        self._append(StepDone(operation=operation, attempt=attempt, step=step, facts=facts))
        self.way.narrate(f"{step}: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
        return facts

    def _append(self, body: EntryBody) -> None:
        self.way.log.append(body, self.way.signer)

    def _close_target(self) -> Mapping[str, str]:
        decided = self.way.clock.now()  # the intent that was just written stands behind the durable stop
        for body in self._closing_entries():
            self._append(body)
        at_risk = self.traffic.apply_routes()
        return {
            "decided_at": decided.isoformat(),
            "routed_at": self.way.clock.now().isoformat(),
            "requests_at_risk": str(at_risk),
        }

    def _closing_entries(self) -> Iterator[EntryBody]:
        """Yield what makes the log's routes those of the baseline; nothing when they are."""
        baseline, target = self.way.program.baseline, self.way.program.target
        entries = self.way.log.read().entries
        table = calculate_routes(entries)
        contract = target.service_contract_version
        if table.is_open(contract, target.release_tag):
            if contract == baseline.service_contract_version:  # one contract: lead it back instead
                openings = (e.body for e in reversed(entries) if isinstance(e.body, RouteOpened))
                yield next(body for body in openings if body.release_tag == baseline.release_tag)
            else:
                yield RouteClosed(service_contract=contract, reason=self.stop.stopped.condition)
        if table.active != baseline.service_contract_version:
            yield RoutePointed(service_contract=baseline.service_contract_version)

    def _move_ref_back(self) -> Mapping[str, str]:
        repin, ref, origin = self.state.repin, self.state.live_ref, self.way.consumer_origin
        # Swapped without looking first: on the usual way that saves a git process. When not alone, from base
        # too, and then once more from forward, where it may have gone between the two.
        forward, base = repin.forward_commit, repin.base_commit
        for start in (forward,) if self.is_alone else (forward, base, forward):
            if origin.compare_and_swap(ref, repin.inverse_commit, start):
                return {"commit": repin.inverse_commit, "from": start}
        live = origin.resolve(ref)
        if live in (repin.base_commit, repin.inverse_commit):
            return {"commit": live or "", "from": live or ""}
        self._observe_once({"ref": ref, "commit": live or "gone"})
        raise RepositoryError(
            f"{ref} is at {live}, expected {repin.base_commit}, {repin.forward_commit} or "
            f"{repin.inverse_commit}; somebody else moved it: put it on {repin.inverse_commit} and repeat"
        )

    def _observe_once(self, facts: Mapping[str, str]) -> None:
        """Append what the world shows, unless this move's entries say so already: repeating adds nothing."""
        seen = Observed(subject="world", facts=facts)
        if not any(e.body == seen for e in self.way.log.read().entries[self.state.since :]):
            self._append(seen)

    def _reload_consumer(self, expected: str) -> Mapping[str, str]:
        seen = ""
        for tries in range(1, RELOAD_TRIES + 1):
            try:
                seen = self.way.consumer.reload()
            except CutoverError as exc:
                seen = f"{exc.code}: {exc}"
                if isinstance(exc, ReleaseUnreachable) and exc.kind == "timeout":
                    break  # it hangs: asking again would only take as long again
            if seen == expected:
                return {"commit": seen, "tries": str(tries)}
            self.way.clock.pause(RELOAD_PAUSE_S)
        self.way.narrate(f"the consumer did not reload ({seen}); it polls {self.state.live_ref} by itself")
        return {"failed": seen, "tries": str(tries)}

    def _await_reply(self, routed: datetime, timeout_s: float) -> Mapping[str, str]:
        replied = self.traffic.await_baseline_reply(routed, timeout_s)
        return {"replied_at": replied.isoformat() if replied else _NOT_SEEN}


def _grown(before: Mapping[str, int], after: Mapping[str, int]) -> Mapping[str, int]:
    """Return by how much each counter grew; a counter of a restarted gateway counts from zero."""
    return {name: max(0, count - before.get(name, 0)) for name, count in sorted(after.items())}


def _parse_seen(text: str) -> datetime | None:
    return None if text == _NOT_SEEN else datetime.fromisoformat(text)
