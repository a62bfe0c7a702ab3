"""A program, its hand-off and one valid evidence document per collected gate: everything a GO rests on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from contracts.core.error_code import ERROR_CODES
from contracts.core.handoff import (
    ActiveRuntimeBaseline,
    AnswerDifferenceRule,
    ConsumerImpact,
    ErrorEnvelopeClause,
    QuestionClass,
    encode_handoff,
)
from contracts.core.handoff import Handoff as Payload
from cutover.core import evidence as seen
from cutover.core.evidence import Evidence
from cutover.core.fault import PRODUCER_FAULTS
from cutover.core.key import Party
from cutover.core.program import (
    ConsumerSide,
    Launch,
    ProducerSide,
    Program,
    ReleaseTarget,
    Role,
    Suite,
    Thresholds,
    Traffic,
    Watch,
    Window,
)

START = datetime(2026, 2, 8, 12, 0, tzinfo=UTC)
"""Time of entry 0; every further entry is a second later."""

BASELINE_TAG, TARGET_TAG = "v0.3.2", "v0.4.0"
PROGRAM_BYTES = b'name = "service-v3"\n'


def sha(text: str) -> str:
    """Return 40 hex digits that stand for a git object of this name."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def sha256(data: bytes | str) -> str:
    """Return the sha256 hex digest."""
    return hashlib.sha256(data.encode() if isinstance(data, str) else data).hexdigest()


BASELINE_COMMIT, TARGET_COMMIT, TAG_OBJECT = sha("baseline"), sha("target"), sha("tag")
LIVE, DRILL_FORWARD, DRILL_INVERSE = sha("live"), sha("drill-forward"), sha("drill-inverse")
FORWARD, INVERSE = sha("forward"), sha("inverse")
DIGESTS = {
    "release.toml": sha256("release"),
    "openapi.yaml": sha256("openapi v3"),
    "contracts/manifest.json": sha256("manifest"),
}
TARGET_FACTS = {
    "release_tag": TARGET_TAG,
    "commit_sha": TARGET_COMMIT,
    "service_contract_version": "service.v3",
    "api_contract_version": "api.v1",
    "integration_baseline": "integration/v1",
}
ROLES = {
    "producer-incident-commander": Party.PRODUCER,
    "producer-rollback-owner": Party.PRODUCER,
    "consumer-incident-commander": Party.CONSUMER,
    "consumer-rollback-owner": Party.CONSUMER,
    "decision-log-owner": None,
}
PRODUCER_SUITE = ("{python}", "suites/run.py", "--report", "{report}")
CONSUMER_SUITE = ("{python}", "checks/run.py", "--report", "{report}")


def make_program(*, notice_days: float = 0.0) -> Program:
    """Return the program; its window is open from two minutes after entry 0 for a day."""
    return Program(
        name="service-v3",
        phase="8",
        scope="runtime cutover to service.v3",
        producer=ProducerSide(
            name="MemoryKernel",
            repository="producer",
            origin="producer.git",
            branch="refs/heads/main",
            manifest_path="contracts/manifest.json",
            openapi_path="openapi.yaml",
            release_path="release.toml",
            handoff_path="handoff.json",
            changelog_path="CHANGELOG.md",
            metadata_paths=("CHANGELOG.md", "contracts/", "docs/"),
            launch=Launch(command=("{python}",), data="live.sqlite", ready_path="/v1/ready"),
            suites=(Suite(name="contract", command=PRODUCER_SUITE),),
        ),
        consumer=ConsumerSide(
            name="AssistSupport",
            version="1.0.0",
            repository="consumer",
            origin="consumer.git",
            live_ref="refs/heads/main",
            pin_path="config/pin.json",
            matrix_path="docs/MATRIX.md",
            manifest_path="config/manifest.json",
            url="http://127.0.0.1:1",
            token_file="run/token",
            launch=Launch(command=("{python}",), data="consumer", ready_path="/health/ready"),
            suites=(Suite(name="governance", command=CONSUMER_SUITE),),
        ),
        baseline=ReleaseTarget(release_tag=BASELINE_TAG, service_contract_version="service.v2"),
        target=ReleaseTarget(release_tag=TARGET_TAG, service_contract_version="service.v3"),
        roles={name: Role(title=name.replace("-", " "), party=party) for name, party in ROLES.items()},
        window=Window(
            not_before=START,
            opens_at=START + timedelta(seconds=10),
            closes_at=START + timedelta(days=1),
            notice_days=notice_days,
            overlap_days=0.0,
        ),
        thresholds=Thresholds(min_rehearsal_questions=5),
        watch=Watch(),
        traffic=Traffic(
            engine="embedded", bind="127.0.0.1:0", questions="q.jsonl", tickets="t.jsonl", seed="s.jsonl"
        ),
    )


