"""Gate `trio`: pin, matrix and mirrored manifest of one commit say the same as the hand-off.

The three change together or not at all; the mirrored manifest is the producer's bytes; the matrix row is
Approved and names the parent of the repin commit, because a commit cannot name itself. Judged for the
prepared commit before the decision, and by the executor again for the live ref after the switch.
Source: cutover-program, table "Gates"; wire contract, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from cutover.core.case import Case
from cutover.core.entry import HandedOff, Prepared
from cutover.core.evidence import ROW_FACTS, TARGET_FACTS, Trio
from cutover.core.gate.gate import (
    Clause,
    CollectedGate,
    calculate_change,
    calculate_stranger,
    find_difference,
)
from cutover.core.gate.handoff import load_payload
from cutover.core.key import Party

APPROVED = "Approved"


class TrioGate(CollectedGate[Trio]):
    """The prepared commit's three files beside the hand-off."""

    name = "trio"
    kind = Trio
    collector = Party.CONSUMER
    follows = (HandedOff, Prepared)

    def find_mismatch(self, case: Case, evidence: Trio) -> str | None:
        """Hold commit, parent and hand-off side against the entries."""
        prepared, handed, consumer = case.newest(Prepared), load_payload(case), case.program.consumer
        if prepared is None:
            return "nothing is prepared"
        repin = prepared[1].execution
        return find_difference(
            commit=(evidence.commit, repin.forward_commit),
            parent_commit=(evidence.parent_commit, repin.base_commit),
            release_tag=(evidence.handoff.get("release_tag"), handed.release_tag),
            commit_sha=(evidence.handoff.get("commit_sha"), handed.commit_sha),
            producer_manifest=(evidence.producer_manifest_sha256, handed.expected_producer_manifest_sha256),
            allowed_paths=(
                sorted(evidence.allowed_paths),
                sorted((consumer.pin_path, consumer.matrix_path, consumer.manifest_path)),
            ),
        )

    def describe(self, evidence: Trio) -> str:
        """Return which commit says what."""
        return f"pin, matrix and manifest of {evidence.commit} name {evidence.handoff['release_tag']}"

    rows = (
        Clause(
            reason_code="pin-differs",
            find_breach=lambda e: _compare("the pin", e.pin, e.handoff),
            break_fact=lambda e: _twins_of(e, e.pin, lambda facts: replace(e, pin=facts)),
        ),
        Clause(
            reason_code="matrix-differs",
            find_breach=lambda e: _compare("the matrix's baseline pin", e.matrix_baseline, e.handoff),
            break_fact=lambda e: _twins_of(
                e, e.matrix_baseline, lambda facts: replace(e, matrix_baseline=facts)
            ),
        ),
        Clause(
            reason_code="manifest-differs",
            find_breach=lambda e: _compare("the mirrored manifest", e.mirrored_manifest, e.handoff),
            break_fact=lambda e: _twins_of(
                e, e.mirrored_manifest, lambda facts: replace(e, mirrored_manifest=facts)
            ),
        ),
        Clause(
            reason_code="manifest-bytes-differ",
            find_breach=lambda e: find_difference(
                mirrored_manifest=(e.mirrored_manifest_sha256, e.producer_manifest_sha256),
                manifest_digest_in_the_pin=(e.pin_manifest_sha256, e.producer_manifest_sha256),
            ),
            break_fact=lambda e: (
                replace(e, mirrored_manifest_sha256=calculate_change(e.mirrored_manifest_sha256)),
                replace(e, pin_manifest_sha256=calculate_change(e.pin_manifest_sha256)),
            ),
        ),
        Clause(
            reason_code="row-missing",
            find_breach=lambda e: "the matrix has no row for the target" if e.matrix_row is None else None,
            break_fact=lambda e: (replace(e, matrix_row=None),),
        ),
        Clause(
            reason_code="row-differs",
            find_breach=lambda e: _compare_row(e),
            break_fact=lambda e: _twins_of_row(e, TARGET_FACTS),
        ),
        Clause(
            reason_code="row-not-approved",
            find_breach=lambda e: find_difference(row_status=(_row(e).get("status"), APPROVED)),
            break_fact=lambda e: (replace(e, matrix_row={**_row(e), "status": "Candidate"}),),
        ),
        Clause(
            reason_code="row-not-the-parent",
            find_breach=lambda e: find_difference(
                consumer_commit_of_the_row=(_row(e).get("consumer_commit"), e.parent_commit)
            ),
            break_fact=lambda e: _twins_of_row(e, ("consumer_commit",)),
        ),
        Clause(
            reason_code="not-only-the-trio",
            find_breach=lambda e: _find_stray(e),
            break_fact=lambda e: (
                replace(e, changed_paths=(*e.changed_paths, calculate_stranger(*e.allowed_paths))),
                replace(e, changed_paths=()),
            ),
        ),
        Clause(
            reason_code="inverse-does-not-restore",
            find_breach=lambda e: (
                None
                if e.inverse_restores_baseline
                else "the inverse commit does not restore the live trio byte for byte"
            ),
            break_fact=lambda e: (replace(e, inverse_restores_baseline=False),),
        ),
    )


def _row(evidence: Trio) -> Mapping[str, str]:
    return evidence.matrix_row or {}


def _compare(what: str, found: Mapping[str, str], expected: Mapping[str, str]) -> str | None:
    for key in TARGET_FACTS:
        if key not in found or found[key] != expected.get(key):
            return f"{what} has {key} {found.get(key)}, handed off was {expected.get(key)}"
    return None


def _compare_row(evidence: Trio) -> str | None:
    if set(_row(evidence)) != set(ROW_FACTS):
        return f"the row states {sorted(_row(evidence))}, expected {sorted(ROW_FACTS)}"
    return _compare("the row", _row(evidence), evidence.handoff)


def _twins_of(
    evidence: Trio, facts: Mapping[str, str], rebuild: Callable[[Mapping[str, str]], Trio]
) -> tuple[Trio, ...]:
    return tuple(rebuild({**facts, key: calculate_change(facts[key])}) for key in TARGET_FACTS)


def _twins_of_row(evidence: Trio, keys: tuple[str, ...]) -> tuple[Trio, ...]:
    row = _row(evidence)
    return tuple(replace(evidence, matrix_row={**row, key: calculate_change(row[key])}) for key in keys)


def _find_stray(evidence: Trio) -> str | None:
    strays = sorted(set(evidence.changed_paths) - set(evidence.allowed_paths))
    if strays:
        return f"the repin changes {strays[0]} too; expected the three governance files only"
    # The matrix and the pin change with every repin; a manifest may happen to stay the same.
    return (
        None if len(set(evidence.changed_paths)) >= 2 else "the repin does not change pin and matrix together"
    )
