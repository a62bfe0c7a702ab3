"""The probes of the envelope gate: for every route at least one success and each error it can reach.

Written for the policy service's contracts, `service.v2` to `service.v4`; other producers bring a set of their
own. A probe is a request; what must come back is the envelope policy.
Source: wire-contracts section 1.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from cutover.core.material import Question, SeedWrite

JSON = "application/json"
MAX_BODY_BYTES = 2 << 20
_ULID = "01J0SQQP7M70P6Y3R4T8D8G8M2"


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    Args:
        name: As `ask/mistyped-actor`; the part before the slash groups them.
        route: Method and template as in the OpenAPI document, or what stands outside of it.
        path: The path really sent.
        body: Bytes, or None for no body.
        envelope: False where the answer stands outside the envelope rule.
        keeps: Name under which the id in a success is kept; `{{id:NAME}}` in a later probe's path or body
            stands for it.
    """

    name: str
    route: str
    method: str
    path: str
    body: bytes | None = None
    content_type: str | None = JSON
    envelope: bool = True
    keeps: str | None = None

    @property
    def is_valid(self) -> bool:
        """Whether the request is one that a release must answer with success: all named `.../ok` are."""
        return self.name.endswith("/ok")


_COMMON: dict[str, object] = {
    "writer": "cutover.probe",
    "justification": "envelope probe on a scratch database",
    "source_uri": "urn:cutover:probe",
    "truth_status": "asserted",
    "authority": "note",
    "created_at": None,
    "effective_at": None,
    "evidence": [],
    "supersedes": [],
    "contradicts": [],
}
_CONSTRAINT = {
    **_COMMON,
    "actor": "probe",
    "action": "use",
    "resource": "probe",
    "effect": "deny",
    "version": 1,
}
_SUMMARY = {**_COMMON, "record_type": "decision", "summary": "probe the envelope", "version": 1}
_ASK = {"text": "May the probe pass?", "actor": "probe", "action": "use", "resource": "probe", "as_of": None}
_RECALL: dict[str, object] = {"text": "probe", "record_types": [], "as_of": None}
_LINK = {
    "from": _ULID,
    "to": _ULID.replace("M2", "M3"),
    "relation": "supersedes",
    "writer": "cutover.probe",
    "justification": "a link to nothing",
}


def _post(name: str, path: str, body: object, *, keeps: str | None = None) -> Probe:
    data = msgspec.json.encode(body)
    return Probe(name=name, route=f"POST {path}", method="POST", path=path, body=data, keeps=keeps)


def _refusals(name: str, path: str, good: dict[str, object], mistyped: str, blank: str) -> tuple[Probe, ...]:
    """Every way in which a writing or asking route refuses a body."""
    route = f"POST {path}"
    missing = {key: value for key, value in good.items() if key != mistyped}

    def raw(kind: str, body: bytes, content_type: str = JSON) -> Probe:
        return Probe(
            name=f"{name}/{kind}", route=route, method="POST", path=path, body=body, content_type=content_type
        )

    return (
        raw("malformed", b'{"text": '),
        raw("not-json", b"text=hello", "text/plain"),
        raw("too-large", b'{"text": "' + b"x" * (MAX_BODY_BYTES + 1) + b'"}'),
        _post(f"{name}/missing-{mistyped}", path, missing),
        _post(f"{name}/mistyped-{mistyped}", path, {**good, mistyped: 7}),
        _post(f"{name}/blank-{blank}", path, {**good, blank: "  "}),
    )


def _plain(name: str, method: str, path: str, *, route: str | None = None, envelope: bool = True) -> Probe:
    return Probe(
        name=name,
        route=route or f"{method} {path}",
        method=method,
        path=path,
        content_type=None,
        envelope=envelope,
    )


_ADD, _SUM = "/v1/memory/add/constraint", "/v1/memory/add/summary"
_CONTEXT = "GET /v1/context/{context_package_id}"
_FIXED_ID = {**_CONSTRAINT, "memory_id": _ULID, "version": 7}

