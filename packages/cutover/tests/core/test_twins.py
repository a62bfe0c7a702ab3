"""Negative control on generated evidence: whatever valid evidence looks like, every twin of it is killed."""

from __future__ import annotations

import string
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from cutover.core import evidence as seen
from cutover.core.evidence import ROW_FACTS, TARGET_FACTS, Evidence
from cutover.core.fault import HARMLESS_FAULTS
from cutover.core.gate.table import EXECUTION_GATES
from cutover.core.outcome import Outcome
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from packages.cutover.tests import good_evidence as good

GATES = {gate.name: gate for gate in EXECUTION_GATES}
BASE = good.make_evidence()
text = st.text(alphabet=string.ascii_letters + string.digits + "-/._ üß0", max_size=12)
name = st.text(alphabet=string.ascii_lowercase + "0", min_size=1, max_size=8)
digest = st.text(alphabet="0123456789abcdef", min_size=1, max_size=64)
names = st.lists(name, min_size=1, max_size=5, unique=True).map(tuple)
seconds = st.integers(0, 10**6).map(lambda n: timedelta(seconds=n))
Draw = Any  # hypothesis types the drawing function of a composite loosely


@st.composite
def runtime_targets(draw: Draw) -> Evidence:
    prefixes = draw(names)
    found = draw(st.dictionaries(name, digest, min_size=1, max_size=4))
    is_descendant = draw(st.booleans())
    changed = draw(st.lists(st.sampled_from(prefixes).map(lambda p: f"{p}/notes.md"), max_size=3))
    commit, tag = draw(digest), draw(digest)
    return replace(
        BASE["runtime-target"],
        release_tag=draw(text),
        tag_object=tag,
        handed_off_tag_object=tag,
        commit_sha=commit,
        resolved_commit=f"{commit}0" if is_descendant else commit,
        changed_paths=tuple(changed) if is_descendant else (),
        metadata_paths=prefixes,
        digests={**found, "extra": "0"},
        expected_digests=found,
    )


@st.composite
def handoffs(draw: Draw) -> Evidence:
    stated = {key: draw(text) for key in TARGET_FACTS}
    baseline = {key: draw(text) for key in TARGET_FACTS if key != "commit_sha"}
    commands = draw(names)
    return seen.Handoff(
        signed_by_party="producer",
        handoff_mode="stable",
        missing_fields=(),
        absolute_paths=(),
        stated=stated,
        expected=stated,
        baseline_stated=baseline,
        baseline_expected=baseline,
        commands_stated=commands,
        commands_declared=(*commands, draw(name)),
    )


@st.composite
def trios(draw: Draw) -> Evidence:
    facts, parent, manifest = {key: draw(text) for key in TARGET_FACTS}, draw(digest), draw(digest)
    paths = tuple(draw(st.lists(name, min_size=3, max_size=3, unique=True)))
    row = {**facts, "consumer_commit": parent, "status": "Approved"}
    assert set(row) == set(ROW_FACTS)
    return seen.Trio(
        commit=draw(digest),
        parent_commit=parent,
        pin={**facts, "default_timeout_ms": "2500"} if draw(st.booleans()) else facts,
        matrix_baseline=facts,
        matrix_row=row,
        mirrored_manifest=facts,
        handoff=facts,
        mirrored_manifest_sha256=manifest,
        producer_manifest_sha256=manifest,
        pin_manifest_sha256=manifest,
        inverse_restores_baseline=True,
        changed_paths=paths[: draw(st.integers(2, 3))],
        allowed_paths=paths,
    )


@st.composite
def contract_changes(draw: Draw) -> Evidence:
    low = draw(st.integers(1, 9))
    high = draw(st.integers(low, 9))
    severities = ["breaking", "additive"] if high > low else ["additive"]
    finding = st.builds(
        seen.ContractFinding, rule=name, severity=st.sampled_from(severities), location=text, detail=text
    )
    findings = draw(st.lists(finding, min_size=1 if high > low else 0, max_size=4))
    digests = draw(digest), draw(digest)
    return seen.ContractChange(
        baseline_version=f"service.v{low}",
        target_version=f"service.v{high}",
        baseline_openapi_sha256=digests[0],
        target_openapi_sha256=digests[1],
        baseline_tag_openapi_sha256=digests[0],
        target_tag_openapi_sha256=digests[1],
        findings=tuple(findings),
    )


