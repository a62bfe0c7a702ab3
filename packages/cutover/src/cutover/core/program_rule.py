"""What the values of a program file may be, rule by rule, over values of the right type.

A rule sees leaves by path and yields problems; it says nothing of leaves that are not there, because
the shape has already been complained about. Every list's own path leads to its length.
Source: cutover-program, "The program file", "Parties, roles, keys" and "Switch".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from ipaddress import ip_address
from itertools import pairwise
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from contracts.core.envelope import POLICIES
from contracts.core.text_format import is_repository_relative

from cutover.core.key import Party
from cutover.core.toml_place import Path

Leaves: TypeAlias = Mapping[Path, object]
Problem: TypeAlias = tuple[Path, str]

ENGINE: Final = "embedded"
REQUIRED_ROLES: Final[Mapping[str, Party | None]] = {
    "producer-incident-commander": Party.PRODUCER,
    "producer-rollback-owner": Party.PRODUCER,
    "consumer-incident-commander": Party.CONSUMER,
    "consumer-rollback-owner": Party.CONSUMER,
    "joint-decision-log-owner": None,
}
"""The five roles of every program; more may be named."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_TAG = re.compile(r"v\d{1,9}\.\d{1,9}\.\d{1,9}", re.ASCII)
_REF = re.compile(r"refs/heads/[A-Za-z0-9_][A-Za-z0-9_+-]*(?:[./][A-Za-z0-9_+-]+)*")
_PLACEHOLDER = re.compile(r"\{(\w*)\}")

_FOLDER_PATHS = frozenset(
    {
        ("producer", "repository"), ("producer", "origin"), ("producer", "launch", "data"),
        ("consumer", "repository"), ("consumer", "origin"), ("consumer", "launch", "data"),
        ("consumer", "token_file"),
        ("traffic", "questions"), ("traffic", "tickets"), ("traffic", "seed"),
    }
)  # fmt: skip
_TREE_PATHS = frozenset(
    {
        ("producer", "manifest_path"), ("producer", "openapi_path"), ("producer", "release_path"),
        ("producer", "handoff_path"), ("producer", "changelog_path"), ("producer", "metadata_paths"),
        ("consumer", "pin_path"), ("consumer", "matrix_path"), ("consumer", "manifest_path"),
    }
)  # fmt: skip
_RANGES: Final[Mapping[Path, tuple[float, float]]] = {
    ("window", "notice_days"): (0, 3650),
    ("window", "overlap_days"): (0, 3650),
    ("thresholds", "applied_share"): (0.5, 1),
    ("thresholds", "evidence_max_age_s"): (1, 30 * 86400),
    ("thresholds", "drill_max_age_s"): (1, 30 * 86400),
    ("thresholds", "decision_valid_s"): (1, 30 * 86400),
    ("thresholds", "restore_limit_s"): (0.01, 600),
    ("thresholds", "draft_deadline_s"): (0.01, 60),
    ("thresholds", "min_rehearsal_questions"): (1, 1_000_000),
    ("thresholds", "min_drill_drafts"): (1, 1_000_000),
    ("thresholds", "clock_skew_s"): (0, 3600),
    ("watch", "stabilization_s"): (0, 30 * 86400),
    ("watch", "max_timeouts"): (1, 1000),
    ("watch", "reply_timeout_s"): (0.01, 600),
    ("watch", "probe_interval_s"): (0.001, 60),
}
_LAUNCH: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "producer": (frozenset({"port", "data", "release"}), frozenset({"python"})),
    "consumer": (
        frozenset({"port", "data", "repository", "ref"}),
        frozenset({"python", "producer_url", "token_file"}),
    ),
}
"""Placeholders that a launch command must have, and those that it may have."""


def find_problems(leaves: Leaves) -> Iterator[Problem]:
    """Yield every problem of every rule, with its path. Pure; order does not matter."""
    for rule in _RULES:
        yield from rule(leaves)


def _check_text(leaves: Leaves) -> Iterator[Problem]:
    for path, value in leaves.items():
        if isinstance(value, str) and (not value.strip() or "\n" in value or "\0" in value):
            yield path, "expected one line of text that is not blank; fill it in"


def _check_name(leaves: Leaves) -> Iterator[Problem]:
    names = [("name",), *(path for path in leaves if path[-1] == "name" and "suites" in path)]
    for path in names:
        value = leaves.get(path)
        if isinstance(value, str) and not _SLUG.fullmatch(value):
            yield path, f"expected lower-case letters, digits and '-', got {value!r}; rename it"


def _check_paths(leaves: Leaves) -> Iterator[Problem]:
    for path, value in leaves.items():
        where = tuple(step for step in path if isinstance(step, str))
        if not isinstance(value, str):
            continue
        if where in _FOLDER_PATHS and not is_repository_relative(value):
            yield path, f"expected a path below this folder, got {value!r}; make it relative"
        if where in _TREE_PATHS and not is_repository_relative(value):
            yield path, f"expected a path inside the repository, got {value!r}; make it relative"


def _check_refs(leaves: Leaves) -> Iterator[Problem]:
    for path in (("producer", "branch"), ("consumer", "live_ref")):
        value = leaves.get(path)
        if isinstance(value, str) and not _REF.fullmatch(value):
            yield path, f"expected a full ref like refs/heads/main, got {value!r}"


def _check_ranges(leaves: Leaves) -> Iterator[Problem]:
    for path, (low, high) in _RANGES.items():
        value = leaves.get(path)
        # written so that NaN fails too
        if isinstance(value, (int, float)) and not (math.isfinite(value) and low <= value <= high):
            yield path, f"expected {low:g} to {high:g}, got {value:g}"
    for path, value in leaves.items():
        is_timeout = path[-1] in ("timeout_s", "ready_timeout_s")
        if is_timeout and isinstance(value, (int, float)) and not 0 < value <= 3600:
            yield path, f"expected more than 0 and at most 3600 seconds, got {value:g}"


