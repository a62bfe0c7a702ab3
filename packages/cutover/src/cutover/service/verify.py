"""Verify: collect what a party, or the executor, has to show, and append each as evidence.

The producer shows runtime-target and its suite, the consumer trio, its suite and fallback, the executor
contract-change, envelope and data. Nothing needs to run for it: everything live is started on scratch.
Source: cutover-program, "Gates" and "Order".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from cutover.core.evidence import Evidence
from cutover.core.key import Party
from cutover.errors import Refused
from cutover.service.collect.contract_change import collect_contract_change
from cutover.service.collect.data import collect_data
from cutover.service.collect.envelope import collect_envelope
from cutover.service.collect.fallback import collect_fallback
from cutover.service.collect.runtime_target import collect_runtime_target
from cutover.service.collect.suite import collect_suites
from cutover.service.collect.trio import collect_trio
from cutover.service.station import Station

Collector = Callable[[Station], Evidence]

COLLECTORS: Mapping[str, Mapping[str, Collector]] = MappingProxyType(
    {
        Party.PRODUCER: {
            "runtime-target": collect_runtime_target,
            "producer-suite": lambda station: collect_suites(station, Party.PRODUCER),
        },
        Party.CONSUMER: {
            "trio": collect_trio,
            "consumer-suite": lambda station: collect_suites(station, Party.CONSUMER),
            "fallback": collect_fallback,
        },
        "executor": {
            "contract-change": collect_contract_change,
            "envelope": collect_envelope,
            "data": collect_data,
        },
    }
)
"""Who -> gate -> collector, in the order they run."""


def verify(station: Station, who: str, *, gates: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Collect for all gates of `who`, or for the named ones; return the names in order.

    Raises:
        Refused: When `who` collects nothing, or not a gate that was named.
        CutoverError: When a collection cannot be made; those before it stay.
    """
    own = COLLECTORS.get(who)
    if own is None:
        raise Refused(f"{who} collects nothing; expected one of {', '.join(COLLECTORS)}")
    for gate in gates:
        if gate not in own:
            raise Refused(f"{who} does not collect {gate}; expected one of {', '.join(own)}")
    chosen = tuple(name for name in own if not gates or name in gates)
    for name in chosen:
        station.narrate(f"collecting {name}")
        started = station.clock.monotonic()
        evidence = own[name](station)
        station.collect(name, evidence, duration_s=station.clock.monotonic() - started)
    return chosen
