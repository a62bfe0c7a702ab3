"""The proof of a policy answer: a document that is checked without the database (ADR 0012).

It holds the question, the package, every row that the rules were shown, each as it was chained, and the
chain's entries on the ways back from the answer's snapshot to these rows. `cli.proof_check` says what it
shows and what it cannot show. Field order is key order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from memorykernel.core.chain import find_path
from memorykernel.core.question import PolicyQuestion

PROOF_VERSION: Final = "memorykernel.proof.v1"
PROVABLE: Final = frozenset({"ordering.v2", "ordering.v3"})
"""The rulesets that a checker can follow: their packages name the state, and what they read is bounded."""


class ProofSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the answer: the chain's head, 64 hex digits, and the number of its entry."""

    head: str
    entry_seq: int


class ProofInput(msgspec.Struct, frozen=True, kw_only=True):
    """A row that the rules were shown: the values that its digest covers, and the number of its entry."""

    entry_seq: int
    kind: Literal["record", "link"]
    columns: tuple[str | int | float | None, ...]


class ProofEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the chain with the two heads that its own head binds; hashes are 64 hex digits.

    `recorded_at_us` and `jump` are None in entries that were written before schema 4.
    """

    entry_seq: int
    kind: str
    subject: int
    digest: str
    recorded_at_us: int | None
    previous: str
    jump: str | None


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The document."""

    proof_version: str
    ruleset: str
    snapshot: ProofSnapshot
    question: PolicyQuestion
    package: str
    inputs: tuple[ProofInput, ...]
    chain: tuple[ProofEntry, ...]


def encode_proof(proof: Proof) -> bytes:
    """Write a proof as JSON; the same proof always gives the same bytes."""
    return msgspec.json.encode(proof)


def list_steps(newest: int, inputs: Iterable[int], jumps_from: int | None) -> list[int]:
    """The entries that tie inputs to a snapshot, the newest first; that of the snapshot always.

    Args:
        newest: The snapshot's entry; 0 for the empty memory, whose head everybody knows.
        inputs: The entries of the inputs.
        jumps_from: The first entry that has a jump; None when none has.
    """
    steps = {newest}
    for oldest in inputs:
        steps.update(find_path(newest, oldest, jumps_from))
    return sorted(steps - {0}, reverse=True)
