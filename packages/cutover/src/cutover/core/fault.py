"""The faults that can be put between two processes, by name.

Only the names go into evidence. What each does to real bytes is `cutover.web.injector`'s; nothing that
judges or decides knows which one is on.
Source: cutover-program, "Commands" (`demo --scenario`) and gates `envelope`, `fallback`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

FAULTS: Mapping[str, str] = MappingProxyType(
    {
        "refuse": "the listening socket is closed: connections are refused",
        "reset": "the connection is reset when a request has arrived",
        "hang": "a request is never answered",
        "slow": "the reply drips, a byte at a time",
        "late": "the reply comes after a delay",
        "garbage": "the reply is not HTTP",
        "truncate": "the connection is closed in the middle of the body",
        "empty": "the body is empty",
        "bad-json": "the body is no JSON",
        "duplicate-keys": "the body names a key twice",
        "extra-field": "the envelope has a key that no contract names",
        "missing-field": "the envelope lacks a required key",
        "wrong-version": "the envelope names another service contract",
        "unknown-code": "the reply is an error with a code outside the agreed set",
        "non-2xx-extra": "error envelopes have the key that the newer contract forbids",
        "refuse-questions": "every policy question is answered with a valid error",
        "redirect": "the reply is a redirect",
        "wrong-content-type": "the reply says that it is HTML",
        "oversized": "the body is longer than anyone may send",
        "altered": "one letter of a draft's text is another",
        "kill": "a process is killed (SIGKILL)",
    }
)
"""Name -> what it does."""

PRODUCER_FAULTS: tuple[str, ...] = tuple(name for name in FAULTS if name not in {"altered", "kill"})
"""The faults that make sense before a producer, each without further arguments."""


HARMLESS_FAULTS = frozenset({"non-2xx-extra"})
"""Producer faults that leave a well-asked question its answer: they touch errors only."""


class FaultOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do from now on.

    Args:
        kind: A name of `FAULTS`.
        routes: Path prefixes it is limited to; None for all.
        times: After so many requests it is over; None for no end.
        pid: Who is killed, for `kill`.
        delay_ms: For `late`.
    """

    kind: str
    routes: tuple[str, ...] | None = None
    times: int | None = None
    pid: int | None = None
    delay_ms: int = 3000
