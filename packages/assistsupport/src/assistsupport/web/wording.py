"""What the page says about policy outcomes and about the integration, in words for support engineers."""

from typing import assert_never

import msgspec

from assistsupport.core.fallback_reason import FallbackReason
from assistsupport.core.integration import IntegrationState
from assistsupport.core.policy_question import AnswerResult, PolicyOutcome, PolicyStatus

_R = FallbackReason

# What happened, and what to do about it; one entry per reason of the wire contract.
WORDS_BY_REASON = {
    _R.FEATURE_DISABLED: ("Policy answers are switched off.", "Decide by the written policy."),
    _R.OFFLINE: (
        "The policy service cannot be reached.",
        "Decide by the written policy, or draft again later.",
    ),
    _R.TIMEOUT: ("The policy service took too long.", "Draft again; if it stays slow, tell its on-call."),
    _R.MALFORMED_PAYLOAD: (
        "The policy service sent something unreadable.",
        "Do not guess; tell the integration owner.",
    ),
    _R.VERSION_MISMATCH: (
        "The policy service speaks another version.",
        "Tell the integration owner: pin and service differ.",
    ),
    _R.SCHEMA_UNAVAILABLE: ("The policy database is not ready.", "Wait for its migration, then draft again."),
    _R.DEGRADED: ("The policy service is unwell.", "Decide by the written policy, or draft again later."),
    _R.NON_2XX: (
        "The policy service refused the question.",
        "Draft again; if it repeats, tell the integration owner.",
    ),
    _R.NETWORK_ERROR: ("The connection broke while asking.", "Draft again."),
    _R.QUERY_ERROR: ("The policy service failed inside.", "Draft again; if it repeats, tell its on-call."),
    _R.VALIDATION_ERROR: (
        "The policy service did not accept the question.",
        "Tell the integration owner; the catalogue may be off.",
    ),
    _R.CONTEXT_NOT_FOUND: ("The policy service lost the context.", "Draft again."),
    _R.WRITE_CONFLICT: ("The policy service was changed at the same moment.", "Draft again."),
    _R.EMPTY_CONTEXT: ("The policy service answered without an answer.", "Decide by the written policy."),
    _R.ADAPTER_ERROR: (
        "Our own policy client failed.",
        "Tell the integration owner; the log has the details.",
    ),
    _R.UNKNOWN: (
        "The policy service gave an unknown error.",
        "Tell the integration owner: its contract may have changed.",
    ),
}

_WORDS_BY_RESULT = {
    AnswerResult.ALLOW: ("Allowed", "allow", "You may tell the customer so; the rule below is the ground."),
    AnswerResult.DENY: ("Not allowed", "deny", "Do not send steps that do it. Offer another way."),
    AnswerResult.INCONCLUSIVE: (
        "Undecided",
        "unsure",
        "No rule decides this. Ask the policy's owner before you promise.",
    ),
}

_WORDS_BY_STATE = {
    IntegrationState.READY: ("ready", "allow"),
    IntegrationState.DISABLED: ("off", "neutral"),
    IntegrationState.OFFLINE: ("offline", "deny"),
    IntegrationState.SCHEMA_UNAVAILABLE: ("not migrated", "unsure"),
    IntegrationState.VERSION_MISMATCH: ("other version", "deny"),
    IntegrationState.MALFORMED_PAYLOAD: ("unreadable", "deny"),
    IntegrationState.DEGRADED: ("degraded", "unsure"),
}


class PolicyWords(msgspec.Struct, frozen=True, kw_only=True):
    """A policy outcome in words.

    Args:
        headline: Two or three words.
        tone: allow, deny, unsure, wait or neutral; never the only carrier of the meaning.
        why: What is behind it.
        advice: What to do now.
    """

    headline: str
    tone: str
    why: str
    advice: str


def describe_outcome(outcome: PolicyOutcome) -> PolicyWords:
    """Return an outcome in words. Pure; total."""
    match outcome.status:
        case PolicyStatus.APPLIED:
            return _describe_answer(outcome)
        case PolicyStatus.PENDING:
            return PolicyWords(
                headline="Asking…",
                tone="wait",
                why="The policy service has not answered yet.",
                advice="The draft does not wait for it; the answer appears here by itself.",
            )
        case PolicyStatus.FALLBACK:
            why, advice = WORDS_BY_REASON[outcome.reason or FallbackReason.UNKNOWN]
            return PolicyWords(headline="No answer", tone="unsure", why=why, advice=advice)
        case PolicyStatus.NOT_ASKED:
            return PolicyWords(
                headline="Not asked",
                tone="neutral",
                why="The ticket asks for no action on a resource of the policy catalogue.",
                advice="If it is about a policy all the same, look it up before you promise.",
            )
        case _:
            assert_never(outcome.status)


def _describe_answer(outcome: PolicyOutcome) -> PolicyWords:
    if (
        outcome.answer is None
    ):  # an applied outcome always has one; if a defect breaks that, say nothing false
        return PolicyWords(
            headline="No answer", tone="unsure", why="The answer is missing.", advice="Draft again."
        )
    headline, tone, advice = _WORDS_BY_RESULT[outcome.answer.result]
    return PolicyWords(headline=headline, tone=tone, why=outcome.answer.why, advice=advice)


def describe_state(state: IntegrationState) -> tuple[str, str]:
    """Return an integration state in words, and its tone. Pure."""
    return _WORDS_BY_STATE[state]
