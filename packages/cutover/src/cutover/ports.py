"""What the use cases need from the world; adapters provide it, tests bring fakes.

Source: architecture, "Layers".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

import msgspec
from securesystemslib.signer import Signer

from cutover.core.entry import Entry, EntryBody
from cutover.core.log import VerifiedLog


class Clock(Protocol):
    """The real clock."""

    def now(self) -> datetime:
        """Return the current instant, aware UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never run backwards."""
        ...

    def pause(self, seconds: float) -> None:
        """Let that much time pass; for looking again at something that cannot wake us."""
        ...


Unless: TypeAlias = Callable[[Sequence[Entry]], str | None]
"""Looks at all entries, oldest first, and says why something may not be appended; None lets it pass."""


class LogStore(Protocol):
    """The append-only file of lines behind the decision log; several processes may append."""

    def read(self) -> VerifiedLog:
        """Return the log, verified up to the newest complete line (only new lines are verified anew).

        Raises:
            LogDamaged: When a line does not verify.
        """
        ...

    def append(self, body: EntryBody, *signers: Signer, unless: Unless | None = None) -> Entry:
        """Sign `body` onto the newest head and make it durable before returning.

        Args:
            body: What the entry says.
            signers: Who signs it.
            unless: Asked of all entries while nobody else can append; a reason refuses.

        Raises:
            LogConflict: With the reason that `unless` gave; nothing was appended.
            LogDamaged: When what is there does not verify, or `body` may not stand there.
        """
        ...


class OpeningLog(LogStore, Protocol):
    """A log that takes a line signed elsewhere: entry 0 needs two parties who never meet in one process."""

    def append_line(self, line: bytes) -> Entry:
        """Append a raw signed line (no newline) durably.

        Raises:
            LogDamaged: When it may not stand there.
        """
        ...


class EvidenceStore(Protocol):
    """Evidence bytes by sha256; immutable."""

    def store(self, data: bytes) -> str:
        """Keep bytes durably; return their sha256 hex. Idempotent."""
        ...

    def load(self, digest: str) -> bytes:
        """Return the bytes.

        Raises:
            EvidenceUnreadable: When they are missing or do not match the digest.
        """
        ...


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """A tag on origin: the ref's own object, what it peels to, and whether it is annotated."""

    name: str
    tag_object: str
    commit: str
    annotated: bool


class Repository(Protocol):
    """One bare git repository (a party's `origin`) through real git; commits are 40 hex digits."""

    def resolve(self, ref: str) -> str | None:
        """Return the commit that a full ref or object name peels to, or None."""
        ...

    def read_tag(self, name: str) -> Tag | None:
        """Return the tag `refs/tags/<name>`, or None."""
        ...

    def read_blob(self, commit: str, path: str) -> bytes | None:
        """Return a file of a commit's tree, or None when it is not there."""
        ...

    def parent(self, commit: str) -> str | None:
        """Return the first parent."""
        ...

    def is_ancestor(self, ancestor: str, descendant: str) -> bool:
        """Say whether one commit is reachable from the other (a commit is its own ancestor)."""
        ...

    def changed_paths(self, old: str, new: str) -> tuple[str, ...]:
        """Return the sorted paths that differ between two commits."""
        ...

    def tree_id(self, commit: str) -> str:
        """Return the id of a commit's tree."""
        ...

    def export(self, commit: str, folder: Path) -> None:
        """Write a commit's tree into an empty or new folder; no `.git`, paths confined to it."""
        ...

    def commit_files(
        self, parent: str, files: Mapping[str, bytes], message: str, author: str, when: datetime
    ) -> str:
        """Write a child of `parent` with these files replaced; moves no ref. Same inputs, same commit."""
        ...

    def compare_and_swap(self, ref: str, new: str, old: str | None) -> bool:
        """Move `ref` to `new` if it is at `old` (None: absent), durably; False when it was elsewhere."""
        ...


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A complete HTTP reply; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    elapsed_s: float


