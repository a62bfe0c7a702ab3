"""Everything that a program needs and that can be seen before anybody signs anything.

Says all that is missing at once, and changes nothing. What it looks at is there or not; what it means
is for the gates.
Source: cutover-program, "The program file" and "Commands".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

import msgspec
from contracts.core.handoff import parse_handoff
from contracts.core.manifest import parse_manifest
from contracts.core.matrix import parse_matrix
from contracts.core.pin import parse_pin
from contracts.errors import MalformedDocument

from cutover.core.program import ConsumerSide, ProducerSide, Program, ReleaseTarget
from cutover.errors import CutoverError
from cutover.ports import Repository

Find = Callable[[str], str | None]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    Args:
        subject: What, as `producer.origin`.
        ok: Whether it is as it must be.
        detail: What was found, and what to do when it is not.
    """

    subject: str
    ok: bool
    detail: str


def check_repositories(program: Program, producer: Repository, consumer: Repository) -> Iterator[Finding]:
    """Look at both origins: branches, tags, and the files that the program names."""
    yield from _guard("producer.origin", lambda: _check_producer(program, producer))
    yield from _guard("consumer.origin", lambda: _check_consumer(program.consumer, consumer))


def check_commands(program: Program, find: Find, python: str) -> Iterator[Finding]:
    """Look for the program of every declared command.

    Args:
        find: Name -> where it is on the PATH, or None.
        python: What `{python}` stands for.
    """
    for side in (program.producer, program.consumer):
        name = "producer" if isinstance(side, ProducerSide) else "consumer"
        commands = {f"{name}.launch": side.launch.command}
        commands |= {f"{name}.suites.{suite.name}": suite.command for suite in side.suites}
        for subject, command in commands.items():
            yield _check_command(subject, command[0].replace("{python}", python), find)


def _check_command(subject: str, name: str, find: Find) -> Finding:
    found = find(name)
    if found is None:
        return Finding(subject=subject, ok=False, detail=f"{name} is not on the PATH; install it")
    return Finding(subject=subject, ok=True, detail=found)


def _guard(subject: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """A repository that cannot be read is one finding; the others are still looked at."""
    try:
        yield from look()
    except CutoverError as exc:
        yield Finding(subject=subject, ok=False, detail=str(exc))


def _check_producer(program: Program, origin: Repository) -> Iterator[Finding]:
    side = program.producer
    head = origin.resolve(side.branch)
    if head is None:
        yield Finding(subject="producer.branch", ok=False, detail=f"{side.branch} is not on origin; push it")
    else:
        yield Finding(subject="producer.branch", ok=True, detail=head)
        readers: Mapping[str, Callable[[bytes], object]] = {
            side.handoff_path: parse_handoff,
            side.manifest_path: parse_manifest,
        }
        for path, read in readers.items():
            yield _check_file("producer", origin, head, path, read)
    for release in (program.baseline, program.target):
        yield from _check_tag(side, release, origin)


def _check_tag(side: ProducerSide, release: ReleaseTarget, origin: Repository) -> Iterator[Finding]:
    subject, tag = f"tag {release.release_tag}", origin.read_tag(release.release_tag)
    if tag is None:
        yield Finding(subject=subject, ok=False, detail="not on origin; push it")
        return
    detail = tag.commit if tag.annotated else "not annotated; tag the release with 'git tag -a'"
    yield Finding(subject=subject, ok=tag.annotated, detail=detail)
    for path in (side.release_path, side.openapi_path):
        yield _check_file(subject, origin, tag.commit, path, len)


def _check_consumer(side: ConsumerSide, origin: Repository) -> Iterator[Finding]:
    head = origin.resolve(side.live_ref)
    if head is None:
        yield Finding(
            subject="consumer.live_ref", ok=False, detail=f"{side.live_ref} is not on origin; push it"
        )
        return
    yield Finding(subject="consumer.live_ref", ok=True, detail=head)
    readers: Mapping[str, Callable[[bytes], object]] = {
        side.pin_path: parse_pin,
        side.matrix_path: parse_matrix,
        side.manifest_path: parse_manifest,
    }
    for path, read in readers.items():
        yield _check_file("consumer", origin, head, path, read)


def _check_file(
    subject: str, origin: Repository, commit: str, path: str, read: Callable[[bytes], object]
) -> Finding:
    name, data = f"{subject}: {path}", origin.read_blob(commit, path)
    if data is None:
        return Finding(subject=name, ok=False, detail=f"not in commit {commit[:12]}; commit and push it")
    try:
        read(data)
    except MalformedDocument as exc:
        return Finding(subject=name, ok=False, detail=f"does not read: {exc}")
    return Finding(subject=name, ok=True, detail=f"sha256 {hashlib.sha256(data).hexdigest()}")
