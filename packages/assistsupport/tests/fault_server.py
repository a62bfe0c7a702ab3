"""A producer on a raw socket that can misbehave at every stage of a reply.

Preflight routes and questions are answered properly, kept alive like a real producer does; the routes that a
fault covers get the fault. Nothing here sleeps: a fault that hangs or drips waits for the server's end.
"""

import contextlib
import json
import select
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

HEALTH, SCHEMA_VERSION, ASK = "/v1/health", "/v1/db/schema-version", "/v1/query/ask"
JSON = "application/json"
_CHUNK = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """The server's end of one connection, in the hands of a fault."""

    def __init__(self, sock: socket.socket, request: Request, server: "FaultServer") -> None:
        self.sock = sock
        self.request = request
        self.server = server
        self.contract = server.contract

    def send(self, data: bytes) -> None:
        """Send bytes as they are; a client that has gone is no error."""
        with contextlib.suppress(OSError):
            self.sock.sendall(data)

    def hang(self) -> None:
        """Stay silent until the server ends or the client goes."""
        self._wait(None)

    def drip(self, data: bytes, pause_s: float = 0.02) -> None:
        """Send byte by byte."""
        for index in range(len(data)):
            if self._wait(pause_s):
                return
            self.send(data[index : index + 1])

    def flood(self, data: bytes) -> None:
        """Send the same bytes over and over, as fast as the client takes them."""
        with contextlib.suppress(OSError):
            while not self.server.ending.is_set():
                self.sock.sendall(data)

    def reset(self) -> None:
        """Answer with RST instead of FIN when the connection closes."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def reply(
        self,
        body: bytes,
        *,
        status: int = 200,
        content_type: str | None = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send a whole, well-framed reply."""
        self.send(render_head(status, len(body), content_type, headers) + body)

    def reply_json(self, value: object, *, status: int = 200) -> None:
        """Send a whole reply with a JSON body."""
        self.reply(encode(value), status=status)

    def package(self) -> dict[str, Any]:
        """Return a proper envelope around a proper context package for the question that was asked."""
        query = json.loads(self.request.body) if self.request.body else {}
        return envelope(self.contract, context_package(query))

    def error(self, code: str, **details: object) -> dict[str, Any]:
        """Return a proper error envelope of the server's contract."""
        error: dict[str, Any] = {"code": code, "message": f"it is {code}"}
        body: dict[str, Any] = {"service_contract_version": self.contract, "error": error}
        if details:
            error["details"] = details
        if self.contract == "service.v2":
            body["legacy_error"] = error["message"]
        return body

    def _wait(self, timeout_s: float | None) -> bool:
        """Wait; tell whether the server ended or the client closed meanwhile."""
        ready, _, _ = select.select([self.sock, self.server.wake], [], [], timeout_s)
        return bool(ready)


Act = Callable[[Connection], None]