class Http(Protocol):
    """Plain HTTP/1.1 to loopback services: keep-alive, no redirects, no retries, bounded bodies."""

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout_s: float = 5.0,
    ) -> Reply:
        """Send one request and read the whole reply; thread-safe.

        Raises:
            ReleaseUnreachable: With what went wrong: refused, reset, timeout, cut, not HTTP, too large.
        """
        ...


class Process(Protocol):
    """A process that somebody of this program started."""

    @property
    def pid(self) -> int:
        """Its process id."""
        ...

    @property
    def url(self) -> str:
        """Its base URL."""
        ...

    @property
    def command(self) -> tuple[str, ...]:
        """The argument list it was started with."""
        ...

    def is_alive(self) -> bool:
        """Say whether it still runs."""
        ...

    def stop(self) -> None:
        """End it gracefully, then by force; idempotent."""
        ...


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A command that ran to its end, or did not (exit_code None) within its time."""

    exit_code: int | None
    output: bytes
    duration_s: float


class Launcher(Protocol):
    """Starts processes from argument lists; never a shell."""

    def start(
        self, command: Sequence[str], *, port: int, ready_path: str, ready_timeout_s: float, log_file: Path
    ) -> Process:
        """Start a server whose command names `port` on 127.0.0.1, and wait until `ready_path` answers 200.

        Raises:
            CommandFailed: When it cannot be started, ends early or is not ready in time.
        """
        ...

    def run(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout_s: float) -> Finished:
        """Run a command to its end with stdout and stderr joined and bounded.

        Raises:
            CommandFailed: When it cannot be started at all.
        """
        ...

    def free_port(self) -> int:
        """Return a loopback port nobody listens on, below the ephemeral range."""
        ...


class GatewayStats(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway counted since it started.

    Args:
        served: Release tag -> complete replies passed on.
        withheld: Release tag -> breaking replies withheld.
        gateway_made: Reason -> replies that the gateway made itself.
        in_flight: Release tag -> requests being answered now.
        first_reply_after: Release tag -> instant of its first passed reply since its route was (re)opened.
        routes: Service contract -> release tag, as applied now.
        log_size: How many log entries the routes are computed from.
    """

    served: Mapping[str, int]
    withheld: Mapping[str, int]
    gateway_made: Mapping[str, int]
    in_flight: Mapping[str, int]
    first_reply_after: Mapping[str, datetime]
    routes: Mapping[str, str]
    log_size: int


class GatewayControl(Protocol):
    """The gateway's loopback control endpoint."""

    def refresh(self) -> GatewayStats:
        """Make it read the log now; returns when routes match it.

        Raises:
            ReleaseUnreachable: When the gateway does not answer.
        """
        ...

    def stats(self) -> GatewayStats:
        """Return its counts."""
        ...


class Drafted(msgspec.Struct, frozen=True, kw_only=True):
    """A draft as the consumer delivered it; `sha256` is computed here, over the bytes received.

    Args:
        policy: The policy field of the reply, final or pending.
    """

    draft_id: str
    sha256: str
    policy_status: str
    policy_reason: str | None
    release_tag: str | None
    elapsed_s: float


class ConsumerControl(Protocol):
    """The running consumer, over its JSON API."""

    def draft(self, ticket: Mapping[str, str], *, enrichment: bool, timeout_s: float) -> Drafted:
        """Draft one ticket.

        Raises:
            ReleaseUnreachable: When no complete draft came in time.
        """
        ...

    def settle(self, draft: Drafted, *, timeout_s: float) -> Drafted:
        """Return the draft with its policy status final, waiting for a pending one."""
        ...

    def governance_commit(self) -> str:
        """Return the commit that it runs on."""
        ...

    def release_tag(self) -> str | None:
        """Return the producer release that its pin names; None without a pin."""
        ...

    def reload(self) -> str:
        """Make it read its governance anew; return the commit it runs on afterwards.

        Raises:
            Refused: When it refused the new pin, with its reason.
            ReleaseUnreachable: When it does not answer.
        """
        ...
