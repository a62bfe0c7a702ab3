"""Gate `contract-change`: every breaking difference between the two OpenAPI documents has a version bump.

Differences of non-2xx replies count like any other. A keyword that the comparison does not understand is
UNKNOWN: it could hide anything. The findings come from `cutover.core.difference`.
Source: cutover-program, table "Gates".
"""

from __future__ import annotations

import re

from msgspec.structs import replace

from cutover.core.case import Case
from cutover.core.entry import HandedOff
from cutover.core.evidence import ContractChange, ContractFinding
from cutover.core.gate.gate import Clause, CollectedGate, calculate_change, find_difference
from cutover.core.gate.handoff import load_payload
from cutover.core.outcome import Outcome

BREAKING, ADDITIVE = "breaking", "additive"
_VERSION = re.compile(r"\Aservice\.v([1-9][0-9]{0,3})\Z")

_BREAKING_TWIN = ContractFinding(
    rule="status-removed", severity=BREAKING, location="POST /v1/query/ask 422", detail="the status is gone"
)


class ContractChangeGate(CollectedGate[ContractChange]):
    """The findings of the comparison beside the two version numbers."""

    name = "contract-change"
    kind = ContractChange
    follows = (HandedOff,)

    def find_mismatch(self, case: Case, evidence: ContractChange) -> str | None:
        """Hold versions and the target's document against program and hand-off."""
        digests, path = load_payload(case).release_digests or {}, case.program.producer.openapi_path
        return find_difference(
            baseline_version=(evidence.baseline_version, case.program.baseline.service_contract_version),
            target_version=(evidence.target_version, case.program.target.service_contract_version),
            openapi_of_the_target=(evidence.target_tag_openapi_sha256, digests.get(path)),
        )

    def describe(self, evidence: ContractChange) -> str:
        """Return how much changes."""
        breaking = sum(finding.severity == BREAKING for finding in evidence.findings)
        return (
            f"{breaking} breaking of {len(evidence.findings)} differences, covered by "
            f"{evidence.baseline_version} -> {evidence.target_version}"
        )

    rows = (
        Clause(
            reason_code="openapi-not-the-tags",
            find_breach=lambda e: find_difference(
                openapi_of_the_baseline=(e.baseline_openapi_sha256, e.baseline_tag_openapi_sha256),
                openapi_of_the_target=(e.target_openapi_sha256, e.target_tag_openapi_sha256),
            ),
            break_fact=lambda e: (
                replace(e, baseline_openapi_sha256=calculate_change(e.baseline_openapi_sha256)),
                replace(e, target_openapi_sha256=calculate_change(e.target_openapi_sha256)),
            ),
        ),
        Clause(
            reason_code="version-not-understood",
            find_breach=lambda e: (
                None
                if _number(e.baseline_version) and _number(e.target_version)
                else f"the versions {e.baseline_version} and {e.target_version} are not service.vN"
            ),
            break_fact=lambda e: (replace(e, target_version="v-next"), replace(e, baseline_version="")),
        ),
        Clause(
            reason_code="version-goes-back",
            find_breach=lambda e: (
                f"the target speaks {e.target_version}, older than {e.baseline_version}"
                if _number(e.target_version) < _number(e.baseline_version)
                else None
            ),
            break_fact=lambda e: (replace(e, baseline_version=f"service.v{_number(e.target_version) + 1}"),),
        ),
        Clause(
            reason_code="breaking-without-bump",
            find_breach=lambda e: _find_uncovered(e),
            break_fact=lambda e: (
                replace(e, target_version=e.baseline_version, findings=(*e.findings, _BREAKING_TWIN)),
            ),
        ),
        Clause(
            reason_code="nothing-compared",
            find_breach=lambda e: (
                f"{e.baseline_version} and {e.target_version} are said not to differ at all"
                if e.baseline_version != e.target_version and not e.findings
                else None
            ),
            break_fact=lambda e: (
                replace(
                    e,
                    baseline_version="service.v1",
                    target_version=f"service.v{_number(e.target_version) + 1}",
                    findings=(),
                ),
            ),
        ),
        Clause(
            reason_code="keyword-not-understood",
            find_breach=lambda e: next(
                (
                    f"{finding.detail} at {finding.location} is not understood"
                    for finding in e.findings
                    if finding.severity not in (BREAKING, ADDITIVE)
                ),
                None,
            ),
            outcome=Outcome.UNKNOWN,
        ),
    )


def _number(version: str) -> int:
    found = _VERSION.match(version)
    return int(found[1]) if found else 0


def _find_uncovered(evidence: ContractChange) -> str | None:
    if evidence.baseline_version != evidence.target_version:
        return None
    for finding in evidence.findings:
        if finding.severity == BREAKING:
            return (
                f"{finding.location}: {finding.detail}; it breaks clients, and both releases speak "
                f"{evidence.target_version}"
            )
    return None
