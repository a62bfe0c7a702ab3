"""Build the world of a demo: two repositories with a bare origin each, keys, data and the program file.

Everything is written below one folder and made by the same means that people use: git, the consumer's own
CLI, the producer's HTTP API. What a scenario changes about the world is a `Twist`.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import shutil
import string
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from contracts.core.envelope import POLICIES
from contracts.core.handoff import Handoff, encode_handoff, parse_handoff
from contracts.core.manifest import parse_manifest
from contracts.core.matrix import CompatibilityMatrix, VersionPair, render_matrix
from contracts.core.pin import Pin, encode_pin
from contracts.documents import load_openapi

from cutover.adapters.git import BareRepository
from cutover.adapters.git_workspace import GitWorkspace
from cutover.demo.example import Commit, Example

MANIFEST = "contracts/integration/v1/producer-contract-manifest.json"
HANDOFF = "docs/implementation/PRODUCER_RELEASE_HANDOFF_LATEST.json"
RELEASE_FILES = ("release.toml", "openapi.yaml")
CONSUMER_VERSION = "1.0.0"
PINNED_FACTS = (
    "release_tag",
    "commit_sha",
    "expected_service_contract_version",
    "expected_api_contract_version",
    "expected_integration_baseline",
    "expected_producer_manifest_sha256",
)


class Twist(msgspec.Struct, frozen=True, kw_only=True):
    """What a scenario changes before the first command: the program file's numbers, or the hand-off."""

    drill_max_age_s: float = 3600.0
    drop_difference_rules: int = 0


