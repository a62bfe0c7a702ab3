"""Answers worth proving: small memories with every kind of record, made from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from memorykernel.core.proof import encode_proof
from memorykernel.core.release import Release
from memorykernel.core.request import AddConstraintV4, AddLink, AddMembership, AskV4, read_request
from memorykernel.errors import WriteConflict
from memorykernel.service.proving import Proving
from memorykernel.service.replaying import Replaying
from memorykernel.wiring import Kernel, open_kernel, open_proving, open_replaying

from packages.memorykernel.tests.strangers import PostgresStranger, SqliteStranger, Stranger

NOW_US = 1_770_556_793_500_000
FIELDS = ("actor", "action", "resource")
VALUES = {
    "actor": ["ada", "team/bob", "*"],
    "action": ["read", "admin:write"],
    "resource": ["docs/hr/pay.pdf", "docs/it"],
}
PREFIXES = {"actor": "team/", "action": "admin:", "resource": "docs/"}
TIMES = [None, "2026-02-08T13:19:50Z", "2026-02-08T13:19:55.25Z", "2026-03-01T00:00:00Z"]


@dataclass
class Clock:
    us: int = NOW_US

    def now_us(self) -> int:
        self.us += 1000
        return self.us


@dataclass
class Ids:
    minted: int = 0

    def mint_ulid(self, now_us: int) -> str:
        self.minted += 1
        return f"01J{self.minted:023d}"


@dataclass
class Scene:
    """A kernel by one generation of rules, and the use cases around its answers."""

    kernel: Kernel
    stranger: Stranger
    versions: list[str] = field(default_factory=list)

    @property
    def proving(self) -> Proving:
        return open_proving(self.kernel)

    @property
    def replaying(self) -> Replaying:
        return open_replaying(self.kernel)

    def add(self, shape: Any, **body: Any) -> str:
        common: dict[str, Any] = {
            "writer": "w",
            "justification": "j",
            "source_uri": "file:///p",
            "evidence": [],
        }
        common |= {"version": 1, "supersedes": [], "contradicts": []}
        request = read_request(common | body, shape, strict=True)
        version_id: str = self.kernel.remembering.add_record(request).memory_version_id
        self.versions.append(version_id)
        return version_id

    def link(self, from_id: str, to_id: str) -> None:
        body: dict[str, Any] = {
            "from": from_id,
            "to": to_id,
            "relation": "supersedes",
            "writer": "w",
            "justification": "j",
        }
        self.kernel.remembering.add_link(read_request(body, AddLink, strict=True))

    def ask(self, **changes: Any) -> dict[str, Any]:
        body = {"text": "may I?", "actor": "ada", "action": "read", "resource": "docs/hr/pay.pdf"} | changes
        package: dict[str, Any] = json.loads(self.kernel.asking.ask(read_request(body, AskV4, strict=True)))
        return package

    def prove(self, package: dict[str, Any]) -> bytes:
        return encode_proof(self.proving.prove(package["context_package_id"]))


def fill(scene: Scene, chance: random.Random, records: int, *, v3: bool) -> None:
    """Write records and links at random, of which most matter to some question."""
    for _ in range(records):
        effective, expires = chance.choice(TIMES), chance.choice(TIMES) if v3 else None
        if expires and (expires <= (effective or "2026-02-08T13:19:59Z")):
            expires = None
        common: dict[str, Any] = {
            "truth_status": chance.choice(["asserted", "observed", "inferred", "retracted"]),
            "authority": chance.choice(["authoritative", "derived", "note"]),
            "confidence": chance.choice([0.25, 0.5, 1.0, 1e-7]),
            "effective_at": effective,
            "expires_at": expires,
        }
        if v3 and chance.random() < 0.3:
            name = chance.choice(FIELDS)
            member = {
                "field": name,
                "member": chance.choice(VALUES[name][:2]),
                "group": chance.choice("gh" * 2),
            }
            scene.add(AddMembership, **common, **member)
        else:
            shape = {name: chance.choice([*VALUES[name], "*", "*"]) for name in FIELDS}
            for name in FIELDS if v3 else ():
                match = chance.choice(["exact", "exact", "prefix", "group"])
                shape[name] = {"prefix": PREFIXES[name], "group": chance.choice("gh")}.get(match, shape[name])
                shape[f"{name}_match"] = match
            note = chance.choice([None, 'näß \u0007"\\'])
            scene.add(AddConstraintV4, **common, **shape, effect=chance.choice(["allow", "deny"]), note=note)
        if len(scene.versions) > 1 and chance.random() < 0.3:
            try:
                scene.link(*chance.sample(scene.versions, 2))
            except WriteConflict:  # it would have closed a cycle
                continue


def draw_question(chance: random.Random) -> dict[str, Any]:
    """A question at random."""
    asked = {name: chance.choice(VALUES[name]) for name in FIELDS}
    return asked | {"text": chance.choice(["may I?", "dürfen\twir? 👋"]), "as_of": chance.choice(TIMES)}


class Kit:
    """The helpers above, for tests, which cannot import this file."""

    fill = staticmethod(fill)
    draw_question = staticmethod(draw_question)


@pytest.fixture(scope="session")
def proof_kit() -> Kit:
    return Kit()


@pytest.fixture
def stage(store_kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Scene]]:
    """Opens kernels on new databases, or on one that is named."""
    opened: list[Kernel] = []
    places: dict[str, Stranger] = {}

    def find_place(name: str) -> Stranger:
        if name not in places:
            places[name] = (
                SqliteStranger(tmp_path / name)
                if store_kind == "sqlite"
                else PostgresStranger(request.getfixturevalue("postgres"))
            )
        return places[name]

    def open_scene(ruleset: str = "v3", *, schema_version: int = 4, name: str | None = None) -> Scene:
        release = Release(
            service_contract="service.v3",
            ruleset=f"ordering.{ruleset}",
            recall_ruleset=f"recall-ordering.{ruleset}",
            schema_version=schema_version,
        )
        stranger = find_place(name or f"{len(opened)}.db")
        kernel = open_kernel(stranger.location, release, clock=Clock(), ids=Ids(1000 * len(opened)))
        kernel.schema_care.migrate(dry_run=False)
        opened.append(kernel)
        return Scene(kernel, stranger)

    yield open_scene
    for kernel in opened:
        kernel.file.close()
