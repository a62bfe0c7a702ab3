"""The question behind a stored answer: all that is needed to ask it again and get the same bytes."""

from __future__ import annotations

from typing import Final

import msgspec

from memorykernel.core.question import PolicyQuestion, RecallQuestion

_POLICY: Final = "policy"
_RECALL: Final = "recall"


class StoredQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """A question as it was answered.

    Attributes:
        ruleset: The ruleset's name.
        head: The chain's head of the state that it was answered on, 64 lower-case hex digits.
        question: With its defaults filled in.
    """

    ruleset: str
    head: str
    question: PolicyQuestion | RecallQuestion


class StoredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A stored answer.

    Attributes:
        answer_seq: Its number in the store, counting up in the order in which answers were stored.
        context_package_id: Its id.
        package: Its bytes.
        asked: The question; None for answers stored before schema 4.
    """

    answer_seq: int
    context_package_id: str
    package: bytes
    asked: StoredQuestion | None


def encode_question(question: PolicyQuestion | RecallQuestion) -> str:
    """Write a question as JSON, with its kind."""
    kind = _POLICY if isinstance(question, PolicyQuestion) else _RECALL
    return msgspec.json.encode({"kind": kind, "question": question}).decode()


def decode_question(text: str) -> PolicyQuestion | RecallQuestion:
    """Read what `encode_question` wrote."""
    envelope = msgspec.json.decode(text, type=_Envelope)
    if envelope.kind == _POLICY:
        return msgspec.json.decode(envelope.question, type=PolicyQuestion)
    return msgspec.json.decode(envelope.question, type=RecallQuestion)


class _Envelope(msgspec.Struct):
    kind: str
    question: msgspec.Raw
