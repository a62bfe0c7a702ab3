"""Every way in which the fault server misbehaves, by name, with the reason that the consumer must give.

The reason is that of the first question after a good preflight; later questions may get the reason of the
state that the failure led to. Faults that make sense on every route are marked, so that a preflight can meet
them too.
"""

import copy
import gzip
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from packages.assistsupport.tests.fault_server import (
    Act,
    Connection,
    FaultServer,
    encode,
    render_head,
)

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault.

    Args:
        reason: The fallback reason that it must come to.
        act: What the server does with the question; None when it only leaves.
        leave: See `FaultServer`.
        everywhere: It makes sense on the preflight's routes too.
    """

    reason: str
    act: Act | None = None
    leave: str | None = None
    everywhere: bool = False

    def serve(self, *, contract: str = "service.v3", routes: tuple[str, ...] | None = None) -> FaultServer:
        """Start a server with this fault."""
        if routes is None:
            return FaultServer(self.act, contract=contract, leave=self.leave)
        return FaultServer(self.act, contract=contract, leave=self.leave, routes=routes)


def _body(connection: Connection) -> bytes:
    return encode(connection.package())


def _head(connection: Connection) -> bytes:
    return render_head(200, len(_body(connection)))


# -- the transport ---------------------------------------------------------------------------------


def _hang_before_status(connection: Connection) -> None:
    connection.hang()


def _hang_mid_status(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 2")
    connection.hang()


def _hang_mid_headers(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Ty")
    connection.hang()


def _hang_after_headers(connection: Connection) -> None:
    connection.send(_head(connection))
    connection.hang()


def _hang_mid_body(connection: Connection) -> None:
    connection.send(_head(connection) + _body(connection)[:40])
    connection.hang()


def _hang_mid_chunk(connection: Connection) -> None:
    connection.send(_chunked_head() + b"ff\r\n{")
    connection.hang()


def _hang_without_length(connection: Connection) -> None:
    connection.send(render_head(200, None) + _body(connection))
    connection.hang()


def _drip_headers(connection: Connection) -> None:
    connection.drip(_head(connection))


def _drip_body(connection: Connection) -> None:
    connection.send(_head(connection))
    connection.drip(_body(connection))


def _drip_chunks(connection: Connection) -> None:
    connection.send(_chunked_head())
    for byte in _body(connection):
        connection.drip(b"1\r\n" + bytes([byte]) + b"\r\n", 0.01)


def _flood_continue(connection: Connection) -> None:
    connection.drip(b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.001)
    connection.hang()


def _flood_blank_headers(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n")
    connection.flood(b"X-Pad: " + b"a" * 1000 + b"\r\n")


def _reset_before_status(connection: Connection) -> None:
    connection.reset()


def _reset_mid_status(connection: Connection) -> None:
    connection.send(b"HTTP/1.1 2")
    connection.reset()


def _reset_after_headers(connection: Connection) -> None:
    connection.send(_head(connection))
    connection.reset()


def _reset_mid_body(connection: Connection) -> None:
    connection.send(_head(connection) + _body(connection)[:40])
    connection.reset()


def _send(data: bytes) -> Act:
    return lambda connection: connection.send(data)


def _close_after_headers(connection: Connection) -> None:
    connection.send(_head(connection))


def _close_mid_body(connection: Connection) -> None:
    connection.send(_head(connection) + _body(connection)[:-1])


def _chunked_head() -> bytes:
    return render_head(200, None, headers={"Transfer-Encoding": "chunked"})


def _close_mid_chunk(connection: Connection) -> None:
    connection.send(_chunked_head() + b"ff\r\n{")


def _close_without_last_chunk(connection: Connection) -> None:
    body = _body(connection)
    connection.send(_chunked_head() + b"%x\r\n%b\r\n" % (len(body), body))


def _bad_chunk_size(connection: Connection) -> None:
    connection.send(_chunked_head() + b"zz\r\n" + _body(connection) + b"\r\n0\r\n\r\n")


def _odd_length(value: str) -> Act:
    def act(connection: Connection) -> None:
        head = render_head(200, None, headers={"Content-Length": value})
        connection.send(head + _body(connection))

    return act


def _two_lengths(connection: Connection) -> None:
    length = len(_body(connection))
    head = render_head(200, length, headers={"content-length": str(length + 1)})
    connection.send(head + _body(connection))


def _short_length(connection: Connection) -> None:
    connection.send(render_head(200, 20) + _body(connection))


_TRANSPORT: Final[Mapping[str, Fault]] = {
    "refuse": Fault(reason="offline", leave="refuse"),
    "hang-before-accept": Fault(reason="timeout", leave="deaf"),
    **{
        name: Fault(reason="timeout", act=act, everywhere=True)
        for name, act in {
            "hang-before-status": _hang_before_status,
            "hang-mid-status": _hang_mid_status,
            "hang-mid-headers": _hang_mid_headers,
            "hang-after-headers": _hang_after_headers,
            "hang-mid-body": _hang_mid_body,
            "hang-mid-chunk": _hang_mid_chunk,
            "hang-without-length": _hang_without_length,
            "drip-headers": _drip_headers,
            "drip-body": _drip_body,
            "drip-chunks": _drip_chunks,
            "flood-100-continue": _flood_continue,
        }.items()
    },
    **{
        name: Fault(reason="network-error", act=act, everywhere=True)
        for name, act in {
            "reset-before-status": _reset_before_status,
            "reset-mid-status": _reset_mid_status,
            "reset-after-headers": _reset_after_headers,
            "reset-mid-body": _reset_mid_body,
            "close-before-status": _send(b""),
            "close-mid-status": _send(b"HTTP/1.1 2"),
            "close-mid-headers": _send(b"HTTP/1.1 200 OK\r\nContent-Ty"),
            "close-after-headers": _close_after_headers,
            "close-mid-body": _close_mid_body,
            "close-mid-chunk": _close_mid_chunk,
            "close-without-last-chunk": _close_without_last_chunk,
            "bad-chunk-size": _bad_chunk_size,
            "garbage": _send(b"\x00\xff\x13\x37" * 64 + b"\r\n\r\n"),
            "http-0.9": _send(b'{"service_contract_version":"service.v3"}\r\n\r\n'),
            "http-2-preface": _send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
            "http-2-settings-frame": _send(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
            "tls-alert": _send(b"\x15\x03\x01\x00\x02\x02\x16"),
            "bad-status-line": _send(b"HTTP/1.1 abc OK\r\n\r\n"),
            "status-without-number": _send(b"HTTP/1.1\r\n\r\n"),
            "smtp-greeting": _send(b"220 mail.example.org ESMTP\r\n"),
            "switching-protocols": _send(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
            ),
            "length-not-a-number": _odd_length("many"),
            "length-negative": _odd_length("-5"),
            "two-lengths": _two_lengths,
            "short-length": _short_length,
            "huge-header": _send(b"HTTP/1.1 200 OK\r\nX-Pad: " + b"a" * _MIB + b"\r\n\r\n"),
            "huge-status-line": _send(b"HTTP/1.1 200 " + b"a" * _MIB + b"\r\n\r\n"),
            "endless-headers": _flood_blank_headers,
        }.items()
    },
}

# -- the body as bytes -----------------------------------------------------------------------------


def _whole(
    *, status: int = 200, content_type: str | None = "application/json", body: bytes | None = None
) -> Act:
    def act(connection: Connection) -> None:
        connection.reply(
            _body(connection) if body is None else body, status=status, content_type=content_type
        )

    return act


def _with_headers(headers: Mapping[str, str], *, status: int = 200, squeeze: bool = False) -> Act:
    def act(connection: Connection) -> None:
        body = _body(connection)
        connection.reply(gzip.compress(body) if squeeze else body, status=status, headers=headers)

    return act


def _huge_chunked(connection: Connection) -> None:
    connection.send(_chunked_head())
    connection.flood(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def _huge_until_close(connection: Connection) -> None:
    connection.send(render_head(200, None))
    connection.flood(b" " * 65536)


def _huge_declared(connection: Connection) -> None:
    connection.send(render_head(200, 3 * _MIB))
    connection.flood(b" " * 65536)


def _huge_error(connection: Connection) -> None:
    connection.send(render_head(500, 3 * _MIB))
    connection.flood(b" " * 65536)


def _edited(edit: Callable[[bytes], bytes]) -> Act:
    return lambda connection: connection.reply(edit(_body(connection)))


_REDIRECTS: Final = {
    f"redirect-{status}": _with_headers({"Location": "/v1/health"}, status=status)
    for status in (301, 302, 303, 307, 308)
}

_BYTES: Final[Mapping[str, Act]] = {
    **_REDIRECTS,
    "not-modified": _send(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "no-content": _send(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "huge-declared": _huge_declared,
    "huge-chunked": _huge_chunked,
    "huge-until-close": _huge_until_close,
    "huge-error": _huge_error,
    "gzip": _with_headers({"Content-Encoding": "gzip"}, squeeze=True),
    "gzip-in-name-only": _with_headers({"Content-Encoding": "gzip"}),
    "gzip-unannounced": _with_headers({}, squeeze=True),
    "brotli-in-name-only": _with_headers({"Content-Encoding": "br"}),
    "gzip-error": _with_headers({"Content-Encoding": "gzip"}, status=503, squeeze=True),
    "html": _whole(content_type="text/html", body=b"<html>hello</html>"),
    "json-as-text": _whole(content_type="text/plain"),
    "no-content-type": _whole(content_type=None),
    "empty-body": _whole(body=b""),
    "not-json": _whole(body=b"hello"),
    "array": _whole(body=b"[]"),
    "null": _whole(body=b"null"),
    "string": _whole(body=b'"ok"'),
    "number": _whole(body=b"1"),
    "empty-object": _whole(body=b"{}"),
    "cut-json": _edited(lambda body: body[:-1]),
    "two-documents": _edited(lambda body: body + body),
    "byte-order-mark": _edited(lambda body: b"\xef\xbb\xbf" + body),
    "bad-utf8": _edited(lambda body: body.replace(b"Highest", b"\xff\xfe")),
    "utf-16": _edited(lambda body: body.decode().encode("utf-16")),
    "nul-bytes": _edited(lambda body: b"\0" + body),
    "lone-surrogate": _edited(lambda body: body.replace(b"Highest", b"\\ud800")),
    "nan": _edited(lambda body: body.replace(b'"confidence":0.5', b'"confidence":NaN')),
    "infinity": _edited(lambda body: body.replace(b'"confidence":0.5', b'"confidence":1e999')),
    "big-integer": _edited(lambda body: body.replace(b'"version":1', b'"version":' + b"9" * 400)),
    "deep": _edited(
        lambda body: body.replace(b'"tie_breakers":', b'"x":' + b"[" * 500 + b"]" * 500 + b',"t":')
    ),
    "duplicate-key": _edited(lambda body: body.replace(b'"data":', b'"data":{},"data":', 1)),
    "duplicate-answer": _edited(
        lambda body: body.replace(b'"answer":', b'"answer":{"result":"allow","why":"x"},"answer":', 1)
    ),
    "duplicate-key-in-error": _whole(
        status=500,
        body=b'{"service_contract_version":"service.v3","error":{"code":"query_failed",'
        b'"code":"query_failed","message":"x"}}',
    ),
    "bad-utf8-error": _whole(status=500, body=b'{"error": "\xff"}'),
}

# -- what the envelope says --------------------------------------------------------------------------


def _success(edit: Callable[[dict[str, Any]], object]) -> Act:
    def act(connection: Connection) -> None:
        body = copy.deepcopy(connection.package())
        edit(body)
        connection.reply_json(body)

    return act


def _error(
    status: int,
    code: str,
    edit: Callable[[dict[str, Any]], object] = lambda body: None,
    **details: object,
) -> Act:
    def act(connection: Connection) -> None:
        body = connection.error(code, **details)
        edit(body)
        connection.reply_json(body, status=status)

    return act


def _set(*path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def edit(body: dict[str, Any]) -> None:
        for key in path[:-1]:
            body = body[key]
        body[path[-1]] = value

    return edit


def _drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def edit(body: dict[str, Any]) -> None:
        for key in path[:-1]:
            body = body[key]
        del body[path[-1]]

    return edit


_MALFORMED: Final[Mapping[str, Act]] = {
    "missing-service-version": _success(_drop("service_contract_version")),
    "missing-api-version": _success(_drop("api_contract_version")),
    "missing-data": _success(_drop("data")),
    "forbidden-key": _success(_set("legacy_error", value="x")),
    "extra-key": _success(_set("hint", value="x")),
    "success-with-error": _success(_set("error", value={"code": "query_failed", "message": "x"})),
    "version-of-wrong-type": _success(_set("service_contract_version", value=3)),
    "data-array": _success(_set("data", value=[])),
    "data-null": _success(_set("data", value=None)),
    "unknown-result": _success(_set("data", "answer", "result", value="maybe")),
    "result-in-capitals": _success(_set("data", "answer", "result", value="ALLOW")),
    "result-boolean": _success(_set("data", "answer", "result", value=True)),
    "missing-result": _success(_drop("data", "answer", "result")),
    "missing-why": _success(_drop("data", "answer", "why")),
    "answer-string": _success(_set("data", "answer", value="allow")),
    "answer-list": _success(_set("data", "answer", value=[])),
    "answer-to-another-question": _success(_set("data", "query", "actor", value="ceo")),
    "missing-query": _success(_drop("data", "query")),
    "missing-package-id": _success(_drop("data", "context_package_id")),
    "missing-snapshot": _success(_drop("data", "determinism", "snapshot_id")),
    "ruleset-number": _success(_set("data", "determinism", "ruleset_version", value=2)),
    "items-object": _success(_set("data", "selected_items", value={})),
    "items-of-strings": _success(_set("data", "selected_items", value=["x"])),
    "error-with-legacy-error": _error(400, "validation_error", _set("legacy_error", value="x")),
    "error-with-api-version": _error(400, "validation_error", _set("api_contract_version", value="api.v1")),
    "error-without-message": _error(500, "query_failed", _drop("error", "message")),
    "error-without-code": _error(500, "query_failed", _drop("error", "code")),
    "error-code-number": _error(500, "query_failed", _set("error", "code", value=7)),
    "error-details-string": _error(500, "query_failed", _set("error", "details", value="x")),
    "error-extra-key": _error(500, "query_failed", _set("hint", value="x")),
    "error-without-version": _error(500, "query_failed", _drop("service_contract_version")),
    "unknown-code-and-forbidden-key": _error(500, "teapot", _set("legacy_error", value="x")),
}

_MISMATCH: Final[Mapping[str, Act]] = {
    "other-service-version": _success(_set("service_contract_version", value="service.v2")),
    "other-api-version": _success(_set("api_contract_version", value="api.v2")),
    "newer-service-version": _success(_set("service_contract_version", value="service.v9")),
    "error-of-other-version": _error(
        503, "schema_unavailable", _set("service_contract_version", value="service.v2")
    ),
    "other-version-and-broken": _success(
        lambda body: (body.update(service_contract_version="service.v2", hint=1), body.pop("data"))
    ),
}

_EMPTY: Final[Mapping[str, Act]] = {
    "answer-null": _success(_set("data", "answer", value=None)),
    "answer-missing": _success(_drop("data", "answer")),
    "data-empty": _success(_set("data", value={})),
}

_CODES: Final = {
    "invalid_json": (400, "validation-error"),
    "validation_error": (400, "validation-error"),
    "context_package_not_found": (404, "context-not-found"),
    "write_conflict": (409, "write-conflict"),
    "schema_unavailable": (503, "schema-unavailable"),
    "query_failed": (500, "query-error"),
    "context_lookup_failed": (500, "query-error"),
    "write_failed": (500, "query-error"),
    "migration_failed": (500, "query-error"),
    "internal_error": (500, "query-error"),
    "teapot": (418, "unknown"),
}

_STATUSES: Final = {
    400: "validation-error",
    401: "non-2xx",
    403: "non-2xx",
    404: "non-2xx",
    408: "timeout",
    418: "non-2xx",
    422: "validation-error",
    429: "offline",
    500: "non-2xx",
    501: "non-2xx",
    502: "offline",
    503: "offline",
    504: "timeout",
    599: "non-2xx",
}


def _list_spoken() -> Iterator[tuple[str, Fault]]:
    for name, act in _MALFORMED.items():
        yield name, Fault(reason="malformed-payload", act=act)
    for name, act in _MISMATCH.items():
        yield name, Fault(reason="version-mismatch", act=act)
    for name, act in _EMPTY.items():
        yield name, Fault(reason="empty-context", act=act)
    for code, (status, reason) in _CODES.items():
        yield f"code-{code}", Fault(reason=reason, act=_error(status, code), everywhere=True)
    for status, reason in _STATUSES.items():
        page = _whole(status=status, content_type="text/html", body=b"<h1>sorry</h1>")
        yield f"status-{status}", Fault(reason=reason, act=page, everywhere=True)
    yield "json-error-of-a-stranger", Fault(reason="non-2xx", act=_whole(status=500, body=b'{"detail":"x"}'))
    yield "empty-502-as-json", Fault(reason="offline", act=_whole(status=502, body=b""))
    timeout = _error(500, "query_failed", timeout_ms=250)
    yield "code-with-timeout", Fault(reason="timeout", act=timeout, everywhere=True)
    refused = _error(503, "schema_unavailable", timeout_ms=250)
    yield "refusal-with-timeout", Fault(reason="schema-unavailable", act=refused)
    closed = _error(503, "schema_unavailable", origin="gateway")
    yield "closed-route", Fault(reason="schema-unavailable", act=closed, everywhere=True)
    yield "code-with-another-status", Fault(reason="write-conflict", act=_error(500, "write_conflict"))


CATALOGUE: Final[Mapping[str, Fault]] = MappingProxyType(
    {
        **_TRANSPORT,
        **{
            name: Fault(reason="malformed-payload", act=act, everywhere=name.startswith(("redirect", "huge")))
            for name, act in _BYTES.items()
        },
        **dict(_list_spoken()),
    }
)

FAULTS: Final[Mapping[str, str]] = MappingProxyType({name: fault.reason for name, fault in CATALOGUE.items()})
"""Name of a fault, and the fallback reason of the first question that meets it."""
