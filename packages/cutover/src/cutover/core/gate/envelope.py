"""Gate `envelope`: live probes of both releases on every route obey the pinned policy.

Every observed code is in the enum, the enums of manifest, OpenAPI and hand-off are equal as sets, every
route was met, successes and errors were both seen, codes that no probe reached are listed, and the
collector noticed a real fault that was put in its way.
Source: cutover-program, table "Gates"; wire contract, section 1.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from cutover.core.case import Case
from cutover.core.entry import HandedOff
from cutover.core.evidence import Envelope, ReleaseProbes
from cutover.core.gate.gate import (
    Clause,
    CollectedGate,
    calculate_change,
    calculate_stranger,
    find_difference,
)
from cutover.core.gate.handoff import load_payload
from cutover.core.program import ReleaseTarget


def _on_both(
    reason_code: str,
    find: Callable[[ReleaseProbes], str | None],
    break_one: Callable[[ReleaseProbes], tuple[ReleaseProbes, ...]],
) -> Clause[Envelope]:
    """Return a clause that holds for each of the two releases, with twins of each."""
    return Clause(
        reason_code=reason_code,
        find_breach=lambda e: next(
            (
                f"{probes.release_tag}: {breach}"
                for probes in (e.baseline, e.target)
                if (breach := find(probes)) is not None
            ),
            None,
        ),
        break_fact=lambda e: (
            *(replace(e, baseline=twin) for twin in break_one(e.baseline)),
            *(replace(e, target=twin) for twin in break_one(e.target)),
        ),
    )


def _find_openapi(probes: ReleaseProbes) -> str | None:
    return find_difference(served_openapi=(probes.served_openapi_sha256, probes.tag_openapi_sha256))


def _find_breach(probes: ReleaseProbes) -> str | None:
    for reply in probes.replies:
        if reply.breaches:
            return f"{reply.probe} ({reply.route}, {reply.status}) breaks the policy: {reply.breaches[0]}"
    return None


def _break_reply(probes: ReleaseProbes) -> tuple[ReleaseProbes, ...]:
    first, *others = probes.replies
    return (replace(probes, replies=(replace(first, breaches=("missing-key:error",)), *others)),)


def _find_unmet_route(probes: ReleaseProbes) -> str | None:
    if not probes.routes:
        return "no route is named"
    unmet = sorted(set(probes.routes) - {reply.route for reply in probes.replies})
    return f"{unmet[0]} was never probed" if unmet else None


def _find_one_sided(probes: ReleaseProbes) -> str | None:
    successes = sum(200 <= reply.status < 300 for reply in probes.replies)
    if not successes or successes == len(probes.replies):
        return f"{successes} of {len(probes.replies)} replies are successes, expected both kinds"
    return None


def _break_sides(probes: ReleaseProbes) -> tuple[ReleaseProbes, ...]:
    return (replace(probes, replies=tuple(replace(reply, status=200) for reply in probes.replies)),)


def _find_enum_difference(probes: ReleaseProbes) -> str | None:
    manifest, openapi = frozenset(probes.manifest_codes), frozenset(probes.openapi_codes)
    handoff = frozenset(probes.handoff_codes)
    if manifest == openapi == handoff and manifest:
        return None
    odd = sorted((manifest | openapi | handoff) - (manifest & openapi & handoff))
    return f"manifest, OpenAPI and hand-off disagree about {', '.join(odd) or 'everything: they are empty'}"


def _break_enums(probes: ReleaseProbes) -> tuple[ReleaseProbes, ...]:
    stranger = calculate_stranger(*probes.manifest_codes)
    return (
        replace(probes, manifest_codes=(*probes.manifest_codes, stranger)),
        replace(probes, openapi_codes=(*probes.openapi_codes, stranger)),
        replace(probes, handoff_codes=(*probes.handoff_codes, stranger)),
    )


def _find_unknown_code(probes: ReleaseProbes) -> str | None:
    for reply in probes.replies:
        if reply.code is not None and reply.code not in probes.manifest_codes:
            return f"{reply.probe} answers with the code {reply.code}, which is not in the enum"
        # A reply to HEAD has no body, hence no code to look at.
        if reply.code is None and reply.status >= 400 and not reply.route.startswith("HEAD "):
            return f"{reply.probe} answers {reply.status} without a code"
    return None


def _break_code(probes: ReleaseProbes) -> tuple[ReleaseProbes, ...]:
    first, *others = probes.replies
    code = calculate_stranger(*probes.manifest_codes)
    return (replace(probes, replies=(replace(first, code=code), *others)),)


def _find_unlisted(probes: ReleaseProbes) -> str | None:
    missed = set(probes.manifest_codes) - {reply.code for reply in probes.replies}
    if missed == set(probes.codes_not_reached):
        return None
    return f"codes not reached are {sorted(missed)}, listed are {sorted(probes.codes_not_reached)}"


def _break_list(probes: ReleaseProbes) -> tuple[ReleaseProbes, ...]:
    if probes.codes_not_reached:
        return (replace(probes, codes_not_reached=()),)
    return (replace(probes, codes_not_reached=probes.manifest_codes),)


class EnvelopeGate(CollectedGate[Envelope]):
    """Probes of both releases, each against the policy of its own contract."""

    name = "envelope"
    kind = Envelope
    follows = (HandedOff,)

    def find_mismatch(self, case: Case, evidence: Envelope) -> str | None:
        """Hold releases, the target's document and its enum against program and hand-off."""
        handed, path = load_payload(case), case.program.producer.openapi_path
        digests = handed.release_digests or {}
        return find_difference(
            baseline=(_name(evidence.baseline), _name(case.program.baseline)),
            target=(_name(evidence.target), _name(case.program.target)),
            openapi_of_the_target=(evidence.target.tag_openapi_sha256, digests.get(path)),
            codes_handed_off=(
                sorted(set(evidence.target.handoff_codes)),
                sorted(set(handed.error_code_enum)),
            ),
        )

    def describe(self, evidence: Envelope) -> str:
        """Return how much was probed and what was not reached."""
        missed = sorted({*evidence.baseline.codes_not_reached, *evidence.target.codes_not_reached})
        return (
            f"{len(evidence.baseline.replies)} + {len(evidence.target.replies)} live replies obey their "
            f"policies; codes not reached: {', '.join(missed) or 'none'}"
        )

    rows = (
        _on_both(
            "openapi-not-served",
            _find_openapi,
            lambda p: (replace(p, served_openapi_sha256=calculate_change(p.served_openapi_sha256)),),
        ),
        _on_both("envelope-breach", _find_breach, _break_reply),
        _on_both(
            "route-not-probed",
            _find_unmet_route,
            lambda p: (
                replace(p, routes=(*p.routes, f"GET /{calculate_stranger(*(r.route for r in p.replies))}")),
                replace(p, routes=()),
            ),
        ),
        _on_both("one-kind-only", _find_one_sided, _break_sides),
        _on_both("enums-differ", _find_enum_difference, _break_enums),
        _on_both("unknown-error-code", _find_unknown_code, _break_code),
        _on_both("unreached-not-listed", _find_unlisted, _break_list),
        Clause(
            reason_code="live-fault-unnoticed",
            find_breach=lambda e: (
                None
                if e.live_fault.noticed
                else f"the real fault {e.live_fault.fault} went unnoticed: {e.live_fault.detail}"
            ),
            break_fact=lambda e: (replace(e, live_fault=replace(e.live_fault, noticed=False)),),
        ),
    )


def _name(release: ReleaseProbes | ReleaseTarget) -> str:
    return f"{release.release_tag} speaking {release.service_contract_version}"
