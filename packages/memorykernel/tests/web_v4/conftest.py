"""What the tests of the serving edge share: raw sockets, tokens, and waiting with an end."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


class Edge:
    """Helpers, for tests, which cannot import this file."""

    def __init__(self, kit: Any) -> None:
        self._kit = kit

    @staticmethod
    def address(server: Any) -> tuple[str, int]:
        host, port = server.url.removeprefix("http://").split(":")
        return host, int(port)

    @contextmanager
    def connect(self, server: Any) -> Iterator[socket.socket]:
        """A raw connection."""
        with socket.create_connection(self.address(server), timeout=20) as raw:
            yield raw

    @staticmethod
    def head(method: str, path: str, length: int = 0, **headers: str) -> bytes:
        """The head of a request."""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
        lines += [f"Content-Length: {length}"] if length else []
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    def post(self, path: str, body: Any, **headers: str) -> bytes:
        """A whole request."""
        encoded = json.dumps(body).encode()
        return self.head("POST", path, len(encoded), **headers) + encoded

    @staticmethod
    def read(raw: socket.socket) -> tuple[int, dict[str, str], Any]:
        """One reply: status, headers, JSON body."""
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = raw.recv(65536)
            if not chunk:
                raise ConnectionError("closed before a reply")
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        while len(body) < int(headers["content-length"]):
            body += raw.recv(65536)
        return int(lines[0].split()[1]), headers, json.loads(body)

    @staticmethod
    def until(happens: Callable[[], bool], within_s: float = 15.0) -> bool:
        """Ask again and again, but not for ever."""
        deadline = time.monotonic() + within_s
        while not happens():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def add_token(self, access: Path, *, tenant: str, scope: str) -> str:
        """A token of `mk tokens add`."""
        command = [*self._kit.mk, "tokens", "add", "--access", access, "--tenant", tenant, "--scope", scope]
        done = subprocess.run(list(map(str, command)), capture_output=True, timeout=30, check=True)
        token: str = json.loads(done.stdout)["token"]
        return token

    @staticmethod
    def metric(text: str, name: str) -> float:
        """The value of one line of metrics."""
        line = next(each for each in text.splitlines() if each.startswith(name + " "))
        return float(line.rpartition(" ")[2])


@pytest.fixture(scope="session")
def edge(kit: Any) -> Edge:
    return Edge(kit)