@st.composite
def release_probes(draw: Draw) -> seen.ReleaseProbes:
    codes, routes, openapi = draw(names), draw(names), draw(digest)
    replies = [
        seen.ProbeReply(
            probe=draw(text),
            route=route,
            status=status,
            code=None if status == 200 else draw(st.sampled_from(codes)),
            breaches=(),
        )
        for route in routes
        for status in (200, draw(st.sampled_from([400, 404, 503])))
    ]
    replies.append(seen.ProbeReply(probe="head", route="HEAD /x", status=405, code=None, breaches=()))
    return seen.ReleaseProbes(
        release_tag=draw(text),
        service_contract_version=draw(text),
        served_openapi_sha256=openapi,
        tag_openapi_sha256=openapi,
        replies=tuple(draw(st.permutations(replies))),
        routes=routes,
        manifest_codes=codes,
        openapi_codes=tuple(draw(st.permutations(codes))),
        handoff_codes=(*codes, codes[0]),
        codes_not_reached=tuple(sorted(set(codes) - {reply.code for reply in replies})),
    )


@st.composite
def datas(draw: Draw) -> Evidence:
    answers = draw(st.dictionaries(name, digest, min_size=1, max_size=4))
    written, schema = draw(names), draw(st.integers(0, 5))
    return seen.Data(
        baseline_ready_before=True,
        baseline_ready_after=True,
        answers_before=answers,
        answers_after=answers,
        written_through_target=written,
        read_through_baseline=(*written, draw(text)),
        schema_before=schema,
        schema_after=schema + draw(st.integers(0, 2)),
    )


@st.composite
def suites(draw: Draw) -> Evidence:
    declared, commit = draw(names), draw(digest)
    runs = [
        seen.SuiteRun(
            name=suite,
            command=("python", f"{suite}.py", "report.json"),
            declared_command=("{python}", f"{suite}.py", "{report}"),
            exit_code=0,
            passed=draw(st.integers(1, 99)),
            failed=0,
            duration_s=0.1,
            output_sha256=draw(digest),
        )
        for suite in declared
    ]
    return seen.SuiteResults(
        party="producer",
        commit=commit,
        declared_commit=commit,
        runs=tuple(draw(st.permutations(runs))),
        declared=declared,
    )


@st.composite
def fallbacks(draw: Draw) -> Evidence:
    faults, deadline = (*draw(names), *HARMLESS_FAULTS), draw(st.floats(0.1, 5.0))
    statuses = dict.fromkeys(faults, "fallback")
    statuses |= {fault: draw(st.sampled_from(["fallback", "applied"])) for fault in HARMLESS_FAULTS}
    drafts = [
        seen.FaultDraft(
            fault=fault,
            ticket_id=ticket,
            delivered=True,
            elapsed_s=draw(st.floats(0.0, deadline)),
            sha256=draft,
            reference_sha256=draft,
            policy_status=statuses[fault] if ticket == "T1" else "not-asked",
        )
        for fault in faults
        for ticket, draft in (("T1", draw(digest)), ("T2", draw(digest)))
    ]
    return replace(BASE["fallback"], deadline_s=deadline, faults=faults, drafts=tuple(drafts))


@st.composite
def rehearsals(draw: Draw) -> Evidence:
    answer = st.sampled_from(["allow", "deny", "inconclusive"])
    pairs, rules = [], []
    for number in range(draw(st.integers(1, 30))):
        before, after = draw(answer), draw(answer)
        noisy = number % 11 == 10
        pairs.append(
            seen.AnswerPair(
                question=f"q{number}",
                actor=draw(name),
                action="use",
                resource=f"r{number}",
                baseline=before,
                baseline_again=draw(answer) if noisy else before,
                target=after,
            )
        )
        if after != before and pairs[-1].baseline_again == before:
            rules.append(_explain(pairs[-1], draw(st.booleans())))
    stable = sum(pair.baseline == pair.baseline_again for pair in pairs)
    return replace(
        BASE["rehearsal"],
        min_questions=draw(st.integers(0, stable)),
        pairs=tuple(draw(st.permutations(pairs))),
        rules=tuple(rules),
    )


def _explain(pair: seen.AnswerPair, wild: bool) -> seen.DifferenceRule:
    return seen.DifferenceRule(
        actor="*" if wild else pair.actor,
        action="*" if wild else pair.action,
        resource=pair.resource,
        from_=str(pair.baseline),
        to=str(pair.target),
        reason="announced",
    )


@st.composite
def counts(draw: Draw) -> seen.AnswerCounts:
    applied = draw(st.integers(100, 5000))
    return seen.AnswerCounts(
        release_tag=draw(text),
        asked=applied + 1,
        applied=applied,
        fallback=draw(st.sampled_from([{}, {"timeout": 1}])),
        gateway_made=draw(st.integers(0, 50)),
    )


