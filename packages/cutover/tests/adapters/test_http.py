"""One request, one complete reply, or the kind of failure; the other end is a raw socket that misbehaves."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from cutover.adapters.http import LoopbackHttp
from cutover.errors import ReleaseUnreachable

Answer = Callable[[socket.socket, threading.Event], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Tag: v0.4.0\r\n\r\nok"


class Peer:
    """A server that answers each connection's requests in one raw way."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()

    def close(self) -> None:
        self._done.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in (self._acceptor, *self._threads):
            thread.join()

    def _accept(self) -> None:
        while not self._done.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.05)
            while not self._done.is_set():
                try:
                    request = self._receive(connection)
                except OSError:
                    return
                if not request:
                    return
                self.requests.append(request)
                try:
                    self._answer(connection, self._done)
                except OSError:
                    return

    def _receive(self, connection: socket.socket) -> bytes:
        """Receive one request, whose head and body may arrive apart; nothing when there is none any more."""
        received = b""
        while not self._done.is_set():
            try:
                data = connection.recv(1 << 16)
            except TimeoutError:
                continue
            if not data:
                return b""
            received += data
            head, end, body = received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            if end and len(body) >= (int(length[1]) if length else 0):
                return received
        return b""


@pytest.fixture
def http() -> Iterator[LoopbackHttp]:
    http = LoopbackHttp(max_body_bytes=1000)
    yield http
    http.close()


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Peer]]:
    peers: list[Peer] = []

    def start(answer: Answer) -> Peer:
        peers.append(Peer(answer))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()


def _sends(data: bytes, *, close: bool = True) -> Answer:
    def answer(connection: socket.socket, done: threading.Event) -> None:
        connection.sendall(data)
        if close:
            connection.shutdown(socket.SHUT_RDWR)

    return answer


def _hangs(connection: socket.socket, done: threading.Event) -> None:
    done.wait(10)


def _trickles(connection: socket.socket, done: threading.Event) -> None:
    for index in range(len(OK)):
        connection.sendall(OK[index : index + 1])
        if done.wait(0.04):
            return


def _resets(connection: socket.socket, done: threading.Event) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    connection.close()


def test_a_reply_is_complete_and_its_header_names_are_lower_case(
    http: LoopbackHttp, serve: Callable[[Answer], Peer]
) -> None:
    peer = serve(_sends(OK, close=False))
    reply = http.request("POST", f"{peer.url}/v1/query/ask?a=b", headers={"x-one": "1"}, body=b"{}")
    assert (reply.status, reply.body, reply.headers["x-tag"]) == (200, b"ok", "v0.4.0")
    head, _, body = peer.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/query/ask?a=b HTTP/1.1\r\n")
    assert b"x-one: 1" in head
    assert body == b"{}"


def test_a_connection_is_reused(http: LoopbackHttp, serve: Callable[[Answer], Peer]) -> None:
    peer = serve(_sends(OK, close=False))
    for _ in range(5):
        http.request("GET", f"{peer.url}/")
    assert peer.connections == 1


def test_a_redirect_is_a_reply_like_any_other(http: LoopbackHttp, serve: Callable[[Answer], Peer]) -> None:
    peer = serve(
        _sends(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n", close=False)
    )
    assert http.request("GET", f"{peer.url}/").status == 302
    assert len(peer.requests) == 1


def test_a_compressed_body_arrives_as_it_was_sent(
    http: LoopbackHttp, serve: Callable[[Answer], Peer]
) -> None:
    peer = serve(_sends(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw"))
    assert http.request("GET", f"{peer.url}/").body == b"raw"


def test_a_chunked_body_arrives_whole(http: LoopbackHttp, serve: Callable[[Answer], Peer]) -> None:
    peer = serve(
        _sends(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    )
    assert http.request("GET", f"{peer.url}/").body == b"abcde"


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (_hangs, "timeout"),
        (_trickles, "timeout"),
        (_resets, "reset"),
        (_sends(b""), "reset"),
        (_sends(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), "cut"),
        (_sends(CHUNKED + b"5\r\nab"), "cut"),
        (_sends(CHUNKED + b"5\r\nabcde\r\n"), "cut"),
        (_sends(CHUNKED + b"zz\r\nab\r\n"), "not-http"),
        (_sends(b"220 smtp ready\r\n"), "not-http"),
        (_sends(b"\x16\x03\x01\x00\x00garbage"), "not-http"),
        (_sends(b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"a" * 1001), "too-large"),
    ],
)
def test_a_failure_has_its_kind(
    http: LoopbackHttp, serve: Callable[[Answer], Peer], answer: Answer, kind: str
) -> None:
    peer = serve(answer)
    with pytest.raises(ReleaseUnreachable) as caught:
        http.request("GET", f"{peer.url}/", timeout_s=0.5)
    assert caught.value.kind == kind


def test_a_port_without_a_server_refuses(http: LoopbackHttp) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(ReleaseUnreachable) as caught:
            http.request("GET", f"http://127.0.0.1:{unused.getsockname()[1]}/")
    assert caught.value.kind == "refused"


@pytest.mark.parametrize(
    "url", ["http://example.com:80/", "https://127.0.0.1:1/", "http://10.0.0.1:80/", "file:///etc/passwd"]
)
def test_what_is_not_loopback_is_never_asked(http: LoopbackHttp, url: str) -> None:
    with pytest.raises(ReleaseUnreachable) as caught:
        http.request("GET", url)
    assert caught.value.kind == "remote"


def test_after_a_failure_the_next_request_has_a_connection_of_its_own(
    http: LoopbackHttp, serve: Callable[[Answer], Peer]
) -> None:
    replies = iter([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab", OK])

    def answer(connection: socket.socket, done: threading.Event) -> None:
        connection.sendall(next(replies))
        connection.shutdown(socket.SHUT_RDWR)

    peer = serve(answer)
    with pytest.raises(ReleaseUnreachable):
        http.request("GET", f"{peer.url}/", timeout_s=1)
    assert http.request("GET", f"{peer.url}/").body == b"ok"
