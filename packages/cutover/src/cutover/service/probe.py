"""A party's own eyes on a drill: which release was seen answering, in order, signed by the party's key.

The producer looks through the gateway (which contract does the active release speak?), the consumer
asks its own instance which release its pin names. It ends by itself when the drill has ended.
Source: cutover-program, gate `drill`: "seen by probes of both parties".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec
from securesystemslib.signer import Signer

from cutover.core.entry import Entry, Observed, Operation, Restored
from cutover.core.gate.drill import PROBE_SUBJECT
from cutover.core.key import Party
from cutover.core.program import Program
from cutover.errors import ReleaseUnreachable
from cutover.ports import Clock, ConsumerControl, Http, LogStore

INTERVAL_S = 0.02


class Look(Protocol):
    """Returns the release tag that answers now, or None when nobody does."""

    def __call__(self) -> str | None:
        """Look once."""
        ...


def look_as_producer(http: Http, gateway_url: str, program: Program) -> Look:
    """Return a look through the gateway: the newest of the program's contracts that is answered."""
    tags = {r.service_contract_version: r.release_tag for r in (program.baseline, program.target)}

    def look() -> str | None:
        for contract in (program.target.service_contract_version, program.baseline.service_contract_version):
            try:
                reply = http.request(
                    "GET",
                    f"{gateway_url}/v1/health",
                    headers={"Service-Contract-Version": contract},
                    timeout_s=2.0,
                )
            except ReleaseUnreachable:
                continue
            if reply.status == 200:
                return tags.get(_contract_of(reply.body))
        return None

    return look


def look_as_consumer(consumer: ConsumerControl) -> Look:
    """Return a look at the running consumer's pin."""

    def look() -> str | None:
        try:
            return consumer.release_tag()
        except ReleaseUnreachable:
            return None

    return look


def probe(
    party: Party,
    look: Look,
    *,
    log: LogStore,
    clock: Clock,
    signer: Signer,
    timeout_s: float,
    narrate: Callable[[str], None],
) -> Entry:
    """Look until a drill ended after the start, then append what was seen.

    Raises:
        ReleaseUnreachable: When no drill ended within `timeout_s`.
    """
    since, deadline = log.read().head.size, clock.monotonic() + timeout_s
    saw: list[str] = []
    ended = False
    while not ended:
        ended = any(map(_ends_drill, log.read().entries[since:]))
        tag = look()  # after the log was read: the last look sees what the drill left behind
        if tag is not None and saw[-1:] != [tag]:
            saw.append(tag)
            narrate(f"{party} sees {tag}")
        if clock.monotonic() > deadline:
            raise ReleaseUnreachable(
                f"no drill ended within {timeout_s:g} s; start the probe just before the drill"
            )
        clock.pause(INTERVAL_S)
    return log.append(Observed(subject=f"{PROBE_SUBJECT}{party}", facts=_describe(saw)), signer)


def _ends_drill(entry: Entry) -> bool:
    return isinstance(entry.body, Restored) and entry.body.operation is Operation.DRILL


def _describe(saw: list[str]) -> Mapping[str, str]:
    return {"saw": ",".join(saw)}


def _contract_of(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Health).service_contract_version
    except msgspec.MsgspecError:
        return ""


class _Health(msgspec.Struct):
    service_contract_version: str
