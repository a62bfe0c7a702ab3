"""How a demo ended: what `cutover demo --json` prints and the summary shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from cutover.demo.traffic import Snapshot


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """Policy questions in one part of the run, as the tickets' sender counted them."""

    part: str
    asked: int
    applied: int

    @property
    def share(self) -> float:
        """Applied of asked; 1 when nothing was asked."""
        return self.applied / self.asked if self.asked else 1.0


class DemoResult(msgspec.Struct, frozen=True, kw_only=True):
    """The whole run.

    Args:
        outcome: `completed`, `refused` or `rolled-back`.
        reason: Why, in one line.
        decisions: Scope -> GO, NO-GO or HOLD.
        traffic: Final counts; None when the program was refused before any traffic.
        shares: Applied shares before, during and after the drill, and after the switch.
        way_back_ms: `drill` or `abort` -> milliseconds from t_observed to t_routed and to
            t_first_baseline_reply, as signed in the log.
        gateway_made: Replies the gateway made itself, by reason.
        exit_code: 0 completed, 1 otherwise.
    """

    scenario: str | None
    outcome: str
    reason: str
    decisions: Mapping[str, str]
    traffic: Snapshot | None
    shares: tuple[Share, ...]
    way_back_ms: Mapping[str, Mapping[str, float | None]]
    gateway_made: Mapping[str, int]
    elapsed_s: float
    record: str
    folder: str
    exit_code: int

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield name and value of what is worth seeing."""
        for scope, outcome in self.decisions.items():
            yield f"{scope} decision", outcome
        for move, times in self.way_back_ms.items():
            spans = ", ".join(f"{name} {value:.1f} ms" for name, value in times.items() if value is not None)
            yield f"way back of the {move}", spans
        if self.traffic is not None:
            yield from _traffic_rows(self.traffic)
        for share in self.shares:
            yield f"applied {share.part}", f"{share.share:.2%} of {share.asked} policy questions"
        if self.gateway_made:
            yield "gateway-made replies", ", ".join(f"{n} {name}" for name, n in self.gateway_made.items())
        yield "took", f"{self.elapsed_s:.1f} s"
        yield "record", self.record
        yield "look around", f"cutover status --program {self.folder}"
        yield "remove it", f"rm -r {self.folder}"


def _traffic_rows(traffic: Snapshot) -> Iterator[tuple[str, str]]:
    yield "drafts", f"{traffic.drafts} at {traffic.rate:.0f}/s, own peak {traffic.peak:.0f}/s"
    yield "enriched", str(traffic.applied)
    fallback = ", ".join(f"{n} {reason}" for reason, n in traffic.fallback.items()) or "none"
    yield "fallback", fallback
    yield (
        "lost / late / altered / breaking",
        f"{traffic.lost} / {traffic.late} / {traffic.altered} / {traffic.breaking}",
    )
