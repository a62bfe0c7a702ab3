"""Both repositories' suites, run as their owners run them: on an export, then against live releases."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from contracts.core.manifest import parse_manifest
from contracts.core.matrix import CompatibilityMatrix, VersionPair, render_matrix
from contracts.core.pin import Pin, encode_pin

Document = dict[str, Any]
MANIFEST = "contracts/integration/v1/producer-contract-manifest.json"
TREES = (
    "01-v0.3.2",
    "02-v0.3.2-metadata",
    "03-ordering-v2",
    "04-service-v3",
    "05-v0.4.0",
    "06-v0.4.0-metadata",
)
MK = Path(sys.executable).with_name("mk")
DEADLINE_S = 30


def run_suite(tree: Path, url: str | None = None) -> tuple[int, Document, str]:
    """Run a suite in a process of its own; return exit code, report and last line."""
    environment = {key: value for key, value in os.environ.items() if key != "CUTOVER_PRODUCER_URL"}
    environment |= {"CUTOVER_PRODUCER_URL": url} if url else {}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    report = tree / "report.json"
    command = [sys.executable, "suites/run.py", "--report", str(report)]
    run = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    return run.returncode, json.loads(report.read_bytes()), run.stdout.splitlines()[-1]


@contextmanager
def serve(release: Path, database: Path) -> Iterator[str]:
    """Run a release on a database until the block ends; the URL."""
    command = [str(MK), "serve", "--release", str(release), "--db", str(database), "--bind", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=DEADLINE_S)


def post(url: str, path: str, body: Document) -> Document:
    headers = {"Content-Type": "application/json"}
    raw = json.dumps(body).encode()
    request = urllib.request.Request(url + path, data=raw, headers=headers, method="POST")  # noqa: S310 loopback
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=DEADLINE_S) as reply:
        data: Document = json.load(reply)["data"]
        return data


def load_policies(url: str, policies: list[Document]) -> None:
    """Store every policy; names become the version ids that the server mints."""
    minted: dict[str, str] = {}
    for policy in policies:
        body = {key: value for key, value in policy.items() if key not in ("name", "supersedes_names")}
        body["supersedes"] = [minted[name] for name in policy.get("supersedes_names", ())]
        kind = "constraint" if "effect" in policy else "summary"
        minted[policy["name"]] = post(url, f"/v1/memory/add/{kind}", body)["memory_version_id"]


def pin_consumer(tree: Path, manifest_bytes: bytes) -> None:
    """Write what a repin writes: pin, mirrored manifest and matrix."""
    manifest = parse_manifest(manifest_bytes)
    pin = Pin(
        memorykernel_repo="producer",
        release_tag=manifest.release_tag,
        commit_sha=manifest.commit_sha,
        expected_service_contract_version=manifest.expected_service_contract_version,
        expected_api_contract_version=manifest.expected_api_contract_version,
        expected_integration_baseline=manifest.integration_baseline,
        expected_producer_manifest_sha256=hashlib.sha256(manifest_bytes).hexdigest(),
        default_base_url="http://127.0.0.1:4010",
        default_timeout_ms=2500,
    )
    pair = VersionPair(
        consumer_version="1.0.0",
        consumer_commit="ab" * 20,
        producer_tag=pin.release_tag,
        producer_commit=pin.commit_sha,
        service=pin.expected_service_contract_version,
        api=pin.expected_api_contract_version,
        integration=pin.expected_integration_baseline,
        status="Approved",
    )
    of_pin = {key: value for key, value in json.loads(encode_pin(pin)).items() if key not in NOT_IN_MATRIX}
    (tree / "config" / "memorykernel-integration-pin.json").write_bytes(encode_pin(pin))
    (tree / "config" / "memorykernel-producer-manifest.json").write_bytes(manifest_bytes)
    matrix = render_matrix(CompatibilityMatrix(baseline_pin=of_pin, pairs=(pair,)))
    (tree / "docs" / "MEMORYKERNEL_COMPATIBILITY_MATRIX.md").write_bytes(matrix)


NOT_IN_MATRIX = ("memorykernel_repo", "default_base_url", "default_timeout_ms")


@pytest.fixture
def consumer(lay_tree: Any) -> Path:
    """The consumer's tree, pinned to v0.3.2."""
    tree: Path = lay_tree("consumer", "03-tickets")
    pin_consumer(tree, (lay_tree("producer", "02-v0.3.2-metadata") / MANIFEST).read_bytes())
    return tree


