"""Collect for `producer-suite` and `consumer-suite`: declared commands, run in an export of their commit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from cutover.core.entry import Prepared
from cutover.core.evidence import SuiteResults, SuiteRun
from cutover.core.key import Party
from cutover.core.program import Suite
from cutover.errors import Refused
from cutover.service.collect.scratch import Scratch
from cutover.service.launch import export_tree, fill_placeholders
from cutover.service.station import Station

URL_VARIABLE = "CUTOVER_PRODUCER_URL"


class _Report(msgspec.Struct):
    passed: int
    failed: int


def collect_suites(station: Station, party: Party) -> SuiteResults:
    """Run a party's suites against the target, started on a scratch database."""
    with Scratch(station, f"{party}-suite") as scratch:
        target = scratch.start_seeded(station.program.target)
        return run_suites(station, party, declared_commit(station, party), target.url)


def declared_commit(station: Station, party: Party) -> str:
    """Return the commit a party's suites speak for: the target's, or the prepared repin's.

    Raises:
        Refused: When nothing is prepared yet.
    """
    if party is Party.PRODUCER:
        return station.handed_off().commit_sha
    found = station.read_case().newest(Prepared)
    if found is None:
        raise Refused("nothing is prepared; expected the consumer to run 'cutover prepare' first")
    return found[1].execution.forward_commit


def run_suites(station: Station, party: Party, commit: str, producer_url: str) -> SuiteResults:
    """Run every declared command of a party in an export of `commit`, against a live producer.

    Raises:
        CommandFailed: When a command cannot be started at all.
    """
    producer = party is Party.PRODUCER
    side = station.program.producer if producer else station.program.consumer
    origin = station.producer_origin if producer else station.consumer_origin
    export = export_tree(origin, commit, station.folder / "run" / "scratch" / f"{party}-tree")
    env = {URL_VARIABLE: producer_url}
    return SuiteResults(
        party=str(party),
        commit=commit,
        declared_commit=declared_commit(station, party),
        runs=tuple(_run(station, suite, export, env) for suite in side.suites),
        declared=tuple(suite.name for suite in side.suites),
    )


def _run(station: Station, suite: Suite, export: Path, env: Mapping[str, str]) -> SuiteRun:
    report = station.folder / "run" / "reports" / f"{export.name}-{suite.name}.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = fill_placeholders(suite.command, {"python": station.python, "report": str(report)})
    finished = station.launcher.run(command, cwd=export, env=env, timeout_s=suite.timeout_s)
    counted = _read_report(report)
    return SuiteRun(
        name=suite.name,
        command=command,
        declared_command=suite.command,
        exit_code=finished.exit_code,
        passed=counted.passed,
        failed=counted.failed,
        duration_s=round(finished.duration_s, 3),
        output_sha256=station.evidence.store(finished.output) if finished.output else _EMPTY,
    )


_EMPTY = hashlib.sha256(b"").hexdigest()


def _read_report(path: Path) -> _Report:
    """A report that is not there, or says nothing, counts as no executed test."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Report)
    except (FileNotFoundError, msgspec.MsgspecError):
        return _Report(passed=0, failed=0)
