"""A decision log of a whole program in which everything is in order, with real keys and real signed lines.

`GoodCase` writes it phase by phase; a test leaves phases out, hands in other evidence or adds entries of its
own. Keys and times are fixed, so that the same calls give the same bytes.

    good = GoodCase()
    good.run(until="checkpoint")          # everything up to and with both checkpoints
    calculate_decision(good.case(), Scope.EXECUTION).outcome   # GO
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cutover.core.case import Case
from cutover.core.decision import calculate_decision, encode_decision
from cutover.core.entry import (
    Approved,
    CheckpointPacket,
    Completed,
    Decided,
    Entry,
    EntryBody,
    EvidenceCollected,
    HandedOff,
    Observed,
    Opened,
    Operation,
    Prepared,
    Repin,
    Restored,
    RoleAcknowledged,
    RoleBound,
    RouteClosed,
    RouteOpened,
    RoutePointed,
    Scope,
    StepDone,
    StepIntended,
    StopCondition,
    Stopped,
)
from cutover.core.evidence import Evidence
from cutover.core.key import KeyKind, Party, PublicKey
from cutover.core.log import VerifiedLog, encode_canonical, encode_statement, sign_line
from cutover.core.program import Program
from securesystemslib.signer import CryptoSigner, SSlibKey

from packages.cutover.tests import good_evidence as good

FORWARD_STEPS = ("start-target", "open-target", "move-ref", "reload-consumer")
WATCH_STEPS = ("verify-trio", "run-suites", "stabilize")
COLLECTORS = {
    "runtime-target": "producer",
    "producer-suite": "producer",
    "trio": "consumer",
    "consumer-suite": "consumer",
    "fallback": "consumer",
    "contract-change": "executor",
    "envelope": "executor",
    "data": "executor",
}
"""Whose key signs what `verify` collects."""


@cache
def make_signer(name: str) -> CryptoSigner:
    """Return the key that this name always has."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())
    return CryptoSigner(private, SSlibKey.from_crypto(private.public_key()))


def make_public(name: str, kind: KeyKind, party: Party | None) -> PublicKey:
    """Return the public half of `make_signer(name)`."""
    key = make_signer(name).public_key
    return PublicKey(keyid=key.keyid, public=key.keyval["public"], kind=kind, party=party, name=name)