@pytest.mark.parametrize("folder", TREES)
def test_the_producer_suite_passes_offline_on_every_commit(lay_tree: Any, folder: str) -> None:
    code, report, last_line = run_suite(lay_tree("producer", folder))
    assert (code, report["failed"], report["live"]) == (0, 0, False)
    assert report["passed"] == len(report["tests"]) > 10
    assert last_line == f"{report['passed']} passed, 0 failed"


def test_the_producer_suite_fails_when_the_changelog_is_behind(lay_tree: Any) -> None:
    tree = lay_tree("producer", "05-v0.4.0")
    (tree / "CHANGELOG.md").write_text("# Changelog\n\n## v0.3.2 (2026-01-07)\n", encoding="utf-8")
    code, report, last_line = run_suite(tree)
    assert (code, report["failed"]) == (1, 1)
    assert last_line.endswith("1 failed")


def test_a_suite_that_runs_nothing_fails(lay_tree: Any) -> None:
    tree = lay_tree("producer", "01-v0.3.2")
    (tree / "suites" / "offline" / "test_release.py").unlink()
    assert run_suite(tree)[::2] == (1, "0 passed, 0 failed")


def test_a_test_that_skips_itself_fails(lay_tree: Any) -> None:
    tree = lay_tree("producer", "01-v0.3.2")
    test = tree / "suites" / "offline" / "test_lazy.py"
    test.write_text(
        "import unittest\n\n"
        "class Lazy(unittest.TestCase):\n"
        "    def test_later(self) -> None:\n"
        "        self.skipTest('later')\n",
        encoding="utf-8",
    )
    code, report, _ = run_suite(tree)
    assert (code, report["failed"]) == (1, 1)


def test_the_consumer_suite_passes_offline(consumer: Path) -> None:
    code, report, _ = run_suite(consumer)
    assert (code, report["failed"]) == (0, 0)


def test_the_consumer_suite_fails_when_one_of_the_three_is_changed_alone(consumer: Path) -> None:
    mirror = consumer / "config" / "memorykernel-producer-manifest.json"
    mirror.write_bytes(mirror.read_bytes() + b"\n")
    code, report, _ = run_suite(consumer)
    assert (code, report["failed"]) == (1, 1)


@pytest.mark.timeout(120)
def test_both_suites_pass_against_both_releases_on_one_database(
    lay_tree: Any, consumer: Path, policies: list[Document], questions: list[Document], tmp_path: Path
) -> None:
    database = tmp_path / "policies.db"
    baseline, target = lay_tree("producer", "01-v0.3.2"), lay_tree("producer", "05-v0.4.0")
    with serve(baseline, database) as url:
        load_policies(url, policies)
        assert_live(baseline, consumer, url)
        assert_answers(url, questions, "ordering.v1")
    with serve(target, database) as url:
        post(url, "/v1/db/migrate", {"dry_run": False})
        assert run_suite(consumer, url)[0] == 1, "the pin still names service.v2"
        pin_consumer(consumer, (lay_tree("producer", "06-v0.4.0-metadata") / MANIFEST).read_bytes())
        assert_live(target, consumer, url)
        assert_answers(url, questions, "ordering.v2")
    pin_consumer(consumer, (lay_tree("producer", "02-v0.3.2-metadata") / MANIFEST).read_bytes())
    with serve(baseline, database) as url:
        assert_live(baseline, consumer, url)


def assert_live(release: Path, consumer: Path, url: str) -> None:
    for tree in (release, consumer):
        code, report, _ = run_suite(tree, url)
        failed = [test["name"] for test in report["tests"] if test["outcome"] != "passed"]
        assert (code, report["live"], failed) == (0, True, [])


def assert_answers(url: str, questions: list[Document], ruleset: str) -> None:
    for question in questions:
        body = {"text": question["text"], **question["question_class"], "as_of": None}
        answered = post(url, "/v1/query/ask", body)["answer"]["result"]
        assert answered == question["expected"][ruleset], question["name"]
