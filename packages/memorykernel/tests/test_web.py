"""Every route and every error: exact envelopes, key order and bytes, in both contracts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from contracts.core.envelope import POLICIES, check_reply
from contracts.documents import load_openapi
from memorykernel.errors import (
    ContextLookupFailed,
    MigrationFailed,
    QueryFailed,
    WriteFailed,
)
from memorykernel.wiring import Kernel, build_service

GOLDEN = Path(__file__).parent / "golden"
POSTS = (
    "/v1/db/schema-version",
    "/v1/db/migrate",
    "/v1/memory/add/constraint",
    "/v1/memory/add/summary",
    "/v1/memory/link",
    "/v1/query/ask",
    "/v1/query/recall",
)
GETS = ("/v1/health", "/v1/ready", "/v1/openapi", "/v1/context/cpkg_x")
WITH_BODY = tuple(path for path in POSTS if path != "/v1/db/schema-version")
MIB = 1024 * 1024


@pytest.fixture(params=["v1", "v2"], ids=["service.v2", "service.v3"])
def kernel(request: pytest.FixtureRequest, world: Any) -> Kernel:
    """A kernel of each contract: the first program's two releases."""
    opened: Kernel = world.open(request.param, schema_version=2 if request.param == "v1" else 3)
    return opened


@pytest.fixture
def call(kernel: Kernel, kit: Any) -> Any:
    return kit.asgi(build_service(kernel, openapi=b"openapi: 3.1.0\n", strict=False))


def assert_error(reply: Any, kernel: Kernel, status: int, code: str) -> dict[str, Any]:
    """The exact envelope: the contract's keys in the contract's order, and nothing else."""
    contract = kernel.release.service_contract
    assert reply.status == status, reply.body
    assert reply.headers["content-type"] == "application/json"
    policy = POLICIES[contract]
    content_type = reply.headers["content-type"]
    assert check_reply(policy, status=status, content_type=content_type, body=reply.body, max_bytes=MIB) == ()
    envelope: dict[str, Any] = reply.json()
    keys = ["service_contract_version", "error"] + (["legacy_error"] if contract == "service.v2" else [])
    assert list(envelope) == keys
    assert list(envelope["error"])[:2] == ["code", "message"]
    assert envelope["error"]["code"] == code
    assert "\n" not in envelope["error"]["message"]
    assert envelope.get("legacy_error", envelope["error"]["message"]) == envelope["error"]["message"]
    return envelope


# --- successes ---------------------------------------------------------------------------------


def test_a_success_holds_both_versions_and_the_data_in_this_order(call: Any, kernel: Kernel) -> None:
    reply = call("GET", "/v1/health")
    contract = kernel.release.service_contract
    assert reply.body.decode() == (
        f'{{"service_contract_version":"{contract}","api_contract_version":"api.v1","data":{{"status":"ok"}}}}'
    )


def test_the_whole_round_has_the_published_keys_in_order(call: Any, kit: Any) -> None:
    record = call("POST", "/v1/memory/add/constraint", kit.constraint(note=None)).data
    assert list(record) == [
        "memory_version_id",
        "memory_id",
        "version",
        "created_at",
        "effective_at",
        "truth_status",
        "authority",
        "confidence",
        "writer",
        "justification",
        "provenance",
        "supersedes",
        "contradicts",
        "payload",
    ]
    scope = {"actor": "user", "action": "use", "resource": "usb_drive"}
    payload = {"scope": scope, "effect": "deny", "note": None}
    assert record["payload"] == {"record_type": "constraint", "payload": payload}
    summary = call("POST", "/v1/memory/add/summary", kit.summary()).data
    assert summary["payload"] == {
        "record_type": "decision",
        "payload": {"summary": "USB drives were banned"},
    }
    link = {
        "from": summary["memory_version_id"],
        "to": record["memory_version_id"],
        "relation": "contradicts",
        "writer": "w",
        "justification": "j",
    }
    assert call("POST", "/v1/memory/link", link).data == {
        "from_memory_version_id": link["from"],
        "to_memory_version_id": link["to"],
        "relation": "contradicts",
        "writer": "w",
        "justification": "j",
    }
    package = call("POST", "/v1/query/ask", kit.ask(as_of=None)).data
    assert package["answer"]["result"] == "deny"
    shown = call("GET", f"/v1/context/{package['context_package_id']}")
    assert json.dumps(shown.data) == json.dumps(package)
    recalled = call(
        "POST", "/v1/query/recall", {"text": "usb drives", "record_types": [], "as_of": None}
    ).data
    assert recalled["selected_items"][0]["memory_version_id"] == summary["memory_version_id"]


