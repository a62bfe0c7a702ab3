"""What was seen, per gate: the documents that collectors write and gates judge.

Each is self-contained: it carries what was expected beside what was found, so that a gate is a pure
function of one document and a twin is one changed fact. They are stored canonically by digest.
Instants are aware UTC, shares are 0..1, digests are sha256 hex unless the name says otherwise.
Source: cutover-program, table "Gates".
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec

TARGET_FACTS = (
    "release_tag",
    "commit_sha",
    "service_contract_version",
    "api_contract_version",
    "integration_baseline",
)
"""Keys of the five facts that pin, matrix, manifest and hand-off state under names of their own."""

ROW_FACTS = (*TARGET_FACTS, "consumer_commit", "status")
"""Keys of a matrix row: the five, and what only a row says."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of all evidence documents."""


class RuntimeTarget(Evidence, frozen=True, kw_only=True):
    """The tag on `origin`, resolved now, beside what the hand-off said."""

    release_tag: str
    annotated: bool
    tag_object: str
    handed_off_tag_object: str
    resolved_commit: str
    commit_sha: str
    commit_is_ancestor: bool
    changed_paths: tuple[str, ...]  # between commit_sha and the resolved commit
    metadata_paths: tuple[str, ...]  # prefixes that count as release metadata
    digests: Mapping[str, str]  # path -> sha256 found (manifest at manifest_commit, others in the tag's tree)
    expected_digests: Mapping[str, str]  # path -> sha256 handed off


class Handoff(Evidence, frozen=True, kw_only=True):
    """The hand-off payload's facts beside the program's target.

    `stated` and `expected` have the keys `TARGET_FACTS`; those of the baseline the same without `commit_sha`.
    """

    signed_by_party: str | None  # party of the key on the HandedOff entry
    handoff_mode: str
    missing_fields: tuple[str, ...]
    absolute_paths: tuple[str, ...]
    stated: Mapping[str, str]  # release_tag, commit_sha, service, api, integration as handed off
    expected: Mapping[str, str]  # the same keys from program and HandedOff entry
    baseline_stated: Mapping[str, str]  # active_runtime_baseline
    baseline_expected: Mapping[str, str]
    commands_stated: tuple[str, ...]  # verification_commands: claims, compared, never run
    commands_declared: tuple[str, ...]  # the producer's suites in cutover.toml


class Trio(Evidence, frozen=True, kw_only=True):
    """Pin, matrix and mirrored manifest of one commit beside hand-off and producer's bytes.

    Mappings have exactly the keys `TARGET_FACTS`; `matrix_row` has `ROW_FACTS`.
    """

    commit: str
    parent_commit: str
    pin: Mapping[str, str]
    matrix_baseline: Mapping[str, str]
    matrix_row: Mapping[str, str] | None  # the row of the target
    mirrored_manifest: Mapping[str, str]
    handoff: Mapping[str, str]
    mirrored_manifest_sha256: str
    producer_manifest_sha256: str
    pin_manifest_sha256: str
    inverse_restores_baseline: bool  # the inverse commit's trio bytes equal the live commit's
    changed_paths: tuple[str, ...]  # live -> forward
    allowed_paths: tuple[str, ...]  # the three


class ContractFinding(Evidence, frozen=True, kw_only=True):
    """One difference between two OpenAPI documents."""

    rule: str
    severity: str  # breaking | additive | unknown
    location: str
    detail: str


class ContractChange(Evidence, frozen=True, kw_only=True):
    """Every difference between baseline's and target's OpenAPI documents (digests bind them to the tags)."""

    baseline_version: str
    target_version: str
    baseline_openapi_sha256: str
    target_openapi_sha256: str
    baseline_tag_openapi_sha256: str
    target_tag_openapi_sha256: str
    findings: tuple[ContractFinding, ...]


class ProbeReply(Evidence, frozen=True, kw_only=True):
    """One live probe of a release."""

    probe: str  # name, as "ask/mistyped-actor"
    route: str  # "POST /v1/query/ask"
    status: int
    code: str | None
    breaches: tuple[str, ...]  # `Breach.code:field` against the pinned policy


class ReleaseProbes(Evidence, frozen=True, kw_only=True):
    """All probes of one release, and the three enums it must agree with."""

    release_tag: str
    service_contract_version: str
    served_openapi_sha256: str
    tag_openapi_sha256: str
    replies: tuple[ProbeReply, ...]
    routes: tuple[str, ...]  # every route of the contract
    manifest_codes: tuple[str, ...]
    openapi_codes: tuple[str, ...]
    handoff_codes: tuple[str, ...]
    codes_not_reached: tuple[str, ...]


class LiveFault(Evidence, frozen=True, kw_only=True):
    """One real injected fault and whether the collector noticed it: the live half of negative control."""

    fault: str
    noticed: bool
    detail: str


class Envelope(Evidence, frozen=True, kw_only=True):
    """Live probes of both releases on every route."""

    baseline: ReleaseProbes
    target: ReleaseProbes
    live_fault: LiveFault