def make_payload() -> bytes:
    """Return the hand-off payload, with one announced difference."""
    impact = ConsumerImpact(
        runtime_behavior_changes="legacy_error is gone",
        required_consumer_mapping_changes="none",
        required_test_updates="none",
        repin_required="yes",
        rollback_instruction="move the inverse",
    )
    return encode_handoff(
        Payload(
            handoff_generated_at_utc="2026-02-08T11:00:00Z",
            handoff_mode="stable",
            release_tag=TARGET_TAG,
            commit_sha=TARGET_COMMIT,
            expected_service_contract_version="service.v3",
            expected_api_contract_version="api.v1",
            integration_baseline="integration/v1",
            active_runtime_baseline=ActiveRuntimeBaseline(
                release_tag=BASELINE_TAG,
                commit_sha=BASELINE_COMMIT,
                expected_service_contract_version="service.v2",
                expected_api_contract_version="api.v1",
                integration_baseline="integration/v1",
            ),
            error_code_enum=tuple(sorted(ERROR_CODES)),
            non_2xx_envelope_policy={
                "service_v3_stable": ErrorEnvelopeClause(
                    requires=("service_contract_version", "error.code", "error.message"),
                    forbids=("legacy_error",),
                )
            },
            manifest_contract_version="producer-contract-manifest.v1",
            manifest_path="contracts/manifest.json",
            changelog_path="CHANGELOG.md",
            verification_commands=("python suites/run.py",),
            consumer_impact_statement_template=impact,
            expected_producer_manifest_sha256=DIGESTS["contracts/manifest.json"],
            release_digests={k: v for k, v in DIGESTS.items() if not k.startswith("contracts")},
            consumer_impact_statement=impact,
            answer_difference_rules=(
                AnswerDifferenceRule(
                    question_class=QuestionClass(actor="*", action="use", resource="usb-stick"),
                    from_="inconclusive",
                    to="deny",
                    reason="a specific deny decides",
                ),
            ),
        )
    )


def make_evidence() -> Mapping[str, Evidence]:
    """Return a valid document for every collected gate, by name."""
    return {
        "runtime-target": _make_runtime_target(),
        "trio": _make_trio(),
        "contract-change": _make_contract_change(),
        "envelope": seen.Envelope(
            baseline=_make_probes(BASELINE_TAG, "service.v2"),
            target=_make_probes(TARGET_TAG, "service.v3"),
            live_fault=_make_live_fault(),
        ),
        "data": _make_data(),
        "producer-suite": _make_suite(Party.PRODUCER, "contract", PRODUCER_SUITE, TARGET_COMMIT),
        "consumer-suite": _make_suite(Party.CONSUMER, "governance", CONSUMER_SUITE, FORWARD),
        "fallback": _make_fallback(),
        "rehearsal": _make_rehearsal(),
        "answers": _make_answers(),
        "drill": make_drill(finished_at=START),
    }


def _make_runtime_target() -> seen.RuntimeTarget:
    return seen.RuntimeTarget(
        release_tag=TARGET_TAG,
        annotated=True,
        tag_object=TAG_OBJECT,
        handed_off_tag_object=TAG_OBJECT,
        resolved_commit=TARGET_COMMIT,
        commit_sha=TARGET_COMMIT,
        commit_is_ancestor=True,
        changed_paths=(),
        metadata_paths=("CHANGELOG.md", "contracts/", "docs/"),
        digests=DIGESTS,
        expected_digests=DIGESTS,
    )


def _make_trio() -> seen.Trio:
    manifest = DIGESTS["contracts/manifest.json"]
    trio = ("config/manifest.json", "config/pin.json", "docs/MATRIX.md")
    return seen.Trio(
        commit=FORWARD,
        parent_commit=DRILL_INVERSE,
        pin=TARGET_FACTS,
        matrix_baseline=TARGET_FACTS,
        matrix_row={**TARGET_FACTS, "consumer_commit": DRILL_INVERSE, "status": "Approved"},
        mirrored_manifest=TARGET_FACTS,
        handoff=TARGET_FACTS,
        mirrored_manifest_sha256=manifest,
        producer_manifest_sha256=manifest,
        pin_manifest_sha256=manifest,
        inverse_restores_baseline=True,
        changed_paths=trio,
        allowed_paths=trio,
    )


def _make_contract_change() -> seen.ContractChange:
    return seen.ContractChange(
        baseline_version="service.v2",
        target_version="service.v3",
        baseline_openapi_sha256=sha256("openapi v2"),
        target_openapi_sha256=DIGESTS["openapi.yaml"],
        baseline_tag_openapi_sha256=sha256("openapi v2"),
        target_tag_openapi_sha256=DIGESTS["openapi.yaml"],
        findings=(
            seen.ContractFinding(
                rule="const-changed", severity="breaking", location="POST /v1/query/ask 400", detail="version"
            ),
            seen.ContractFinding(rule="path-added", severity="additive", location="GET /x", detail="new"),
        ),
    )