def test_schema_endpoints_have_the_published_keys(call: Any, kernel: Kernel) -> None:
    target = kernel.release.schema_version
    assert call("GET", "/v1/ready").data == {
        "status": "ready",
        "checks": {
            "current_schema_version": target,
            "target_schema_version": target,
            "pending_migrations": 0,
            "inferred_from_legacy": False,
        },
    }
    version = {"current_version": target, "target_version": target, "pending_versions": []}
    assert call("POST", "/v1/db/schema-version").data == {**version, "inferred_from_legacy": False}
    dry, real = (call("POST", "/v1/db/migrate", {"dry_run": dry}).data for dry in (True, False))
    assert list(dry) == [
        "dry_run",
        "current_version",
        "target_version",
        "would_apply_versions",
        "inferred_from_legacy",
        "after_version",
        "up_to_date",
    ]
    assert (dry["after_version"], dry["up_to_date"]) == (None, None)
    assert (real["after_version"], real["up_to_date"]) == (target, True)


def test_openapi_is_served_byte_for_byte_without_an_envelope(call: Any) -> None:
    reply = call("GET", "/v1/openapi")
    assert (reply.body, reply.headers["content-type"]) == (
        b"openapi: 3.1.0\n",
        "application/yaml; charset=utf-8",
    )


@pytest.mark.parametrize(
    ("headers", "raw"),
    [({}, [b""]), ({"content-type": "text/plain"}, [b"ignored"]), ({}, [b"{not json"])],
)
def test_schema_version_ignores_its_body(call: Any, headers: dict[str, str], raw: Sequence[bytes]) -> None:
    assert call("POST", "/v1/db/schema-version", headers=headers, raw=raw).status == 200


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'],
)
def test_json_is_json_however_it_is_spelled(call: Any, kit: Any, content_type: str) -> None:
    assert call("POST", "/v1/query/ask", kit.ask(), headers={"content-type": content_type}).status == 200


def test_one_contract_ignores_the_contract_header(call: Any, kernel: Kernel) -> None:
    reply = call("GET", "/v1/health", headers={"service-contract-version": "service.v9"})
    assert reply.json()["service_contract_version"] == kernel.release.service_contract


def test_published_clients_keys_are_accepted_and_strict_refuses_them(kernel: Kernel, kit: Any) -> None:
    body = kit.ask(client_version="1.0")
    lenient = kit.asgi(build_service(kernel, openapi=b"", strict=False))
    assert lenient("POST", "/v1/query/ask", body).status == 200
    strict = kit.asgi(build_service(kernel, openapi=b"", strict=True))
    assert_error(strict("POST", "/v1/query/ask", body), kernel, 422, "invalid_json")


@pytest.mark.parametrize("ruleset", ["v1", "v2"])
def test_answers_are_the_golden_bytes(world: Any, kit: Any, ruleset: str) -> None:
    """Fixed clock and ids; a difference here is a change that consumers see.

    After a wanted change run once with MK_WRITE_GOLDEN=1 and read the difference.
    """
    kernel = world.open(ruleset, schema_version=3)
    call = kit.asgi(build_service(kernel, openapi=b"", strict=False))
    first = call("POST", "/v1/memory/add/constraint", kit.constraint(confidence=0.9))
    old = first.data["memory_version_id"]
    call(
        "POST", "/v1/memory/add/constraint", kit.constraint("*", "allow", authority="note", supersedes=[old])
    )
    call("POST", "/v1/memory/add/constraint", kit.constraint(truth_status="retracted"))
    call("POST", "/v1/memory/add/summary", kit.summary("USB drives: Ausnahme für Büros"))
    asked = call("POST", "/v1/query/ask", kit.ask())
    recalled = call("POST", "/v1/query/recall", {"text": "büros USB drives", "record_types": []})
    missing = call("GET", "/v1/context/cpkg_missing")
    lines = "".join(reply.body.decode() + "\n" for reply in (first, asked, recalled, missing))
    golden = GOLDEN / f"replies.{ruleset}.jsonl"
    if "MK_WRITE_GOLDEN" in os.environ:
        golden.write_text(lines)
    assert lines == golden.read_text()


# --- errors ------------------------------------------------------------------------------------

