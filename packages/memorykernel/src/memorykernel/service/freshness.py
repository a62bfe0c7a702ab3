"""Reading what was written: whether this store has seen the write that a token names."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from memorykernel.core.identity import snapshot_v2
from memorykernel.errors import InvalidRequest, MistypedField
from memorykernel.ports import Memory

_TOKEN: Final = re.compile(r"txn_([0-9a-f]{64})")
_FIELD: Final = "Memory-Token"


def write_token(head: str) -> str:
    """The token of a write, from the chain's head after it."""
    return snapshot_v2(head)


def parse_token(text: str) -> str:
    """The head that a token names.

    Raises:
        MistypedField: It is no token.
    """
    match = _TOKEN.fullmatch(text)
    if match is None:
        raise MistypedField(
            _FIELD, "is no token: expected one from the reply to a write; send it as you got it"
        )
    return match[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """Knows what the store has seen: a replica sees a write a moment after it was acknowledged.

    Attributes:
        memory: The store.
        may_lag: Whether reads can go to a replica; else what is not there was never written.
    """

    memory: Memory
    may_lag: bool = True

    def has_seen(self, head: str) -> bool:
        """Say whether the store has an entry.

        Raises:
            InvalidRequest: It has none, and never will.
            QueryFailed: The store could not.
        """
        if self.memory.find_snapshot(head) is not None:
            return True
        if not self.may_lag:
            raise InvalidRequest(
                f"{_FIELD} names no write of this database; send the one from the reply to a write to it",
                {"header": _FIELD},
            )
        return False