def _check_releases(leaves: Leaves) -> Iterator[Problem]:
    for side in ("baseline", "target"):
        tag, contract = leaves.get((side, "release_tag")), leaves.get((side, "service_contract_version"))
        if isinstance(tag, str) and not _TAG.fullmatch(tag):
            yield (side, "release_tag"), f"expected a tag like v1.2.3, got {tag!r}"
        if isinstance(contract, str) and contract not in POLICIES:
            known = ", ".join(sorted(POLICIES))
            yield (side, "service_contract_version"), f"expected one of {known}, got {contract!r}"
        for key, only in (("api_contract_version", "api.v1"), ("integration_baseline", "integration/v1")):
            if leaves.get((side, key), only) != only:
                yield (side, key), f"expected {only}, got {leaves[(side, key)]!r}; no other is known yet"


def _check_move(leaves: Leaves) -> Iterator[Problem]:
    """The gateway tells releases apart by their contract, so the two must differ in both."""
    for key, what in (
        ("release_tag", "release"),
        ("service_contract_version", "service contract"),
    ):
        baseline, target = leaves.get(("baseline", key)), leaves.get(("target", key))
        if baseline is not None and baseline == target:
            yield (
                ("target", key),
                f"expected another {what} than the baseline's, got {target!r} twice; name another",
            )


def _check_window(leaves: Leaves) -> Iterator[Problem]:
    times = [(name, leaves.get(("window", name))) for name in ("not_before", "opens_at", "closes_at")]
    aware = [(name, at) for name, at in times if isinstance(at, datetime) and at.tzinfo is not None]
    for name, at in times:
        if isinstance(at, datetime) and at.tzinfo is None:
            yield ("window", name), "expected a time with its zone, like 2026-02-08T13:00:00Z"
    for (earlier, first), (later, second) in pairwise(aware):
        if first > second or (first == second and later == "closes_at"):
            yield (
                ("window", later),
                f"expected a time after {earlier}, got {second.isoformat()}; reorder them",
            )


def _check_roles(leaves: Leaves) -> Iterator[Problem]:
    if ("roles",) not in leaves:
        return
    for role, party in REQUIRED_ROLES.items():
        wanted = "joint" if party is None else party
        if ("roles", role, "title") not in leaves and ("roles", role, "party") not in leaves:
            yield ("roles",), f"role {role} is missing; add [roles.{role}] with party = {str(wanted)!r}"
        elif leaves.get(("roles", role, "party"), party) != party:
            yield ("roles", role, "party"), f"expected {str(wanted)!r}; the role is theirs"


def _check_commands(leaves: Leaves) -> Iterator[Problem]:
    for path, value in leaves.items():
        if path[-1] == "command" and value == 0:
            yield path, "expected an argument list, got an empty one; name a program"
        if path[-1] == "ready_path" and isinstance(value, str) and not value.startswith("/"):
            yield path, f"expected a path like /v1/ready, got {value!r}"
    for side, (required, optional) in _LAUNCH.items():
        path = (side, "launch", "command")
        words = [str(v) for p, v in leaves.items() if p[:-1] == path]
        found = {name for word in words for name in _PLACEHOLDER.findall(word)}
        if not words:
            continue
        for name in sorted(required - found):
            yield path, f"placeholder {{{name}}} is missing; the process must be told it"
        for name in sorted(found - required - optional):
            yield path, f"placeholder {{{name}}} is unknown; expected {_braced(required | optional)}"


def _check_suites(leaves: Leaves) -> Iterator[Problem]:
    for side in ("producer", "consumer"):
        if leaves.get((side, "suites")) == 0:
            yield (side, "suites"), "expected at least one verification command; nothing run proves nothing"
        seen: set[object] = set()
        for path, value in leaves.items():
            if path[:2] == (side, "suites") and path[-1] == "name":
                if value in seen:
                    yield path, f"expected every suite once, got {value!r} again; rename one"
                seen.add(value)


def _check_traffic(leaves: Leaves) -> Iterator[Problem]:
    engine, bind = leaves.get(("traffic", "engine")), leaves.get(("traffic", "bind"))
    if isinstance(engine, str) and engine != ENGINE:
        yield ("traffic", "engine"), f"expected {ENGINE!r}, got {engine!r}; other engines come later"
    if isinstance(bind, str) and not _is_loopback_url(f"http://{bind}"):
        yield ("traffic", "bind"), f"expected a loopback address and port like 127.0.0.1:4010, got {bind!r}"
    url = leaves.get(("consumer", "url"))
    if isinstance(url, str) and not _is_loopback_url(url):
        yield ("consumer", "url"), f"expected a loopback URL like http://127.0.0.1:4020, got {url!r}"
    elif isinstance(url, str) and isinstance(bind, str) and url.rstrip("/") == f"http://{bind}":
        yield ("consumer", "url"), "expected another port than traffic.bind, got the same; change one"


def _is_loopback_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    plain = parts.scheme == "http" and parts.path in ("", "/") and not (parts.query or parts.fragment)
    return plain and "@" not in parts.netloc and bool(port) and _is_loopback(parts.hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _braced(names: frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))


_RULES: Final[tuple[Callable[[Leaves], Iterator[Problem]], ...]] = (
    _check_text,
    _check_name,
    _check_paths,
    _check_refs,
    _check_ranges,
    _check_releases,
    _check_move,
    _check_window,
    _check_roles,
    _check_commands,
    _check_suites,
    _check_traffic,
)
