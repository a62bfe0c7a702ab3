"""A policy question, and what became of it.

An outcome is complete in itself: it names the contract, the release and the governance commit that it
was asked under, because by the time somebody reads it the consumer may run on another pin.
"""

from enum import StrEnum

import msgspec

from assistsupport.core.fallback_reason import FallbackReason


class PolicyQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """May `actor` do `action` to `resource`? Compared byte for byte by the producer.

    Args:
        text: The question in words, for people and for the producer's record; not blank.
        actor: Who would act, as the catalogue spells it.
        action: What they would do.
        resource: What they would do it to.
    """

    text: str
    actor: str
    action: str
    resource: str


class AnswerResult(StrEnum):
    """What the producer may answer. Anything else is malformed, never a fourth value."""

    ALLOW = "allow"
    DENY = "deny"
    INCONCLUSIVE = "inconclusive"


class PolicyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The producer's answer, verbatim.

    Args:
        result: allow, deny or inconclusive.
        why: The producer's sentence; shown as it came.
    """

    result: AnswerResult
    why: str


class DecidingItem(msgspec.Struct, frozen=True, kw_only=True):
    """One record that the producer selected for its answer, best first.

    Args:
        rank: Position in the producer's order, from 1.
        memory_version_id: The version of the record, to look it up at the producer.
        memory_id: The record.
        authority: authoritative, derived or note, as the producer spells it.
        truth_status: asserted, observed, inferred, speculative or retracted.
        reasons: Why the producer included it, verbatim.
    """

    rank: int
    memory_version_id: str
    memory_id: str
    authority: str
    truth_status: str
    reasons: tuple[str, ...] = ()


class PolicyStatus(StrEnum):
    """Where a ticket's policy question stands. All four are shown; none is hidden by a draft."""

    APPLIED = "applied"
    PENDING = "pending"
    FALLBACK = "fallback"
    NOT_ASKED = "not-asked"


class PolicyOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known about one ticket's policy question.

    `answer` is present exactly when the status is applied, `reason` exactly when it is fallback.

    Args:
        status: applied, pending, fallback or not-asked.
        question: What was asked; None when nothing was.
        answer: The producer's answer.
        reason: Why there is no answer.
        detail: One line about the reason, for people; no secrets.
        service_contract_version: The contract of the pin that it was asked under.
        release_tag: That pin's release.
        governance_commit: The commit that the pin was read from, 40 or 64 hex digits.
        ruleset_version: The ruleset that the producer names in its answer.
        snapshot_id: The producer's state that the answer stands for.
        context_package_id: Where the producer keeps the whole answer.
        deciding_items: The selected records, best first; at most twenty are kept.
        elapsed_ms: From `begin` to the outcome, in milliseconds; None while pending or not asked.
    """

    status: PolicyStatus
    question: PolicyQuestion | None = None
    answer: PolicyAnswer | None = None
    reason: FallbackReason | None = None
    detail: str | None = None
    service_contract_version: str | None = None
    release_tag: str | None = None
    governance_commit: str | None = None
    ruleset_version: str | None = None
    snapshot_id: str | None = None
    context_package_id: str | None = None
    deciding_items: tuple[DecidingItem, ...] = ()
    elapsed_ms: float | None = None


def outcome_not_asked() -> PolicyOutcome:
    """Return the outcome of a ticket that asks nothing which the catalogue knows. Pure."""
    return PolicyOutcome(status=PolicyStatus.NOT_ASKED)


def outcome_pending(question: PolicyQuestion) -> PolicyOutcome:
    """Return the outcome of a question whose answer has not come yet. Pure."""
    return PolicyOutcome(status=PolicyStatus.PENDING, question=question)


def outcome_fallback(question: PolicyQuestion | None, reason: FallbackReason, detail: str) -> PolicyOutcome:
    """Return the outcome of a question that got no answer, for one reason of the closed set. Pure."""
    return PolicyOutcome(status=PolicyStatus.FALLBACK, question=question, reason=reason, detail=detail)
