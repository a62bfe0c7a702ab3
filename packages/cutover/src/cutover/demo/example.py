"""An example folder: both repositories in the making, roles, policies, tickets; read, never written.

Layout: `producer/` and `consumer/` with `commits.toml` and one overlay folder per commit, `roles.toml`,
`policies.jsonl`, `questions.jsonl`, `answer-difference-rules.json`, `consumer-impact.json`, `program.toml`.

A program that comes after another one goes on with the same repositories: its `commits.toml` says
`continues = FOLDER`, and of policies and questions it brings only the lines that are new or replaced.
"""

from __future__ import annotations

import json
import string
import tomllib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from cutover.errors import Refused


class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """One commit in the making; `folder`, made absolute, is laid over the tree of the one before."""

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
    def number(self) -> str:
        """The leading number of the folder, by which placeholders name the commit."""
        return Path(self.folder).name[:2]

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


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A release that the program moves from or to."""

    release_tag: str
    service_contract_version: str

    def __str__(self) -> str:
        return f"{self.release_tag} ({self.service_contract_version})"


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """Producer or consumer, as the program calls it."""

    name: str


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What `program.toml` says of who moves from where to where; the demo reads no more of it."""

    producer: Named
    consumer: Named
    baseline: Side
    target: Side


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of an example that is not a file to copy."""

    folder: Path
    moved: Moved
    impact: Mapping[str, str]
    producer_commits: tuple[Commit, ...]
    consumer_commits: tuple[Commit, ...]
    baseline_pin: BaselinePin
    people: Mapping[str, Person]
    roles: tuple[RoleHolder, ...]
    policies: tuple[dict[str, Any], ...]
    questions: tuple[dict[str, Any], ...]
    difference_rules: tuple[dict[str, Any], ...]


class _Commits(msgspec.Struct):
    commit: tuple[Commit, ...] = ()
    continues: str | None = None
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
        f"the example {name} is not here; run 'cutover demo' in a checkout and name a folder of its examples"
    )


def load_example(folder: Path) -> Example:
    """Read an example folder.

    Raises:
        Refused: When a file of it is missing or malformed.
    """
    try:
        consumer = _load_commits(folder / "consumer")
        producer = _load_commits(folder / "producer")
        before = [Path(side.continues).parent for side in (producer, consumer) if side.continues]
        folders = (folder, *before[:1])
        roles = _load_toml(_find("roles.toml", folders), _Roles)
        if consumer.baseline_pin is None:
            raise Refused(f"{folder}/consumer/commits.toml has no [baseline_pin]; add one")
        return Example(
            folder=folder,
            moved=_load_moved(folder / "program.toml"),
            impact=json.loads((folder / "consumer-impact.json").read_bytes()),
            producer_commits=producer.commit,
            consumer_commits=consumer.commit,
            baseline_pin=consumer.baseline_pin,
            people={person.id: person for person in roles.person},
            roles=roles.role,
            policies=_load_named("policies.jsonl", folders),
            questions=_load_named("questions.jsonl", folders),
            difference_rules=tuple(json.loads((folder / "answer-difference-rules.json").read_bytes())),
        )
    except (OSError, ValueError, msgspec.MsgspecError) as exc:
        raise Refused(f"the example in {folder} cannot be read: {exc}") from exc


def _find(name: str, folders: tuple[Path, ...]) -> Path:
    """The file in the first folder that has it; in the first one when none has."""
    return next((folder / name for folder in folders if (folder / name).is_file()), folders[0] / name)


def _load_commits(folder: Path) -> _Commits:
    """Read a repository in the making, what it continues first; every folder becomes absolute."""
    read: _Commits = _load_toml(folder / "commits.toml", _Commits)
    own = tuple(msgspec.structs.replace(commit, folder=str(folder / commit.folder)) for commit in read.commit)
    if read.continues is None:
        return _Commits(commit=own, baseline_pin=read.baseline_pin)
    before = (folder / read.continues).resolve()
    return _Commits(
        commit=(*_load_commits(before).commit, *own), continues=str(before), baseline_pin=read.baseline_pin
    )


def _load_moved(path: Path) -> Moved:
    """Read the template with a number wherever a value is filled in later."""
    template = string.Template(path.read_text("utf-8"))
    moved: Moved = msgspec.convert(
        tomllib.loads(template.substitute(dict.fromkeys(template.get_identifiers(), 0))), Moved
    )
    return moved


def _load_toml(path: Path, kind: type[Any]) -> Any:
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), kind)


def _load_named(name: str, folders: tuple[Path, ...]) -> tuple[dict[str, Any], ...]:
    """The lines of the older folder's file; the newer one replaces those of the same name and adds others."""
    *newer, oldest = folders
    files = [oldest / name, *(folder / name for folder in newer if (folder / name).is_file())]
    named: dict[str, dict[str, Any]] = {}
    for file in files:
        named |= {line["name"]: line for line in _load_lines(file)}
    return tuple(named.values())


def _load_lines(path: Path) -> tuple[dict[str, Any], ...]:
    return tuple(json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip())
