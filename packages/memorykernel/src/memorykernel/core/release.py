"""A release: what one version of the producer speaks, answers by, and keeps its data in.

A release folder is an export of the producer repository's tag; its `release.toml` names the contract, the
rulesets and the schema, and where the OpenAPI document and the manifest are.
"""

from __future__ import annotations

import tomllib
from pathlib import PurePosixPath
from typing import Final

import msgspec
from contracts.core.service import KNOWN_SERVICE_CONTRACTS, SERVICE_V4

from memorykernel.core.ordering_v2 import NAME as POLICY_V2
from memorykernel.core.ordering_v3 import NAME as POLICY_V3
from memorykernel.core.recall_ordering_v2 import NAME as RECALL_V2
from memorykernel.core.recall_ordering_v3 import NAME as RECALL_V3
from memorykernel.core.ruleset import POLICY_RULESETS, RECALL_RULESETS, PolicyRuleset, RecallRuleset
from memorykernel.errors import ReleaseInvalid

SCHEMA_VERSIONS: Final = (1, 2, 3, 4)
"""The schema versions that this program has migrations for, oldest first."""

OLDEST_SERVED_SCHEMA: Final = 2
"""The first schema that keeps answers; a release cannot serve on less."""

RELEASE_FILE: Final = "release.toml"

DEFAULT_CONTRACT: Final = SERVICE_V4
"""What every entrance to a database answers in when neither a release nor a contract is named.

One for all: a file must not answer differently through a command, a server and a program. Source: ADR 0014.
"""


class Release(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The facts of `release.toml`; paths are relative to it."""

    release_tag: str | None = None
    service_contract: str
    ruleset: str
    recall_ruleset: str
    schema_version: int
    openapi: str | None = None
    manifest: str | None = None

    @property
    def policy_rules(self) -> PolicyRuleset:
        """The ruleset for policy questions."""
        return POLICY_RULESETS[self.ruleset]

    @property
    def recall_rules(self) -> RecallRuleset:
        """The ruleset for recalls."""
        return RECALL_RULESETS[self.recall_ruleset]


def default_release(service_contract: str = DEFAULT_CONTRACT) -> Release:
    """What runs without a release folder: the newest rules and schema under a known contract."""
    grown = service_contract == SERVICE_V4
    release = Release(
        service_contract=service_contract,
        ruleset=POLICY_V3 if grown else POLICY_V2,
        recall_ruleset=RECALL_V3 if grown else RECALL_V2,
        schema_version=SCHEMA_VERSIONS[-1],
    )
    _check(release)
    return release


def parse_release(data: bytes) -> Release:
    """Read a `release.toml`.

    Raises:
        ReleaseInvalid: It is no TOML, lacks or misspells a key, or names what this program lacks.
    """
    try:
        release = msgspec.convert(tomllib.loads(data.decode()), Release)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, msgspec.ValidationError) as exc:
        raise ReleaseInvalid(f"{RELEASE_FILE} cannot be read: {exc}; correct the file") from exc
    _check(release)
    if release.release_tag is None or release.openapi is None or release.manifest is None:
        raise ReleaseInvalid(f"{RELEASE_FILE} lacks release_tag, openapi or manifest; add all three")
    for path in (release.openapi, release.manifest):
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise ReleaseInvalid(f"{RELEASE_FILE} names '{path}'; expected a path inside the release folder")
    return release


def _check(release: Release) -> None:
    known = {
        "service_contract": (release.service_contract, KNOWN_SERVICE_CONTRACTS),
        "ruleset": (release.ruleset, tuple(POLICY_RULESETS)),
        "recall_ruleset": (release.recall_ruleset, tuple(RECALL_RULESETS)),
        "schema_version": (
            release.schema_version,
            tuple(n for n in SCHEMA_VERSIONS if n >= OLDEST_SERVED_SCHEMA),
        ),
    }
    for key, (value, choices) in known.items():
        if value not in choices:
            expected = ", ".join(map(str, choices))
            raise ReleaseInvalid(f"release {key} '{value}' is unknown; expected one of {expected}")
