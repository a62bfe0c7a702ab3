"""Putting lines that come in any order into the order of their `seq`, in constant memory.

Lines that come in order pass through; one that comes early waits in a temporary table of the connection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Final

import msgspec

from memorykernel.core.bundle import Line, Member
from memorykernel.core.bundle_line import parse_lines
from memorykernel.errors import BundleInvalid

_AT_ONCE: Final = 4000
_SEQ: Final = attrgetter("seq")


class Sequencer:
    """Orders the lines of one member, from 1 without gaps.

    Args:
        connection: Where early lines wait.
        member: What they are lines of.
    """

    def __init__(self, connection: sqlite3.Connection, member: Member) -> None:
        self._connection = connection
        self._member = member
        self._table = f"early_{member.value}"
        self._next = 1
        self._waiting = 0

    def take(self, lines: list[Line]) -> Iterator[Sequence[Line]]:
        """Take lines, and give those whose turn it is, in order.

        Raises:
            BundleInvalid: A number comes twice.
        """
        lines.sort(key=_SEQ)
        due: list[Line] = []
        early: list[Line] = []
        for line in lines:
            if line.seq == self._next:
                self._next += 1
                due.append(line)
            elif line.seq > self._next:
                early.append(line)
            else:
                raise self._refuse(f"has two lines with seq {line.seq}")
        if due:
            yield due
        if early:
            self._park(early)
        if self._waiting and due:
            yield from self._drain()

    def finish(self, expected: int) -> None:
        """Pass when exactly the lines 1 to `expected` came.

        Raises:
            BundleInvalid: One is missing, or there are more.
        """
        if self._waiting or self._next != expected + 1:
            raise self._refuse(f"has no line with seq {self._next}, or not {expected} lines")
        self._connection.execute(f"DROP TABLE IF EXISTS temp.{self._table}")

    def _park(self, early: list[Line]) -> None:
        if not self._waiting:
            self._connection.execute(
                f"CREATE TEMP TABLE IF NOT EXISTS {self._table} (seq INTEGER PRIMARY KEY, line BLOB NOT NULL)"
            )
        rows = [(line.seq, msgspec.json.encode(line)) for line in early]
        try:
            self._connection.executemany(f"INSERT INTO {self._table} VALUES (?, ?)", rows)  # noqa: S608  # closed set of names
        except sqlite3.IntegrityError as exc:
            raise self._refuse("has two lines with the same seq") from exc
        self._waiting += len(rows)

    def _drain(self) -> Iterator[Sequence[Line]]:
        while True:
            rows = self._connection.execute(
                f"SELECT seq, line FROM {self._table} WHERE seq >= ? ORDER BY seq LIMIT ?",  # noqa: S608  # closed set of names
                (self._next, _AT_ONCE),
            ).fetchall()
            due = [line for number, (seq, line) in enumerate(rows, start=self._next) if seq == number]
            if not due:
                return
            self._next += len(due)
            self._waiting -= len(due)
            yield parse_lines(self._member, self._table, b"\n".join(due))

    def _refuse(self, fact: str) -> BundleInvalid:
        return BundleInvalid(f"'{self._member}' {fact}; export again")
