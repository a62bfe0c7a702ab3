"""A state machine: whatever was written, linked and reopened, the store answers as a plain list would.

The model keeps everything in a list and shows all of it to the rulesets; the store shows them only what
it finds through its indexes. Both must give the same bytes.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from memorykernel import Release, open_kernel
from memorykernel.core.admission import admit_ask
from memorykernel.core.context_package import encode_package
from memorykernel.core.evidence import Candidate, PolicyEvidence, Supersession
from memorykernel.core.instant import parse_instant
from memorykernel.core.record import MemoryRecord
from memorykernel.core.request import AddConstraint, AddLink, Ask, read_request
from memorykernel.errors import WriteConflict
from memorykernel.wiring import Kernel

from packages.memorykernel.tests.postgres_cluster import Server

RELEASES = {
    ruleset: Release(
        service_contract=contract,
        ruleset=f"ordering.{ruleset}",
        recall_ruleset=f"recall-ordering.{ruleset}",
        schema_version=schema,
    )
    for ruleset, contract, schema in (("v1", "service.v2", 2), ("v2", "service.v3", 3))
}
NAMES = st.sampled_from(["a", "b", "*"])
INSTANTS = st.sampled_from(["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z"])


def as_candidate(record: MemoryRecord) -> Candidate:
    return Candidate(
        memory_version_id=record.memory_version_id,
        memory_id=record.memory_id,
        record_type=record.payload.record_type,
        version=record.version,
        truth_status=record.truth_status,
        authority=record.authority,
        confidence=record.confidence,
        created_at_us=parse_instant(record.created_at, field="created_at"),
        effective_at_us=parse_instant(record.effective_at, field="effective_at"),
        content=record.payload.payload,
    )


class StoreMachine(RuleBasedStateMachine):
    """Two releases on one database beside a list."""

    def locate(self) -> Path | str:
        """A new place for a database."""
        raise NotImplementedError

    @initialize()
    def create(self) -> None:
        self.location = self.locate()
        self.kernels: dict[str, Kernel] = {}
        self.records: list[Candidate] = []
        self.links: set[tuple[str, str]] = set()
        self.writes = 0
        self.reopen()

    @rule()
    def reopen(self) -> None:
        for kernel in self.kernels.values():
            kernel.file.close()
        self.kernels = {name: open_kernel(self.location, release) for name, release in RELEASES.items()}
        self.kernels["v2"].schema_care.migrate(dry_run=False)

    @rule(
        by=st.sampled_from(["v1", "v2"]),
        scope=st.tuples(NAMES, NAMES, NAMES),
        effect=st.sampled_from(["allow", "deny"]),
        truth=st.sampled_from(["asserted", "observed", "retracted"]),
        authority=st.sampled_from(["authoritative", "note"]),
        effective_at=INSTANTS,
        supersedes=st.integers(0, 99),
    )
    def remember(
        self, by: str, scope: tuple[str, str, str], effect: str, truth: str, authority: str,
        effective_at: str, supersedes: int,
    ) -> None:  # fmt: skip
        old = [self.records[supersedes].memory_version_id] if supersedes < len(self.records) else []
        body: dict[str, Any] = {
            **dict(zip(("actor", "action", "resource"), scope, strict=True)),
            "effect": effect,
            "version": 1,
            "writer": "w",
            "justification": "j",
            "source_uri": "u",
            "evidence": [],
            "truth_status": truth,
            "authority": authority,
            "effective_at": effective_at,
            "supersedes": old,
            "contradicts": [],
        }
        record = self.kernels[by].remembering.add_record(read_request(body, AddConstraint, strict=True))
        self.records.append(as_candidate(record))
        self.links |= {(record.memory_version_id, each) for each in old}
        self.writes += 1 + len(old)

    @precondition(lambda self: len(self.records) > 1)
    @rule(ends=st.tuples(st.integers(0, 99), st.integers(0, 99)))
    def link(self, ends: tuple[int, int]) -> None:
        new, old = (self.records[each % len(self.records)].memory_version_id for each in ends)
        body: dict[str, Any] = {
            "from": new,
            "to": old,
            "relation": "supersedes",
            "writer": f"writer {self.writes}",
            "justification": "j",
        }
        try:
            self.kernels["v2"].remembering.add_link(read_request(body, AddLink, strict=True))
        except WriteConflict:
            assert new == old or self.reaches(old, new)
        else:
            assert new != old
            assert not self.reaches(old, new)
            self.links.add((new, old))
            self.writes += 1

    @rule(by=st.sampled_from(["v1", "v2"]), scope=st.tuples(NAMES, NAMES, NAMES), as_of=INSTANTS)
    def ask(self, by: str, scope: tuple[str, str, str], as_of: str) -> None:
        body: dict[str, Any] = dict(zip(("actor", "action", "resource"), scope, strict=True))
        request = read_request({"text": "may I?", **body, "as_of": as_of}, Ask, strict=True)
        kernel = self.kernels[by]
        head = kernel.check_integrity().memory_head
        expected = kernel.release.policy_rules.resolve(admit_ask(request, 0), self.everything(head))
        assert kernel.asking.ask(request) == encode_package(expected)
        assert kernel.asking.find(expected.context_package_id) == encode_package(expected)

    @invariant()
    def the_chain_holds_every_write(self) -> None:
        report = self.kernels["v1"].check_integrity()
        assert report.damage == ()
        assert report.records + report.links == self.writes

    def everything(self, head: str) -> PolicyEvidence:
        by_id = {record.memory_version_id: record for record in self.records}
        claims = (
            Supersession(
                superseded_id=old,
                superseder_id=new,
                authority=by_id[new].authority,
                truth_status=by_id[new].truth_status,
                effective_at_us=by_id[new].effective_at_us,
            )
            for new, old in self.links
        )
        names = sorted(f"{each.memory_id}:{each.memory_version_id}" for each in self.records)
        return PolicyEvidence(
            head=head,
            candidates=tuple(self.records),
            supersessions=tuple(claims),
            version_index="".join(names).encode(),
        )

    def reaches(self, start: str, goal: str) -> bool:
        waiting, seen = [start], set()
        while waiting:
            here = waiting.pop()
            seen.add(here)
            waiting += [old for new, old in self.links if new == here and old not in seen]
        return goal in seen

    def teardown(self) -> None:
        for kernel in getattr(self, "kernels", {}).values():
            kernel.file.close()


class SqliteMachine(StoreMachine):
    """On a file."""

    def locate(self) -> Path:
        self.folder = Path(tempfile.mkdtemp(prefix="machine-"))
        return self.folder / "memory.db"

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)


class PostgresMachine(StoreMachine):
    """In a schema of the session's server."""

    server: ClassVar[Server]

    def locate(self) -> str:
        return self.server.make_schema()


@pytest.fixture(scope="module", autouse=True)
def give_server(postgres: Server) -> None:
    """Hand the server to the machine, whose instances Hypothesis makes."""
    PostgresMachine.server = postgres


for machine in (SqliteMachine, PostgresMachine):
    machine.TestCase.settings = settings(
        max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
    )
TestSqliteStore = SqliteMachine.TestCase
TestPostgresStore = PostgresMachine.TestCase