NOWHERE = ("/", "/v1", "/v1/health/", "/v2/health", "/v1/context/", "//v1/health", "/metrics")
OTHER_METHODS = ("PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
MALFORMED = (
    b"",
    b"{",
    b"\xff",
    b'{"text": "a", "text": "b"}',
    b'{"text": NaN}',
    b'\xef\xbb\xbf{"a": 1}',
    b"{} {}",
    b'{"text": "\\ud800"}',
    b"[" * 5000,
)


@pytest.mark.parametrize("path", NOWHERE)
def test_an_unknown_route(call: Any, kernel: Kernel, path: str) -> None:
    for method in ("GET", "POST", *OTHER_METHODS):
        assert_error(call(method, path), kernel, 404, "validation_error")


@pytest.mark.parametrize("path", [*GETS, *POSTS])
def test_a_wrong_method(call: Any, kernel: Kernel, path: str) -> None:
    wrong, allow = (("POST",), "GET, HEAD") if path in GETS else (("GET", "HEAD"), "POST")
    for method in (*wrong, *OTHER_METHODS):
        reply = call(method, path)
        assert_error(reply, kernel, 405, "validation_error")
        assert reply.headers["allow"] == allow


@pytest.mark.parametrize("path", WITH_BODY)
def test_a_wrong_content_type(call: Any, kernel: Kernel, path: str) -> None:
    for wrong in ("text/plain", "application/json; charset=latin-1", "application/jsonx", ""):
        assert_error(call("POST", path, {}, headers={"content-type": wrong}), kernel, 415, "invalid_json")
    assert_error(call("POST", path, {}, headers={}), kernel, 415, "invalid_json")


@pytest.mark.parametrize("path", WITH_BODY)
def test_a_malformed_body(call: Any, kernel: Kernel, path: str) -> None:
    for raw in MALFORMED:
        assert_error(call("POST", path, raw=[raw]), kernel, 400, "invalid_json")


@pytest.mark.parametrize("path", POSTS)
def test_a_body_that_is_too_large(call: Any, kernel: Kernel, path: str) -> None:
    just_over = [b" " * MIB, b" " * MIB, b" "]
    # Nothing is asked for when 33 MiB are announced: a pop from an empty list would fail.
    for announced, raw in ((2 * MIB + 1, just_over), (33 * MIB, []), (None, just_over)):
        headers = {"content-type": "application/json"}
        if announced is not None:
            headers["content-length"] = str(announced)
        assert_error(call("POST", path, headers=headers, raw=raw), kernel, 413, "invalid_json")


def test_a_body_without_end_is_read_only_so_far(call: Any, kernel: Kernel) -> None:
    endless = call("POST", "/v1/query/ask", raw=[b" " * MIB] * 40)
    assert_error(endless, kernel, 413, "invalid_json")


def test_a_large_body_that_waits_to_be_wanted_is_refused_at_once(call: Any, kernel: Kernel) -> None:
    waiting = {"content-length": str(3 * MIB), "expect": "100-continue", "content-type": "application/json"}
    assert_error(call("POST", "/v1/query/ask", headers=waiting, raw=[]), kernel, 413, "invalid_json")


def test_a_body_of_just_the_limit_is_read(call: Any, kit: Any) -> None:
    body = json.dumps(kit.ask()).encode()
    padded = body + b" " * (2 * MIB - len(body))
    assert call("POST", "/v1/query/ask", raw=[padded[:MIB], padded[MIB:]]).status == 200


@pytest.mark.parametrize("path", WITH_BODY)
def test_a_mistyped_body(call: Any, kernel: Kernel, path: str) -> None:
    mistyped: tuple[Any, ...] = ({}, [], "text", 7)
    for body in mistyped:
        assert_error(call("POST", path, body), kernel, 422, "invalid_json")


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"as_of": "soon"}, 422, "invalid_json"),
        ({"as_of": 5}, 422, "invalid_json"),
        ({"text": " "}, 400, "validation_error"),
        ({"actor": ""}, 400, "validation_error"),
    ],
)
def test_a_wrong_question(call: Any, kernel: Kernel, kit: Any, changes: Any, status: int, code: str) -> None:
    assert_error(call("POST", "/v1/query/ask", kit.ask(**changes)), kernel, status, code)


def test_a_blank_recall_and_an_unknown_type(call: Any, kernel: Kernel) -> None:
    blank = {"text": "\t", "record_types": []}
    assert_error(call("POST", "/v1/query/recall", blank), kernel, 400, "validation_error")
    unknown = {"text": "x", "record_types": ["rumor"]}
    envelope = assert_error(call("POST", "/v1/query/recall", unknown), kernel, 422, "invalid_json")
    assert envelope["error"]["details"] == {"field": "record_types[0]"}


def test_write_conflicts(call: Any, kernel: Kernel, kit: Any) -> None:
    body = kit.constraint(memory_id="0" * 26)
    assert call("POST", "/v1/memory/add/constraint", body).status == 200
    again = call("POST", "/v1/memory/add/constraint", body)
    assert_error(again, kernel, 409, "write_conflict")
    nowhere = kit.summary(supersedes=["7" * 26])
    assert_error(call("POST", "/v1/memory/add/summary", nowhere), kernel, 409, "write_conflict")
    link = {
        "from": "7" * 26,
        "to": "0" * 26,
        "relation": "supersedes",
        "writer": "w",
        "justification": "j",
    }
    assert_error(call("POST", "/v1/memory/link", link), kernel, 409, "write_conflict")
    assert_error(call("POST", "/v1/memory/link", {**link, "to": "7" * 26}), kernel, 409, "write_conflict")


