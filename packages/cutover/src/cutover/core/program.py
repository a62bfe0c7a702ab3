"""The program of a cutover, as both parties agreed on it in `cutover.toml`.

Records only; `cutover.core.program_file` reads them from bytes, every problem at once. Paths are
relative to the folder of the file, refs are full (`refs/heads/main`), durations in seconds.
Source: cutover-program, "The program file".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

from cutover.core.key import Party


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Suite(_Record, frozen=True, kw_only=True):
    """A verification command of one party; `{python}` and `{report}` are filled in.

    It must exit 0 and write `{"passed": n, "failed": m}` to the report file.
    """

    name: str
    command: tuple[str, ...]
    timeout_s: float = 120.0


class Launch(_Record, frozen=True, kw_only=True):
    """How a party's process is started.

    Args:
        command: Argument list; placeholders `{python}`, `{port}`, `{data}` and, for the producer
            `{release}`, for the consumer `{repository}`, `{ref}`, `{producer_url}`, `{token_file}`.
        data: Folder or file for `{data}`.
        ready_path: Path that answers 200 once the process is ready.
        ready_timeout_s: How long it may take.
    """

    command: tuple[str, ...]
    data: str
    ready_path: str
    ready_timeout_s: float = 20.0


class ProducerSide(_Record, frozen=True, kw_only=True):
    """The producer's repository, file locations and commands.

    Args:
        repository: Its working clone (what a party commits in).
        origin: Its bare origin (what gates read).
        branch: Full ref on origin whose head carries the manifest handed over.
        metadata_paths: Path prefixes that count as release metadata.
    """

    name: str
    repository: str
    origin: str
    branch: str
    manifest_path: str
    openapi_path: str
    release_path: str
    handoff_path: str
    changelog_path: str
    metadata_paths: tuple[str, ...]
    launch: Launch
    suites: tuple[Suite, ...]


class ConsumerSide(_Record, frozen=True, kw_only=True):
    """The consumer's repository, file locations, running instance and commands.

    Args:
        live_ref: Full ref on origin that the running consumer reads its governance from.
        url: Base URL of the running consumer.
        token_file: File with the token for its reload endpoint.
        version: The consumer's own version, for the compatibility matrix.
    """

    name: str
    version: str
    repository: str
    origin: str
    live_ref: str
    pin_path: str
    matrix_path: str
    manifest_path: str
    url: str
    token_file: str
    launch: Launch
    suites: tuple[Suite, ...]


class ReleaseTarget(_Record, frozen=True, kw_only=True):
    """A release by tag and contract; its commit is what the hand-off signs."""

    release_tag: str
    service_contract_version: str
    api_contract_version: str = "api.v1"
    integration_baseline: str = "integration/v1"


class Role(_Record, frozen=True, kw_only=True):
    """A named role: a party's, or (party None) a joint one that either party may bind."""

    title: str
    party: Party | None


class Window(_Record, frozen=True, kw_only=True):
    """When the switch may happen, and how long both parties must have had notice.

    Args:
        not_before: Earliest instant of anything that changes routes.
        opens_at, closes_at: The execution window.
        notice_days: Days between hand-off and execution.
        overlap_days: Days both contracts must have been available.
    """

    not_before: datetime
    opens_at: datetime
    closes_at: datetime
    notice_days: float
    overlap_days: float


class Thresholds(_Record, frozen=True, kw_only=True):
    """What counts as fresh, in time and enough."""

    applied_share: float = 0.99
    evidence_max_age_s: float = 86400.0
    drill_max_age_s: float = 3600.0
    decision_valid_s: float = 3600.0
    restore_limit_s: float = 5.0
    draft_deadline_s: float = 1.0
    min_rehearsal_questions: int = 20
    min_drill_drafts: int = 20
    clock_skew_s: float = 5.0

    @property
    def min_answers(self) -> int:
        """How many policy questions a drill must ask of each release: not every draft asks one."""
        return self.min_drill_drafts // 2


class Watch(_Record, frozen=True, kw_only=True):
    """What the watch tolerates and how long it looks."""

    stabilization_s: float = 10.0
    max_timeouts: int = 3
    reply_timeout_s: float = 2.0
    probe_interval_s: float = 0.1


class Traffic(_Record, frozen=True, kw_only=True):
    """The switching engine and the fixed material it is checked with.

    Args:
        engine: `embedded` (the gateway of this package).
        bind: host:port of the one listening socket.
        questions: JSON lines of policy questions asked in rehearsal and data checks.
        tickets: JSON lines of tickets drafted by fallback gate, drill and watch.
        seed: JSON lines `{"path", "body"}` of writes that fill a scratch database for probes.
    """

    engine: str
    bind: str
    questions: str
    tickets: str
    seed: str


class Program(_Record, frozen=True, kw_only=True):
    """The whole program."""

    name: str
    phase: str
    scope: str
    producer: ProducerSide
    consumer: ConsumerSide
    baseline: ReleaseTarget
    target: ReleaseTarget
    roles: Mapping[str, Role]
    window: Window
    thresholds: Thresholds
    watch: Watch
    traffic: Traffic
