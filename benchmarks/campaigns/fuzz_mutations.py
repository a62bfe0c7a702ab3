"""Requests of the campaign `fuzz`: valid ones, and what malice and bad luck make of them.

A request is spoilt in its body (as a value or as text), its headers, its path or its method, often in
several. What comes out is still HTTP, except for that of `ODD_SYNTAX`.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from typing import Any, Final

from benchmarks.campaigns.fuzz_odd import (
    CONTRACT_HEADER,
    ODD_HEADERS,
    ODD_JSON,
    ODD_METHODS,
    ODD_PATHS,
    ODD_SYNTAX,
    ODD_TEXTS,
    ODD_VALUES,
)
from benchmarks.campaigns.fuzz_valid import GETS, POSTS, Known, reword

CONTRACTS: Final = ("service.v2", "service.v3", "service.v4")


@dataclass(frozen=True, slots=True)
class Sent:
    """One request before it is encoded; `alone` says that the connection may end with it."""

    method: str
    path: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    chunked: bool = False
    alone: bool = False
    raw: bytes | None = None

    def encode(self) -> bytes:
        """The bytes that go over the wire."""
        if self.raw is not None:
            return self.raw
        lines = [b"%b %b HTTP/1.1" % (self.method.encode(), self.path)]
        hosted = any(name == b"Host" for name, _ in self.headers)
        lines += [] if hosted else [b"Host: 127.0.0.1"]
        lines += [b"%b: %b" % pair for pair in self.headers]
        if self.chunked:
            half = len(self.body) // 2 + 1
            parts = [each for each in (self.body[:half], self.body[half:]) if each]
            body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
            return b"\r\n".join([*lines, b"Transfer-Encoding: chunked", b"", body])
        lines += [b"Content-Length: %d" % len(self.body)] if self.body or self.method == "POST" else []
        return b"\r\n".join([*lines, b"", self.body])

    def name_contract(self) -> str | None:
        """The contract that must answer; None when the request names several, and any may."""
        named = [value.decode("latin-1") for name, value in self.headers if name == CONTRACT_HEADER]
        if self.raw is not None or not named:
            return CONTRACTS[-1]
        return None if len(named) > 1 else named[0] if named[0] in CONTRACTS else CONTRACTS[-1]


def deal_request(dice: random.Random, known: Known) -> Sent:
    """One request, spoilt somewhere more often than not."""
    if dice.random() < 0.005:
        return Sent("GET", b"", raw=dice.choice(ODD_SYNTAX), alone=True)
    sent, value = _deal_valid(dice, known)
    if value is not None:
        sent = replace(sent, body=_spoil_body(dice, value), chunked=dice.random() < 0.05)
    if dice.random() < 0.25:
        sent = _spoil_headers(dice, sent)
    if dice.random() < 0.1:
        sent = replace(sent, path=_spoil_path(dice, sent.path))
    if dice.random() < 0.05:
        sent = replace(sent, method=dice.choice(ODD_METHODS))
    # A refusal may be given before a large body has arrived, and ends the connection then.
    large = len(sent.body) > 100_000
    return replace(sent, alone=sent.alone or large)


def _deal_valid(dice: random.Random, known: Known) -> tuple[Sent, dict[str, Any] | None]:
    """A request that is right, and the value of its body, which is not encoded yet."""
    contract = dice.choice((None, None, *CONTRACTS))
    headers = [(b"Content-Type", b"application/json")]
    headers += [] if contract is None else [(CONTRACT_HEADER, contract.encode())]
    if dice.random() < 0.25:
        path = dice.choice(GETS)(dice, known)
        return Sent("GET", path.encode(), tuple(headers)), None
    path, value = dice.choice(POSTS)(dice, known)
    return Sent("POST", path.encode(), tuple(headers)), value


def _spoil_body(dice: random.Random, value: dict[str, Any]) -> bytes:
    for _ in range(dice.choice((0, 1, 1, 2, 3))):
        value = _spoil_value(dice, value)
    # Half of all lone surrogates are escaped, half are bytes that are no UTF-8.
    body = json.dumps(value, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    chance = dice.random()
    if chance < 0.06:
        return dice.choice(ODD_JSON)
    if chance < 0.1:
        return body[: dice.randrange(len(body))]
    if chance < 0.16:
        flipped = bytearray(body)
        flipped[dice.randrange(len(body))] = dice.randrange(256)
        return bytes(flipped)
    if chance < 0.2 and len(value) > 1:
        return body[:-1] + b"," + body[1:]  # every key twice
    if chance < 0.205:
        return body[:-1] + b',"big":"%b"}' % (b"x" * dice.choice((2_097_000, 2_098_000, 3_000_000)))
    if chance < 0.215:
        depth = dice.choice((30, 63, 64, 65, 1000))
        return body[:-1] + b',"deep":%b%b}' % (b"[" * depth, b"]" * depth)
    return body


def _spoil_value(dice: random.Random, value: dict[str, Any]) -> dict[str, Any]:
    spoilt = dict(value)
    key = dice.choice(list(value) or ["x"])
    match dice.randrange(6):
        case 0:
            spoilt.pop(key, None)
        case 1:
            spoilt[key] = dice.choice(ODD_VALUES)
        case 2:
            spoilt[key] = dice.choice(ODD_TEXTS)
        case 3:
            spoilt[dice.choice(ODD_TEXTS)] = dice.choice(ODD_VALUES)
        case 4 if isinstance(value.get(key), str):
            spoilt[key] = reword(dice, value[key])
        case 5 if isinstance(value.get(key), dict):
            spoilt[key] = _spoil_value(dice, value[key])
        case 5 if isinstance(value.get(key), list):
            spoilt[key] = [*value[key], dice.choice(ODD_VALUES), dice.choice(ODD_TEXTS)]
    return spoilt


def _spoil_headers(dice: random.Random, sent: Sent) -> Sent:
    headers = list(sent.headers)
    for _ in range(dice.choice((1, 1, 2, 5))):
        match dice.randrange(8):
            case 0:
                headers.pop(dice.randrange(len(headers))) if headers else None
            case 1:
                headers += [(b"X-%d" % n, b"y") for n in range(dice.choice((1, 100, 900)))]
            case 2 if headers:
                headers.append(dice.choice(headers))
            case _:
                name, values = dice.choice(ODD_HEADERS)
                headers = [pair for pair in headers if pair[0] != name or dice.random() < 0.1]
                headers.append((name, dice.choice(values)))
    last = dice.choice(((), (), (), ((b"Connection", b"close"),), ((b"Expect", b"100-continue"),)))
    upgrade = ((b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")) if dice.random() < 0.02 else ()
    return replace(sent, headers=(*headers, *last, *upgrade), alone=bool(last or upgrade))


def _spoil_path(dice: random.Random, path: bytes) -> bytes:
    at = dice.randrange(len(path) + 1)
    return dice.choice(
        (dice.choice(ODD_PATHS), path + b"/", path + b"?cursor=%ff", path + b"?cursor=", path + b"%2Freplay",
         path[:at] + b"%" + path[at:], path[:at] or b"/", path[:at] + b"%00" + path[at:], path + b"?" + path)
    )  # fmt: skip
