"""Read a case: the program, the verified log and its evidence, for whoever only looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from cutover.core.case import Case
from cutover.core.log import VerifiedLog
from cutover.core.program import Program
from cutover.errors import EvidenceUnreadable
from cutover.ports import EvidenceStore


def read_case(program: Program, log: VerifiedLog, store: EvidenceStore, now: datetime) -> Case:
    """Return everything a decision may look at, at an instant; evidence is read when it is asked for."""
    return Case(program=program, entries=log.entries, evidence=_Stored(store), now=now, head_at=log.head_at)


class _Stored(Mapping[str, bytes]):
    """Evidence by digest; what was read once is kept, and only that is iterated over."""

    def __init__(self, store: EvidenceStore) -> None:
        self._store = store
        self._read: dict[str, bytes] = {}

    def __getitem__(self, digest: str) -> bytes:
        if digest not in self._read:
            try:
                self._read[digest] = self._store.load(digest)
            except EvidenceUnreadable as exc:
                raise KeyError(digest) from exc
        return self._read[digest]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)