@st.composite
def drills(draw: Draw) -> Evidence:
    baseline, target, commit = draw(name), draw(name), draw(digest)
    limit, drafts, ended = draw(st.floats(0.0, 60.0)), draw(st.integers(1, 999)), good.START + draw(seconds)
    probes = [
        seen.PartyProbe(party=party, signer_party=party, saw=(baseline, target, baseline))
        for party in ("producer", "consumer")
    ]
    age = draw(st.integers(0, 3600))
    return replace(
        BASE["drill"],
        baseline_tag=baseline,
        target_tag=target,
        drafts=drafts,
        min_drafts=draw(st.integers(0, drafts)),
        restore_s=draw(st.floats(0.0, limit)),
        restore_limit_s=limit,
        probes=tuple(draw(st.permutations(probes))),
        ended_on_commit=commit,
        inverse_commit=commit,
        finished_at=ended,
        judged_at=ended + timedelta(seconds=age),
        max_age_s=float(age),
    )


@st.composite
def roles(draw: Draw) -> Evidence:
    required = draw(names)
    states = []
    for role in required:
        holder = draw(name)
        others = draw(st.lists(name, max_size=2))
        states.append(
            seen.RoleState(
                role=role,
                party=draw(st.sampled_from(["producer", "consumer", None])),
                holders=(holder,),
                partial_holders=(),
                acknowledged=(holder, *others),
            )
        )
    return seen.Roles(required=required, states=tuple(draw(st.permutations(states))))


@st.composite
def windows(draw: Draw) -> Evidence:
    now = good.START + timedelta(days=400) + draw(seconds)
    notice, overlap = draw(st.floats(0.0, 300.0)), draw(st.floats(0.0, 300.0))
    return seen.WindowFacts(
        now=now,
        newest_entry_at=now + timedelta(seconds=draw(st.integers(-500, 5))),
        clock_skew_s=5.0,
        not_before=now - draw(seconds),
        opens_at=now - draw(seconds),
        closes_at=now + draw(seconds) + timedelta(seconds=1),
        handed_off_at=now - timedelta(days=notice, seconds=1),
        notice_days=notice,
        overlap_since=now - timedelta(days=overlap, seconds=1),
        overlap_days=overlap,
    )


@st.composite
def checkpoints(draw: Draw) -> Evidence:
    target = {key: draw(digest) for key in ("release_tag", "commit_sha", "service_contract_version")}
    head, size = draw(digest), draw(st.integers(1, 999))
    packets = [
        seen.PacketFacts(party=party, log_head=head, log_size=size, head_is_ours=True, **target)
        for party in ("producer", "consumer")
    ]
    after = ("checkpoint-packet",) * draw(st.integers(2, 4))
    return seen.Checkpoints(
        packets=tuple(draw(st.permutations(packets))), target=target, entries_after_head=after
    )


STRATEGIES: Mapping[str, st.SearchStrategy[Evidence]] = {
    "runtime-target": runtime_targets(),
    "handoff": handoffs(),
    "trio": trios(),
    "contract-change": contract_changes(),
    "envelope": st.builds(
        seen.Envelope,
        baseline=release_probes(),
        target=release_probes(),
        live_fault=st.builds(seen.LiveFault, fault=text, noticed=st.just(True), detail=text),
    ),
    "data": datas(),
    "producer-suite": suites(),
    "consumer-suite": suites(),
    "fallback": fallbacks(),
    "rehearsal": rehearsals(),
    "answers": st.builds(
        seen.Answers,
        threshold=st.floats(0.51, 0.99),
        min_asked=st.integers(0, 100),
        baseline=counts(),
        target=counts(),
    ),
    "drill": drills(),
    "roles": roles(),
    "window": windows(),
    "checkpoints": checkpoints(),
}


def test_every_gate_has_generated_evidence() -> None:
    assert set(STRATEGIES) == set(GATES)


@pytest.mark.parametrize("gate_name", sorted(GATES))
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_valid_evidence_passes_and_every_twin_is_killed(gate_name: str, data: st.DataObject) -> None:
    gate, evidence = GATES[gate_name], data.draw(STRATEGIES[gate_name])
    verdict = gate.check(evidence)
    wanted = {"passed"} if gate_name != "runtime-target" else {"passed", "metadata-only-descendant"}
    assert verdict.reason_code in wanted
    assert verdict.outcome in (Outcome.PASSED, Outcome.WARNED)
    twins = gate.twins(evidence)
    assert {twin.reason_code for twin in twins} == set(gate.clauses)
    for twin in twins:
        killed = gate.check(twin.evidence)
        assert (killed.outcome, killed.reason_code) == (Outcome.FAILED, twin.reason_code)
