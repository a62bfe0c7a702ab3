"""Records of the support desk: what a draft request gets back, and what is counted."""

from collections.abc import Mapping

import msgspec

from assistsupport.core.draft import Draft
from assistsupport.core.extraction import Extraction
from assistsupport.core.policy_question import PolicyOutcome
from assistsupport.core.ticket import Ticket


class DraftReply(msgspec.Struct, frozen=True, kw_only=True):
    """A delivered draft with what stands beside it.

    Args:
        draft_id: To ask for the policy outcome later.
        ticket: What was asked.
        draft: The reply; the same bytes whatever `policy` says.
        extraction: The policy question of the ticket, with its evidence.
        policy: The outcome at delivery, perhaps pending.
        elapsed_ms: From the request to the draft, in milliseconds.
    """

    draft_id: str
    ticket: Ticket
    draft: Draft
    extraction: Extraction
    policy: PolicyOutcome
    elapsed_ms: float


class DeskCounts(msgspec.Struct, frozen=True, kw_only=True):
    """Drafts delivered since the start, by what became of their policy question.

    Args:
        drafts: All of them; the sum of the others.
        applied: With an answer.
        not_asked: Without a question.
        pending: Whose question has no outcome yet.
        fallback: Without an answer, by reason.
    """

    drafts: int
    applied: int
    not_asked: int
    pending: int
    fallback: Mapping[str, int]
