"""The ids that name a state and an answer, one algorithm per generation of rulesets.

v1 (published, kept exact): hashes every version id of the store for every question, so its cost
grows with the store; the bytes to hash come ready-made from the store. v2: names the state by the
head of the hash chain, which is one value, and the answer by the question and that state.
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from memorykernel.core.instant import whole_seconds
from memorykernel.core.question import PolicyQuestion, RecallQuestion
from memorykernel.core.vocabulary import RecordType

_V1_DIGITS: Final = 16
_V2_DIGITS: Final = 32


def snapshot_policy_v1(question: PolicyQuestion, version_index: bytes) -> str:
    """The snapshot id of ordering.v1.

    Args:
        question: The policy question.
        version_index: Every `memory_id:memory_version_id` of the store, sorted, without separators.
    """
    parts = (
        "query_mode=policy",
        f"actor={question.actor}",
        f"action={question.action}",
        f"resource={question.resource}",
    )
    return _snapshot_v1(question, parts, version_index)


def snapshot_recall_v1(
    question: RecallQuestion, record_types: tuple[RecordType, ...], version_index: bytes
) -> str:
    """The snapshot id of recall-ordering.v1; the types are listed in alphabetical order."""
    parts = ("query_mode=recall", f"record_types={','.join(sorted(record_types))}")
    return _snapshot_v1(question, parts, version_index)


def package_id_v1(as_of_us: int, snapshot_id: str) -> str:
    """The answer id of the v1 rulesets: one second of resolution, as published."""
    return f"cpkg_{whole_seconds(as_of_us)}_{snapshot_id}"


def snapshot_v2(head: str) -> str:
    """The snapshot id of the v2 rulesets: the chain's head (64 hex digits) behind `txn_`."""
    return f"txn_{head}"


def package_id_v2(
    ruleset: str, question: PolicyQuestion | RecallQuestion, scope: tuple[str, ...], snapshot_id: str
) -> str:
    """The answer id of the v2 rulesets.

    The same ruleset, question, time and state give the same id; any difference gives another.

    Args:
        ruleset: The ruleset's name.
        question: Its text and time are hashed.
        scope: Actor, action and resource; or the record types of a recall.
        snapshot_id: The state.
    """
    named = msgspec.json.encode([ruleset, question.text, question.as_of_us, scope, snapshot_id])
    return f"cpkg_{hashlib.sha256(named).hexdigest()[:_V2_DIGITS]}"


def package_id_v3(
    ruleset: str, question: PolicyQuestion | RecallQuestion, scope: tuple[str, ...], snapshot_id: str
) -> str:
    """The answer id of the v3 rulesets: as `package_id_v2`, with as_known_at and the page hashed too."""
    known_at = question.as_known_at or None
    cursor = question.cursor if isinstance(question, RecallQuestion) else None
    named = msgspec.json.encode(
        [ruleset, question.text, question.as_of_us, scope, known_at, cursor, snapshot_id]
    )
    return f"cpkg_{hashlib.sha256(named).hexdigest()[:_V2_DIGITS]}"


def _snapshot_v1(
    question: PolicyQuestion | RecallQuestion, parts: tuple[str, ...], version_index: bytes
) -> str:
    prefix = "".join((question.text, str(whole_seconds(question.as_of_us)), *parts))
    digest = hashlib.sha256(prefix.encode() + version_index)
    return f"txn_{digest.hexdigest()[:_V1_DIGITS]}"
