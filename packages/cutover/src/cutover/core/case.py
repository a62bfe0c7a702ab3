"""Everything a decision may look at: the program, the entries, the evidence bytes and an instant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

import msgspec

from cutover.core.entry import Body, Entry, EvidenceCollected
from cutover.core.log import Head
from cutover.core.program import Program
from cutover.errors import EvidenceUnreadable

E = TypeVar("E", bound=msgspec.Struct)
B = TypeVar("B", bound=Body)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A question for the decision: these facts, at this instant.

    Args:
        program: Parsed from the bytes whose digest entry 0 holds.
        entries: Verified entries, oldest first.
        evidence: sha256 hex -> bytes, for every digest the entries name.
        now: The instant to decide for, aware UTC.
        head_at: Log size -> head, as `VerifiedLog.head_at`.
    """

    program: Program
    entries: Sequence[Entry]
    evidence: Mapping[str, bytes]
    now: datetime
    head_at: Callable[[int], Head]

    def all(self, kind: type[B]) -> tuple[tuple[Entry, B], ...]:
        """Return every entry of a kind with its body, oldest first."""
        return tuple((entry, entry.body) for entry in self.entries if isinstance(entry.body, kind))

    def newest(self, kind: type[B]) -> tuple[Entry, B] | None:
        """Return the newest entry of a kind with its body."""
        found = self.all(kind)
        return found[-1] if found else None

    def newest_evidence(self, gate: str) -> tuple[Entry, EvidenceCollected] | None:
        """Return the newest collection for a gate; a later one supersedes an earlier one."""
        found = [pair for pair in self.all(EvidenceCollected) if pair[1].gate == gate]
        return found[-1] if found else None

    def read(self, digest: str, kind: type[E]) -> E:
        """Return evidence by digest as a record.

        Raises:
            EvidenceUnreadable: When the bytes are missing or do not parse.
        """
        try:
            return msgspec.json.decode(self.evidence[digest], type=kind)
        except KeyError:
            raise EvidenceUnreadable(
                f"evidence {digest[:12]} is missing; expected its bytes beside the log"
            ) from None
        except msgspec.MsgspecError as exc:
            raise EvidenceUnreadable(
                f"evidence {digest[:12]} does not read as {kind.__name__}: {exc}"
            ) from exc
