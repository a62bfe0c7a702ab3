"""The bytes of v3 packages, which a replay years later must give again.

The golden files are never regenerated to make this pass: another answer is another ruleset.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from memorykernel.core.context_package import encode_package
from memorykernel.core.evidence import RecallEvidence
from memorykernel.core.ordering_v3 import resolve_policy_v3
from memorykernel.core.question import RecallQuestion
from memorykernel.core.recall_ordering_v3 import resolve_recall_v3
from memorykernel.core.record import SummaryContent
from memorykernel.core.vocabulary import Authority, Effect, Field, Match, RecordType, TruthStatus

from packages.memorykernel.tests.core_v4.small_world import (
    HEAD,
    SECOND,
    Universe,
    ask,
    make_membership,
    make_rule,
)

GOLDEN = Path(__file__).parent / "golden"


def test_a_policy_package() -> None:
    records = (
        make_rule(1, actor="ops/", actor_match=Match.PREFIX, effect=Effect.ALLOW, note="on call"),
        make_rule(2, actor="ops/", actor_match=Match.PREFIX, expires_at_us=9 * SECOND, confidence=0.25),
        make_rule(3, actor="night", actor_match=Match.GROUP, authority=Authority.DERIVED),
        make_rule(4, actor="day", actor_match=Match.GROUP),
        make_rule(5, actor="*", resource="*", truth_status=TruthStatus.RETRACTED),
        make_rule(6, actor="*", expires_at_us=3 * SECOND),
        make_rule(7, actor="*", effective_at_us=8 * SECOND, effect=Effect.ALLOW),
        make_rule(8, actor="*", resource="*", authority=Authority.NOTE),
        make_membership(10, Field.ACTOR, "night", "ops/eve", expires_at_us=7 * SECOND),
        make_membership(11, Field.ACTOR, "day", "ops/eve", expires_at_us=4 * SECOND),
    )
    universe = Universe(records, ((1, 0), (7, 2)))
    question = ask(actor="ops/eve", as_known_at="1970-01-01T00:00:06Z")
    package = resolve_policy_v3(question, universe.evidence())
    assert encode_package(package) == (GOLDEN / "policy.json").read_bytes().rstrip(b"\n")


def test_a_recall_package() -> None:
    records = tuple(
        msgspec.structs.replace(
            make_rule(n),
            record_type=list(RecordType)[1 + n % 4],
            content=SummaryContent(summary="usb"),
            expires_at_us=3 * SECOND if n % 9 == 0 else None,
        )
        for n in range(60)
    )
    evidence = RecallEvidence(
        head=HEAD,
        candidates=records,
        supersessions=(),
        matched={each.memory_version_id: 1 + int(each.memory_version_id[1:]) % 2 for each in records},
    )
    question = RecallQuestion(text="usb drive", record_types=(), as_of_us=5 * SECOND, as_known_at=None)
    package = resolve_recall_v3(question, evidence)
    assert encode_package(package) == (GOLDEN / "recall.json").read_bytes().rstrip(b"\n")
