"""Whether the server still wants work."""

from __future__ import annotations

from dataclasses import dataclass

from memorykernel.errors import SchemaUnavailable


@dataclass(slots=True)
class Lifecycle:
    """Shared by the server, which learns of signals, and the application, which says so.

    Attributes:
        draining: A signal came: what is in flight finishes, and readiness says no.
    """

    draining: bool = False

    def require_open(self) -> None:
        """Pass while the server wants work.

        Raises:
            SchemaUnavailable: It is shutting down.
        """
        if self.draining:
            raise SchemaUnavailable(
                "the server is shutting down; send requests to another one", {"reason": "draining"}
            )