class GoodCase:
    """A log in the making; every method appends one phase and returns nothing but what it names.

    Args:
        evidence: Other documents, by gate; None leaves the gate without evidence.
        program: Another program.
    """

    def __init__(
        self, evidence: Mapping[str, Evidence | None] | None = None, *, program: Program | None = None
    ) -> None:
        self.program = good.make_program() if program is None else program
        self.log = VerifiedLog()
        self.lines: list[bytes] = []
        self.now = good.START
        self.stored: dict[str, bytes] = {}
        self.documents: dict[str, Evidence | None] = {**good.make_evidence(), **(evidence or {})}

    def case(self, *, now: datetime | None = None) -> Case:
        """Return the case as it stands, by default a second after the newest entry."""
        return Case(
            program=self.program,
            entries=tuple(self.log.entries),
            evidence=self.stored,
            now=self.now if now is None else now,
            head_at=self.log.head_at,
        )

    def add(self, body: EntryBody, *names: str, at: datetime | None = None) -> Entry:
        """Append a body signed by named keys; the clock moves on by a second."""
        time = self.now if at is None else at
        statement = encode_statement(body, head=self.log.head, time=time)
        line = sign_line(statement, [make_signer(name) for name in names])
        entry = self.log.append(line)
        self.lines.append(line)
        self.now = max(self.now, time) + timedelta(seconds=1)
        return entry

    def store(self, data: bytes) -> str:
        """Keep evidence bytes; return their digest."""
        digest = hashlib.sha256(data).hexdigest()
        self.stored[digest] = data
        return digest

    def collect(
        self, gate: str, signer: str, evidence: Evidence | None = None, *, exit_code: int = 0
    ) -> None:
        """Append a collection of the given or the prepared document, if there is one."""
        document = self.documents[gate] if evidence is None else evidence
        if document is None:
            return
        self.add(
            EvidenceCollected(
                gate=gate,
                digest=self.store(encode_canonical(document)),
                exit_code=exit_code,
                duration_s=0.5,
                environment={"python": "3.11"},
            ),
            signer,
        )

    def open(self, *, roles: Sequence[str] = tuple(good.ROLES)) -> None:
        """Open the program and fill its roles."""
        keys = (
            make_public("producer", KeyKind.PARTY, Party.PRODUCER),
            make_public("consumer", KeyKind.PARTY, Party.CONSUMER),
            make_public("executor", KeyKind.EXECUTOR, None),
        )
        digest = self.store(good.PROGRAM_BYTES)
        self.add(Opened(program="service-v3", program_digest=digest, keys=keys), "producer", "consumer")
        for role in roles:
            self.bind(role, good.ROLES[role] or Party.CONSUMER)

    def bind(self, role: str, party: Party, *, holder: str | None = None, acknowledge: bool = True) -> None:
        """Bind a holder to a role for the whole window, and acknowledge."""
        name = holder or f"holder of {role}"
        self.add(
            RoleBound(
                role=role,
                party=party,
                holder=name,
                contact=f"{role}@example.invalid",
                key=make_public(name, KeyKind.HOLDER, party),
                not_before=good.START - timedelta(days=1),
                not_after=good.START + timedelta(days=30),
            ),
            party,
        )
        if acknowledge:
            self.add(RoleAcknowledged(role=role), name)

    def hand_off(self, *, tag_object: str = good.TAG_OBJECT, signer: str = "producer") -> None:
        """Hand the target over."""
        self.add(self.make_hand_off(tag_object=tag_object), signer)

    def make_hand_off(self, payload: bytes | None = None, *, tag_object: str = good.TAG_OBJECT) -> HandedOff:
        """Return a hand-off of the target, its payload stored."""
        return HandedOff(
            handoff_digest=self.store(good.make_payload() if payload is None else payload),
            release_tag=good.TARGET_TAG,
            commit_sha=good.TARGET_COMMIT,
            tag_object=tag_object,
            manifest_commit=good.sha("manifest"),
        )

    def prepare(self) -> None:
        """Write both pairs of commits."""
        side = "refs/cutover/service-v3"
        drill = Repin(
            base_commit=good.LIVE,
            forward_ref=f"{side}/drill-forward",
            forward_commit=good.DRILL_FORWARD,
            inverse_ref=f"{side}/drill-inverse",
            inverse_commit=good.DRILL_INVERSE,
        )
        execution = Repin(
            base_commit=good.DRILL_INVERSE,
            forward_ref=f"{side}/forward",
            forward_commit=good.FORWARD,
            inverse_ref=f"{side}/inverse",
            inverse_commit=good.INVERSE,
        )
        self.add(Prepared(live_ref="refs/heads/main", drill=drill, execution=execution), "consumer")

    def verify(self, gates: Sequence[str] = tuple(COLLECTORS)) -> None:
        """Collect what `verify` collects, each by its party."""
        for gate in gates:
            self.collect(gate, COLLECTORS[gate])

    def decide(self, scope: Scope) -> Entry:
        """Compute and append a decision, whatever its outcome."""
        decision = calculate_decision(self.case(), scope)
        return self.add(
            Decided(
                scope=scope,
                outcome=decision.outcome,
                decision_digest=self.store(encode_decision(decision)),
                decided_at=decision.decided_at,
                expires_at=decision.expires_at,
            ),
            "executor",
        )

    def approve(self, scope: Scope, *parties: str) -> None:
        """Approve the newest decision of a scope, by both parties unless named."""
        newest = [body for _, body in self.case().all(Decided) if body.scope is scope][-1]
        for party in parties or ("producer", "consumer"):
            self.add(Approved(scope=scope, decision_digest=newest.decision_digest), party)

    def rehearse(self) -> None:
        """Collect the shadow questions."""
        self.collect("rehearsal", "executor")

    def drill(
        self,
        *,
        probe_signers: tuple[str, ...] = ("producer", "consumer"),
        restored: bool = True,
        answered: bool = True,
        attempt: int = 1,
    ) -> None:
        """Go to the target and back, seen by both parties, and collect what was seen."""
        for contract, tag in (("service.v2", good.BASELINE_TAG), ("service.v3", good.TARGET_TAG)):
            self._route(contract, tag)
        self._steps(Operation.DRILL, FORWARD_STEPS, attempt)
        self.stop(StopCondition.DRILL_RETURN, "planned way back of the drill")
        if restored:
            self.restore(Operation.DRILL, attempt=attempt, answered=answered)
        for party, signer in zip(Party, probe_signers, strict=False):
            self.add(Observed(subject=f"probe/{party}", facts={"saw": "v0.3.2,v0.4.0,v0.3.2"}), signer)
        if self.documents["drill"] == good.make_drill(finished_at=good.START):
            self.documents["drill"] = good.make_drill(finished_at=self.now)
        self.collect("drill", "executor")
        self.collect("answers", "executor")

    def checkpoint(self) -> None:
        """Both parties sign their packets on the same head."""
        head = self.log.head
        for party in Party:
            self.add(
                CheckpointPacket(
                    release_tag=good.TARGET_TAG,
                    commit_sha=good.TARGET_COMMIT,
                    service_contract_version="service.v3",
                    log_head=head.root,
                    log_size=head.size,
                ),
                party,
            )

    def execute(self, *, until: str = "stabilize") -> None:
        """Take the steps forward, up to and with one of them."""
        steps = (*FORWARD_STEPS, *WATCH_STEPS)
        self._steps(Operation.FORWARD, steps[: steps.index(until) + 1])

    def complete(self) -> None:
        """Take the point of no return."""
        self.add(
            Completed(
                release_tag=good.TARGET_TAG,
                commit_sha=good.TARGET_COMMIT,
                governance_commit=good.FORWARD,
                posture="GO",
            ),
            "executor",
        )

    def stop(self, condition: StopCondition, reason: str, *, signer: str = "executor") -> None:
        """Say stop."""
        self.add(Stopped(condition=condition, reason=reason, observed_at=self.now), signer)

    def restore(self, operation: Operation, *, attempt: int = 1, answered: bool = True) -> None:
        """Come back to the baseline in 20 ms, or without an answer of it."""
        self.add(RouteClosed(service_contract="service.v3", reason="stopped"), "executor")
        observed = self.now
        self.add(
            Restored(
                operation=operation,
                attempt=attempt,
                t_observed=observed,
                t_decided=observed + timedelta(milliseconds=2),
                t_routed=observed + timedelta(milliseconds=5),
                t_first_baseline_reply=observed + timedelta(milliseconds=20) if answered else None,
                requests_at_risk=3,
                counts={"enriched": 120, "fallback/offline": 2, "gateway-made": 2},
            ),
            "executor",
        )

    def run(self, *, until: str = "complete") -> GoodCase:
        """Run the phases in order, up to and with the named one; return self."""
        phases: Mapping[str, Callable[[], object]] = {
            "open": self.open,
            "hand-off": self.hand_off,
            "prepare": self.prepare,
            "verify": self.verify,
            "decide-rehearsal": lambda: self.decide(Scope.REHEARSAL),
            "approve-rehearsal": lambda: self.approve(Scope.REHEARSAL),
            "rehearse": self.rehearse,
            "drill": self.drill,
            "checkpoint": self.checkpoint,
            "decide-execution": lambda: self.decide(Scope.EXECUTION),
            "approve-execution": lambda: self.approve(Scope.EXECUTION),
            "execute": self.execute,
            "complete": self.complete,
        }
        for name in list(phases)[: list(phases).index(until) + 1]:
            phases[name]()
        return self

    def _steps(self, operation: Operation, steps: tuple[str, ...], attempt: int = 1) -> None:
        for step in steps:
            facts = {"seen": "yes"}
            self.add(StepIntended(operation=operation, attempt=attempt, step=step), "executor")
            self.add(StepDone(operation=operation, attempt=attempt, step=step, facts=facts), "executor")

    def _route(self, contract: str, tag: str) -> None:
        self.add(
            RouteOpened(
                service_contract=contract,
                release_tag=tag,
                address="http://127.0.0.1:1",
                pid=1,
                command=("mk", "serve"),
                tree_id=good.sha(tag),
            ),
            "executor",
        )
        self.add(RoutePointed(service_contract=contract), "executor")
