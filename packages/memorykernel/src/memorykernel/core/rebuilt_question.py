"""The question of an answer that was stored without it, read off the answer's own package.

Before schema 4 a store kept packages alone. A package of the v2 rulesets or newer holds all that its question
had: the query, the record types of a recall in its sentence, and the state in its snapshot id. A package of
the v1 rulesets does not: its snapshot id names no state.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from memorykernel.core.instant import parse_instant
from memorykernel.core.question import PolicyQuestion, RecallQuestion
from memorykernel.core.ruleset import POLICY_RULESETS, RECALL_RULESETS
from memorykernel.core.stored_question import StoredQuestion
from memorykernel.core.vocabulary import RecordType
from memorykernel.errors import MistypedField

_STATE: Final = re.compile(r"txn_([0-9a-f]{64})")
_TYPES: Final = re.compile(r"\[([a-z, ]*)\]$")


class _Query(msgspec.Struct):
    text: str
    actor: str
    action: str
    resource: str
    as_of: str


class _Determinism(msgspec.Struct):
    ruleset_version: str
    snapshot_id: str


class _Answer(msgspec.Struct):
    why: str


class _Package(msgspec.Struct):
    query: _Query
    determinism: _Determinism
    answer: _Answer


def rebuild_question(package: bytes) -> StoredQuestion | None:
    """The question that a package answers, on the state that it names.

    Args:
        package: The stored bytes.

    Returns:
        None when the package does not say all of it. Answering the question again tells whether it was read
        right: the bytes are the same, or they are not.
    """
    try:
        read = msgspec.json.decode(package, type=_Package)
        state = _STATE.fullmatch(read.determinism.snapshot_id)
        question = _read_question(read)
    except (msgspec.MsgspecError, MistypedField, ValueError):
        return None
    if state is None or question is None:
        return None
    return StoredQuestion(ruleset=read.determinism.ruleset_version, head=state[1], question=question)


def _read_question(read: _Package) -> PolicyQuestion | RecallQuestion | None:
    query, ruleset = read.query, read.determinism.ruleset_version
    as_of_us = parse_instant(query.as_of, field="as_of")
    if ruleset in POLICY_RULESETS:
        return PolicyQuestion(
            text=query.text,
            actor=query.actor,
            action=query.action,
            resource=query.resource,
            as_of_us=as_of_us,
        )
    types = _TYPES.search(read.answer.why)
    if ruleset not in RECALL_RULESETS or types is None:
        return None
    record_types = tuple(map(RecordType, types[1].split(", ")))
    return RecallQuestion(text=query.text, record_types=record_types, as_of_us=as_of_us)
