"""A search that takes long has a thread of its own: nobody's question waits for it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contracts.core.service import SERVICE_V4
from memorykernel.core.explain_request import Compare
from memorykernel.core.release import default_release
from memorykernel.service.clock_care import ClockCare
from memorykernel.service.comparing import ComparedAnswers
from memorykernel.web.app import Edge, EdgeOptions
from memorykernel.web.envelope import Envelopes
from memorykernel.web.routes import Endpoints
from memorykernel.web.routes_v4 import Aside, EndpointsV4
from memorykernel.web.worker import Worker
from memorykernel.wiring import build_suite, open_kernel
from starlette.types import Message


class Slow:
    """A comparison that lasts until it is told to end."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()

    def compare(self, _: Compare) -> ComparedAnswers:
        self.begun.set()
        assert self.may_end.wait(30)
        return ComparedAnswers(compared=0, same=0, flips=(), next_cursor=None)


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def edge_app(tmp_path: Path, slow: Any) -> Iterator[Edge]:
    kernel = open_kernel(tmp_path / "memory.db", default_release())
    kernel.schema_care.migrate(dry_run=False)
    aside = kernel.reopen()
    base = Endpoints(
        asking=kernel.asking,
        remembering=kernel.remembering,
        schema_care=kernel.schema_care,
        envelopes=Envelopes(service_contract=SERVICE_V4),
        openapi=b"",
        strict=False,
        worker=Worker(kernel.file),
    )
    endpoints = EndpointsV4(
        base=base,
        suite=build_suite(kernel),
        aside=Aside(suite=replace(build_suite(aside), comparing=slow), worker=Worker(aside.file)),
        clock_care=ClockCare(memory=kernel.asking.memory, clock=kernel.remembering.clock),
    )
    yield Edge(SERVICE_V4, {SERVICE_V4: endpoints}, access=None, options=EdgeOptions())
    assert base.worker.close(10)
    assert endpoints.aside.worker.close(10)


async def post(app: Edge, path: str, body: Any) -> int:
    """The status of a reply."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "http_version": "1.1"}
    await app({**scope, "headers": [(b"content-type", b"application/json")]}, receive, send)
    status: int = sent[0]["status"]
    return status


def test_questions_are_answered_while_a_comparison_runs(edge_app: Edge, slow: Slow, kit: Any) -> None:
    async def both() -> tuple[int, bool, int]:
        bases = {"from": {"ruleset": "ordering.v2"}, "to": {"ruleset": "ordering.v3"}}
        comparison = asyncio.create_task(post(edge_app, "/v1/explain/compare", bases))
        await asyncio.to_thread(slow.begun.wait, 30)
        asked = await post(edge_app, "/v1/query/ask", kit.ask())
        was_done = comparison.done()
        slow.may_end.set()
        return asked, was_done, await comparison

    assert asyncio.run(both()) == (200, False, 200)
