"""Collect for `data`: one scratch database, opened by the baseline, migrated and written by the target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from cutover.core.evidence import Data
from cutover.core.probe_set import READ_BACK_QUESTION, READ_BACK_WRITE
from cutover.core.program import ReleaseTarget
from cutover.errors import ReleaseUnreachable
from cutover.ports import Reply
from cutover.service.asking import ask, digest_reply
from cutover.service.collect.scratch import CONTRACT_HEADER, Scratch
from cutover.service.seed import fill
from cutover.service.station import Station

ANSWERS_WRITTEN = 5
R = TypeVar("R", bound=msgspec.Struct)


class _Versions(msgspec.Struct):
    current_version: int


class _Schema(msgspec.Struct):
    data: _Versions


def collect_data(station: Station) -> Data:
    """Let the target migrate and write; ask the baseline the same questions before and after.

    Raises:
        CommandFailed: When a release does not start.
        ReleaseUnreachable: When one gives no answer where it must.
    """
    program = station.program
    as_of = station.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    with Scratch(station, "data") as scratch:
        baseline = scratch.start_seeded(program.baseline)
        ready_before, schema_before = _is_ready(station, baseline.url), _read_schema(station, baseline.url)
        before = _ask_all(station, baseline.url, as_of)
        _require_answers(before)
        target = scratch.start_release(program.target, scratch.folder / f"{program.baseline.release_tag}.db")
        migrate(station, target.url)
        ready_after, schema_after = _is_ready(station, baseline.url), _read_schema(station, target.url)
        after = _ask_all(station, baseline.url, as_of)
        written = _write(station, target.url, program.target)
        return Data(
            baseline_ready_before=ready_before,
            baseline_ready_after=ready_after,
            answers_before=_digest_all(before),
            answers_after=_digest_all(after),
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
    return _read(reply, _Schema, f"the schema version of {url}").data.current_version


def _ask_all(station: Station, url: str, as_of: str) -> Mapping[str, Reply]:
    release = station.program.baseline
    return {
        question.name: ask(station.http, url, release, question, as_of=as_of)
        for question in station.material.questions
    }


def _digest_all(replies: Mapping[str, Reply]) -> Mapping[str, str]:
    return {name: digest_reply(reply) for name, reply in replies.items()}


def _require_answers(replies: Mapping[str, Reply]) -> None:
    """Two equal errors are no agreement."""
    for name, reply in replies.items():
        if reply.status != 200:
            raise ReleaseUnreachable(f"the baseline answers {name} with {reply.status}; expected an answer")


class _Package(msgspec.Struct):
    context_package_id: str


class _Answered(msgspec.Struct):
    data: _Package


class _Item(msgspec.Struct):
    memory_version_id: str


class _Selection(msgspec.Struct):
    selected_items: tuple[_Item, ...]


class _Selected(msgspec.Struct):
    data: _Selection


def _write(station: Station, url: str, release: ReleaseTarget) -> tuple[str, ...]:
    """Write a record and answers through the target; return their ids, the record's first."""
    headers = {CONTRACT_HEADER: release.service_contract_version}
    record = fill(station.http, url, (READ_BACK_WRITE,), headers=headers)[READ_BACK_WRITE.name]
    answers = []
    for question in station.material.questions[:ANSWERS_WRITTEN]:
        reply = ask(station.http, url, release, question, as_of=None)
        answers.append(_read(reply, _Answered, f"{question.name} at {url}").data.context_package_id)
    return (record, *dict.fromkeys(answers))


def _read_back(station: Station, url: str, written: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of them the baseline knows: the record by an answer that selects it, answers by id."""
    record, *answers = written
    reply = ask(station.http, url, station.program.baseline, READ_BACK_QUESTION, as_of=None)
    seen = (record,) if record in _list_selected(reply) else ()
    http = station.http
    return (*seen, *(i for i in answers if http.request("GET", f"{url}/v1/context/{i}").status == 200))


def _list_selected(reply: Reply) -> tuple[str, ...]:
    """An error selects nothing; that it reads nothing back is what the gate must see."""
    if reply.status != 200:
        return ()
    selected = _read(reply, _Selected, READ_BACK_QUESTION.name).data.selected_items
    return tuple(item.memory_version_id for item in selected)


def _read(reply: Reply, kind: type[R], what: str) -> R:
    if reply.status != 200:
        raise ReleaseUnreachable(f"{what} was answered {reply.status}, expected 200; read its log")
    try:
        return msgspec.json.decode(reply.body, type=kind)
    except msgspec.MsgspecError as exc:
        raise ReleaseUnreachable(f"{what} was answered with something else ({exc}); read its log") from exc


def _post(station: Station, url: str, body: object, release: ReleaseTarget) -> tuple[int, bytes]:
    headers = {"Content-Type": "application/json", CONTRACT_HEADER: release.service_contract_version}
    reply = station.http.request("POST", url, headers=headers, body=msgspec.json.encode(body), timeout_s=30.0)
    return reply.status, reply.body
