"""Replaying a stretch of a file's answers, and saying which is not what its rules give."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Final

from memorykernel.adapters.rows import Row, decode_answer
from memorykernel.adapters.sqlite_answers import SqliteAnswers
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_integrity import Damage
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.adapters.sqlite_schema import SCOPE_SCHEMA, read_version
from memorykernel.core.context_package import encode_package
from memorykernel.core.evidence import Snapshot
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.rebuilt_question import rebuild_question
from memorykernel.core.ruleset import POLICY_RULESETS, RECALL_RULESETS
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.service.known_state import Remembered, read_policy, read_recall
from memorykernel.service.replaying import find_difference

_BATCH: Final = 200


class _Replayer:
    """Computes answers again; finds each state once, as answers in a row share it."""

    def __init__(self, file: SqliteFile) -> None:
        self._memory = SqliteMemory(file)
        self._remembered = Remembered(memory=self._memory, answers=SqliteAnswers(file))
        self._known: Snapshot | None = None

    def replay(self, asked: StoredQuestion) -> bytes:
        if self._known is None or self._known.head != asked.head:
            self._known = self._remembered.find_state(asked)
        question = asked.question
        if isinstance(question, PolicyQuestion):
            rules = POLICY_RULESETS[asked.ruleset]
            evidence = read_policy(self._memory, rules, question, self._known)
            return encode_package(rules.resolve(question, evidence))
        recalled = RECALL_RULESETS[asked.ruleset]
        found = read_recall(self._memory, recalled, question, self._known)
        return encode_package(recalled.resolve(question, found))


def check_answers(file: SqliteFile, first: int, last: int) -> tuple[list[Damage], int, int]:
    """Replay the answers whose numbers are in a range.

    Returns:
        The findings; how many answers were replayed; and how many do not tell their question: they are older
        than schema 4, by the v1 rulesets.
    """
    found: list[Damage] = []
    replayer, replayed, untold = _Replayer(file), 0, 0
    for row in _read(file, first, last, found):
        try:
            finding = _check(replayer, row)
        except Exception as exc:  # noqa: BLE001  # damaged rows can fail any decoder; they are what we look for
            finding = f"cannot be replayed: {exc!r}"
        if finding is None:
            untold += 1
            continue
        replayed += 1
        if finding:
            found.append(Damage(table="answers", row=row[0], id=_name(row[1]), finding=finding))
    return found, replayed, untold


def _check(replayer: _Replayer, row: Row) -> str | None:
    """What is wrong with an answer: empty when nothing is, None when it does not tell its question."""
    answer = decode_answer(row)
    asked = answer.asked or rebuild_question(answer.package)
    if asked is None:
        return None
    difference = find_difference(answer.package, replayer.replay(asked))
    if difference is None:
        return ""
    return f"is not what its rules give from byte {difference.offset} on"


def _read(file: SqliteFile, first: int, last: int, found: list[Damage]) -> Iterator[Row]:
    """The rows of a range, some at a time; ends with a finding where they cannot be read on."""
    while first <= last:
        try:
            with file.reading() as connection:
                grown = ", ruleset, head, question" if read_version(connection) >= SCOPE_SCHEMA else ""
                rows = connection.execute(
                    f"SELECT answer_seq, context_package_id, package{grown} FROM answers"  # noqa: S608  # column names
                    " WHERE answer_seq BETWEEN ? AND ? ORDER BY answer_seq LIMIT ?",
                    (first, last, _BATCH),
                ).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as exc:
            found.append(Damage(table="answers", row=first, id=None, finding=f"cannot be read on: {exc}"))
            return
        yield from rows
        if len(rows) < _BATCH or not rows[-1][0] >= first:
            return
        first = rows[-1][0] + 1


def _name(name: object) -> str:
    return name if isinstance(name, str) else repr(name)
