"""Request keys: a write that is sent twice under one key is carried out once and answered alike.

The key is kept in the transaction of the write, so that there is no moment at which one of both is there
without the other. A request that was refused wrote nothing and is not kept: it may be corrected and sent
under the same key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec

from memorykernel.core.stored_record import KeptRequest
from memorykernel.errors import InvalidRequest, WriteConflict
from memorykernel.ports import WriteTransaction

MAX_KEY: Final = 200
"""The longest request key, in characters."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered to a write.

    Attributes:
        data: The record or link as JSON.
        head: The chain's head after it, 64 lower-case hex digits: what a reader must have seen to see it.
        conflicts: At most five versions that stand in a conflict since; empty unless warned of.
        more_conflicts: Whether there may be more.
    """

    data: msgspec.Raw
    head: str
    conflicts: tuple[str, ...] = ()
    more_conflicts: bool = False


def check_key(key: str) -> str:
    """Return the key when it can be one.

    Raises:
        InvalidRequest: It is empty, too long, or not printable ASCII.
    """
    if not (1 <= len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
        raise InvalidRequest(
            f"the request key cannot be used: expected 1 to {MAX_KEY} printable ASCII characters",
            {"field": "Idempotency-Key"},
        )
    return key


def write_once(
    transaction: WriteTransaction, key: str | None, request: msgspec.Struct, write: Callable[[], Written]
) -> Written:
    """Carry a request out, unless it was carried out under this key.

    Args:
        transaction: What `write` writes in.
        key: From `check_key`; None to carry it out in any case.
        request: What was asked; its type is part of it, the spelling of its JSON is not.
        write: Carries it out.

    Raises:
        WriteConflict: Another request was carried out under this key; or what `write` raises.
    """
    if key is None:
        return write()
    digest = _digest(request)
    kept = transaction.find_request(key)
    if kept is None:
        written = write()
        reply = msgspec.json.encode(written)
        transaction.keep_request(KeptRequest(key=key, digest=digest, reply=reply))
        return written
    if kept.digest != digest:
        raise WriteConflict(
            "this request key was used for another request; repeat that one, or send a new key",
            {"field": "Idempotency-Key"},
        )
    return msgspec.json.decode(kept.reply, type=Written)


def _digest(request: msgspec.Struct) -> str:
    return hashlib.sha256(msgspec.json.encode((type(request).__name__, request))).hexdigest()
