"""What AssistSupport needs from the world, one small Protocol per need.

Producer side: the policy lane and the governance it follows. Nothing here waits for the producer
except `PolicyLane.reload`.
"""

from concurrent.futures import Future
from datetime import datetime
from typing import Protocol

from assistsupport.core.governance import GovernanceCommit
from assistsupport.core.integration import GovernanceStatus, IntegrationStatus, ReloadOutcome
from assistsupport.core.policy_question import PolicyOutcome, PolicyQuestion


class Clock(Protocol):
    """The time of day, aware UTC."""

    def now(self) -> datetime:
        """Return the current instant, aware UTC."""
        ...


class PolicyLane(Protocol):
    """Asks the producer beside the draft, never inside it."""

    def begin(self, question: PolicyQuestion, deadline_s: float) -> Future[PolicyOutcome]:
        """Ask, without waiting. Never raises, never blocks, whatever the producer does.

        Args:
            question: What to ask.
            deadline_s: One deadline for everything (connect, send, slow body), in seconds, 0 .. 30.

        Returns:
            A future that is never cancelled and never fails. It may be done already; otherwise it
            completes within the deadline, with an outcome that is applied or fallback. A late reader
            finds the same outcome in the same future.
        """
        ...

    def status(self) -> IntegrationStatus:
        """Return an immutable snapshot; cheap, from any thread."""
        ...

    def reload(self) -> ReloadOutcome:
        """Read the governance ref anew, preflight its pin, swap. Blocks for a read and a preflight.

        Returns:
            swapped, unchanged, or refused with the reason; after refused the old pin keeps running.
            Never raises.
        """
        ...

    def start(self) -> None:
        """Start the background work (preflight, poll); returns at once, before the first preflight."""
        ...

    def close(self) -> None:
        """Stop it. Questions without an outcome fall back; idempotent."""
        ...


class GovernanceSource(Protocol):
    """A ref of the consumer's governance repository."""

    def describe(self) -> GovernanceStatus:
        """Return repository and ref as they were given, with no commit; touches nothing."""
        ...

    def resolve(self) -> str:
        """Return the commit that the ref names now.

        Raises:
            GovernanceUnreadable: The repository or the ref cannot be read.
        """
        ...

    def read(self) -> GovernanceCommit:
        """Return pin, manifest and matrix of the one commit that the ref names now.

        Raises:
            GovernanceUnreadable: Repository, ref or a file cannot be read, or a file is malformed.
            GovernanceInconsistent: The three files do not agree.
        """
        ...
