"""Gate `handoff`: signed by the producer, complete, equal to the target.

Derived from the `HandedOff` entry, the payload that it names and the program; nothing is collected.
A candidate is an offer to rehearse, never a reason to move: its payload says so itself. Commands in
the payload are claims: each must be one that the program declares, none is ever run from here.
Source: cutover-program, table "Gates"; wire contract, section 3.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping

from contracts.core import handoff as payload
from contracts.errors import ContractsError
from msgspec.structs import replace

from cutover.core.case import Case
from cutover.core.entry import Entry, HandedOff
from cutover.core.evidence import Handoff
from cutover.core.gate.gate import Clause, ClauseGate, calculate_change
from cutover.core.key import Party
from cutover.core.program import ReleaseTarget
from cutover.errors import EvidenceUnreadable

_OURS = ("expected_producer_manifest_sha256", "release_digests", "consumer_impact_statement")
"""Fields that the published format lacks and a cutover cannot do without."""

_REPORT = re.escape(" --report ") + r"\S+"


def load_payload(case: Case) -> payload.Handoff:
    """Return the newest hand-off's payload.

    Raises:
        EvidenceUnreadable: When nothing was handed off, or its bytes are missing, altered or malformed.
    """
    found = case.newest(HandedOff)
    if found is None:
        raise EvidenceUnreadable("nothing was handed off; expected the producer to run 'cutover handoff'")
    digest = found[1].handoff_digest
    try:
        data = case.evidence[digest]
    except KeyError:
        raise EvidenceUnreadable(
            f"the hand-off {digest[:12]} is missing; expected its bytes beside the log"
        ) from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise EvidenceUnreadable(f"the bytes of the hand-off {digest[:12]} do not match their digest")
    try:
        return payload.parse_handoff(data)
    except ContractsError as exc:
        raise EvidenceUnreadable(f"the hand-off {digest[:12]} is malformed: {exc}") from exc


class HandoffGate(ClauseGate[Handoff]):
    """The hand-off's facts beside the program's target."""

    name = "handoff"

    def gather(self, case: Case) -> tuple[Handoff, tuple[str, ...]] | None:
        """Derive the evidence from entry, payload and program; None before the first hand-off.

        Raises:
            EvidenceUnreadable: When the payload is missing, altered or malformed.
        """
        found = case.newest(HandedOff)
        if found is None:
            return None
        return _derive(case, *found, load_payload(case)), (found[1].handoff_digest,)

    def describe(self, evidence: Handoff) -> str:
        """Return what was handed off."""
        return f"{evidence.stated['release_tag']} is handed off, signed, complete and equal to the target"

    rows = (
        Clause(
            reason_code="not-signed-by-producer",
            find_breach=lambda e: (
                None
                if e.signed_by_party == Party.PRODUCER
                else f"it is signed by {e.signed_by_party}, expected the producer"
            ),
            break_fact=lambda e: (replace(e, signed_by_party="consumer"), replace(e, signed_by_party=None)),
        ),
        Clause(
            reason_code="handoff-not-stable",
            find_breach=lambda e: (
                None
                if e.handoff_mode == payload.STABLE
                else f"its mode is {e.handoff_mode}, expected {payload.STABLE}"
            ),
            break_fact=lambda e: (replace(e, handoff_mode=payload.CANDIDATE),),
        ),
        Clause(
            reason_code="handoff-incomplete",
            find_breach=lambda e: f"it lacks {', '.join(e.missing_fields)}" if e.missing_fields else None,
            break_fact=lambda e: (replace(e, missing_fields=("release_digests",)),),
        ),
        Clause(
            reason_code="absolute-path",
            find_breach=lambda e: (
                f"it names a path outside the repository: {e.absolute_paths[0]}" if e.absolute_paths else None
            ),
            break_fact=lambda e: (
                replace(e, absolute_paths=("manifest_path: /home/somebody/manifest.json",)),
            ),
        ),
        Clause(
            reason_code="target-differs",
            find_breach=lambda e: _compare(e.stated, e.expected),
            break_fact=lambda e: tuple(
                replace(e, stated={**e.stated, key: calculate_change(e.stated[key])}) for key in e.expected
            ),
        ),
        Clause(
            reason_code="baseline-differs",
            find_breach=lambda e: _compare(e.baseline_stated, e.baseline_expected),
            break_fact=lambda e: tuple(
                replace(
                    e, baseline_stated={**e.baseline_stated, key: calculate_change(e.baseline_stated[key])}
                )
                for key in e.baseline_expected
            ),
        ),
        Clause(
            reason_code="command-not-declared",
            find_breach=lambda e: _find_undeclared(e),
            break_fact=lambda e: (replace(e, commands_declared=()),),
        ),
    )


def _derive(case: Case, entry: Entry, body: HandedOff, handed: payload.Handoff) -> Handoff:
    program, baseline = case.program, handed.active_runtime_baseline
    party = entry.signer.party
    return Handoff(
        signed_by_party=None if party is None else str(party),
        handoff_mode=handed.handoff_mode,
        missing_fields=tuple(name for name in _OURS if not getattr(handed, name)),
        absolute_paths=handed.absolute_paths,
        stated={"commit_sha": handed.commit_sha, **_facts_of(handed)},
        expected={"commit_sha": body.commit_sha, **_facts_of_release(program.target, body.release_tag)},
        baseline_stated=_facts_of(baseline),
        baseline_expected=_facts_of_release(program.baseline, program.baseline.release_tag),
        commands_stated=handed.verification_commands,
        commands_declared=tuple(shlex.join(suite.command) for suite in program.producer.suites),
    )


def _facts_of(stated: payload.Handoff | payload.ActiveRuntimeBaseline) -> Mapping[str, str]:
    return {
        "release_tag": stated.release_tag,
        "service_contract_version": stated.expected_service_contract_version,
        "api_contract_version": stated.expected_api_contract_version,
        "integration_baseline": stated.integration_baseline,
    }


def _facts_of_release(release: ReleaseTarget, entry_tag: str) -> Mapping[str, str]:
    # The entry's tag and the program's must be one; where they part, nothing equals "a, not b".
    tag = (
        release.release_tag if release.release_tag == entry_tag else f"{release.release_tag}, not {entry_tag}"
    )
    return {
        "release_tag": tag,
        "service_contract_version": release.service_contract_version,
        "api_contract_version": release.api_contract_version,
        "integration_baseline": release.integration_baseline,
    }


def _compare(stated: Mapping[str, str], expected: Mapping[str, str]) -> str | None:
    if not expected or set(stated) != set(expected):
        return f"it states {sorted(stated)}, expected {sorted(expected)}"
    for key, value in expected.items():
        if stated[key] != value:
            return f"its {key} is {stated[key]}, expected {value}"
    return None


def _find_undeclared(evidence: Handoff) -> str | None:
    if not evidence.commands_stated or not evidence.commands_declared:
        return "there is nothing to compare: no command stated, or none declared"
    patterns = [_to_pattern(command) for command in evidence.commands_declared]
    for stated in evidence.commands_stated:
        if not any(pattern.fullmatch(stated) for pattern in patterns):
            return f"the command {stated!r} is not declared as a suite in cutover.toml"
    return None


def _to_pattern(command: str) -> re.Pattern[str]:
    """Read a declared command; a placeholder stands for any one word, ` --report {report}` may be absent."""
    text = command.replace("'{", "{").replace("}'", "}")
    pattern = re.sub(r"\\\{[a-z_]+\\\}", r"\\S+", re.escape(text))
    return re.compile(pattern.replace(_REPORT, f"(?:{_REPORT})?"))
