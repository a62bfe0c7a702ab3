"""What a consumer is governed by: pin, mirrored manifest and compatibility matrix of ONE commit.

The three change together or not at all (wire contract, section 3). A `GovernanceCommit` exists only
when they agree, so whoever holds one need not check again.
"""

import msgspec
from contracts.core.manifest import ProducerManifest
from contracts.core.matrix import CompatibilityMatrix
from contracts.core.pin import Pin

PIN_PATH = "config/memorykernel-integration-pin.json"
MANIFEST_PATH = "config/memorykernel-producer-manifest.json"
MATRIX_PATH = "docs/MEMORYKERNEL_COMPATIBILITY_MATRIX.md"


class GovernanceCommit(msgspec.Struct, frozen=True, kw_only=True):
    """Pin, mirrored manifest and matrix of one commit, agreeing with each other.

    Args:
        commit: The commit's id, 40 or 64 hex digits.
        pin: The consumer's pin.
        manifest: The producer's manifest as mirrored.
        matrix: The compatibility matrix.
    """

    commit: str
    pin: Pin
    manifest: ProducerManifest
    matrix: CompatibilityMatrix