class Data(Evidence, frozen=True, kw_only=True):
    """The one database before and after the target opened and migrated it."""

    baseline_ready_before: bool
    baseline_ready_after: bool
    answers_before: Mapping[str, str]  # question name -> sha256 of the baseline's reply bytes
    answers_after: Mapping[str, str]
    written_through_target: tuple[str, ...]  # ids
    read_through_baseline: tuple[str, ...]
    schema_before: int
    schema_after: int


class SuiteRun(Evidence, frozen=True, kw_only=True):
    """One declared command, run in an export of the commit it speaks for."""

    name: str
    command: tuple[str, ...]
    declared_command: tuple[str, ...]
    exit_code: int | None  # None: it did not end in time
    passed: int
    failed: int
    duration_s: float
    output_sha256: str


class SuiteResults(Evidence, frozen=True, kw_only=True):
    """All suites of one party (gates producer-suite and consumer-suite)."""

    party: str
    commit: str
    declared_commit: str
    runs: tuple[SuiteRun, ...]
    declared: tuple[str, ...]  # names in cutover.toml


class FaultDraft(Evidence, frozen=True, kw_only=True):
    """One ticket drafted while the producer misbehaves in one way."""

    fault: str
    ticket_id: str
    delivered: bool
    elapsed_s: float
    sha256: str | None
    reference_sha256: str  # drafted with enrichment off
    policy_status: str


class Fallback(Evidence, frozen=True, kw_only=True):
    """Drafts under every producer fault."""

    deadline_s: float
    faults: tuple[str, ...]  # every fault the injector knows
    drafts: tuple[FaultDraft, ...]
    live_fault: LiveFault  # a consumer whose reply is altered on the way must be noticed


class AnswerPair(Evidence, frozen=True, kw_only=True):
    """One shadow question: baseline twice (noise) and target once.

    `None` is an error instead of an answer; two errors never agree.
    """

    question: str
    actor: str
    action: str
    resource: str
    baseline: str | None
    baseline_again: str | None
    target: str | None


class DifferenceRule(Evidence, frozen=True, kw_only=True):
    """A signed explanation: questions of this class move from one answer to another."""

    actor: str
    action: str
    resource: str
    from_: str = msgspec.field(name="from")
    to: str
    reason: str


class Rehearsal(Evidence, frozen=True, kw_only=True):
    """Shadow questions to both releases beside the hand-off's signed rules."""

    baseline_tag: str
    target_tag: str
    min_questions: int
    pairs: tuple[AnswerPair, ...]
    rules: tuple[DifferenceRule, ...]


class AnswerCounts(Evidence, frozen=True, kw_only=True):
    """How the policy questions of real drafts ended on one release."""

    release_tag: str
    asked: int
    applied: int
    fallback: Mapping[str, int]
    gateway_made: int


class Answers(Evidence, frozen=True, kw_only=True):
    """Applied shares on baseline and target, separately."""

    threshold: float
    min_asked: int
    baseline: AnswerCounts
    target: AnswerCounts


class PartyProbe(Evidence, frozen=True, kw_only=True):
    """What one party's own process saw during the drill."""

    party: str
    signer_party: str | None  # of the key on the probe's entry
    saw: tuple[str, ...]  # release tags in the order they were seen answering


class Drill(Evidence, frozen=True, kw_only=True):
    """To the target and back, under live traffic."""

    authorized: bool  # a GO rehearsal decision with both approvals was in force
    baseline_tag: str
    target_tag: str
    drafts: int
    min_drafts: int
    lost: int
    altered: int
    breaking_replies_delivered: int
    restore_s: float | None  # t_observed -> t_first_baseline_reply
    restore_limit_s: float
    probes: tuple[PartyProbe, ...]
    ended_on_commit: str
    inverse_commit: str
    finished_at: datetime
    judged_at: datetime
    max_age_s: float


class RoleState(Evidence, frozen=True, kw_only=True):
    """Who holds one role over the window."""

    role: str
    party: str | None
    holders: tuple[str, ...]  # bound over the whole window
    partial_holders: tuple[str, ...]  # bound over a part of it only
    acknowledged: tuple[str, ...]


class Roles(Evidence, frozen=True, kw_only=True):
    """Every role of the program."""

    required: tuple[str, ...]
    states: tuple[RoleState, ...]


class WindowFacts(Evidence, frozen=True, kw_only=True):
    """The clock beside the window, and the days of notice and overlap that have passed."""

    now: datetime
    newest_entry_at: datetime
    clock_skew_s: float
    not_before: datetime
    opens_at: datetime
    closes_at: datetime
    handed_off_at: datetime
    notice_days: float
    overlap_since: datetime
    overlap_days: float


class PacketFacts(Evidence, frozen=True, kw_only=True):
    """One party's checkpoint packet."""

    party: str
    release_tag: str
    commit_sha: str
    service_contract_version: str
    log_head: str
    log_size: int
    head_is_ours: bool  # the log at that size has that root


class Checkpoints(Evidence, frozen=True, kw_only=True):
    """Both packets beside the target and the log."""

    packets: tuple[PacketFacts, ...]
    target: Mapping[str, str]  # release_tag, commit_sha, service_contract_version
    entries_after_head: tuple[str, ...]  # kinds of the entries after H
