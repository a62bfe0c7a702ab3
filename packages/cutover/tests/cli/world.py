"""A small program folder with real repositories and keys, and a way to run commands on it."""

from __future__ import annotations

import copy
import hashlib
import io
import shutil
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from contracts.core.handoff import Handoff, encode_handoff, parse_handoff
from contracts.core.matrix import CompatibilityMatrix, VersionPair, render_matrix
from contracts.core.pin import Pin, encode_pin
from contracts.documents import load_openapi
from cutover.adapters.git import BareRepository
from cutover.adapters.git_workspace import GitWorkspace
from cutover.cli import main

AUTHOR = "Hanne Kolstad <hanne@norrwick.example>"
WHEN = datetime(2026, 2, 3, 8, 47, tzinfo=UTC)
MAIN = "refs/heads/main"
MANIFEST = "contracts/manifest.json"
HANDOFF = "docs/handoff.json"
ROLES = (
    "producer-incident-commander",
    "producer-rollback-owner",
    "consumer-incident-commander",
    "consumer-rollback-owner",
    "joint-decision-log-owner",
)
CONTRACTS = {"v0.3.2": "service.v2", "v0.4.0": "service.v3"}

PROGRAM = """\
name = "test"
phase = "Phase 8"
scope = "Move the desk to v0.4.0."

[producer]
name = "MemoryKernel"
repository = "producer"
origin = "producer.git"
branch = "refs/heads/main"
manifest_path = "contracts/manifest.json"
openapi_path = "openapi.yaml"
release_path = "release.toml"
handoff_path = "docs/handoff.json"
changelog_path = "CHANGELOG.md"
metadata_paths = ["contracts/", "docs/", "CHANGELOG.md"]

[producer.launch]
command = ["{python}", "{release}/server.py", "{port}", "{data}", "{release}"]
data = "data/memory.db"
ready_path = "/v1/health"

[[producer.suites]]
name = "suite"
command = ["{python}", "suites/run.py"]

[consumer]
name = "AssistSupport"
version = "1.0.0"
repository = "consumer"
origin = "consumer.git"
live_ref = "refs/heads/main"
pin_path = "config/pin.json"
matrix_path = "docs/MATRIX.md"
manifest_path = "config/manifest.json"
url = "http://127.0.0.1:4020"
token_file = "run/consumer.token"

[consumer.launch]
command = ["{python}", "desk.py", "{repository}@{ref}", "{data}", "{port}"]
data = "data/desk"
ready_path = "/health/live"

[[consumer.suites]]
name = "suite"
command = ["{python}", "suites/run.py"]

[baseline]
release_tag = "v0.3.2"
service_contract_version = "service.v2"

[target]
release_tag = "v0.4.0"
service_contract_version = "service.v3"

[roles.producer-incident-commander]
title = "Producer incident commander"
party = "producer"

[roles.producer-rollback-owner]
title = "Producer rollback owner"
party = "producer"

[roles.consumer-incident-commander]
title = "Consumer incident commander"
party = "consumer"

[roles.consumer-rollback-owner]
title = "Consumer rollback owner"
party = "consumer"

[roles.joint-decision-log-owner]
title = "Decision log owner"
party = "joint"

[window]
not_before = NOT_BEFORE
opens_at = OPENS_AT
closes_at = CLOSES_AT
notice_days = 0
overlap_days = 0

[thresholds]

[watch]

[traffic]
engine = "embedded"
bind = "127.0.0.1:4010"
questions = "questions.jsonl"
tickets = "tickets.jsonl"
seed = "seed.jsonl"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its JSON document."""
        return msgspec.json.decode(self.out)


