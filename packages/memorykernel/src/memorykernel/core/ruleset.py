"""The rulesets by name, and what each of them needs to be shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from memorykernel.core import (
    ordering_v1,
    ordering_v2,
    ordering_v3,
    recall_ordering_v1,
    recall_ordering_v2,
    recall_ordering_v3,
    recall_semantic,
)
from memorykernel.core.context_package import ContextPackage
from memorykernel.core.evidence import PolicyEvidence, RecallEvidence
from memorykernel.core.question import PolicyQuestion, RecallQuestion
from memorykernel.core.recall_search import RecallSearch


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRuleset:
    """Rules for policy questions.

    Attributes:
        needs_version_index: v1's snapshot id must be fed.
        needs_patterns: Prefixes, groups and memberships are part of the rules.
    """

    name: str
    resolve: Callable[[PolicyQuestion, PolicyEvidence], ContextPackage]
    needs_version_index: bool = False
    needs_patterns: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallRuleset:
    """Rules for recalls.

    Attributes:
        needs_every_record: Misses are part of the answer too.
        plan: What to ask the store for, of rules that search; None of those that read every record that
            shares a word.
    """

    name: str
    resolve: Callable[[RecallQuestion, RecallEvidence], ContextPackage]
    needs_every_record: bool = False
    plan: Callable[[RecallQuestion], RecallSearch] | None = None


PUBLISHED_RULESETS: Final = frozenset(
    {ordering_v1.NAME, ordering_v2.NAME, recall_ordering_v1.NAME, recall_ordering_v2.NAME}
)
"""The rulesets whose packages have the shape of service.v2 and service.v3."""

POLICY_RULESETS: Final = {
    ruleset.name: ruleset
    for ruleset in (
        PolicyRuleset(name=ordering_v1.NAME, resolve=ordering_v1.resolve_policy_v1, needs_version_index=True),
        PolicyRuleset(name=ordering_v2.NAME, resolve=ordering_v2.resolve_policy_v2),
        PolicyRuleset(name=ordering_v3.NAME, resolve=ordering_v3.resolve_policy_v3, needs_patterns=True),
    )
}
RECALL_RULESETS: Final = {
    ruleset.name: ruleset
    for ruleset in (
        RecallRuleset(
            name=recall_ordering_v1.NAME,
            resolve=recall_ordering_v1.resolve_recall_v1,
            needs_every_record=True,
        ),
        RecallRuleset(name=recall_ordering_v2.NAME, resolve=recall_ordering_v2.resolve_recall_v2),
        RecallRuleset(
            name=recall_ordering_v3.NAME,
            resolve=recall_ordering_v3.resolve_recall_v3,
            plan=recall_ordering_v3.plan_search,
        ),
    )
}
SEMANTIC_RULESET: Final = RecallRuleset(name=recall_semantic.NAME, resolve=recall_semantic.resolve_semantic)
"""The rules of recalls by meaning: a mode of service.v4, never a release's rules."""
