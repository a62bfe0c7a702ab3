"""The producer's hand-off: what it offers, under which policy, and what the consumer must do about it.

The published fields are read as published, absolute paths included: `Handoff.absolute_paths` lists
those, so that a tool can complain instead of failing to read. The fields that this project adds are
optional and held to more: digests name repository-relative paths only.

Source: wire contract, section 3; the published fixtures, which win over its prose.
"""

import shlex
from typing import Annotated, Final, Literal, NoReturn, TypeAlias

from msgspec import Meta, Struct, field

from contracts.core.context_package import AnswerResult
from contracts.core.json_value import encode_field_path
from contracts.core.manifest import verify_distinct
from contracts.core.text_format import (
    ApiContract,
    CommitSha,
    ErrorCodeName,
    Line,
    ReleaseTag,
    ServiceContract,
    Sha256Hex,
    UtcTime,
    is_real_time,
    is_repository_relative,
)
from contracts.core.typed_reader import encode_record, read_record
from contracts.errors import MalformedDocument

STABLE: Final = "stable"
CANDIDATE: Final = "service-v3-candidate"
ANY: Final = "*"
"""In a question class: every actor, action or resource."""

PolicyName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\Aservice_v[1-9][0-9]{0,3}_(stable|candidate)\Z",
        description="a policy name like service_v3_stable",
    ),
]
EnvelopeKey: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z][a-z0-9_]{0,63}(\.[a-z][a-z0-9_]{0,63})?\Z",
        description="an envelope key like error.code",
    ),
]
_CANDIDATE_FIELDS: Final = (
    "rehearsal_candidate",
    "compatibility_expectations",
    "required_consumer_validation_commands",
)


