"""Traffic is led to the baseline: once, again when its process moved, and never after completion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cutover.adapters.file_log import FileLog
from cutover.core.entry import Completed, RouteOpened, RoutePointed
from cutover.core.route import calculate_routes
from cutover.errors import Refused
from cutover.service.baseline import lead_to_baseline
from cutover.service.station import RunningRelease

from packages.cutover.tests import good_evidence as good
from packages.cutover.tests.good_case import GoodCase, make_signer
from packages.cutover.tests.service.fakes import FakeClock

V2 = "service.v2"


def running(address: str = "http://127.0.0.1:7") -> RunningRelease:
    return RunningRelease(
        release_tag=good.BASELINE_TAG,
        url=address,
        address=address,
        pid=7,
        command=("mk", "serve"),
        tree_id=good.sha("tree"),
        folder="run/releases/v0.3.2",
    )


def nobody(release_tag: str) -> RunningRelease:
    raise Refused(f"{release_tag} is not running here")


@pytest.fixture
def log(tmp_path: Path) -> FileLog:
    case = GoodCase().run(until="open")
    path = tmp_path / "entries.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in case.lines))
    return FileLog(path, FakeClock(case.now))


def lead(log: FileLog, find: Callable[[str], RunningRelease] = lambda _tag: running()) -> bool:
    return lead_to_baseline(good.make_program(), log, make_signer("executor"), find)


def test_the_first_time_it_opens_the_route_and_points_to_it(log: FileLog) -> None:
    assert lead(log)
    opened, pointed = (entry.body for entry in log.read().entries[-2:])
    assert isinstance(opened, RouteOpened)
    assert (opened.service_contract, opened.release_tag, opened.pid) == (V2, good.BASELINE_TAG, 7)
    assert pointed == RoutePointed(service_contract=V2)


def test_the_second_time_there_is_nothing_to_do(log: FileLog) -> None:
    lead(log)
    assert not lead(log)


def test_a_process_that_moved_gets_its_route_anew(log: FileLog) -> None:
    lead(log)
    assert lead(log, lambda _tag: running("http://127.0.0.1:8"))
    assert calculate_routes(log.read().entries).contracts[V2].address == "http://127.0.0.1:8"


def test_an_open_route_stays_while_its_process_is_started_anew(log: FileLog) -> None:
    lead(log)
    assert not lead(log, nobody)


def test_without_a_route_and_without_a_process_it_refuses(log: FileLog) -> None:
    with pytest.raises(Refused, match="not running here"):
        lead(log, nobody)


def test_before_the_program_is_open_it_refuses(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="not open yet"):
        lead(FileLog(tmp_path / "none.jsonl", FakeClock(good.START)))


def test_after_completion_it_does_nothing(log: FileLog) -> None:
    body = Completed(
        release_tag=good.TARGET_TAG,
        commit_sha=good.TARGET_COMMIT,
        governance_commit=good.FORWARD,
        posture="GO",
    )
    log.append(body, make_signer("executor"))
    assert not lead(log)