class FaultServer:
    """One listening socket; `url` is where it answers until `close`."""

    def __init__(
        self,
        act: Act | None = None,
        *,
        contract: str = "service.v3",
        routes: tuple[str, ...] = (ASK,),
        leave: str | None = None,
    ) -> None:
        """Listen.

        Args:
            act: What happens to a covered request; None to answer properly. May be replaced at any time.
            contract: The service contract that it speaks.
            routes: The paths that `act` covers.
            leave: After the first preflight close the listener ("refuse") or stop accepting ("deaf").
        """
        self.act = act
        self.contract = contract
        self.routes = routes
        self.leave = leave
        self.requests: list[Request] = []
        self.connections = 0
        self.ending = threading.Event()
        self.wake, self._waker = socket.socketpair()
        self._deaf = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._threads: list[threading.Thread] = []
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._spawn(self._accept)

    def close(self) -> None:
        """End every connection and thread."""
        self.ending.set()
        self._waker.close()
        for thread in self._threads:
            thread.join(5)
        self._listener.close()
        self.wake.close()

    def count(self, path: str) -> int:
        """Return how many requests a path has seen."""
        return sum(request.path == path for request in list(self.requests))

    def _spawn(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while self._wait_for(self._listener) and not self._deaf.is_set():
            with contextlib.suppress(OSError):
                sock, _ = self._listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                self._spawn(self._serve, sock)

    def _wait_for(self, sock: socket.socket) -> bool:
        """Wait for something to read; False when the server ends or has left."""
        try:
            ready, _, _ = select.select([sock, self.wake], [], [])
        except (OSError, ValueError):
            return False
        return sock in ready and not self.ending.is_set()

    def _serve(self, sock: socket.socket) -> None:
        buffer = bytearray()
        with sock, contextlib.suppress(OSError):
            while (request := self._read_request(sock, buffer)) is not None:
                self.requests.append(request)
                connection = Connection(sock, request, self)
                if self.act is not None and request.path in self.routes:
                    self.act(connection)
                    return
                if not self._answer(connection):
                    return

    def _read_request(self, sock: socket.socket, buffer: bytearray) -> Request | None:
        while b"\r\n\r\n" not in buffer:
            if not self._receive(sock, buffer):
                return None
        head, _, rest = bytes(buffer).partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers.get("content-length", "0"))
        buffer[:] = rest
        while len(buffer) < length:
            if not self._receive(sock, buffer):
                return None
        body = bytes(buffer[:length])
        del buffer[:length]
        method, path, _ = first.split(" ")
        return Request(method=method, path=path, headers=headers, body=body)

    def _receive(self, sock: socket.socket, buffer: bytearray) -> bool:
        data = sock.recv(_CHUNK) if self._wait_for(sock) else b""
        buffer += data
        return bool(data)

    def _answer(self, connection: Connection) -> bool:
        """Answer properly; False when the connection is over."""
        path = connection.request.path
        if path == ASK:
            connection.reply_json(connection.package())
        elif path == HEALTH:
            connection.reply_json(envelope(self.contract, {"status": "ok"}))
        else:
            return self._answer_schema_version(connection)
        return True

    def _answer_schema_version(self, connection: Connection) -> bool:
        body = encode(envelope(self.contract, schema_version()))
        if self.leave is None:
            connection.reply(body)
            return True
        if self.leave == "refuse":
            # Shut down first: a thread that waits in select would keep the port open.
            self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        else:
            self._deaf.set()
        connection.reply(body, headers={"Connection": "close"})
        return False


def envelope(contract: str, data: object) -> dict[str, Any]:
    """Return a proper success envelope."""
    return {"service_contract_version": contract, "api_contract_version": "api.v1", "data": data}


def schema_version(*pending: int) -> dict[str, Any]:
    """Return the payload of the schema-version route."""
    target = 3
    return {
        "current_version": target - len(pending),
        "target_version": target,
        "pending_versions": list(pending),
        "inferred_from_legacy": False,
    }


def context_package(query: Mapping[str, Any], result: str = "deny") -> dict[str, Any]:
    """Return a proper context package for a question."""
    return {
        "context_package_id": "cpkg_1767225600_txn_0123456789abcdef",
        "generated_at": "2026-01-01T00:00:00Z",
        "query": {name: query.get(name) for name in ("text", "actor", "action", "resource", "as_of")},
        "determinism": {
            "ruleset_version": "ordering.v2",
            "snapshot_id": "txn_0123456789abcdef",
            "tie_breakers": ["scope_specificity desc"],
        },
        "answer": {"result": result, "why": "Highest-precedence active constraint denies the action"},
        "selected_items": [
            {
                "rank": 1,
                "memory_version_id": "01KFX0000000000000000000AB",
                "memory_id": "01KFX0000000000000000000AA",
                "record_type": "constraint",
                "version": 1,
                "truth_status": "asserted",
                "confidence": None,
                "authority": "authoritative",
                "why": {
                    "included": True,
                    "reasons": ["scope specificity score=3 for actor/action/resource"],
                    "rule_scores": {
                        "scope_match": 1.0,
                        "authority_rank": 3,
                        "truth_status_rank": 4,
                        "confidence": 0.5,
                    },
                },
            }
        ],
        "excluded_items": [],
        "ordering_trace": ["filter: record_type=constraint"],
    }


def encode(value: object) -> bytes:
    """Encode as compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def render_head(
    status: int,
    length: int | None,
    content_type: str | None = JSON,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Render a status line with its headers and the blank line; None leaves Content-Length out."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
