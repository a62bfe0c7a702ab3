"""An example folder: both repositories in the making, roles, policies, tickets; read, never written.

Layout: `producer/` and `consumer/` with `commits.toml` and one overlay folder per commit, `roles.toml`,
`policies.jsonl`, `questions.jsonl`, `answer-difference-rules.json`, `program.toml`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from cutover.errors import Refused


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit in the making; `folder` is laid over the tree of the one before."""

    folder: str
    subject: str
    body: str
    author_name: str
    author_email: str
    date: datetime
    openapi: str | None = None
    tag: str | None = None
    tag_message: str | None = None

    @property
    def message(self) -> str:
        """Subject, blank line, body."""
        return f"{self.subject}\n\n{self.body.strip()}\n"

    @property
    def author(self) -> str:
        """`Name <e-mail>`."""
        return f"{self.author_name} <{self.author_email}>"


class BaselinePin(msgspec.Struct, frozen=True, kw_only=True):
    """The commit that pins the consumer to a release for the first time."""

    producer_tag: str
    subject: str
    body: str
    author_name: str
    author_email: str
    date: datetime


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who holds a role."""

    id: str
    name: str
    email: str
    title: str
    party: str


class RoleHolder(msgspec.Struct, frozen=True, kw_only=True):
    """Which role whom."""

    role: str
    party: str
    holder: str

    @property
    def role_id(self) -> str:
        """The role's name in `cutover.toml`."""
        return f"{self.party}-{self.role.replace('_', '-')}"


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of an example that is not a file to copy."""

    folder: Path
    producer_commits: tuple[Commit, ...]
    consumer_commits: tuple[Commit, ...]
    baseline_pin: BaselinePin
    people: Mapping[str, Person]
    roles: tuple[RoleHolder, ...]
    policies: tuple[dict[str, Any], ...]
    questions: tuple[dict[str, Any], ...]
    difference_rules: tuple[dict[str, Any], ...]


class _Commits(msgspec.Struct):
    commit: tuple[Commit, ...]
    baseline_pin: BaselinePin | None = None


class _Roles(msgspec.Struct):
    person: tuple[Person, ...]
    role: tuple[RoleHolder, ...]


def find_example(name: str = "service-v3") -> Path:
    """Return the example's folder in the checkout that this package runs from.

    Raises:
        Refused: When there is none, as in an installation without the checkout.
    """
    for parent in (Path.cwd(), *Path(__file__).resolve().parents):
        if (parent / "examples" / name / "program.toml").is_file():
            return parent / "examples" / name
    raise Refused(
        f"the example {name} is not here; run 'cutover demo' inside a checkout, or name it by --example"
    )


def load_example(folder: Path) -> Example:
    """Read an example folder.

    Raises:
        Refused: When a file of it is missing or malformed.
    """
    try:
        consumer = _load_toml(folder / "consumer" / "commits.toml", _Commits)
        roles = _load_toml(folder / "roles.toml", _Roles)
        if consumer.baseline_pin is None:
            raise Refused(f"{folder}/consumer/commits.toml has no [baseline_pin]; add one")
        return Example(
            folder=folder,
            producer_commits=_load_toml(folder / "producer" / "commits.toml", _Commits).commit,
            consumer_commits=consumer.commit,
            baseline_pin=consumer.baseline_pin,
            people={person.id: person for person in roles.person},
            roles=roles.role,
            policies=_load_lines(folder / "policies.jsonl"),
            questions=_load_lines(folder / "questions.jsonl"),
            difference_rules=tuple(json.loads((folder / "answer-difference-rules.json").read_bytes())),
        )
    except (OSError, ValueError, msgspec.MsgspecError) as exc:
        raise Refused(f"the example in {folder} cannot be read: {exc}") from exc


def _load_toml(path: Path, kind: type[Any]) -> Any:
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), kind)


def _load_lines(path: Path) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip())
