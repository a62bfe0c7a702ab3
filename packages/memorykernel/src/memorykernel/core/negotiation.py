"""Which contracts a server speaks, and by which rules it answers under each.

A server that was started in service.v4 speaks the older contracts too, each with the rulesets that it was
published with, so that a client of an older contract gets the bytes it got before. A server of an older
contract speaks that one only, and does not listen to what a request names.

Source: wire contracts, section 4.
"""

from __future__ import annotations

from typing import Final

import msgspec
from contracts.core.service import SERVICE_V2, SERVICE_V3, SERVICE_V4

from memorykernel.core.release import Release

_PUBLISHED_RULES: Final = {
    SERVICE_V2: ("ordering.v1", "recall-ordering.v1"),
    SERVICE_V3: ("ordering.v2", "recall-ordering.v2"),
}


def is_negotiating(started: Release) -> bool:
    """Whether requests may name their contract. Pure."""
    return started.service_contract == SERVICE_V4


def list_spoken(started: Release) -> tuple[Release, ...]:
    """The releases that a server answers as: the one it was started in first. Pure.

    All work on the started release's schema.
    """
    if not is_negotiating(started):
        return (started,)
    older = (
        msgspec.structs.replace(
            started,
            release_tag=None,
            service_contract=contract,
            ruleset=ruleset,
            recall_ruleset=recall_ruleset,
            openapi=None,
            manifest=None,
        )
        for contract, (ruleset, recall_ruleset) in _PUBLISHED_RULES.items()
    )
    return (started, *older)
