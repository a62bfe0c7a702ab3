"""Reads what is inside the producer's envelopes: health, schema version, and the context package.

Pure. Keys beyond those that this consumer uses are let be: an answer may grow. What it uses must have its
type, and the package must answer the question that was asked, because an "allow" that was given to
somebody else's question is the one mistake that a policy block must never show.
"""

from typing import Annotated, Final, TypeVar

import msgspec
from contracts.core.json_value import JsonValue

from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.policy_question import DecidingItem, PolicyAnswer, PolicyQuestion
from assistsupport.core.producer_reply import Envelope, Refusal

#: How many selected records an outcome keeps; the page shows a few, the producer has them all.
MAX_DECIDING_ITEMS: Final = 20

_Count = Annotated[int, msgspec.Meta(ge=0)]
_T = TypeVar("_T")


class _Health(msgspec.Struct, frozen=True):
    status: str


class _SchemaVersion(msgspec.Struct, frozen=True):
    current_version: _Count
    target_version: _Count
    pending_versions: tuple[_Count, ...]


class _Query(msgspec.Struct, frozen=True):
    actor: str
    action: str
    resource: str


class _Determinism(msgspec.Struct, frozen=True):
    ruleset_version: str
    snapshot_id: str


class _Why(msgspec.Struct, frozen=True):
    reasons: tuple[str, ...] = ()


class _Item(msgspec.Struct, frozen=True):
    rank: _Count
    memory_version_id: str
    memory_id: str
    authority: str
    truth_status: str
    why: _Why


class _Package(msgspec.Struct, frozen=True):
    context_package_id: str
    query: _Query
    determinism: _Determinism
    answer: PolicyAnswer
    selected_items: tuple[_Item, ...]


class AnsweredQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """The producer's answer with what it stands on; fields as in `PolicyOutcome`, drift as in `Envelope`."""

    answer: PolicyAnswer
    ruleset_version: str
    snapshot_id: str
    context_package_id: str
    deciding_items: tuple[DecidingItem, ...]
    drift: tuple[str, ...]


def read_health(envelope: Envelope) -> Refusal | None:
    """Judge the payload of GET /v1/health. Pure; None when the producer says that it is alive."""
    health = _convert(envelope.data, _Health)
    if isinstance(health, Refusal):
        return health
    if health.status == "ok":
        return None
    detail = f"expected health status ok, got {health.status[:80]!r}"
    return Refusal(reason=FallbackReason.DEGRADED, detail=detail)


def read_schema_version(envelope: Envelope) -> Refusal | None:
    """Judge the payload of POST /v1/db/schema-version. Pure; None when no migration is pending."""
    schema = _convert(envelope.data, _SchemaVersion)
    if isinstance(schema, Refusal):
        return schema
    if not schema.pending_versions:
        return None
    detail = (
        f"the producer's database is at schema {schema.current_version}, expected {schema.target_version}"
    )
    return Refusal(reason=FallbackReason.SCHEMA_UNAVAILABLE, detail=f"{detail}; migrate it")


def read_answer(envelope: Envelope, question: PolicyQuestion) -> AnsweredQuestion | Refusal:
    """Judge the payload of POST /v1/query/ask.

    Pure.

    Args:
        envelope: A success that obeys its policy.
        question: What was asked.

    Returns:
        The answer; empty-context when there is none; malformed-payload for a wrong type, a result outside
        the set, a missing key, or an answer to another question.
    """
    if envelope.data.get("answer") is None:
        return Refusal(reason=FallbackReason.EMPTY_CONTEXT, detail="the reply holds no answer")
    package = _convert(envelope.data, _Package)
    if isinstance(package, Refusal):
        return package
    if package.query != _Query(question.actor, question.action, question.resource):
        return _malformed("query: the reply answers another question")
    return AnsweredQuestion(
        answer=package.answer,
        ruleset_version=package.determinism.ruleset_version,
        snapshot_id=package.determinism.snapshot_id,
        context_package_id=package.context_package_id,
        deciding_items=tuple(map(_decide, package.selected_items[:MAX_DECIDING_ITEMS])),
        drift=envelope.drift,
    )


def _decide(item: _Item) -> DecidingItem:
    return DecidingItem(
        rank=item.rank,
        memory_version_id=item.memory_version_id,
        memory_id=item.memory_id,
        authority=item.authority,
        truth_status=item.truth_status,
        reasons=item.why.reasons,
    )


def _convert(data: dict[str, JsonValue], shape: type[_T]) -> _T | Refusal:
    try:
        return msgspec.convert(data, shape)
    except msgspec.ValidationError as error:
        text = str(error)
        return _malformed(f"data: {text[:1].lower()}{text[1:]}")


def _malformed(detail: str) -> Refusal:
    return Refusal(reason=FallbackReason.MALFORMED_PAYLOAD, detail=detail)
