"""Single bits of a database are flipped, one at a time: `mk verify` must say so and name the place.

The bits are drawn from the pages that hold data: all that are not on the freelist. A flip is found when the
verification reports damage, and located when a finding names the table that the page, or its index, is of; on
the first page also the header, the ledger or the schema. A flip that is not found must have no effect: every
table has the same content, and all answers replay. SQLite does not use every byte.
"""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_verify import verify
from memorykernel.adapters.verification import VerifyReport
from memorykernel.core.release import Release
from memorykernel.core.request import AddConstraintV4, AddLink, AddMembership, AskV4, read_request
from memorykernel.core.stored_record import KeptRequest
from memorykernel.wiring import Kernel, open_kernel

from benchmarks.campaigns.outcome import Outcome

_PAGE: Final = 4096
_MEMORY: Final = Path("/dev/shm")  # noqa: S108  # each case is a file of its own: no disk should wear for it
_FIRST_PAGE: Final = frozenset({"sqlite_schema", "schema_migrations", "header", "file"})
_COMMON: Final[dict[str, Any]] = {
    "version": 1,
    "writer": "w",
    "justification": "j",
    "source_uri": "file:///p",
    "evidence": [],
    "truth_status": "asserted",
    "authority": "note",
    "supersedes": [],
    "contradicts": [],
}


class Flip(NamedTuple):
    """One case: where, who owns the page, whether it was found, and whether the finding names the owner."""

    offset: int
    bit: int
    owner: str
    found: bool
    located: bool
    findings: str


def run(count: int, seed: int) -> Outcome:
    """Flip so many bits of a small database and verify after each."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(
        prefix="bit-flips-", dir=_MEMORY if _MEMORY.is_dir() else None
    ) as folder:
        flips = flip_bits(count, seed, Path(folder))
    found = [each for each in flips if each.found]
    missed = [each for each in flips if not each.found and each.findings]
    lost = [each for each in found if not each.located]
    owners = Counter(f"in {each.owner}" for each in flips)
    return Outcome(
        campaign="bit-flips",
        seed=seed,
        count=count,
        numbers={
            "found": len(found),
            "located": len(found) - len(lost),
            "without effect": sum(not each.found and not each.findings for each in flips),
            **dict(sorted(owners.items())),
        },
        wrong=tuple(
            f"byte {each.offset} bit {each.bit} in {each.owner}: {each.findings}" for each in missed + lost
        ),
        seconds=time.perf_counter() - begun,
    )


def flip_bits(count: int, seed: int, folder: Path) -> list[Flip]:
    """Flip bits at random in a database made for it.

    Returns:
        The cases in order; `findings` of a flip that was not found names the effect it had, empty when none.
    """
    chance = random.Random(seed)
    whole = folder / "whole.db"
    make_database(whole)
    data = whole.read_bytes()
    owners, content = read_owners(whole), read_content(whole)
    if not verify(whole, answers=True, jobs=1, progress=_ignore).ok:
        raise RuntimeError("the database is damaged before anything was flipped")
    return [_flip(folder / "flipped.db", data, chance, owners, content) for _ in range(count)]


def make_database(path: Path) -> None:
    """A small database with every kind of row, its WAL folded in."""
    release = Release(
        service_contract="service.v3",
        ruleset="ordering.v3",
        recall_ruleset="recall-ordering.v3",
        schema_version=4,
    )
    kernel = open_kernel(path, release)
    kernel.schema_care.migrate(dry_run=False)
    _fill(kernel)
    if isinstance(kernel.file, SqliteFile):
        kernel.file.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _fill(kernel: Kernel) -> None:
    versions = []
    for number in range(40):
        scope = {"actor": f"team/{number % 5}", "action": "read", "resource": "docs/" if number % 3 else "*"}
        match = {"resource_match": "prefix"} if number % 3 else {}
        body = {
            **_COMMON,
            **scope,
            **match,
            "effect": "deny" if number % 2 else "allow",
            "note": f"rule {number}",
        }
        added = kernel.remembering.add_record(read_request(body, AddConstraintV4, strict=True))
        versions.append(added.memory_version_id)
    for number in range(10):
        body = {**_COMMON, "field": "actor", "member": f"team/{number}", "group": "staff"}
        kernel.remembering.add_record(read_request(body, AddMembership, strict=True))
        link = {"from": versions[number + 1], "to": versions[number], "relation": "supersedes"}
        said = {"writer": "w", "justification": "j"}
        kernel.remembering.add_link(read_request({**link, **said}, AddLink, strict=True))
    for number in range(24):
        asked: dict[str, Any] = {
            "text": "?",
            "actor": f"team/{number % 7}",
            "action": "read",
            "resource": f"docs/{number}",
        }
        kernel.asking.ask(read_request(asked, AskV4, strict=True))
    for number in range(5):
        kept = KeptRequest(key=f"key-{number}", digest="ab" * 32, reply=b"{}")
        kernel.asking.memory.write(_keep(kept), now_us=number)


def _keep(kept: KeptRequest) -> Callable[..., None]:
    return lambda transaction: transaction.keep_request(kept)


def read_owners(path: Path) -> dict[int, str]:
    """Page -> the table that it, or the index it belongs to, is of; only pages that belong to one."""
    connection = sqlite3.connect(path)
    try:
        tables = dict(connection.execute("SELECT name, tbl_name FROM sqlite_schema"))
        pages = connection.execute("SELECT pageno, name FROM dbstat").fetchall()
        return {page: tables.get(name, name) for page, name in pages}
    finally:
        connection.close()


def read_content(path: Path) -> object:
    """Every table's rows, byte for byte."""
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    try:
        tables = [
            name.decode()
            for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")
        ]
        schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema").fetchall()
        return schema, [sorted(map(repr, connection.execute(f"SELECT * FROM {name}"))) for name in tables]  # noqa: S608
    finally:
        connection.close()


def _flip(path: Path, data: bytes, chance: random.Random, owners: dict[int, str], content: object) -> Flip:
    page = chance.choice(sorted(owners))
    offset, bit = (page - 1) * _PAGE + chance.randrange(_PAGE), chance.randrange(8)
    flipped = bytearray(data)
    flipped[offset] ^= 1 << bit
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    path.write_bytes(flipped)
    report = verify(path, answers=True, jobs=1, progress=_ignore)
    owner = owners[page]
    findings = "; ".join(f"{each.table} {each.row} {each.id}: {each.finding}" for each in report.damage[:3])
    if report.ok:
        return Flip(offset, bit, owner, False, False, "" if _is_same(path, content) else "content differs")
    return Flip(offset, bit, owner, True, _names(report, owner, page), findings)


def _names(report: VerifyReport, owner: str, page: int) -> bool:
    named = {each.table for each in report.damage}
    also = {"memberships": {"constraint_scopes"}}.get(owner, set())  # both are checked as one
    return bool(named & ({owner} | also | (_FIRST_PAGE if page == 1 else set())))


def _is_same(path: Path, content: object) -> bool:
    try:
        return read_content(path) == content
    except sqlite3.Error:
        return False


def _ignore(done: int, total: int) -> None:
    pass