class ActiveRuntimeBaseline(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What runs now, in the producer's words."""

    release_tag: ReleaseTag
    commit_sha: CommitSha
    expected_service_contract_version: ServiceContract
    expected_api_contract_version: ApiContract
    integration_baseline: Literal["integration/v1"]


class ErrorEnvelopeClause(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Keys of a non-2xx envelope, those inside `error` written `error.code`."""

    requires: Annotated[tuple[EnvelopeKey, ...], Meta(min_length=1, max_length=64)]
    optional: Annotated[tuple[EnvelopeKey, ...], Meta(max_length=64)] | None = None
    forbids: Annotated[tuple[EnvelopeKey, ...], Meta(max_length=64)]


class ConsumerImpact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a consumer has to do; in a template the values are placeholders in angle brackets."""

    runtime_behavior_changes: Line
    required_consumer_mapping_changes: Line
    required_test_updates: Line
    repin_required: Line
    rollback_instruction: Line


class RehearsalCandidate(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Terms of a candidate: nothing moves, and the consumer's fallback must not block."""

    requires_runtime_cutover: bool
    service_v2_runtime_stability_required: bool | None = None
    migration_overlap_days: Annotated[int, Meta(ge=0, le=3650)] | None = None
    consumer_non_blocking_fallback_required: bool


class CompatibilityExpectations(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which fields of a candidate differ from what runs now, and which must not."""

    candidate_values_override_release_baseline_fields: tuple[Line, ...]
    fields_that_must_match_active_runtime_baseline: tuple[Line, ...]


class QuestionClass(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A set of policy questions: each part is a value, or `*` for every value."""

    actor: Line
    action: Line
    resource: Line

    def covers(self, *, actor: str, action: str, resource: str) -> bool:
        """Say whether a question with these three parts belongs to the class (exact, or `*`)."""
        parts = ((self.actor, actor), (self.action, action), (self.resource, resource))
        return all(mine in (ANY, asked) for mine, asked in parts)


class AnswerDifferenceRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A change of answer that the producer announces: these questions go from one result to another."""

    question_class: QuestionClass
    from_: AnswerResult = field(name="from")
    to: AnswerResult
    reason: Line


class Handoff(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A hand-off payload; field names and order are those of the published files, ours come last."""

    handoff_generated_at_utc: UtcTime
    handoff_mode: Literal["stable", "service-v3-candidate"]
    release_tag: ReleaseTag
    commit_sha: CommitSha
    expected_service_contract_version: ServiceContract
    expected_api_contract_version: ApiContract
    integration_baseline: Literal["integration/v1"]
    active_runtime_baseline: ActiveRuntimeBaseline
    error_code_enum: Annotated[tuple[ErrorCodeName, ...], Meta(min_length=1, max_length=256)]
    non_2xx_envelope_policy: dict[PolicyName, ErrorEnvelopeClause]
    manifest_contract_version: Literal["producer-contract-manifest.v1"]
    manifest_path: Line
    changelog_path: Line
    verification_commands: Annotated[tuple[Line, ...], Meta(max_length=256)]
    consumer_impact_statement_template: ConsumerImpact
    rehearsal_candidate: RehearsalCandidate | None = None
    compatibility_expectations: CompatibilityExpectations | None = None
    required_consumer_validation_commands: Annotated[tuple[Line, ...], Meta(max_length=256)] | None = None
    expected_producer_manifest_sha256: Sha256Hex | None = None
    release_digests: dict[Line, Sha256Hex] | None = None
    consumer_impact_statement: ConsumerImpact | None = None
    answer_difference_rules: Annotated[tuple[AnswerDifferenceRule, ...], Meta(max_length=10_000)] | None = (
        None
    )

    @property
    def absolute_paths(self) -> tuple[str, ...]:
        """Every path in the payload that leaves the repository: absolute, or escaping by `..`.

        Returns:
            `field: path` in the order of the fields, paths inside commands included; empty when
            all of them are repository-relative.
        """
        commands = self.required_consumer_validation_commands or ()
        return (
            *_outside("manifest_path", self.manifest_path),
            *_outside("changelog_path", self.changelog_path),
            *_outside_commands("verification_commands", self.verification_commands),
            *_outside_commands("required_consumer_validation_commands", commands),
        )


def parse_handoff(data: bytes) -> Handoff:
    """Read a hand-off strictly.

    Args:
        data: The file's bytes.

    Returns:
        The hand-off.

    Raises:
        MalformedDocument: With the field and the reason.
    """
    handoff = read_record(data, Handoff)
    if not is_real_time(handoff.handoff_generated_at_utc):
        _refuse("handoff_generated_at_utc", f"no such instant as {handoff.handoff_generated_at_utc}")
    verify_distinct("error_code_enum", handoff.error_code_enum)
    _verify_mode(handoff)
    _verify_policies(handoff)
    _verify_digests(handoff.release_digests or {})
    _verify_impact(handoff.consumer_impact_statement)
    _verify_rules(handoff.answer_difference_rules or ())
    return handoff


def encode_handoff(handoff: Handoff) -> bytes:
    """Write a hand-off; `parse_handoff(encode_handoff(h)) == h`, and equal ones give equal bytes.

    Args:
        handoff: The hand-off.

    Returns:
        Two-space JSON with a final line break; absent optional fields are left out.

    Raises:
        MalformedDocument: When the reader would refuse the result.
    """
    data = encode_record(handoff)
    parse_handoff(data)
    return data


def _refuse(path: str, reason: str) -> NoReturn:
    raise MalformedDocument(path, reason)


def _verify_mode(handoff: Handoff) -> None:
    """A candidate has three fields more, and they say that nothing moves yet."""
    for name in _CANDIDATE_FIELDS:
        is_there = getattr(handoff, name) is not None
        if is_there != (handoff.handoff_mode == CANDIDATE):
            _refuse(name, f"expected exactly in mode {CANDIDATE}, got mode {handoff.handoff_mode}")
    terms = handoff.rehearsal_candidate
    if terms is None:
        return
    if terms.requires_runtime_cutover:
        _refuse("rehearsal_candidate.requires_runtime_cutover", "expected false for a candidate, got true")
    if not terms.consumer_non_blocking_fallback_required:
        _refuse("rehearsal_candidate.consumer_non_blocking_fallback_required", "expected true, got false")


def _verify_policies(handoff: Handoff) -> None:
    """The contract that is offered has its policy, and no policy contradicts itself."""
    suffix = "stable" if handoff.handoff_mode == STABLE else "candidate"
    needed = f"{handoff.expected_service_contract_version.replace('.', '_')}_{suffix}"
    if needed not in handoff.non_2xx_envelope_policy:
        _refuse(f"non_2xx_envelope_policy.{needed}", "required, but missing; add it")
    for name, clause in handoff.non_2xx_envelope_policy.items():
        for index, key in enumerate(clause.forbids):
            if key in clause.requires or key in (clause.optional or ()):
                path = ("non_2xx_envelope_policy", name, "forbids", index)
                _refuse(encode_field_path(path), f"{key} is allowed by the same policy; remove one")


def _verify_digests(digests: dict[str, str]) -> None:
    for path in digests:
        if not is_repository_relative(path):
            _refuse(encode_field_path(("release_digests", path)), "expected a repository-relative path")


def _verify_impact(statement: ConsumerImpact | None) -> None:
    """A filled-in statement is filled in."""
    if statement is None:
        return
    for name in ConsumerImpact.__struct_fields__:
        if getattr(statement, name).startswith("<"):
            _refuse(
                f"consumer_impact_statement.{name}", "expected a statement, got the template's placeholder"
            )
    if statement.repin_required not in ("yes", "no"):
        _refuse("consumer_impact_statement.repin_required", "expected yes or no")


def _verify_rules(rules: tuple[AnswerDifferenceRule, ...]) -> None:
    seen = set()
    for index, rule in enumerate(rules):
        if rule.from_ == rule.to:
            _refuse(
                f"answer_difference_rules[{index}].to",
                f"expected another result than from, got {rule.to} twice",
            )
        if (key := (rule.question_class, rule.from_)) in seen:
            _refuse(
                f"answer_difference_rules[{index}]",
                "expected one rule per question class and from; remove one",
            )
        seen.add(key)


def _outside(name: str, path: str) -> tuple[str, ...]:
    return () if is_repository_relative(path) else (f"{name}: {path}",)


def _outside_commands(name: str, commands: tuple[str, ...]) -> tuple[str, ...]:
    """Look at each argument, and at what follows `=` in one; commands are read, never run."""
    found: list[str] = []
    for index, command in enumerate(commands):
        parts = (part for argument in _split(command) for part in argument.split("="))
        found.extend(line for part in parts if part for line in _outside(f"{name}[{index}]", part))
    return tuple(found)


def _split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:  # an open quotation mark: still a claim to be looked at
        return command.split()
