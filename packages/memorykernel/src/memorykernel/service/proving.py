"""Making the proof of an answer."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from memorykernel.core.context_package import encode_package
from memorykernel.core.proof import PROOF_VERSION, PROVABLE, Proof, ProofSnapshot, encode_proof, list_steps
from memorykernel.core.question import PolicyQuestion
from memorykernel.core.ruleset import POLICY_RULESETS, PolicyRuleset
from memorykernel.errors import ContextLookupFailed, InvalidRequest
from memorykernel.ports import Provenance
from memorykernel.service.known_state import Remembered, read_policy, require_question
from memorykernel.service.schema_care import SchemaCare


@dataclass(frozen=True, slots=True, kw_only=True)
class Proving:
    """Writes down all that it takes to check an answer without the database."""

    remembered: Remembered
    provenance: Provenance
    schema_care: SchemaCare

    def write(self, context_package_id: str) -> bytes:
        """The proof of a stored policy answer as its document; raises as `prove`."""
        return encode_proof(self.prove(context_package_id))

    def prove(self, context_package_id: str) -> Proof:
        """The proof of a stored policy answer.

        Raises:
            InvalidRequest: The answer is a recall, of a ruleset without proofs, or its question is not known.
            SchemaUnavailable: The database waits for a migration.
            ContextPackageNotFound: There is no such answer.
            ContextLookupFailed: The answer is not what its rules give now, or the store could not.
            QueryFailed: The store could not.
        """
        self.schema_care.require_usable()
        answer = self.remembered.find(context_package_id)
        asked = require_question(answer)
        question = asked.question
        if not isinstance(question, PolicyQuestion) or asked.ruleset not in PROVABLE:
            raise InvalidRequest(
                f"an answer by {asked.ruleset} has no proof; expected one by {' or '.join(sorted(PROVABLE))},"
                " recompute it with 'mk replay'"
            )
        rules = POLICY_RULESETS[asked.ruleset]
        known = self.remembered.find_state(asked)
        evidence = read_policy(self.remembered.memory, rules, question, known)
        if encode_package(rules.resolve(question, evidence)) != answer.package:
            raise ContextLookupFailed(
                "the stored answer is not what its rules give; find the damage with 'mk verify'"
            )
        version_ids = {each.memory_version_id for each in evidence.candidates}
        inputs = self.provenance.read_inputs(version_ids, known)
        jumps_from = self.provenance.find_first_jump()
        steps = list_steps(known.entry_seq, (each.entry_seq for each in inputs), jumps_from)
        return Proof(
            proof_version=PROOF_VERSION,
            ruleset=asked.ruleset,
            snapshot=ProofSnapshot(head=asked.head, entry_seq=known.entry_seq),
            question=_complete(question, rules),
            package=answer.package.decode(),
            inputs=tuple(inputs),
            chain=tuple(self.provenance.read_entries(steps)),
        )


def _complete(question: PolicyQuestion, rules: PolicyRuleset) -> PolicyQuestion:
    """The question as the package shows it: rules that know two times show a null where none was named."""
    known_at = question.as_known_at or None
    return msgspec.structs.replace(question, as_known_at=known_at if rules.needs_patterns else UNSET)
