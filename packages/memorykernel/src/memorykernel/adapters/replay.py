"""Replaying a stretch of a store's answers, and saying which is not what its rules give."""

from __future__ import annotations

from collections.abc import Iterable

from memorykernel.adapters.integrity import Damage
from memorykernel.adapters.rows import Row, decode_answer
from memorykernel.core.context_package import encode_package
from memorykernel.core.evidence import Snapshot
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.rebuilt_question import rebuild_question
from memorykernel.core.recall_semantic import has_other_vectors
from memorykernel.core.ruleset import POLICY_RULESETS, RECALL_RULESETS, SEMANTIC_RULESET
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.errors import ModeUnavailable
from memorykernel.service.known_state import Remembered, read_policy, read_recall
from memorykernel.service.replaying import find_difference


def check_answers(remembered: Remembered, rows: Iterable[Row | Damage]) -> tuple[list[Damage], int, int]:
    """Replay answers.

    Args:
        remembered: The store's memory and answers.
        rows: What `decode_answer` reads; a finding in their place where they could not be read on.

    Returns:
        The findings; how many answers were replayed; and how many could not be: they do not tell their
        question (older than schema 4, by the v1 rulesets), or are recalls by meaning whose vectors are not
        there.
    """
    found: list[Damage] = []
    replayer, replayed, untold = _Replayer(remembered), 0, 0
    for row in rows:
        if isinstance(row, Damage):
            found.append(row)
            continue
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


class _Replayer:
    """Computes answers again; finds each state once, as answers in a row share it."""

    def __init__(self, remembered: Remembered) -> None:
        self._memory = remembered.memory
        self._remembered = remembered
        self._known: Snapshot | None = None

    def replay(self, asked: StoredQuestion) -> bytes:
        if self._known is None or self._known.head != asked.head:
            self._known = self._remembered.find_state(asked)
        question = asked.question
        if asked.ruleset == SEMANTIC_RULESET.name:
            return encode_package(self._remembered.resolve(asked))
        if isinstance(question, PolicyQuestion):
            rules = POLICY_RULESETS[asked.ruleset]
            evidence = read_policy(self._memory, rules, question, self._known)
            return encode_package(rules.resolve(question, evidence))
        recalled = RECALL_RULESETS[asked.ruleset]
        found = read_recall(self._memory, recalled, question, self._known)
        return encode_package(recalled.resolve(question, found))


def _check(replayer: _Replayer, row: Row) -> str | None:
    """What is wrong with an answer: empty when nothing is, None when it cannot be replayed."""
    answer = decode_answer(row)
    asked = answer.asked or rebuild_question(answer.package)
    if asked is None:
        return None
    try:
        replayed = replayer.replay(asked)
    except ModeUnavailable:
        return None
    difference = find_difference(answer.package, replayed)
    if difference is None:
        return ""
    if asked.ruleset == SEMANTIC_RULESET.name and has_other_vectors(answer.package, replayed):
        return None
    return f"is not what its rules give from byte {difference.offset} on"


def _name(name: object) -> str:
    return name if isinstance(name, str) else repr(name)
