"""What the tests of recall by meaning share: an encoder that needs no weights, and a store beside it."""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from memorykernel import default_release
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_vectors import SqliteVectors
from memorykernel.core.context_package import ContextPackage
from memorykernel.core.request import AddConstraintV4, AddLink, AddSummaryV4, RecallV4, read_request
from memorykernel.core.vector import DIMENSIONS, Model
from memorykernel.service.known_state import Remembered
from memorykernel.service.replaying import Replay, Replaying
from memorykernel.service.semantic_recall import SemanticRecall
from memorykernel.wiring import Kernel, open_kernel

WORDS = Model(name="words", weights_sha256="0" * 64)


@dataclass
class WordEncoder:
    """Texts are as near as they share words: each word is 384 signs, a text the sum of its words."""

    model: Model = WORDS
    salt: str = ""
    encoded: int = 0

    def encode(self, text: str) -> bytes:
        self.encoded += 1
        sums = [0] * DIMENSIONS
        for word in text.lower().split() or [""]:
            signs = hashlib.shake_256((self.salt + word).encode()).digest(DIMENSIONS)
            sums = [total + (1 if sign & 1 else -1) for total, sign in zip(sums, signs, strict=True)]
        largest = max(map(abs, sums)) or 1
        return array("b", (round(each * 127 / largest) for each in sums)).tobytes()


@dataclass
class Meanings:
    """A store whose recalls by meaning use an encoder of words."""

    kernel: Kernel
    encoder: WordEncoder
    path: Path
    kit: Any

    @property
    def beside(self) -> Path:
        return self.path.with_name(f"{self.path.name}.vectors")

    def semantic(self) -> SemanticRecall:
        file = self.kernel.file
        assert isinstance(file, SqliteFile)
        vectors = SqliteVectors(file, self.encoder.model)
        return SemanticRecall(memory=self.kernel.asking.memory, vectors=vectors, encoder=self.encoder)

    def add(self, summary: str, **changes: Any) -> str:
        body = self.kit.summary(summary, **changes)
        request = read_request(body, AddSummaryV4, strict=True)
        return self.kernel.remembering.add_record(request).memory_version_id

    def add_rule(self, actor: str) -> str:
        request = read_request(self.kit.constraint(actor), AddConstraintV4, strict=True)
        return self.kernel.remembering.add_record(request).memory_version_id

    def supersede(self, new: str, old: str) -> None:
        said = {"writer": "w", "justification": "newer", "relation": "supersedes"}
        self.kernel.remembering.add_link(read_request({"from": new, "to": old, **said}, AddLink, strict=True))

    def recall(self, text: str, **changes: Any) -> ContextPackage:
        body = {"text": text, "record_types": [], "mode": "semantic", **changes}
        asking = replace(self.kernel.asking, semantic=self.semantic)
        package = asking.recall(read_request(body, RecallV4, strict=True))
        return msgspec.json.decode(package, type=ContextPackage)

    def found(self, text: str, **changes: Any) -> list[str]:
        return [item.memory_version_id for item in self.recall(text, **changes).selected_items]

    def remembered(self) -> Remembered:
        asking = self.kernel.asking
        return Remembered(memory=asking.memory, answers=asking.answers, semantic=self.semantic)

    def replay(self, context_package_id: str) -> Replay:
        replaying = Replaying(remembered=self.remembered(), schema_care=self.kernel.schema_care)
        return replaying.replay(context_package_id)


@pytest.fixture
def meanings(tmp_path: Path, kit: Any) -> Iterator[Meanings]:
    path = tmp_path / "memory.db"
    kernel = open_kernel(path, default_release("service.v4"), clock=kit.clock())
    kernel.schema_care.migrate(dry_run=False)
    yield Meanings(kernel, WordEncoder(), path, kit)
    kernel.file.close()
