"""A disk that is really full: nothing acknowledged is lost, and everybody is told what to do."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from contracts.core.envelope import POLICIES, check_reply
from memorykernel import open_kernel
from memorykernel.core.release import default_release
from memorykernel.core.request import AskV4, read_request
from memorykernel.wiring import back_up_file, open_moving, write_export

FULL = "no space left on the device; make room there, then repeat it"
V4 = ("--service-contract", "service.v4")


def fill(path: Path, kit: Any, records: int) -> Path:
    """A database with so many records."""
    kernel = open_kernel(path, default_release())
    kernel.schema_care.migrate(dry_run=False)
    for number in range(records):
        kit.add(kernel, kit.constraint(actor=f"actor-{number}", note="n" * 2000))
    kernel.file.close()
    return path


@dataclass(frozen=True)
class Stock:
    """A database on another disk, and what was made of it."""

    db: Path
    backup: Path
    bundle: Path
    answer: str


@pytest.fixture(scope="session")
def stock(tmp_path_factory: pytest.TempPathFactory, kit: Any) -> Stock:
    folder = tmp_path_factory.mktemp("stock")
    made = Stock(fill(folder / "memory.db", kit, 300), folder / "backup.db", folder / "memory.tar", "cpkg_1")
    kernel = open_kernel(made.db, default_release())
    asked: Any = {"text": "q", "actor": "a", "action": "b", "resource": "c"}
    package = json.loads(kernel.asking.ask(read_request(asked, AskV4, strict=True)))
    kernel.file.close()
    back_up_file(made.db, made.backup, lambda left, total: None)
    write_export(open_moving(made.db), made.bundle, exported_at=None, sign_key=None, recipients=[])
    return replace(made, answer=package["context_package_id"])


def require_envelope(reply: Any) -> None:
    """A reply is one of service.v4."""
    assert not check_reply(
        POLICIES["service.v4"],
        status=reply.status,
        content_type=reply.headers["content-type"],
        body=reply.body,
        max_bytes=2**20,
    )


def test_a_server_on_a_full_disk_reads_refuses_and_heals(disk: Any, kit: Any, mk: Any) -> None:
    db = disk.path / "memory.db"
    with kit.serve(db, *V4) as server:
        kept = [server.call("POST", "/v1/query/ask", kit.ask(text=f"before {n}")).data for n in range(5)]
        records = [server.call("POST", "/v1/memory/add/constraint", kit.constraint()).data for n in range(5)]
        disk.fill()
        refused: list[Any] = []
        while len(refused) < 5:  # the log has some room of its own
            reply = server.call("POST", "/v1/query/ask", kit.ask(text=f"full {len(kept)}"))
            if reply.status == 200:
                kept.append(reply.data)
            else:
                refused.append(reply)
        refused_write = server.call("POST", "/v1/memory/add/constraint", kit.constraint(note="n" * 9000))
        ready = server.call("GET", "/v1/ready")
        alive = server.call("GET", "/v1/health")
        found = [server.call("GET", f"/v1/context/{each['context_package_id']}").data for each in kept]
        disk.empty()
        healed = server.call("POST", "/v1/query/ask", kit.ask(text="there is room again")).data
        ready_again = server.call("GET", "/v1/ready")

    for reply in [*refused, refused_write, ready]:
        require_envelope(reply)
        assert FULL in reply.json()["error"]["message"]
    assert {(each.status, each.json()["error"]["code"]) for each in refused} == {(500, "query_failed")}
    assert (refused_write.status, refused_write.json()["error"]["code"]) == (500, "write_failed")
    assert (ready.status, alive.status, ready_again.status) == (503, 200, 200)
    assert found == kept
    report = json.loads(mk("verify", "--db", db, "--jobs", "1").out)
    assert (report["ok"], report["records"], report["answers"]) == (True, len(records), len(kept) + 1)
    assert report["replayed"] == len(kept) + 1
    assert healed["context_package_id"] not in {each["context_package_id"] for each in kept}


def test_a_server_that_cannot_make_its_database_says_so(disk: Any, mk: Any) -> None:
    disk.fill()

    ran = mk("serve", "--db", disk.path / "memory.db", "--bind", "127.0.0.1:0")

    assert (ran.code, ran.out) == (3, "")
    assert FULL in ran.err


@pytest.mark.parametrize("command", ["import", "backup", "export", "restore", "migrate", "proof"])
def test_a_command_whose_disk_is_full_leaves_nothing_and_says_so(
    command: str, disk: Any, mk: Any, stock: Stock
) -> None:
    db, backup, bundle = stock.db, stock.backup, stock.bundle
    target = disk.path / "new"
    disk.fill(spare_bytes=0 if command in ("migrate", "proof") else 100_000)
    before = sorted(db.parent.iterdir())

    ran = mk(*{
        "import": ["import", bundle, "--db", target],
        "backup": ["backup", target, "--db", db],
        "export": ["export", "--db", db, "-o", target],
        "restore": ["restore", backup, "--db", target],
        "migrate": ["db", "migrate", "--db", target],
        "proof": ["proof", stock.answer, "--db", db, "-o", target],
    }[command])  # fmt: skip

    assert (ran.code, ran.out) == (3, "")
    assert FULL in ran.err
    assert "damaged" not in ran.err
    assert disk.list_names() <= ({"new"} if command == "migrate" else set())
    assert sorted(db.parent.iterdir()) == before


def test_a_full_disk_under_standard_output_is_no_bug(disk: Any, mk: Any, stock: Stock) -> None:
    db = stock.db
    disk.fill(spare_bytes=8192)
    streamed = mk("export", "--db", db, stdout=disk.path / "memory.tar")
    disk.fill()
    printed = mk("db", "schema-version", "--db", db, stdout=disk.path / "out")

    assert (streamed.code, printed.code) == (3, 3)
    assert FULL in streamed.err
    assert FULL in printed.err
    assert "please report" not in streamed.err + printed.err


def test_what_is_there_survives_a_full_disk(disk: Any, mk: Any, kit: Any, stock: Stock) -> None:
    db = fill(disk.path / "memory.db", kit, 20)
    head = json.loads(mk("verify", "--db", db).out)["memory_head"]
    disk.fill(spare_bytes=65_536)

    merged = mk("import", stock.bundle, "--db", db)
    restored = mk("restore", stock.backup, "--db", db, "--replace")
    verified = mk("verify", "--db", db)

    for ran in (merged, restored):
        assert (ran.code, ran.out) == (3, "")
        assert FULL in ran.err
    assert verified.code == 0
    assert json.loads(verified.out)["memory_head"] == head
    assert disk.list_names() == {"memory.db"}