PROBES: tuple[Probe, ...] = (
    _plain("health/ok", "GET", "/v1/health"),
    _plain("ready/ok", "GET", "/v1/ready"),
    _plain("openapi/ok", "GET", "/v1/openapi", envelope=False),
    _plain("schema-version/ok", "POST", "/v1/db/schema-version"),
    _post("migrate/ok", "/v1/db/migrate", {"dry_run": True}),
    _post("migrate/mistyped-dry_run", "/v1/db/migrate", {"dry_run": "yes"}),
    _post("constraint/ok", _ADD, _CONSTRAINT, keeps="older"),
    _post("constraint/fixed-id/ok", _ADD, _FIXED_ID, keeps="newer"),
    _post("constraint/same-version-twice", _ADD, _FIXED_ID),
    _post("constraint/bad-effect", _ADD, {**_CONSTRAINT, "effect": "perhaps"}),
    *_refusals("constraint", _ADD, dict(_CONSTRAINT), "actor", "writer"),
    _post("summary/ok", _SUM, _SUMMARY),
    *_refusals("summary", _SUM, dict(_SUMMARY), "summary", "summary"),
    _post("link/ok", "/v1/memory/link", {**_LINK, "from": "{{id:newer}}", "to": "{{id:older}}"}),
    _post("link/unknown-version", "/v1/memory/link", _LINK),
    *_refusals("link", "/v1/memory/link", dict(_LINK), "from", "writer"),
    _post("ask/ok", "/v1/query/ask", _ASK, keeps="answer"),
    *_refusals("ask", "/v1/query/ask", dict(_ASK), "actor", "text"),
    _post("recall/ok", "/v1/query/recall", _RECALL),
    *_refusals("recall", "/v1/query/recall", dict(_RECALL), "record_types", "text"),
    _plain("context/ok", "GET", "/v1/context/{{id:answer}}", route=_CONTEXT),
    _plain("context/unknown", "GET", "/v1/context/cpkg_none", route=_CONTEXT),
    _plain("unknown-route", "GET", "/v1/nothing-here"),
    _plain("wrong-method", "DELETE", "/v1/query/ask"),
)
"""In order: a later probe may rely on what an earlier one wrote."""

_MEMBER = "/v1/memory/add/membership"
_MEMBERSHIP = {**_COMMON, "field": "actor", "group": "probes", "member": "probe", "version": 1}
_CHECK = "/v1/memory/check/constraint"
_RECORD = "/v1/memory/record/{memory_version_id}"
_LINEAGE = "/v1/memory/lineage/{memory_id}"
_BLAST, _COMPARE = "/v1/explain/blast-radius", "/v1/explain/compare"
_AFFECTED: dict[str, object] = {"memory_version_id": "{{id:older}}"}
_RULESETS: dict[str, object] = {"from": {"ruleset": "ordering.v2"}, "to": {"ruleset": "ordering.v3"}}


def _find(name: str, template: str, good: str, unknown: str) -> tuple[Probe, ...]:
    """A route that finds something by an id: found, not there, and no id at all."""
    before, _, rest = template.partition("{")
    after = rest.partition("}")[2]
    return tuple(
        _plain(f"{name}/{kind}", "GET", f"{before}{value}{after}", route=f"GET {template}")
        for kind, value in (("ok", good), ("unknown", unknown), ("no-id", "-"))
    )


ADDED_PROBES: tuple[Probe, ...] = (
    _post("membership/ok", _MEMBER, _MEMBERSHIP),
    *_refusals("membership", _MEMBER, dict(_MEMBERSHIP), "member", "group"),
    _post("check/ok", _CHECK, {**_CONSTRAINT, "effect": "allow"}),
    *_refusals("check", _CHECK, dict(_CONSTRAINT), "actor", "writer"),
    *_find("record", _RECORD, "{{id:older}}", _ULID.replace("M2", "M9")),
    *_find("lineage", _LINEAGE, _ULID, _ULID.replace("M2", "M9")),
    *(
        probe
        for kind in ("exclusions", "replay", "proof", "counterfactual")
        for probe in _find(
            kind, f"/v1/context/{{context_package_id}}/{kind}", "{{id:answer}}", "cpkg_" + "0" * 32
        )
    ),
    _post("blast-radius/ok", _BLAST, _AFFECTED),
    *_refusals("blast-radius", _BLAST, _AFFECTED, "memory_version_id", "memory_version_id"),
    _post("compare/ok", _COMPARE, _RULESETS),
    *_refusals("compare", _COMPARE, _RULESETS, "from", "from"),
    _post("compare/unknown-ruleset", _COMPARE, {**_RULESETS, "to": {"ruleset": "ordering.v0"}}),
)
"""Probes of routes that came after service.v3, for releases whose document has them."""


def select_probes(routes: Collection[str]) -> tuple[Probe, ...]:
    """The probes for a release.

    Args:
        routes: Method and template of every route of its OpenAPI document.
    """
    return (*PROBES, *(probe for probe in ADDED_PROBES if probe.route in routes))


_READ_BACK = {**_CONSTRAINT, "actor": "cutover", "action": "read-back", "resource": "scratch"}
READ_BACK_WRITE = SeedWrite(name="read-back", path=_ADD, body=msgspec.Raw(msgspec.json.encode(_READ_BACK)))
"""A record written through one release, to be read through the other."""
READ_BACK_QUESTION = Question(
    name="read-back",
    text="Is what the other release wrote there?",
    actor="cutover",
    action="read-back",
    resource="scratch",
)
"""The question whose answer selects that record."""
