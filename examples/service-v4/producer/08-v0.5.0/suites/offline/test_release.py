"""The files of this commit agree with one another: release, document, manifest, changelog, rulesets."""

import json
import re
import tomllib
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
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
ROUTES = (
    "/v1/health",
    "/v1/ready",
    "/v1/openapi",
    "/v1/db/schema-version",
    "/v1/db/migrate",
    "/v1/memory/add/constraint",
    "/v1/memory/add/summary",
    "/v1/memory/link",
    "/v1/query/ask",
    "/v1/query/recall",
    "/v1/context/{context_package_id}",
    "/v1/memory/add/membership",
    "/v1/memory/check/constraint",
    "/v1/memory/record/{memory_version_id}",
    "/v1/memory/lineage/{memory_id}",
    "/v1/context/{context_package_id}/exclusions",
    "/v1/context/{context_package_id}/replay",
    "/v1/context/{context_package_id}/proof",
    "/v1/context/{context_package_id}/counterfactual",
    "/v1/explain/blast-radius",
    "/v1/explain/compare",
)


def release() -> dict[str, object]:
    return tomllib.loads((ROOT / "release.toml").read_text("utf-8"))


class ReleaseFile(unittest.TestCase):
    def test_has_exactly_the_keys_that_the_process_reads(self) -> None:
        expected = "release_tag service_contract ruleset recall_ruleset schema_version openapi manifest".split()
        self.assertEqual(sorted(release()), sorted(expected))

    def test_values_have_their_forms(self) -> None:
        forms = {
            "release_tag": r"v\d+\.\d+\.\d+",
            "service_contract": r"service\.v\d+",
            "ruleset": r"ordering\.v\d+",
            "recall_ruleset": r"recall-ordering\.v\d+",
            "schema_version": r"[1-9]\d*",
        }
        for key, form in forms.items():
            with self.subTest(key=key):
                self.assertRegex(str(release()[key]), f"^{form}$")

    def test_changelog_opens_with_this_release(self) -> None:
        headings = re.findall(r"^## (v\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
        self.assertEqual(headings[0], release()["release_tag"])

    def test_the_named_ruleset_is_described(self) -> None:
        self.assertTrue((ROOT / "docs" / "rulesets" / f"{release()['ruleset']}.md").is_file())


class Document(unittest.TestCase):
    def setUp(self) -> None:
        self.text = (ROOT / str(release()["openapi"])).read_text("utf-8")

    def test_is_an_openapi_3_1_document(self) -> None:
        self.assertRegex(self.text, r"(?m)^openapi:\s*[\"']?3\.1\.")

    def test_has_the_routes_of_service_v4_and_no_other(self) -> None:
        keys = re.findall(r"(?m)^ +[\"']?(/[\w/{}.-]*)[\"']?:\s*$", self.text)
        self.assertEqual(sorted(set(keys)), sorted(ROUTES))

    def test_names_the_contract_of_the_release(self) -> None:
        constants = set(re.findall(r"const:\s*[\"']?(service\.v\d+)", self.text))
        self.assertEqual(constants, {release()["service_contract"]})

    def test_lists_every_error_code(self) -> None:
        missing = sorted(code for code in CODES if code not in self.text)
        self.assertEqual(missing, [])


class Manifest(unittest.TestCase):
    """The manifest of the newest recorded release: this one, or, at the tag itself, the one before."""

    def setUp(self) -> None:
        path = ROOT / str(release()["manifest"])
        self.manifest = json.loads(path.read_bytes()) if path.exists() else None

    def test_is_absent_only_before_the_first_record(self) -> None:
        if self.manifest is None:
            notes = list((ROOT / "docs" / "releases").glob("*.md")) if (ROOT / "docs" / "releases").exists() else []
            self.assertEqual(notes, [], "a release note without a manifest")

    def test_names_a_release_of_the_changelog(self) -> None:
        if self.manifest is not None:
            self.assertIn(f"## {self.manifest['release_tag']} ", (ROOT / "CHANGELOG.md").read_text("utf-8"))

    def test_names_a_whole_commit(self) -> None:
        if self.manifest is not None:
            self.assertRegex(self.manifest["commit_sha"], r"^[0-9a-f]{40}$")

    def test_agrees_with_the_release_when_it_speaks_of_it(self) -> None:
        if self.manifest is not None and self.manifest["release_tag"] == release()["release_tag"]:
            self.assertEqual(self.manifest["expected_service_contract_version"], release()["service_contract"])

    def test_has_the_ten_error_codes(self) -> None:
        if self.manifest is not None:
            self.assertEqual(set(self.manifest["error_code_enum"]), CODES)
            self.assertEqual(len(self.manifest["error_code_enum"]), len(CODES))
