"""Pin, mirrored manifest and matrix of this commit speak of the same release."""

import hashlib
import json
import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PIN = ROOT / "config" / "memorykernel-integration-pin.json"
MIRROR = ROOT / "config" / "memorykernel-producer-manifest.json"
MATRIX = ROOT / "docs" / "MEMORYKERNEL_COMPATIBILITY_MATRIX.md"
PIN_KEYS = {
    "memorykernel_repo",
    "release_tag",
    "commit_sha",
    "expected_service_contract_version",
    "expected_api_contract_version",
    "expected_integration_baseline",
    "expected_producer_manifest_sha256",
    "default_base_url",
    "default_timeout_ms",
}


class Pin(unittest.TestCase):
    def setUp(self) -> None:
        self.pin = json.loads(PIN.read_bytes())

    def test_has_exactly_its_keys(self) -> None:
        self.assertEqual(set(self.pin), PIN_KEYS)

    def test_names_a_release_and_a_whole_commit(self) -> None:
        self.assertRegex(self.pin["release_tag"], r"^v\d+\.\d+\.\d+$")
        self.assertRegex(self.pin["commit_sha"], r"^[0-9a-f]{40}$")

    def test_stays_on_this_machine(self) -> None:
        self.assertRegex(self.pin["default_base_url"], r"^http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/?$")

    def test_has_a_deadline_within_bounds(self) -> None:
        self.assertTrue(100 <= self.pin["default_timeout_ms"] <= 30_000)


class Mirror(unittest.TestCase):
    def setUp(self) -> None:
        self.pin = json.loads(PIN.read_bytes())
        self.manifest = json.loads(MIRROR.read_bytes())

    def test_bytes_are_those_that_the_pin_names(self) -> None:
        digest = hashlib.sha256(MIRROR.read_bytes()).hexdigest()
        self.assertEqual(digest, self.pin["expected_producer_manifest_sha256"])

    def test_speaks_of_the_pinned_release(self) -> None:
        pairs = {
            "release_tag": "release_tag",
            "commit_sha": "commit_sha",
            "expected_service_contract_version": "expected_service_contract_version",
            "expected_api_contract_version": "expected_api_contract_version",
            "integration_baseline": "expected_integration_baseline",
        }
        for of_manifest, of_pin in pairs.items():
            with self.subTest(key=of_manifest):
                self.assertEqual(self.manifest[of_manifest], self.pin[of_pin])

    def test_every_error_code_is_one_that_the_desk_maps(self) -> None:
        self.assertEqual(len(set(self.manifest["error_code_enum"])), 10)


class Matrix(unittest.TestCase):
    def setUp(self) -> None:
        self.pin = json.loads(PIN.read_bytes())
        self.text = MATRIX.read_text("utf-8")

    def test_baseline_pin_is_the_pin(self) -> None:
        baseline = self.text.split("Baseline Pin", 1)[1].split("Approved Version Pairs", 1)[0]
        for key in ("release_tag", "commit_sha", "expected_service_contract_version"):
            with self.subTest(key=key):
                self.assertIn(self.pin[key], baseline)

    def test_an_approved_row_has_the_pinned_pair(self) -> None:
        rows = [line for line in self.text.splitlines() if re.match(r"^\|.*\bApproved\b.*\|", line)]
        wanted = [self.pin[key] for key in ("release_tag", "commit_sha", "expected_service_contract_version")]
        self.assertTrue(any(all(value in row for value in wanted) for row in rows), wanted)
