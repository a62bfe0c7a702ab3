"""Every route of a running release, in the envelope of this commit's contract. Reads only."""

import unittest

from wire import CONTRACT, RELEASE, ROOT, Reply, ask, request

UNKNOWN_ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


class Envelope(unittest.TestCase):
    def assert_success(self, reply: Reply) -> dict[str, object]:
        self.assertEqual(reply.status, 200, reply.body)
        self.assertTrue(reply.content_type.startswith("application/json"), reply.content_type)
        self.assertEqual(set(reply.json), {"service_contract_version", "api_contract_version", "data"})
        self.assertEqual(reply.json["service_contract_version"], CONTRACT)
        self.assertEqual(reply.json["api_contract_version"], "api.v1")
        return reply.json["data"]

    def assert_error(self, reply: Reply, status: int, code: str) -> None:
        self.assertEqual(reply.status, status, reply.body)
        required = {"service_contract_version", "error"}
        if CONTRACT == "service.v2":
            required.add("legacy_error")
            self.assertEqual(reply.json.get("legacy_error"), reply.json["error"]["message"])
        self.assertEqual(set(reply.json), required)
        self.assertEqual(reply.json["service_contract_version"], CONTRACT)
        self.assertLessEqual(set(reply.json["error"]), {"code", "message", "details"})
        self.assertEqual(reply.json["error"]["code"], code)
        self.assertTrue(reply.json["error"]["message"].strip())


class Successes(Envelope):
    def test_health(self) -> None:
        self.assertEqual(self.assert_success(request("GET", "/v1/health"))["status"], "ok")

    def test_ready(self) -> None:
        data = self.assert_success(request("GET", "/v1/ready"))
        self.assertEqual((data["status"], data["checks"]["pending_migrations"]), ("ready", 0))

    def test_schema_version_without_a_body(self) -> None:
        data = self.assert_success(request("POST", "/v1/db/schema-version"))
        self.assertEqual(data["target_version"], RELEASE["schema_version"])
        self.assertGreaterEqual(data["current_version"], data["target_version"])

    def test_migrate_dry_run_has_nothing_to_do(self) -> None:
        data = self.assert_success(request("POST", "/v1/db/migrate", {"dry_run": True}))
        self.assertEqual((data["dry_run"], data["would_apply_versions"]), (True, []))

    def test_openapi_is_the_file_of_this_commit(self) -> None:
        reply = request("GET", "/v1/openapi")
        self.assertEqual((reply.status, reply.content_type), (200, "application/yaml; charset=utf-8"))
        self.assertEqual(reply.body, (ROOT / RELEASE["openapi"]).read_bytes())

    def test_ask_names_the_ruleset_of_the_release(self) -> None:
        data = self.assert_success(ask("employee", "use", "usb-drive"))
        self.assertEqual(data["determinism"]["ruleset_version"], RELEASE["ruleset"])

    def test_recall_names_its_ruleset_and_finds_a_decision(self) -> None:
        body = {"text": "usb encryption decision", "record_types": ["decision"], "as_of": None}
        data = self.assert_success(request("POST", "/v1/query/recall", body))
        self.assertEqual(data["determinism"]["ruleset_version"], RELEASE["recall_ruleset"])
        self.assertEqual(data["answer"]["result"], "inconclusive")
        self.assertTrue(data["selected_items"])

    def test_a_context_package_can_be_shown_again(self) -> None:
        asked = self.assert_success(ask("employee", "use", "vpn"))
        shown = self.assert_success(request("GET", f"/v1/context/{asked['context_package_id']}"))
        self.assertEqual(shown, asked)


class Errors(Envelope):
    def test_malformed_json(self) -> None:
        self.assert_error(request("POST", "/v1/query/ask", raw=b'{"text": '), 400, "invalid_json")

    def test_missing_field(self) -> None:
        self.assert_error(request("POST", "/v1/query/ask", {"text": "may I?"}), 422, "invalid_json")

    def test_blank_question(self) -> None:
        self.assert_error(ask("employee", "use", "vpn", text="  "), 400, "validation_error")

    def test_wrong_media_type(self) -> None:
        self.assert_error(request("POST", "/v1/query/ask", raw=b"may I?", media="text/plain"), 415, "invalid_json")

    def test_unknown_context_package(self) -> None:
        self.assert_error(request("GET", "/v1/context/cpkg_0_none"), 404, "context_package_not_found")

    def test_link_to_an_unknown_version_writes_nothing(self) -> None:
        link = {
            "from": UNKNOWN_ULID,
            "to": UNKNOWN_ULID[:-1] + "W",
            "relation": "contradicts",
            "writer": "suite",
            "justification": "must be refused",
        }
        self.assert_error(request("POST", "/v1/memory/link", link), 409, "write_conflict")

    def test_unknown_route(self) -> None:
        self.assert_error(request("GET", "/v1/nothing-here"), 404, "validation_error")

    def test_wrong_method(self) -> None:
        self.assert_error(request("PUT", "/v1/query/ask", {}), 405, "validation_error")
