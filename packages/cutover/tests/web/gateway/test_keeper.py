"""The keeper follows a log that others append to at any moment, also while it looks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from cutover.core.entry import Entry, EntryBody, RouteClosed
from cutover.core.log import VerifiedLog
from cutover.ports import Unless
from cutover.web.gateway.keeper import Keeper
from securesystemslib.signer import Signer

from packages.cutover.tests.move import V2, V3, Move
from packages.cutover.tests.web.servers import LoopThread


class GrowingEntries(list[Entry]):
    """Entries among which another one appears as soon as somebody has taken a part of them."""

    def __init__(self, entries: list[Entry], late: Entry) -> None:
        super().__init__(entries)
        self._late: list[Entry] = [late]

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        while isinstance(key, slice) and self._late:
            self.append(self._late.pop())
        return found


class GrowingLog:
    """A log with such entries."""

    def __init__(self, entries: GrowingEntries) -> None:
        self.entries = entries

    def read(self) -> VerifiedLog:
        return cast("VerifiedLog", self)

    def append(self, body: EntryBody, *signers: Signer, unless: Unless | None = None) -> Entry:
        raise AssertionError(f"nothing is appended here: {body} by {signers}")

    def append_line(self, line: bytes) -> Entry:
        raise AssertionError(f"nothing is appended here: {line!r}")


def test_a_route_that_is_closed_while_routes_are_swapped_is_closed(
    tmp_path: Path, thread: LoopThread
) -> None:
    move = Move(tmp_path)
    move.open_baseline()
    move.open_route(V3, move.program.target.release_tag, "http://127.0.0.1:2")
    before = list(move.log.read().entries)
    late = move.add(RouteClosed(service_contract=V3, reason="stopped"))
    station = replace(move.station(), log=GrowingLog(GrowingEntries(before, late)))

    async def follow() -> list[str]:
        keeper = Keeper(station)
        await keeper.refresh()
        await keeper.refresh()
        await keeper.close()
        return sorted(keeper.traffic.table.contracts)

    assert thread.call(follow()) == [V2]
