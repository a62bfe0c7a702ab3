"""The producer speaks the contract of the pin: what the desk needs, and nothing that it does not read."""

import unittest

from wire import PIN, Reply, ask, request

QUESTIONS = (
    ("employee", "use", "usb-drive"),
    ("employee", "use", "vpn"),
    ("contractor", "use", "vpn"),
    ("employee", "install", "software"),
    ("manager", "access", "payroll-data"),
    ("employee", "use", "nothing-that-anybody-has-a-rule-for"),
)
CODES = {
    "invalid_json",
    "validation_error",
    "context_package_not_found",
    "write_conflict",
    "write_failed",
    "schema_unavailable",
    "migration_failed",
    "query_failed",
    "context_lookup_failed",
    "internal_error",
}


class Contract(unittest.TestCase):
    def assert_success(self, reply: Reply) -> dict[str, object]:
        self.assertEqual(reply.status, 200, reply.json)
        self.assertEqual(set(reply.json), {"service_contract_version", "api_contract_version", "data"})
        self.assertEqual(reply.json["service_contract_version"], PIN["expected_service_contract_version"])
        self.assertEqual(reply.json["api_contract_version"], PIN["expected_api_contract_version"])
        return reply.json["data"]

    def assert_error(self, reply: Reply) -> dict[str, object]:
        self.assertGreaterEqual(reply.status, 400)
        required = {"service_contract_version", "error"}
        if PIN["expected_service_contract_version"] == "service.v2":
            required.add("legacy_error")
        self.assertEqual(set(reply.json), required)
        self.assertEqual(reply.json["service_contract_version"], PIN["expected_service_contract_version"])
        self.assertIn(reply.json["error"]["code"], CODES)
        self.assertTrue(reply.json["error"]["message"].strip())
        return reply.json["error"]

    def test_preflight(self) -> None:
        self.assertEqual(self.assert_success(request("GET", "/v1/health"))["status"], "ok")
        self.assertIn("current_version", self.assert_success(request("POST", "/v1/db/schema-version")))

    def test_questions_are_answered(self) -> None:
        for actor, action, resource in QUESTIONS:
            with self.subTest(question=f"{actor} {action} {resource}"):
                data = self.assert_success(ask(actor, action, resource))
                self.assertIn(data["answer"]["result"], {"allow", "deny", "inconclusive"})
                self.assertTrue(data["answer"]["why"].strip())

    def test_an_answer_names_where_it_is_kept(self) -> None:
        data = self.assert_success(ask("employee", "use", "vpn"))
        self.assertTrue(data["context_package_id"])
        self.assertTrue(data["determinism"]["snapshot_id"])

    def test_somebody_has_entered_policies(self) -> None:
        data = self.assert_success(ask("employee", "use", "usb-drive"))
        self.assertNotEqual(data["answer"]["result"], "inconclusive")

    def test_a_malformed_question_gets_a_well_formed_error(self) -> None:
        error = self.assert_error(request("POST", "/v1/query/ask", raw=b"{"))
        self.assertEqual(error["code"], "invalid_json")

    def test_a_blank_question_gets_a_well_formed_error(self) -> None:
        error = self.assert_error(ask("employee", "use", "vpn", text=" "))
        self.assertEqual(error["code"], "validation_error")