class World:
    """The program folder, both parties' clones, and their key folders.

    Args:
        folder: Empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._write_material()
        self.producer, self.commits = self._make_producer()
        self.consumer = self._make_consumer()

    def copy_to(self, folder: Path) -> World:
        """Copy everything as it is now; the copy's clones push to the copy's origins."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        world = copy.copy(self)
        world.folder = folder
        for side in ("producer", "consumer"):
            config = folder / side / ".git" / "config"
            config.write_text(config.read_text().replace(str(self.folder), str(folder)))
        world.producer = GitWorkspace(folder / "producer")
        world.consumer = GitWorkspace(folder / "consumer")
        return world

    @property
    def consumer_origin(self) -> BareRepository:
        """The consumer's origin."""
        return BareRepository(self.folder / "consumer.git")

    def keys(self, who: str) -> Path:
        """Somebody's own key folder."""
        return self.folder / "keys" / who

    def run(self, *arguments: str, keys: str | None = None) -> Ran:
        """Run a command on this folder, with somebody's keys."""
        own = () if keys is None else ("--keys", str(self.keys(keys)))
        place = () if arguments[0] == "keys" else ("--program", str(self.folder))
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
            main([*arguments, *place, *own])
        return Ran(code=int(ended.value.code or 0), out=out.getvalue(), err=err.getvalue())

    def did(self, *arguments: str, keys: str | None = None) -> Ran:
        """Run a command that must succeed."""
        ran = self.run(*arguments, keys=keys)
        assert ran.code == 0, ran.err
        return ran

    def make_keys(self) -> None:
        """Generate the keys of both parties and the executor."""
        for who in ("producer", "consumer", "executor"):
            self.did("keys", who, "--name", f"The {who}", keys=who)

    def public(self, who: str, stem: str = "party") -> str:
        """A public key file."""
        return str(self.keys(who) / f"{stem}.pub.json")

    def open(self) -> None:
        """Make keys and open the program by both parties."""
        self.make_keys()
        executor = self.public("executor", "executor")
        self.did(
            "open", "--as", "producer", "--with", self.public("consumer"), "--with", executor, keys="producer"
        )
        self.did("open", "--as", "consumer", "--with", executor, keys="consumer")

    def bind(self, role: str, holder: str, party: str) -> Ran:
        """Generate a holder's key and bind it."""
        self.did("keys", "holder", "--party", party, "--name", holder, keys=holder)
        key = self.public(holder, f"holder-{holder}")
        return self.run(
            "bind",
            "--role",
            role,
            "--as",
            party,
            "--key",
            key,
            "--contact",
            f"{holder}@x.example",
            keys=party,
        )

    def resolve_roles(self) -> None:
        """Bind and acknowledge every role."""
        for role in ROLES:
            party = "producer" if role.startswith("producer") else "consumer"
            assert self.bind(role, f"holder-of-{role}", party).code == 0
            self.did("acknowledge", "--role", role, "--as", f"holder-of-{role}", keys=f"holder-of-{role}")

    def hand_off(self) -> Ran:
        """Open and hand off."""
        self.open()
        return self.did("handoff", "--json", keys="producer")

    def write_handoff(self, **changes: object) -> None:
        """Commit and push a hand-off payload with other values."""
        payload = msgspec.structs.replace(self.payload(), **changes)
        self.write_payload(encode_handoff(payload))

    def write_payload(self, data: bytes) -> None:
        """Commit and push raw payload bytes."""
        path = self.producer.folder / HANDOFF
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.producer.commit_all(AUTHOR, WHEN, "Hand off v0.4.0")
        self.producer.push(MAIN)

    def payload(self) -> Handoff:
        """The payload of a correct hand-off."""
        manifest = (self.producer.folder / MANIFEST).read_bytes()
        document: dict[str, object] = {
            "handoff_generated_at_utc": "2026-02-03T09:30:00Z",
            "handoff_mode": "stable",
            "release_tag": "v0.4.0",
            "commit_sha": self.commits["v0.4.0"],
            "expected_service_contract_version": "service.v3",
            "expected_api_contract_version": "api.v1",
            "integration_baseline": "integration/v1",
            "active_runtime_baseline": {
                "release_tag": "v0.3.2",
                "commit_sha": self.commits["v0.3.2"],
                "expected_service_contract_version": "service.v2",
                "expected_api_contract_version": "api.v1",
                "integration_baseline": "integration/v1",
            },
            "error_code_enum": ["invalid_json", "internal_error"],
            "non_2xx_envelope_policy": {
                "service_v3_stable": {
                    "requires": ["service_contract_version", "error.code", "error.message"],
                    "forbids": ["legacy_error"],
                }
            },
            "manifest_contract_version": "producer-contract-manifest.v1",
            "manifest_path": MANIFEST,
            "changelog_path": "CHANGELOG.md",
            "verification_commands": [],
            "consumer_impact_statement_template": dict.fromkeys(
                (
                    "runtime_behavior_changes",
                    "required_consumer_mapping_changes",
                    "required_test_updates",
                    "repin_required",
                    "rollback_instruction",
                ),
                "<describe>",
            ),
            "expected_producer_manifest_sha256": _sha256(manifest),
        }
        return parse_handoff(msgspec.json.encode(document))

    def _write_material(self) -> None:
        now = datetime.now(UTC).replace(microsecond=0)
        times = {"NOT_BEFORE": now, "OPENS_AT": now, "CLOSES_AT": now + timedelta(hours=2)}
        text = PROGRAM
        for name, at in times.items():
            text = text.replace(name, at.isoformat())
        (self.folder / "cutover.toml").write_text(text)
        question = {"name": "q", "text": "May I?", "actor": "a", "action": "b", "resource": "c"}
        (self.folder / "questions.jsonl").write_bytes(msgspec.json.encode(question) + b"\n")
        ticket = {"ticket_id": "t", "subject": "s", "text": "May I?"}
        (self.folder / "tickets.jsonl").write_bytes(msgspec.json.encode(ticket) + b"\n")
        (self.folder / "seed.jsonl").write_bytes(b"")

    def _make_producer(self) -> tuple[GitWorkspace, Mapping[str, str]]:
        GitWorkspace.init_bare(self.folder / "producer.git")
        clone = GitWorkspace.clone(self.folder / "producer.git", self.folder / "producer")
        commits: dict[str, str] = {}
        self.mirrors: dict[str, bytes] = {}
        for tag, contract in CONTRACTS.items():
            (clone.folder / "release.toml").write_text(f'release_tag = "{tag}"\n')
            (clone.folder / "openapi.yaml").write_bytes(load_openapi(contract))
            (clone.folder / "server.py").write_text(SERVER)
            (clone.folder / "CHANGELOG.md").write_text(f"# {tag}\n")
            commits[tag] = clone.commit_all(AUTHOR, WHEN, f"Release {tag}")
            clone.annotated_tag(tag, author=AUTHOR, when=WHEN, message=tag)
            self.mirrors[tag] = _manifest(tag, commits[tag], contract)
            (clone.folder / MANIFEST).parent.mkdir(exist_ok=True)
            (clone.folder / MANIFEST).write_bytes(self.mirrors[tag])
            clone.commit_all(AUTHOR, WHEN, f"Record the manifest of {tag}")
        self.producer, self.commits = clone, commits
        self.write_payload(encode_handoff(self.payload()))
        clone.push("refs/tags/v0.3.2", "refs/tags/v0.4.0")
        return clone, commits

    def _make_consumer(self) -> GitWorkspace:
        GitWorkspace.init_bare(self.folder / "consumer.git")
        clone = GitWorkspace.clone(self.folder / "consumer.git", self.folder / "consumer")
        (clone.folder / "README.md").write_text("# Desk\n")
        parent = clone.commit_all(AUTHOR, WHEN, "Begin")
        for path, data in self._trio(parent).items():
            (clone.folder / path).parent.mkdir(exist_ok=True)
            (clone.folder / path).write_bytes(data)
        clone.commit_all(AUTHOR, WHEN, "Pin v0.3.2")
        clone.push(MAIN)
        return clone

    def _trio(self, parent: str) -> Mapping[str, bytes]:
        mirror, sha = self.mirrors["v0.3.2"], self.commits["v0.3.2"]
        pin = Pin(
            memorykernel_repo="https://git.norrwick.example/memorykernel",
            release_tag="v0.3.2",
            commit_sha=sha,
            expected_service_contract_version="service.v2",
            expected_api_contract_version="api.v1",
            expected_integration_baseline="integration/v1",
            expected_producer_manifest_sha256=_sha256(mirror),
            default_base_url="http://127.0.0.1:4010",
            default_timeout_ms=2500,
        )
        row = VersionPair(
            consumer_version="1.0.0",
            consumer_commit=parent,
            producer_tag="v0.3.2",
            producer_commit=sha,
            service="service.v2",
            api="api.v1",
            integration="integration/v1",
            status="Approved",
        )
        left_out = {"memorykernel_repo", "default_base_url", "default_timeout_ms"}
        facts = {
            name: str(value) for name, value in msgspec.structs.asdict(pin).items() if name not in left_out
        }
        matrix = CompatibilityMatrix(baseline_pin=facts, pairs=(row,))
        return {
            "config/pin.json": encode_pin(pin),
            "config/manifest.json": mirror,
            "docs/MATRIX.md": render_matrix(matrix),
        }


SERVER = """\
import http.server, json, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"release": sys.argv[3]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *arguments):
        pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def _manifest(tag: str, commit: str, contract: str) -> bytes:
    document = {
        "manifest_contract_version": "producer-contract-manifest.v1",
        "release_tag": tag,
        "commit_sha": commit,
        "expected_service_contract_version": contract,
        "expected_api_contract_version": "api.v1",
        "integration_baseline": "integration/v1",
        "error_code_enum": ["invalid_json", "internal_error"],
        "stability_window": {"minimum_sprint_days": 10},
        "additive_error_code_notice_policy": {
            "standard_business_days": 10,
            "emergency_notice_hours": 24,
            "emergency_requires_same_day_docs_spec_tests": True,
        },
        "service_v3_transition_guard": {
            "legacy_error_must_remain_in_service_v2": True,
            "legacy_error_removal_requires_service_v3": True,
            "consumer_green_repin_required_before_legacy_error_removal": True,
        },
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
