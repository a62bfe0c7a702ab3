"""What the tests of the policy lane share: governance files that agree, a source in memory, a clock."""

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Any

from assistsupport.core.governance import GovernanceCommit, build_governance_commit
from assistsupport.core.integration import GovernanceStatus, IntegrationStatus
from assistsupport.core.policy_question import PolicyOutcome, PolicyQuestion
from assistsupport.errors import GovernanceUnreadable
from assistsupport.ports import PolicyLane
from contracts.core.error_code import ErrorCode
from contracts.core.matrix import CompatibilityMatrix, VersionPair, render_matrix

QUESTION = PolicyQuestion(
    text="May a contractor use a private USB drive?", actor="contractor", action="use", resource="usb_drive"
)
#: The longest that any test waits for something that must happen; never slept through.
PATIENCE_S = 10.0
_RELEASES = {"service.v2": "v0.3.2", "service.v3": "v0.4.0"}


def make_manifest(contract: str = "service.v3", **changes: Any) -> bytes:
    """Return a producer manifest."""
    manifest = {
        "manifest_contract_version": "producer-contract-manifest.v1",
        "release_tag": _RELEASES[contract],
        "commit_sha": "7e" * 20,
        "expected_service_contract_version": contract,
        "expected_api_contract_version": "api.v1",
        "integration_baseline": "integration/v1",
        "error_code_enum": [code.value for code in ErrorCode],
        "stability_window": {"minimum_sprint_days": 14},
        "additive_error_code_notice_policy": {
            "standard_business_days": 10,
            "emergency_notice_hours": 24,
            "emergency_requires_same_day_docs_spec_tests": True,
        },
        "service_v3_transition_guard": {
            "legacy_error_must_remain_in_service_v2": True,
            "legacy_error_removal_requires_service_v3": True,
            "consumer_green_repin_required_before_legacy_error_removal": True,
        },
    }
    return json.dumps(manifest | changes, indent=2).encode()


def make_pin(base_url: str = "http://127.0.0.1:4010", contract: str = "service.v3", **changes: Any) -> bytes:
    """Return a pin that agrees with `make_manifest` of the same contract."""
    pin = {
        "memorykernel_repo": "https://example.org/memorykernel",
        "release_tag": _RELEASES[contract],
        "commit_sha": "7e" * 20,
        "expected_service_contract_version": contract,
        "expected_api_contract_version": "api.v1",
        "expected_integration_baseline": "integration/v1",
        "expected_producer_manifest_sha256": hashlib.sha256(make_manifest(contract)).hexdigest(),
        "default_base_url": base_url,
        "default_timeout_ms": 2500,
    }
    return json.dumps(pin | changes).encode()


def make_matrix(contract: str = "service.v3", status: Any = "Approved", **changes: str) -> bytes:
    """Return a matrix that agrees with `make_pin` of the same contract."""
    baseline = {
        "release_tag": _RELEASES[contract],
        "commit_sha": "7e" * 20,
        "expected_service_contract_version": contract,
        "expected_api_contract_version": "api.v1",
        "expected_integration_baseline": "integration/v1",
        "expected_producer_manifest_sha256": hashlib.sha256(make_manifest(contract)).hexdigest(),
    }
    pair = VersionPair(
        consumer_version="1.4.0",
        consumer_commit="ab" * 20,
        producer_tag=_RELEASES[contract],
        producer_commit="7e" * 20,
        service=contract,
        api="api.v1",
        integration="integration/v1",
        status=status,
    )
    return render_matrix(CompatibilityMatrix(baseline_pin=baseline | changes, pairs=(pair,)))


def make_governance(
    base_url: str = "http://127.0.0.1:4010",
    contract: str = "service.v3",
    *,
    commit: str = "c1" * 20,
    timeout_ms: int = 2500,
) -> GovernanceCommit:
    """Return the governance of one commit."""
    return build_governance_commit(
        commit,
        pin=make_pin(base_url, contract, default_timeout_ms=timeout_ms),
        manifest=make_manifest(contract),
        matrix=make_matrix(contract),
    )


class MemoryGovernance:
    """A `GovernanceSource` whose ref is an attribute; None makes it unreadable."""

    def __init__(self, governance: GovernanceCommit | None) -> None:
        self.governance = governance
        self.reads = 0

    def describe(self) -> GovernanceStatus:
        """Return a repository in memory."""
        return GovernanceStatus(repository="memory", ref="main", commit=None)

    def resolve(self) -> str:
        """Return the commit of the attribute."""
        return self._find().commit

    def read(self) -> GovernanceCommit:
        """Return the attribute."""
        self.reads += 1
        return self._find()

    def _find(self) -> GovernanceCommit:
        if self.governance is None:
            raise GovernanceUnreadable("no commit named 'main' in memory; push it or correct the ref")
        return self.governance


class FixedClock:
    """A clock that stands still."""

    def now(self) -> datetime:
        """Return the same instant."""
        return datetime(2026, 2, 8, 13, 0, tzinfo=UTC)


def await_outcome(future: Future[PolicyOutcome]) -> PolicyOutcome:
    """Return an outcome that must come."""
    return future.result(PATIENCE_S)


def await_status(lane: PolicyLane, is_reached: Callable[[IntegrationStatus], bool]) -> IntegrationStatus:
    """Return the first status that fulfils a condition which must come true."""
    tick = threading.Event()
    for _ in range(int(PATIENCE_S / 0.005)):
        status = lane.status()
        if is_reached(status):
            return status
        tick.wait(0.005)
    raise AssertionError(f"the lane never got there: {lane.status()}")
