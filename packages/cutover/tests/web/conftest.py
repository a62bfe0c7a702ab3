"""Loops and releases for the tests of the sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from packages.cutover.tests.move import V2, V3, Move
from packages.cutover.tests.web.servers import LoopThread, Release, RunningGateway, gateway_of


@pytest.fixture
def thread() -> Iterator[LoopThread]:
    """A loop for releases and other servers."""
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture
def baseline(thread: LoopThread) -> Iterator[Release]:
    """A release of service.v2."""
    release = Release(thread, V2, "v0.3.2")
    yield release
    release.die()


@pytest.fixture
def target(thread: LoopThread) -> Iterator[Release]:
    """A release of service.v3."""
    release = Release(thread, V3, "v0.4.0")
    yield release
    release.die()


@pytest.fixture
def move(tmp_path: Path, baseline: Release) -> Move:
    """A program whose baseline's route is open."""
    move = Move(tmp_path, reply_timeout_s=0.3, max_timeouts=2)
    move.open_baseline(baseline.address)
    return move


@pytest.fixture
def gateway(move: Move, thread: LoopThread) -> Iterator[RunningGateway]:
    """A gateway on that program."""
    with gateway_of(move.station(), thread) as running:
        yield running