def test_an_unknown_context_package(call: Any, kernel: Kernel) -> None:
    assert_error(call("GET", "/v1/context/cpkg_unknown"), kernel, 404, "context_package_not_found")


def bodies(kit: Any) -> dict[str, Any]:
    link = {"from": "1" * 26, "to": "2" * 26, "relation": "supersedes", "writer": "w", "justification": "j"}
    return {
        "/v1/memory/add/constraint": kit.constraint(),
        "/v1/memory/add/summary": kit.summary(),
        "/v1/memory/link": link,
        "/v1/query/ask": kit.ask(),
        "/v1/query/recall": {"text": "x y", "record_types": []},
    }


def test_without_a_schema_everything_but_liveness_and_migration_is_unavailable(world: Any, kit: Any) -> None:
    kernel = world.open(migrate=False)
    call = kit.asgi(build_service(kernel, openapi=b"", strict=False))
    for path, body in bodies(kit).items():
        envelope = assert_error(call("POST", path, body), kernel, 503, "schema_unavailable")
        assert "mk db migrate" in envelope["error"]["message"]
    assert_error(call("GET", "/v1/ready"), kernel, 503, "schema_unavailable")
    assert_error(call("GET", "/v1/context/cpkg_x"), kernel, 503, "schema_unavailable")
    assert call("GET", "/v1/health").status == 200
    assert call("POST", "/v1/db/schema-version").data["pending_versions"] == [1, 2, 3, 4]
    assert call("POST", "/v1/db/migrate", {"dry_run": False}).data["after_version"] == 4
    assert call("POST", "/v1/query/ask", kit.ask()).status == 200


class Broken:
    """A store that fails in the way it is told to."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(*_: Any, **__: Any) -> Any:
            raise self._error

        return fail


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WriteFailed("no"), "write_failed"),
        (QueryFailed("no"), "query_failed"),
        (ContextLookupFailed("no"), "context_lookup_failed"),
        (MigrationFailed("no"), "migration_failed"),
        (RuntimeError("secret: hunter2"), "internal_error"),
        (MemoryError(), "internal_error"),
    ],
)
def test_a_failing_store(world: Any, kit: Any, error: Exception, code: str) -> None:
    from memorykernel.service.asking import Asking
    from memorykernel.service.remembering import Remembering
    from memorykernel.service.schema_care import SchemaCare
    from memorykernel.wiring import Kernel as KernelType

    real, broken = world.open(), Broken(error)
    care = SchemaCare(schema=broken if code == "migration_failed" else _Ready(), clock=world.clock)
    kernel = KernelType(
        release=real.release,
        file=real.file,
        asking=Asking(
            memory=broken, answers=broken, schema_care=care, clock=world.clock, release=real.release
        ),
        remembering=Remembering(memory=broken, schema_care=care, clock=world.clock, ids=world.ids),
        schema_care=care,
        reopen=real.reopen,
    )
    call = kit.asgi(build_service(kernel, openapi=b"", strict=False))
    replies = [call("POST", path, body) for path, body in bodies(kit).items()]
    replies += [call("GET", "/v1/context/cpkg_x")]
    if code == "migration_failed":
        replies = [call("POST", "/v1/db/migrate", {"dry_run": False})]
    for reply in replies:
        envelope = assert_error(reply, kernel, 500, code)
        assert "hunter2" not in str(envelope)
        assert "Traceback" not in str(envelope)


class _Ready:
    """A schema that is always as wanted."""

    def load_status(self) -> Any:
        from memorykernel.core.schema_status import compare_schema

        return compare_schema(3, 3)

    def migrate(self, now_us: int) -> Any:
        return self.load_status()


@pytest.mark.parametrize("contract", ["service.v2", "service.v3"])
def test_every_documented_route_exists_and_none_else(contract: str, kernel: Kernel, kit: Any) -> None:
    yaml = pytest.importorskip("yaml")
    document = yaml.safe_load(load_openapi(contract))
    call = kit.asgi(build_service(kernel, openapi=b"", strict=False))
    for path, operations in document["paths"].items():
        for method in operations:
            reply = call(method.upper(), path.replace("{context_package_id}", "x"))
            assert (reply.status, reply.headers.get("allow")) != (405, None)
            assert not (reply.status == 404 and b"no endpoint" in reply.body)
    assert sum(len(operations) for operations in document["paths"].values()) == 11
