"""What reaches a handler, and what is answered or closed before."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from packages.cutover.tests.move import V2
from packages.cutover.tests.web.servers import LoopThread, Release

GET = b"GET /v1/health HTTP/1.1\r\nhost: x\r\n"
CLOSE = b"connection: close\r\n\r\n"


@pytest.fixture
def release(thread: LoopThread) -> Iterator[Release]:
    release = Release(thread, V2, "v0.3.2")
    release.reply(200, b"{}")
    yield release
    release.die()


def talk(release: Release, data: bytes) -> bytes:
    """Send bytes and return everything until the other end closes."""
    place = urlsplit(release.address)
    with socket.create_connection((place.hostname, place.port), timeout=5) as sock:
        sock.sendall(data)
        try:
            return sock.makefile("rb").read()
        except ConnectionResetError:
            return b"reset"


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"HELO mail.example\r\n\r\n",
        b"GET /v1/health\r\n\r\n",
        b"GET /v1/health HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        GET + b"no colon here\r\n\r\n",
        GET + b"content-length: -1\r\n\r\n",
        GET + b"content-length: 1\r\ncontent-length: 2\r\n\r\nx",
        GET + b"content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        GET + b"transfer-encoding: chunked\r\n\r\nzz\r\n",
        GET + b"a: b\x00c\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n\r\n",
        GET + b"x: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
def test_what_is_no_http_1_1_is_answered_400_and_reaches_nobody(release: Release, data: bytes) -> None:
    assert talk(release, data).startswith((b"HTTP/1.1 400 Bad Request\r\n", b"reset"))
    assert release.requests == []


def test_requests_of_one_connection_are_answered_in_order(release: Release) -> None:
    release.behavior = release.answer
    seen = talk(release, (GET + b"\r\n") * 20 + GET + CLOSE)
    assert seen.count(b"HTTP/1.1 200 OK\r\n") == len(release.requests) == 21
    assert seen.count(b"connection: close\r\n") == 1


def test_a_request_in_pieces_is_one_request(release: Release) -> None:
    place = urlsplit(release.address)
    with socket.create_connection((place.hostname, place.port), timeout=5) as sock:
        for byte in b"POST /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n\r\nabc":
            sock.sendall(bytes([byte]))
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 200")
    assert [(r.target, r.body) for r in release.requests] == [(b"/x", b"abc")]


def test_a_chunked_body_is_put_together(release: Release) -> None:
    chunks = b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    talk(
        release,
        b"POST /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n" + chunks,
    )
    assert release.requests[0].body == b"abc"


def test_who_waits_for_leave_to_send_gets_it(release: Release) -> None:
    place = urlsplit(release.address)
    with socket.create_connection((place.hostname, place.port), timeout=5) as sock:
        sock.sendall(b"POST /x HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n" + CLOSE)
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"x")
        assert sock.makefile("rb").read().startswith(b"HTTP/1.1 200")


def test_garbage_after_a_request_ends_the_connection_after_its_answer(release: Release) -> None:
    assert talk(release, GET + b"\r\n" + b"\x00\x00\x00\r\n\r\n").startswith(b"HTTP/1.1 200")
    assert len(release.requests) == 1


def test_an_upgrade_is_not_taken_up(release: Release) -> None:
    seen = talk(release, GET + b"connection: upgrade\r\nupgrade: h2c\r\n\r\nPRI * HTTP/2.0")
    assert seen.startswith(b"HTTP/1.1 200")
    assert len(release.requests) == 1


def test_http_1_0_gets_its_answer_and_the_end(release: Release) -> None:
    assert talk(release, b"GET /v1/health HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_head_has_no_body_and_says_how_long_it_would_be(release: Release) -> None:
    seen = talk(release, b"HEAD /v1/health HTTP/1.1\r\nhost: x\r\n" + CLOSE)
    assert seen.endswith(b"content-length: 2\r\nconnection: close\r\n\r\n")
