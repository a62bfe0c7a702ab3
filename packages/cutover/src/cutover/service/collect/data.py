"""Collect for `data`: one scratch database, opened by the baseline, migrated and written by the target."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from cutover.core.evidence import Data
from cutover.core.material import SeedWrite
from cutover.core.program import ReleaseTarget
from cutover.errors import ReleaseUnreachable
from cutover.service.asking import ask, digest_reply
from cutover.service.collect.scratch import CONTRACT_HEADER, Scratch
from cutover.service.seed import fill
from cutover.service.station import Station


class _Versions(msgspec.Struct):
    current_version: int


class _Schema(msgspec.Struct):
    data: _Versions


def collect_data(station: Station) -> Data:
    """Let the target migrate and write; ask the baseline the same questions before and after."""
    program = station.program
    as_of = station.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    with Scratch(station, "data") as scratch:
        baseline = scratch.start_seeded(program.baseline)
        ready_before, schema_before = _is_ready(station, baseline.url), _read_schema(station, baseline.url)
        before = _ask_all(station, baseline.url, as_of)
        target = scratch.start_release(program.target, scratch.folder / f"{program.baseline.release_tag}.db")
        migrate(station, target.url)
        ready_after, schema_after = _is_ready(station, baseline.url), _read_schema(station, target.url)
        after = _ask_all(station, baseline.url, as_of)
        written = _write(station, target.url, program.target)
        return Data(
            baseline_ready_before=ready_before,
            baseline_ready_after=ready_after,
            answers_before=before,
            answers_after=after,
            written_through_target=written,
            read_through_baseline=_read_back(station, baseline.url, written),
            schema_before=schema_before,
            schema_after=schema_after,
        )


def migrate(station: Station, url: str) -> None:
    """Let a release bring its database to its own schema.

    Raises:
        ReleaseUnreachable: When it does not answer 200.
    """
    reply = _post(station, f"{url}/v1/db/migrate", {"dry_run": False}, station.program.target)
    if reply[0] != 200:
        raise ReleaseUnreachable(
            f"{url} answered {reply[0]} to a migration: {reply[1][:200]!r}; read its log"
        )


def _is_ready(station: Station, url: str) -> bool:
    return station.http.request("GET", f"{url}/v1/ready").status == 200


def _read_schema(station: Station, url: str) -> int:
    reply = station.http.request("POST", f"{url}/v1/db/schema-version")
    try:
        return msgspec.json.decode(reply.body, type=_Schema).data.current_version
    except msgspec.MsgspecError as exc:
        raise ReleaseUnreachable(f"{url} does not tell its schema version ({exc}); read its log") from exc


def _ask_all(station: Station, url: str, as_of: str) -> Mapping[str, str]:
    release = station.program.baseline
    return {
        question.name: digest_reply(ask(station.http, url, release, question, as_of=as_of))
        for question in station.material.questions
    }


class _Read(msgspec.Struct):
    context_package_id: str


class _Package(msgspec.Struct):
    data: _Read


def _write(station: Station, url: str, release: ReleaseTarget) -> tuple[str, ...]:
    """Write records and answers through the target; answers can be read by id through either release."""
    headers = {CONTRACT_HEADER: release.service_contract_version}
    fresh = [_once_more(write) for write in station.material.seed[:1]]
    fill(station.http, url, fresh, headers=headers)
    ids = []
    for question in station.material.questions[:5]:
        reply = ask(station.http, url, release, question, as_of=None)
        if reply.status != 200:
            raise ReleaseUnreachable(f"{url} answered {reply.status} to {question.name}; read its log")
        ids.append(msgspec.json.decode(reply.body, type=_Package).data.context_package_id)
    return tuple(dict.fromkeys(ids))


def _once_more(write: SeedWrite) -> SeedWrite:
    """The same write as a record of its own: without its id it is a new one."""
    body = msgspec.json.decode(write.body)
    body.pop("memory_id", None)
    return SeedWrite(name=f"{write.name} again", path=write.path, body=msgspec.Raw(msgspec.json.encode(body)))


def _read_back(station: Station, url: str, ids: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(i for i in ids if station.http.request("GET", f"{url}/v1/context/{i}").status == 200)


def _post(station: Station, url: str, body: object, release: ReleaseTarget) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json", CONTRACT_HEADER: release.service_contract_version}
    reply = station.http.request("POST", url, headers=headers, body=msgspec.json.encode(body), timeout_s=30.0)
    return reply.status, reply.body
