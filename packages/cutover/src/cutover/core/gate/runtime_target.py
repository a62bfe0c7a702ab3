"""Gate `runtime-target`: the tag on `origin` is what the hand-off said, and still is.

The tag may point at a descendant of the named commit that touches release metadata only: WARNED, naming
both commits and the paths. Any other difference, or a tag object moved since the hand-off, FAILS.
February 2026: the record said `7e4806a`, the tag resolved to its child, and nobody noticed.
Source: cutover-program, table "Gates"; wire contract, section 3.
"""

from __future__ import annotations

from msgspec.structs import replace

from cutover.core.case import Case
from cutover.core.entry import HandedOff
from cutover.core.evidence import RuntimeTarget
from cutover.core.gate.gate import (
    Clause,
    CollectedGate,
    calculate_change,
    calculate_stranger,
    find_difference,
)
from cutover.core.gate.handoff import load_payload
from cutover.core.key import Party
from cutover.core.outcome import Outcome


class RuntimeTargetGate(CollectedGate[RuntimeTarget]):
    """The tag, resolved by the producer, beside what the hand-off said."""

    name = "runtime-target"
    kind = RuntimeTarget
    collector = Party.PRODUCER
    follows = (HandedOff,)

    def find_mismatch(self, case: Case, evidence: RuntimeTarget) -> str | None:
        """Hold the expected side of the evidence against entry, payload and program."""
        found, handed, producer = case.newest(HandedOff), load_payload(case), case.program.producer
        if found is None:
            return "there is no hand-off"
        expected = dict(handed.release_digests or {})
        if handed.expected_producer_manifest_sha256 is not None:
            expected[producer.manifest_path] = handed.expected_producer_manifest_sha256
        required = {producer.manifest_path, producer.openapi_path, producer.release_path}
        return find_difference(
            release_tag=(evidence.release_tag, case.program.target.release_tag),
            commit=(evidence.commit_sha, found[1].commit_sha),
            handed_off_tag_object=(evidence.handed_off_tag_object, found[1].tag_object),
            metadata_paths=(sorted(evidence.metadata_paths), sorted(producer.metadata_paths)),
            expected_digests=(dict(evidence.expected_digests), expected),
            paths_without_a_digest=(sorted(required - set(expected)), []),
        )

    def describe(self, evidence: RuntimeTarget) -> str:
        """Return what the tag stands for."""
        return f"{evidence.release_tag} resolves to {evidence.commit_sha}, as handed off"

    rows = (
        Clause(
            reason_code="tag-not-annotated",
            find_breach=lambda e: None if e.annotated else f"{e.release_tag} is not an annotated tag",
            break_fact=lambda e: (replace(e, annotated=False),),
        ),
        Clause(
            reason_code="tag-moved",
            find_breach=lambda e: (
                None
                if e.tag_object == e.handed_off_tag_object
                else f"{e.release_tag} is the tag object {e.tag_object}, "
                f"handed off was {e.handed_off_tag_object}"
            ),
            break_fact=lambda e: (replace(e, tag_object=calculate_change(e.tag_object)),),
        ),
        Clause(
            reason_code="not-a-descendant",
            find_breach=lambda e: (
                None
                if e.commit_is_ancestor
                else f"{e.release_tag} resolves to {e.resolved_commit}, "
                f"which does not descend from {e.commit_sha}"
            ),
            break_fact=lambda e: (replace(e, commit_is_ancestor=False),),
        ),
        Clause(
            reason_code="code-differs",
            find_breach=lambda e: _find_code_change(e),
            break_fact=lambda e: (
                replace(
                    e,
                    changed_paths=(*e.changed_paths, calculate_stranger(*e.metadata_paths, *e.changed_paths)),
                ),
            ),
        ),
        Clause(
            reason_code="digest-differs",
            find_breach=lambda e: _find_digest(e),
            break_fact=lambda e: (
                *(
                    replace(e, digests={**e.digests, path: calculate_change(e.digests[path])})
                    for path in e.expected_digests
                ),
                replace(e, digests={}),
            ),
        ),
        Clause(
            reason_code="metadata-only-descendant",
            find_breach=lambda e: (
                None
                if e.resolved_commit == e.commit_sha
                else f"{e.release_tag} resolves to {e.resolved_commit}, a descendant of {e.commit_sha} that "
                f"changes release metadata only: {', '.join(e.changed_paths) or 'nothing'}"
            ),
            outcome=Outcome.WARNED,
        ),
    )


def _find_code_change(evidence: RuntimeTarget) -> str | None:
    for path in evidence.changed_paths:
        if evidence.resolved_commit == evidence.commit_sha:
            return f"{path} is said to change between a commit and itself"
        if not any(
            path == prefix or path.startswith(f"{prefix.rstrip('/')}/") for prefix in evidence.metadata_paths
        ):
            return f"{evidence.release_tag} resolves to {evidence.resolved_commit}, which changes {path}"
    return None


def _find_digest(evidence: RuntimeTarget) -> str | None:
    if not evidence.expected_digests:
        return "no digest was handed off, so nothing was compared"
    for path, expected in evidence.expected_digests.items():
        if (found := evidence.digests.get(path)) != expected:
            return f"{path} has the digest {found}, handed off was {expected}"
    return None
