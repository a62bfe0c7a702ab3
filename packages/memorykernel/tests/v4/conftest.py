"""What the tests of service.v4 share: a server of it, and writing to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


class V4:
    """A running service.v4, and the requests that most tests make."""

    def __init__(self, server: Any, kit: Any) -> None:
        self.server = server
        self.kit = kit

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.server.call(method, path, body, headers={"content-type": "application/json", **named})

    def deny(self, actor: str, effect: str = "deny", **changes: Any) -> Any:
        """The reply to a constraint."""
        body = self.kit.constraint(actor, effect, **changes)
        return self.call("POST", "/v1/memory/add/constraint", body)

    def ask(self, actor: str, **changes: Any) -> Any:
        """The answer to a question."""
        return self.call("POST", "/v1/query/ask", self.kit.ask(actor=actor, **changes)).data

    def get(self, path: str, **headers: str) -> Any:
        return self.call("GET", path, **headers)


@pytest.fixture(scope="module")
def v4(tmp_path_factory: pytest.TempPathFactory, kit: Any) -> Iterator[V4]:
    path = tmp_path_factory.mktemp("v4") / "memory.db"
    with kit.serve(path, "--service-contract", "service.v4") as server:
        yield V4(server, kit)
