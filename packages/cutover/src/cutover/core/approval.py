"""Which decision stands, and whose keys are on it: read from the entries, without judging them anew.

Source: cutover-program, "Decision": both keys are over the same decision digest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from cutover.core.entry import Approved, Decided, Entry, Scope
from cutover.core.key import KeyKind, Party, PublicKey
from cutover.core.outcome import DecisionOutcome


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The newest decision of a scope.

    Args:
        entry: The `Decided` entry.
        decided: Its body.
        approvals: The party keys that approved exactly this document after it was appended.
    """

    entry: Entry
    decided: Decided
    approvals: Mapping[Party, PublicKey]

    @property
    def is_approved(self) -> bool:
        """Both parties approved, with different keys."""
        keys = {key.public for key in self.approvals.values()}
        return set(self.approvals) == set(Party) and len(keys) == len(Party)


def find_standing(entries: Sequence[Entry], scope: Scope) -> Standing | None:
    """Return the newest decision of a scope with its approvals; a later decision supersedes it. Pure."""
    found: Standing | None = None
    for entry in entries:
        body = entry.body
        if isinstance(body, Decided) and body.scope is scope:
            found = Standing(entry=entry, decided=body, approvals={})
        elif isinstance(body, Approved) and found is not None and _is_for(body, found.decided):
            found = _add_approval(found, entry.signer)
    return found


def find_authorization(entries: Sequence[Entry], scope: Scope, *, at: datetime) -> Standing | None:
    """Return the standing decision if it is GO, approved by both parties and not expired at `at`. Pure.

    It is not recomputed here; `cutover.core.decision.check_authorization` does that.
    """
    found = find_standing(entries, scope)
    if found is None or found.decided.outcome != DecisionOutcome.GO or not found.is_approved:
        return None
    return found if at < found.decided.expires_at else None


def _is_for(approved: Approved, decided: Decided) -> bool:
    return (approved.scope, approved.decision_digest) == (decided.scope, decided.decision_digest)


def _add_approval(standing: Standing, signer: PublicKey) -> Standing:
    if signer.kind is not KeyKind.PARTY or signer.party is None:
        return standing
    return msgspec.structs.replace(standing, approvals={**standing.approvals, signer.party: signer})
