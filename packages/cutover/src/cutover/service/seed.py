"""Fill a release's database through its own HTTP API; nothing here knows how it stores anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from cutover.core.material import SeedWrite
from cutover.errors import ReleaseUnreachable
from cutover.ports import Http

_REFERENCE = re.compile(rb"\{\{id:([^{}\"]+)\}\}")


class _Record(msgspec.Struct):
    memory_version_id: str


class _Written(msgspec.Struct):
    data: _Record


def fill(
    http: Http, url: str, writes: Iterable[SeedWrite], *, headers: Mapping[str, str]
) -> Mapping[str, str]:
    """Post every write in order and return name -> id of what was written.

    Raises:
        ReleaseUnreachable: When a write is not answered with 200, or names an unknown earlier write.
    """
    ids: dict[str, str] = {}
    for write in writes:
        reply = http.request(
            "POST",
            url + write.path,
            headers={"Content-Type": "application/json", **headers},
            body=_resolve(write, ids),
        )
        if reply.status != 200:
            raise ReleaseUnreachable(
                f"seed write {write.name} was answered {reply.status}; expected 200: fix the seed"
            )
        ids[write.name] = _read_id(write, reply.body)
    return ids


def resolve_references(data: bytes, ids: Mapping[str, str]) -> bytes:
    """Return `data` with every `{{id:NAME}}` replaced by the id kept under that name. Pure.

    Raises:
        KeyError: With the first name under which none is kept.
    """
    return _REFERENCE.sub(lambda match: ids[match.group(1).decode()].encode(), data)


def _resolve(write: SeedWrite, ids: Mapping[str, str]) -> bytes:
    try:
        return resolve_references(bytes(write.body), ids)
    except KeyError as exc:
        raise ReleaseUnreachable(
            f"seed write {write.name} refers to {exc.args[0]}, which no earlier line writes; fix the seed"
        ) from exc


def _read_id(write: SeedWrite, body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Written).data.memory_version_id
    except msgspec.MsgspecError as exc:
        raise ReleaseUnreachable(f"seed write {write.name} was answered without an id ({exc})") from exc
