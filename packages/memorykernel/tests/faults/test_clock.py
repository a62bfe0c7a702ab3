"""A clock that jumps: what was recorded stays in order, and who operates the store is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from contracts.core.service import SERVICE_V4
from contracts.documents import load_openapi
from memorykernel.core.release import Release
from memorykernel.core.request import AskV4
from memorykernel.errors import InvalidRequest
from memorykernel.service.clock_care import MAX_LEAD_US, ClockCare, list_warnings
from memorykernel.service.freshness import Freshness
from memorykernel.web.app import Edge, EdgeOptions
from memorykernel.web.envelope import Envelopes
from memorykernel.web.routes import Endpoints
from memorykernel.web.routes_v4 import Aside, EndpointsV4
from memorykernel.web.worker import Worker
from memorykernel.wiring import Kernel, build_suite, open_kernel
from memorykernel.wiring.serving import build_service

DAY_US = 86_400_000_000
V4 = Release(
    service_contract=SERVICE_V4,
    ruleset="ordering.v3",
    recall_ruleset="recall-ordering.v3",
    schema_version=4,
)


@pytest.fixture
def clock(kit: Any) -> Any:
    return kit.clock()


@pytest.fixture
def kernel(tmp_path: Path, clock: Any) -> Kernel:
    opened = open_kernel(tmp_path / "memory.db", V4, clock=clock)
    opened.schema_care.migrate(dry_run=False)
    return opened


def serve(kernel: Kernel, kit: Any) -> Any:
    return kit.asgi(build_service(kernel, openapi=load_openapi(SERVICE_V4), strict=False))


def test_a_clock_that_went_back_is_recorded_as_standing_still(kernel: Kernel, clock: Any, kit: Any) -> None:
    known = kit.add(kernel, kit.constraint("first"))
    times = []
    for step in (-1, -DAY_US, 5):
        clock.us += step
        kit.add(kernel, kit.constraint(f"after {step}"))
        newest = kernel.asking.memory.find_snapshot(2**63 - 1)
        assert newest is not None
        times.append(newest.recorded_at_us)

    assert times == [kit.now_us] * 3
    assert kernel.check_integrity().ok
    story = kernel.asking.memory.load_record(known)
    assert story is not None
    assert story.recorded_at_us == kit.now_us


def test_ready_warns_while_what_is_written_cannot_be_found_by_its_time(
    kernel: Kernel, clock: Any, kit: Any
) -> None:
    call = serve(kernel, kit)
    kit.add(
        kernel,
        kit.constraint("before", created_at="2020-01-01T00:00:00Z", effective_at="2020-01-01T00:00:00Z"),
    )
    assert "warnings" not in call("GET", "/v1/ready").data
    clock.us += 400 * DAY_US
    kit.add(kernel, kit.constraint("during"))
    clock.us -= 400 * DAY_US - 10_000_000
    kit.add(kernel, kit.constraint("user", effective_at="2020-01-01T00:00:00Z"))

    def ask(**known: str) -> str:
        asked = AskV4(text="t", actor="user", action="use", resource="usb_drive", **known)
        return kernel.asking.ask(asked).decode()

    newest = kernel.asking.memory.find_snapshot(2**63 - 1)
    assert newest is not None
    assert '"result":"deny"' in ask()
    assert '"result":"inconclusive"' in ask(as_known_at="2026-02-08T13:20:30Z")
    assert '"result":"deny"' in ask(as_known_at=f"txn_{newest.head}")
    ready = call("GET", "/v1/ready")
    (warning,) = ready.data["warnings"]
    assert ready.data["status"] == "ready"
    assert f"{400 * 86_400 - 10} s ahead of this clock" in warning
    older = serve(open_kernel(kernel.file.path, kit.release(), clock=clock), kit)  # type: ignore[union-attr]  # a file
    assert set(older("GET", "/v1/ready").data) == {"status", "checks"}
    clock.us += 400 * DAY_US
    assert "warnings" not in call("GET", "/v1/ready").data


def test_verify_warns_too_and_calls_it_no_damage(kernel: Kernel, clock: Any, kit: Any, mk: Any) -> None:
    db = kernel.file.path  # type: ignore[union-attr]  # a file
    kit.add(kernel, kit.constraint())
    kernel.file.close()
    assert json.loads(mk("verify", "--db", db, "--jobs", "1").out)["warnings"] == []
    clock.us = 4_000_000_000_000_000  # in 2096
    kit.add(kernel, kit.constraint("late"))
    kernel.file.close()

    ran = mk("verify", "--db", db, "--jobs", "1")

    report = json.loads(ran.out)
    (warning,) = report["warnings"]
    assert (ran.code, report["ok"], report["damage"]) == (0, True, [])
    assert "ahead of this clock" in warning
    assert f"warning: {warning}" in ran.err


@pytest.mark.parametrize(
    ("newest_us", "warns"), [(None, False), (0, False), (MAX_LEAD_US, False), (MAX_LEAD_US + 1, True)]
)
def test_clocks_may_differ_a_little(newest_us: int | None, warns: bool) -> None:
    assert bool(list_warnings(newest_us, 0)) is warns


def test_only_a_store_without_replica_knows_that_a_write_never_was(kernel: Kernel, kit: Any) -> None:
    kit.add(kernel, kit.constraint())
    newest = kernel.asking.memory.find_snapshot(2**63 - 1)
    assert newest is not None
    for may_lag in (True, False):
        freshness = Freshness(memory=kernel.asking.memory, may_lag=may_lag)
        assert freshness.has_seen(newest.head)
    assert not Freshness(memory=kernel.asking.memory).has_seen("0" * 64)
    with pytest.raises(InvalidRequest, match="names no write of this database"):
        freshness.has_seen("0" * 64)


def test_where_a_replica_may_answer_an_unseen_write_is_waited_for(kernel: Kernel, kit: Any) -> None:
    base = Endpoints(
        asking=kernel.asking,
        remembering=kernel.remembering,
        schema_care=kernel.schema_care,
        envelopes=Envelopes(service_contract=SERVICE_V4),
        openapi=b"",
        strict=False,
        worker=Worker(kernel.file),
    )
    care = ClockCare(memory=kernel.asking.memory, clock=kernel.remembering.clock)
    suite = build_suite(kernel)
    aside = Aside(suite=suite, worker=base.worker)
    endpoints = EndpointsV4(base=base, suite=suite, aside=aside, clock_care=care)
    call = kit.asgi(Edge(SERVICE_V4, {SERVICE_V4: endpoints}, access=None, options=EdgeOptions()))

    reply = call("GET", "/v1/context/cpkg_1", headers={"memory-token": f"txn_{'0' * 64}"})

    assert (reply.status, reply.json()["error"]["code"]) == (503, "query_failed")
    assert reply.headers["retry-after"] == "1"
    base.worker.close(5)
