"""The mixed load of the campaign `kills`, and what was acknowledged to it."""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, Final

_COMMON: Final[Mapping[str, Any]] = {
    "version": 1,
    "writer": "w",
    "justification": "j",
    "source_uri": "file:///p",
    "evidence": [],
    "truth_status": "asserted",
    "authority": "note",
    "supersedes": [],
    "contradicts": [],
}
_DATA: Final = b'"data":'
_NEVER: Final = 100_000
"""More requests than a client can make before its server is killed."""


@dataclass
class Acknowledged:
    """What clients were told is done: ids of records, links by their ends, answers byte for byte."""

    records: list[str] = field(default_factory=list)
    links: list[tuple[str, str, str]] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)

    def count(self) -> dict[str, int]:
        """How many of each."""
        return {
            "acknowledged answers": len(self.answers),
            "acknowledged links": len(self.links),
            "acknowledged records": len(self.records),
        }


class MixedLoad:
    """Clients that write and ask until the server goes away."""

    def __init__(self, address: str, seed: float, done: Acknowledged, *, clients: int) -> None:
        host, _, port = address.rpartition(":")
        self._address = host, int(port)
        self._done = done
        self.refused: list[str] = []
        self._threads = [
            threading.Thread(target=self._run, args=(random.Random(f"{seed}/{number}"),))
            for number in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Wait until every client has noticed."""
        for thread in self._threads:
            thread.join(30)

    def _run(self, dice: random.Random) -> None:
        # A reply that is cut off acknowledges nothing.
        connection = http.client.HTTPConnection(*self._address, timeout=10)
        own: list[str] = []
        with closing(connection), suppress(OSError, http.client.HTTPException):
            for _ in range(_NEVER):
                self._act(connection, dice, own)

    def _act(self, connection: http.client.HTTPConnection, dice: random.Random, own: list[str]) -> None:
        name = f"{dice.getrandbits(48):012x}"
        kind = dice.choices(("ask", "rule", "member", "link"), (10, 3, 1, 1))[0]
        if kind == "ask":
            asked = {"text": name, "actor": "ann", "action": "use", "resource": dice.choice("abc")}
            data = self._send(connection, "/v1/query/ask", asked)
            if data is not None:
                self._done.answers[json.loads(data)["context_package_id"]] = data
        elif kind == "link" and len(own) > 1:
            new, old = own[-1], own.pop(0)
            link = {"from": new, "to": old, "relation": "contradicts", "writer": "w", "justification": name}
            if self._send(connection, "/v1/memory/link", link) is not None:
                self._done.links.append((new, old, "contradicts"))
        else:
            self._write(connection, kind, dice, name, own)

    def _write(
        self,
        connection: http.client.HTTPConnection,
        kind: str,
        dice: random.Random,
        name: str,
        own: list[str],
    ) -> None:
        if kind == "member":
            path, content = "membership", {"field": "actor", "group": "staff", "member": name}
        else:
            scope = {"actor": name, "action": "use", "resource": dice.choice("abc*")}
            path, content = "constraint", {**scope, "effect": dice.choice(("allow", "deny"))}
        keyed = dice.random() < 0.5
        written: list[str] = []
        for _ in range(2 if keyed else 1):
            keys = {"Idempotency-Key": name} if keyed else {}
            data = self._send(connection, f"/v1/memory/add/{path}", {**_COMMON, **content}, keys)
            written += [] if data is None else [json.loads(data)["memory_version_id"]]
            self._done.records += written[-1:]
        own += written[:1]
        if len(set(written)) > 1:
            self.refused.append(f"the request key {name} wrote {written}")

    def _send(
        self,
        connection: http.client.HTTPConnection,
        path: str,
        body: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> bytes | None:
        """The data of a success; None and a complaint when it is none."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        connection.request("POST", path, json.dumps(body), sent)
        with connection.getresponse() as response:
            reply = response.read()
        if response.status == 200:
            return reply[reply.index(_DATA) + len(_DATA) : -1]
        self.refused.append(f"expected 200 for {path}, got {response.status}: {reply[:300]!r}")
        return None
