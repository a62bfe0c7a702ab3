"""An executor over a `Move`, with a gateway that is there, is not, or takes everything back."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NoReturn

from cutover.adapters.evidence_folder import EvidenceFolder
from cutover.adapters.http import LoopbackHttp
from cutover.adapters.process import ProcessLauncher
from cutover.core.entry import Restored
from cutover.core.material import Material
from cutover.core.switch import calculate_operation
from cutover.errors import ReleaseUnreachable
from cutover.ports import ConsumerControl, GatewayStats
from cutover.service.station import Executor

from packages.cutover.tests.good_case import make_signer
from packages.cutover.tests.move import Move

STATS = GatewayStats(
    served={}, withheld={}, gateway_made={}, in_flight={}, first_reply_after={}, routes={}, log_size=0
)


@dataclass
class FakeGateway:
    """A gateway's control.

    Args:
        move: What it follows.
        is_up: Whether it answers.
        takes_back: Whether it takes a stopped move back when it is refreshed.
    """

    move: Move
    is_up: bool = True
    takes_back: bool = False
    refreshed: int = field(default=0)

    def refresh(self) -> GatewayStats:
        if not self.is_up:
            raise ReleaseUnreachable("no gateway runs here", kind="refused")
        self.refreshed += 1
        state = calculate_operation(self.move.log.read().entries)
        if self.takes_back and state is not None and state.stop is not None:
            now = datetime.now(UTC)
            self.move.add(
                Restored(
                    operation=state.return_operation,
                    attempt=state.attempt,
                    t_observed=state.stop.stopped.observed_at,
                    t_decided=now,
                    t_routed=now,
                    t_first_baseline_reply=now,
                    requests_at_risk=0,
                    counts={},
                )
            )
        return STATS

    def stats(self) -> GatewayStats:
        return STATS


def _unconnected(url: str) -> NoReturn:
    raise ReleaseUnreachable(f"{url} is not connected here")


def make_executor(move: Move, gateway: FakeGateway, signer: str = "executor") -> Executor:
    """Return an executor that moves `move`, or a party's station with the same ports."""
    consumer: ConsumerControl = move.consumer
    http = LoopbackHttp()
    return Executor(
        folder=move.folder,
        program=move.program,
        material=Material(questions=(), tickets=(), seed=()),
        log=move.log,
        evidence=EvidenceFolder(move.folder / "evidence"),
        producer_origin=move.origin,
        consumer_origin=move.origin,
        http=http,
        launcher=ProcessLauncher(http),
        clock=move.clock,
        signer=make_signer(signer),
        connect_consumer=_unconnected,
        tool=(),
        python="python",
        environment={"platform": "test"},
        gateway=gateway,
        gateway_url="http://127.0.0.1:1",
        consumer=consumer,
    )