class World:
    """A demo's folder, built once.

    Args:
        folder: Empty or new.
        example: What to build from.
        free_port: Returns a loopback port nobody listens on.
    """

    def __init__(self, folder: Path, example: Example, *, free_port: Callable[[], int]) -> None:
        self.folder = folder
        self.example = example
        self._free_port = free_port
        self.commits: dict[str, str] = {}

    def build(self, twist: Twist) -> None:
        """Write everything that is there before the first command of the program."""
        for name in ("run", "data/assistsupport", "keys"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._build_producer(twist)
        self._build_consumer()
        self._write_material()
        self._write_program(twist)
        token = self.folder / "run" / "consumer.token"
        token.write_text(secrets.token_urlsafe(32))
        token.chmod(0o600)

    def adopt(self, prepared: Path) -> None:
        """Start from a copy of a prepared folder; the clones are pointed at the copied origins."""
        shutil.copytree(prepared, self.folder, dirs_exist_ok=True, symlinks=True)
        for side in ("producer", "consumer"):
            GitWorkspace(self.folder / side).set_origin(self.folder / f"{side}.git")

    def move_tag(self, tag: str) -> None:
        """Force an annotated tag onto the branch's head and push it: what nobody should do."""
        workspace, last = GitWorkspace(self.folder / "producer"), self.example.producer_commits[-1]
        workspace.annotated_tag(tag, author=last.author, when=last.date, message=f"{tag}, again", force=True)
        workspace.push(f"refs/tags/{tag}", force=True)

    def share_key(self) -> None:
        """Put a copy of the producer's party key in the consumer's place."""
        for name in ("party.key", "party.pub.json"):
            data = (self.folder / "keys" / "producer" / name).read_bytes()
            (self.folder / "keys" / "consumer" / name).write_bytes(
                data.replace(b'"party":"producer"', b'"party":"consumer"').replace(
                    b'"party": "producer"', b'"party": "consumer"'
                )
            )

    def _build_producer(self, twist: Twist) -> None:
        workspace = self._start_repository("producer")
        for commit in self.example.producer_commits:
            self._overlay("producer", commit)
            if commit.openapi is not None:
                (workspace.folder / "openapi.yaml").write_bytes(load_openapi(commit.openapi))
            sha = workspace.commit_all(commit.author, commit.date, commit.message)
            self.commits[f"producer/{commit.number}"] = sha
            if commit.tag is not None:
                self.commits[commit.tag] = sha
                workspace.annotated_tag(
                    commit.tag,
                    author=commit.author,
                    when=commit.date,
                    message=commit.tag_message or commit.tag,
                )
                self._keep_release_files(commit.tag)
        last = self.example.producer_commits[-1]
        path = workspace.folder / HANDOFF
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._make_handoff(workspace.folder, twist))
        target = self.example.moved.target.release_tag
        message = f"Hand off {target}\n\nThe payload that the consumer verifies before it repins.\n"
        workspace.commit_all(last.author, last.date + timedelta(minutes=10), message)
        workspace.push(
            "refs/heads/main", *(f"refs/tags/{c.tag}" for c in self.example.producer_commits if c.tag)
        )

    def _start_repository(self, name: str) -> GitWorkspace:
        origin = self.folder / f"{name}.git"
        GitWorkspace.init_bare(origin)
        return GitWorkspace.clone(origin, self.folder / name)

    def _overlay(self, side: str, commit: Commit) -> None:
        target = self.folder / side
        shutil.copytree(
            commit.folder, target, dirs_exist_ok=True, copy_function=lambda a, b: self._copy(side, a, b)
        )

    def _copy(self, side: str, source: str, target: str) -> None:
        """Copy a file; `{{sha:NN}}` in it becomes the commit of folder NN of the same repository."""
        data = Path(source).read_bytes()
        for key, sha in self.commits.items():
            if key.startswith(f"{side}/"):
                data = data.replace(f"{{{{sha:{key.removeprefix(f'{side}/')}}}}}".encode(), sha.encode())
        Path(target).write_bytes(data)

    def _keep_release_files(self, tag: str) -> None:
        folder = self.folder / "producer"
        self._release_digests = {name: _sha256((folder / name).read_bytes()) for name in RELEASE_FILES}

    def _make_handoff(self, tree: Path, twist: Twist) -> bytes:
        manifest_bytes = (tree / MANIFEST).read_bytes()
        manifest = parse_manifest(manifest_bytes)
        rules = self.example.difference_rules
        payload: dict[str, Any] = {
            "handoff_generated_at_utc": _name_instant(self.example.producer_commits[-1].date),
            "handoff_mode": "stable",
            "release_tag": manifest.release_tag,
            "commit_sha": manifest.commit_sha,
            "expected_service_contract_version": manifest.expected_service_contract_version,
            "expected_api_contract_version": manifest.expected_api_contract_version,
            "integration_baseline": manifest.integration_baseline,
            "active_runtime_baseline": self._describe_baseline(),
            "error_code_enum": manifest.error_code_enum,
            "non_2xx_envelope_policy": _describe_policy(manifest.expected_service_contract_version),
            "manifest_contract_version": manifest.manifest_contract_version,
            "manifest_path": MANIFEST,
            "changelog_path": "CHANGELOG.md",
            "verification_commands": ["python suites/run.py"],
            "consumer_impact_statement_template": _IMPACT_TEMPLATE,
            "expected_producer_manifest_sha256": _sha256(manifest_bytes),
            "release_digests": self._release_digests,
            "consumer_impact_statement": self.example.impact,
            "answer_difference_rules": rules[: len(rules) - twist.drop_difference_rules],
        }
        handoff: Handoff = parse_handoff(
            json.dumps(payload | {"error_code_enum": list(manifest.error_code_enum)}).encode()
        )
        return encode_handoff(handoff)

    def _describe_baseline(self) -> Mapping[str, str]:
        baseline = self.example.moved.baseline
        return {
            "release_tag": baseline.release_tag,
            "commit_sha": self.commits[baseline.release_tag],
            "expected_service_contract_version": baseline.service_contract_version,
            "expected_api_contract_version": "api.v1",
            "integration_baseline": "integration/v1",
        }

    def _build_consumer(self) -> None:
        workspace = self._start_repository("consumer")
        parent = ""
        for commit in self.example.consumer_commits:
            self._overlay("consumer", commit)
            parent = workspace.commit_all(commit.author, commit.date, commit.message)
        for path, data in self._make_trio(parent).items():
            (workspace.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (workspace.folder / path).write_bytes(data)
        pin = self.example.baseline_pin
        workspace.commit_all(
            f"{pin.author_name} <{pin.author_email}>", pin.date, f"{pin.subject}\n\n{pin.body.strip()}\n"
        )
        workspace.push("refs/heads/main")

    def _find_manifest_commit(self) -> str:
        """The commit after the baseline's tag: a manifest cannot be in the commit that it names."""
        commits = self.example.producer_commits
        tags = [commit.tag for commit in commits]
        return self.commits[
            f"producer/{commits[tags.index(self.example.baseline_pin.producer_tag) + 1].number}"
        ]

    def _make_trio(self, parent: str) -> Mapping[str, bytes]:
        """Pin, mirrored manifest and matrix of the baseline; the row names the parent of their commit."""
        origin = BareRepository(self.folder / "producer.git")
        mirror = origin.read_blob(self._find_manifest_commit(), MANIFEST) or b""
        manifest = parse_manifest(mirror)
        pin = Pin(
            memorykernel_repo="https://git.norrwick.example/policy-records/memorykernel",
            default_base_url="http://127.0.0.1:4010",
            default_timeout_ms=2500,
            release_tag=manifest.release_tag,
            commit_sha=manifest.commit_sha,
            expected_service_contract_version=manifest.expected_service_contract_version,
            expected_api_contract_version=manifest.expected_api_contract_version,
            expected_integration_baseline=manifest.integration_baseline,
            expected_producer_manifest_sha256=_sha256(mirror),
        )
        facts = {key: str(getattr(pin, key)) for key in PINNED_FACTS}
        row = VersionPair(
            consumer_version=CONSUMER_VERSION,
            consumer_commit=parent,
            producer_tag=manifest.release_tag,
            producer_commit=manifest.commit_sha,
            service=manifest.expected_service_contract_version,
            api=manifest.expected_api_contract_version,
            integration=manifest.integration_baseline,
            status="Approved",
        )
        return {
            "config/memorykernel-integration-pin.json": encode_pin(pin),
            "config/memorykernel-producer-manifest.json": mirror,
            "docs/MEMORYKERNEL_COMPATIBILITY_MATRIX.md": render_matrix(
                CompatibilityMatrix(baseline_pin=facts, pairs=(row,))
            ),
        }

    def _write_material(self) -> None:
        example, desk = self.example, self.folder / "data" / "assistsupport"
        questions = [
            {**{k: q[k] for k in ("name", "text")}, **q["question_class"]} for q in example.questions
        ]
        self._write_lines("questions.jsonl", questions)
        self._write_lines("seed.jsonl", [_as_write(policy) for policy in example.policies])
        tickets = [
            json.loads(line)
            for path in sorted((self.folder / "consumer" / "tickets").glob("*.jsonl"))
            for line in path.read_text("utf-8").splitlines()
            if line.strip()
        ]
        self._write_lines("tickets.jsonl", tickets)
        shutil.copy(self.folder / "consumer" / "config" / "policy-catalogue.toml", desk)
        shutil.copy(self.folder / "tickets.jsonl", desk)

    def _write_lines(self, name: str, values: list[dict[str, Any]]) -> None:
        lines = (json.dumps(value, ensure_ascii=False) + "\n" for value in values)
        (self.folder / name).write_text("".join(lines), "utf-8")

    def _write_program(self, twist: Twist) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        values = {
            "consumer_port": self._free_port(),
            "gateway_port": self._free_port(),
            "not_before": (now - timedelta(minutes=1)).isoformat(),
            "opens_at": (now - timedelta(minutes=1)).isoformat(),
            "closes_at": (now + timedelta(hours=12)).isoformat(),
            "drill_max_age_s": repr(twist.drill_max_age_s),
        }
        template = (self.example.folder / "program.toml").read_text("utf-8")
        head, _, body = template.partition(
            "\nname = "
        )  # the comment on top explains the template, not the copy
        filled = string.Template(f"name = {body}" if head.startswith("#") else template).substitute(values)
        (self.folder / "cutover.toml").write_text(filled, "utf-8")


_IMPACT_TEMPLATE = {
    "runtime_behavior_changes": "<none|describe>",
    "required_consumer_mapping_changes": "<none|describe>",
    "required_test_updates": "<none|describe>",
    "repin_required": "<yes/no>",
    "rollback_instruction": "repin to <previous tag/sha>",
}


def _describe_policy(service_contract: str) -> dict[str, Any]:
    """The envelope policy of errors, as a hand-off names and writes it."""
    policy = POLICIES[service_contract]
    facts = {
        "requires": list(policy.error_requires),
        "optional": list(policy.error_optional),
        "forbids": list(policy.error_forbids),
    }
    return {f"{service_contract.replace('.', '_')}_stable": facts}


def _name_instant(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _as_write(policy: Mapping[str, Any]) -> dict[str, Any]:
    """A policy as a seed write; earlier policies that it supersedes are named by reference."""
    kind = "summary" if "summary" in policy else "constraint"
    left_out = {"name", "supersedes_names", "contradicts_names"}
    body = {key: value for key, value in policy.items() if key not in left_out}
    for field in ("supersedes", "contradicts"):
        names = policy.get(f"{field}_names", ())
        body[field] = [*body.get(field, ()), *(f"{{{{id:{name}}}}}" for name in names)]
    return {"name": policy["name"], "path": f"/v1/memory/add/{kind}", "body": body}


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