def _make_probes(tag: str, contract: str) -> seen.ReleaseProbes:
    codes = tuple(sorted(ERROR_CODES))
    routes = ("GET /v1/health", "POST /v1/query/ask")
    replies = (
        seen.ProbeReply(probe="health", route=routes[0], status=200, code=None, breaches=()),
        seen.ProbeReply(probe="ask", route=routes[1], status=200, code=None, breaches=()),
        seen.ProbeReply(probe="ask/mistyped", route=routes[1], status=422, code="invalid_json", breaches=()),
        seen.ProbeReply(probe="unknown", route="GET /x", status=404, code="validation_error", breaches=()),
    )
    digest = DIGESTS["openapi.yaml"] if tag == TARGET_TAG else sha256("openapi v2")
    return seen.ReleaseProbes(
        release_tag=tag,
        service_contract_version=contract,
        served_openapi_sha256=digest,
        tag_openapi_sha256=digest,
        replies=replies,
        routes=routes,
        manifest_codes=codes,
        openapi_codes=codes,
        handoff_codes=codes,
        codes_not_reached=tuple(sorted(set(codes) - {reply.code for reply in replies})),
    )


def _make_live_fault() -> seen.LiveFault:
    return seen.LiveFault(fault="wrong-version", noticed=True, detail="noticed as wrong-version")


def _make_data() -> seen.Data:
    answers = {f"q{n}": sha256(f"answer {n}") for n in range(3)}
    return seen.Data(
        baseline_ready_before=True,
        baseline_ready_after=True,
        answers_before=answers,
        answers_after=answers,
        written_through_target=("m1", "m2"),
        read_through_baseline=("m1", "m2", "m0"),
        schema_before=2,
        schema_after=3,
    )


def _make_suite(party: Party, name: str, command: tuple[str, ...], commit: str) -> seen.SuiteResults:
    filled = ("/usr/bin/python3", *command[1:-1], "report.json")
    run = seen.SuiteRun(
        name=name,
        command=filled,
        declared_command=command,
        exit_code=0,
        passed=7,
        failed=0,
        duration_s=0.5,
        output_sha256=sha256("output"),
    )
    return seen.SuiteResults(
        party=party, commit=commit, declared_commit=commit, runs=(run,), declared=(name,)
    )


def _make_fallback() -> seen.Fallback:
    faults = PRODUCER_FAULTS
    drafts = tuple(
        seen.FaultDraft(
            fault=fault,
            ticket_id=ticket,
            delivered=True,
            elapsed_s=0.01,
            sha256=sha256(ticket),
            reference_sha256=sha256(ticket),
            policy_status="fallback" if ticket == "T1" else "not-asked",
        )
        for fault in faults
        for ticket in ("T1", "T2")
    )
    return seen.Fallback(deadline_s=1.0, faults=faults, drafts=drafts, live_fault=_make_live_fault())


def _make_rehearsal() -> seen.Rehearsal:
    def pair(name: str, resource: str, before: str, after: str) -> seen.AnswerPair:
        return seen.AnswerPair(
            question=name,
            actor="staff",
            action="use",
            resource=resource,
            baseline=before,
            baseline_again=before,
            target=after,
        )

    return seen.Rehearsal(
        baseline_tag=BASELINE_TAG,
        target_tag=TARGET_TAG,
        min_questions=5,
        pairs=(
            *(pair(f"q{n}", f"thing-{n}", "allow", "allow") for n in range(6)),
            pair("q6", "usb-stick", "inconclusive", "deny"),
        ),
        rules=(
            seen.DifferenceRule(
                actor="*",
                action="use",
                resource="usb-stick",
                from_="inconclusive",
                to="deny",
                reason="a specific deny decides",
            ),
        ),
    )


def _make_answers() -> seen.Answers:
    return seen.Answers(
        threshold=0.99,
        min_asked=10,
        baseline=seen.AnswerCounts(
            release_tag=BASELINE_TAG, asked=300, applied=299, fallback={"timeout": 1}, gateway_made=0
        ),
        target=seen.AnswerCounts(release_tag=TARGET_TAG, asked=200, applied=200, fallback={}, gateway_made=0),
    )


def make_drill(*, finished_at: datetime) -> seen.Drill:
    """Return a good drill that ended at an instant."""
    way = (BASELINE_TAG, TARGET_TAG, BASELINE_TAG)
    return seen.Drill(
        authorized=True,
        baseline_tag=BASELINE_TAG,
        target_tag=TARGET_TAG,
        drafts=40,
        min_drafts=20,
        lost=0,
        altered=0,
        breaking_replies_delivered=0,
        restore_s=0.02,
        restore_limit_s=5.0,
        probes=tuple(seen.PartyProbe(party=party, signer_party=party, saw=way) for party in Party),
        ended_on_commit=DRILL_INVERSE,
        inverse_commit=DRILL_INVERSE,
        finished_at=finished_at,
        judged_at=finished_at,
        max_age_s=3600.0,
    )
