"""What the campaign `fuzz` puts into requests: values at the edge of every type, and bytes beyond it."""

from __future__ import annotations

from typing import Any, Final

CONTRACT_HEADER: Final = b"Service-Contract-Version"

ODD_TEXTS: Final = (
    "", " ", "*", "\0", "a\0b", "\u202eabc", "e\u0301", "\uffff", "\U0010ffff", "\ud800", "\udc00\ud800",
    "\u2028",
    "\ufeff", "'; DROP TABLE records; --", "../../etc/passwd", "${jndi:x}", "%s%n", "\r\nX: y", "x" * 3000,
    "\u65e5" * 2000, "2026-02-30T00:00:00Z", "9999-12-31T23:59:60Z", "0000-01-01T00:00:00Z", "-1",
    "2026-02-08T13:19:53.1234567890123Z", "2026-02-08T13:19:53+99:99", "txn_", "txn_" + "0" * 64,
    "ans_999999999999999999999", "service.v9", "ordering.v1", "ordering.v9", "exact", "prefix", "group",
)  # fmt: skip
ODD_VALUES: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, 5e-324,
    [], {}, [[]], [None], [""], {"": None}, ["x"] * 500, [1, "a", None], {"a": {"b": {}}},
)  # fmt: skip
ODD_JSON: Final = (
    b"", b" ", b"null", b"[]", b'"x"', b"1", b"{", b"}", b"{}{}", b"{} x", b"\xef\xbb\xbf{}",
    b"\xff\xfe{\0}\0",
    b"nul", b"{'a':1}", b'{"a":1,}', b'{"a":NaN}', b'{"a":-Infinity}', b'{"a":1e999}', b'{"a":01}', b"/**/{}",
    b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":"\\x"}', b'{"a":"\n"}', b"[" * 5000, b'{"a":' * 200, b"\0",
)  # fmt: skip
ODD_METHODS: Final = (
    "GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "PURGE", "SEARCH",
)  # fmt: skip
ODD_PATHS: Final = (
    b"/", b"//", b"/v1", b"/v1/", b"/v1/query/ask/", b"/v1//query/ask", b"/v1/query/../health", b"/%",
    b"/%zz",
    b"/%00", b"/%ff%fe", b"/v1/context/%2e%2e%2fx", b"/v1/context/", b"/v1/context/a/b", b"/v1/healthz?",
    b"/v1/health?x=1&x=2", b"/v1/health#x", b"*", b"http://127.0.0.1/v1/health",
    b"/v1/context/" + b"x" * 9000,
    b"/V1/HEALTH", b"/v1/health;a=b", b"/metrics/", b"/console", b"/v1/context/\xc3\xa9", b"/?" + b"&" * 500,
)  # fmt: skip
ODD_HEADERS: Final = (
    (b"Content-Type", (b"", b"text/plain", b"application/json; charset=latin-1", b"application/JSON",
                       b"application/json;", b"application/json; charset=\"utf-8\"", b"\xff", b"a" * 5000)),
    (CONTRACT_HEADER, (b"", b"service.v9", b"SERVICE.V3", b"service.v3, service.v4", b"\xff", b"x" * 9000)),
    (b"Memory-Token", (b"", b"txn_", b"txn_" + b"g" * 64, b"\xe9", b"txn_" + b"0" * 63, b"x" * 9000)),
    (b"Idempotency-Key", (b"", b"k", b"k" * 200, b"k" * 201, b"\xff\xfe", b"a\tb", b"same", b"same")),
    (b"Authorization", (b"", b"Bearer", b"Bearer x", b"Basic Og==", b"Bearer " + b"y" * 9000)),
    (b"X-Request-Id", (b"", b'a" b', b"\xff", b"r" * 9000)),
    (b"Accept", (b"text/html", b"*/*;q=9")),
    (b"Accept-Encoding", (b"gzip", b"\xff")),
    (b"Cookie", (b"a=b; " * 500,)),
    (b"Range", (b"bytes=0-1",)),
    (b"If-None-Match", (b"*",)),
    (b"X-Forwarded-For", (b"' OR 1=1 --",)),
    (b"Host", (b"evil.example", b"", b"127.0.0.1:99999", b"[::1", b"\xff")),
)  # fmt: skip
ODD_SYNTAX: Final = (
    b"\0\0\0\0\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
    b"FROB /v1/health HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /v1/health HTTP/1.1\r\nNo colon\r\n\r\n", b"GET /v1/health HTTP/1.1\r\n: empty\r\n\r\n",
    b"GET /v1/he alth HTTP/1.1\r\nHost: x\r\n\r\n", b"GET /v1/health HTTP/1.1\r\nA\0: b\r\n\r\n",
    b"POST /v1/query/ask HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/query/ask HTTP/1.1\r\nContent-Length: 1e3\r\n\r\n",
    b"POST /v1/query/ask HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    b"POST /v1/query/ask HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /v1/query/ask HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST /v1/query/ask HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\r\n\r\n\r\nGET\r\n\r\n",
)  # fmt: skip
