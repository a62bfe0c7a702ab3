"""What is kept of a draft after it was delivered."""

import msgspec

from assistsupport.core.disposition import Disposition
from assistsupport.core.policy_question import PolicyOutcome
from assistsupport.core.ticket import Ticket


class DraftRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Enough to tell later what was drafted from what, and to check that it would be drafted again.

    Args:
        draft_id: The draft.
        created_at: When it was delivered, RFC 3339 UTC.
        ticket: What was asked.
        draft_sha256: The draft's identity.
        disposition: What kind of draft it was.
        knowledge_snapshot: The knowledge base that it was made from.
        policy: The policy outcome at delivery; a later one is recorded when it comes.
    """

    draft_id: str
    created_at: str
    ticket: Ticket
    draft_sha256: str
    disposition: Disposition
    knowledge_snapshot: str
    policy: PolicyOutcome
