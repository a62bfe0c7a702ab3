"""Data of the published implementation: what the wire tells is read, everything else is refused."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from memorykernel.adapters.bundle_file import Kind, find_kind
from memorykernel.adapters.published_snapshot import PublishedSnapshot
from memorykernel.adapters.published_sqlite import PublishedSqlite
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_integrity import check_integrity
from memorykernel.errors import BundleInvalid, WriteConflict
from memorykernel.service.moving import Moving

Location = Path | str
Open = Callable[[Location], Moving]
Place = Callable[[str], Location]
IDS = [f"01J{number:023d}" for number in range(6)]
PACKAGE = {"context_package_id": "cpkg_1_txn_2", "query": {}, "determinism": {}, "answer": {"result": "deny"}}


def wire_record(number: int, **changes: Any) -> dict[str, Any]:
    constraint = {
        "scope": {"actor": "user", "action": "use", "resource": "usb"},
        "effect": "deny",
        "note": None,
    }
    return {
        "memory_version_id": IDS[number],
        "memory_id": IDS[number + 3],
        "version": 1,
        "created_at": "2026-02-08T13:19:53.5Z",
        "effective_at": "2026-02-08T13:19:53Z",
        "truth_status": "asserted",
        "authority": "authoritative",
        "confidence": None,
        "writer": "w",
        "justification": "j",
        "provenance": {"source_uri": "file:///p.md", "source_hash": None, "evidence": ["e"]},
        "supersedes": [],
        "contradicts": [],
        "payload": {"record_type": "constraint", "payload": constraint}
        if number % 2
        else {"record_type": "decision", "payload": {"summary": "USB drives were banned"}},
        **changes,
    }


def write_snapshot(folder: Path, records: list[dict[str, Any]], *, schema_version: int = 2) -> Path:
    folder.mkdir(exist_ok=True)
    files = {
        "memory_records.ndjson": "".join(json.dumps(each) + "\n" for each in records),
        "context_packages.ndjson": json.dumps(PACKAGE) + "\n",
    }
    listed = []
    for name, text in files.items():
        (folder / name).write_text(text)
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        listed.append({"path": name, "sha256": sha256, "records": text.count("\n")})
    manifest = {"schema_version": schema_version, "exported_at": "2026-02-09T00:00:00Z", "files": listed}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    forward = wire_record(0, supersedes=[IDS[1]])
    return write_snapshot(tmp_path / "snapshot", [forward, wire_record(1), wire_record(2)])


@pytest.mark.parametrize("packed", [False, True])
def test_a_snapshot_is_taken_over_with_ids_links_and_answers(
    packed: bool, snapshot: Path, tmp_path: Path, moving: Open, place: Place, store_kit: Any
) -> None:
    source = snapshot
    if packed:
        source = tmp_path / "snapshot.tar.gz"
        with tarfile.open(source, "w:gz") as archive:
            archive.add(snapshot, arcname="export")
    assert find_kind(source) is Kind.PUBLISHED_SNAPSHOT
    copy = place("copy.db")
    report = moving(copy).take_over_published(PublishedSnapshot(source))
    assert (report.added, report.identical, report.schema_version) == (5, 0, 2)
    checked = store_kit.check(copy)
    assert (checked.ok, checked.records, checked.links, checked.answers) == (True, 3, 1, 1)
    kernel = store_kit.open(copy)
    answer = kernel.asking.answers.load_answer("cpkg_1_txn_2")
    kernel.file.close()
    assert json.loads(answer.package) == PACKAGE
    again = moving(copy).take_over_published(PublishedSnapshot(source))
    assert (again.added, again.identical) == (0, 5)


@pytest.mark.parametrize(
    "changes",
    [
        {"unknown": 1},
        {"writer": " "},
        {"created_at": "yesterday"},
        {"memory_version_id": "no"},
        {"truth_status": "inferred"},
        {"payload": {"record_type": "decision", "payload": {"scope": {}}}},
    ],
)
def test_a_record_that_no_request_may_be_is_refused_with_its_line(
    changes: dict[str, Any], tmp_path: Path, moving: Open, place: Place, store_kit: Any
) -> None:
    folder = write_snapshot(tmp_path / "s", [wire_record(0), wire_record(1, **changes)])
    copy = place("copy.db")
    with pytest.raises(BundleInvalid, match=r"memory_records.ndjson line 2"):
        moving(copy).take_over_published(PublishedSnapshot(folder))
    assert store_kit.is_untouched(copy)


def test_a_snapshot_that_is_not_its_manifests_is_refused(snapshot: Path, tmp_path: Path) -> None:
    with (snapshot / "memory_records.ndjson").open("a") as file:
        file.write("\n")
    with pytest.raises(BundleInvalid, match="not what the manifest says"):
        PublishedSnapshot(snapshot).verify()
    with pytest.raises(BundleInvalid, match="schema 7"):
        PublishedSnapshot(write_snapshot(tmp_path / "s", [], schema_version=7)).verify()


def test_a_link_to_nowhere_refuses_the_snapshot(
    tmp_path: Path, moving: Open, place: Place, store_kit: Any
) -> None:
    folder = write_snapshot(tmp_path / "s", [wire_record(0, supersedes=[IDS[5]])])
    copy = place("copy.db")
    with pytest.raises(WriteConflict):
        moving(copy).take_over_published(PublishedSnapshot(folder))
    assert store_kit.is_untouched(copy)


def write_sqlite(path: Path, *, renamed: str = "writer") -> Path:
    record = wire_record(1)
    payload = record.pop("payload")
    provenance = record.pop("provenance")
    row = {
        **record,
        **provenance,
        "record_type": payload["record_type"],
        "payload_json": json.dumps(payload["payload"]),
    }
    row |= {name: json.dumps(row[name]) for name in ("evidence", "supersedes", "contradicts")}
    row[renamed] = row.pop("writer")
    connection = sqlite3.connect(path)
    connection.execute(f"CREATE TABLE memory_records ({', '.join(row)})")
    holes = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO memory_records VALUES ({holes})", list(row.values()))  # noqa: S608  # holes
    connection.execute("CREATE TABLE context_packages (context_package_id, package_json)")
    connection.execute("INSERT INTO context_packages VALUES (?, ?)", ("cpkg_1_txn_2", json.dumps(PACKAGE)))
    connection.commit()
    connection.close()
    return path


def test_a_file_with_the_columns_of_the_wire_is_taken_over(tmp_path: Path, moving: Open) -> None:
    source = write_sqlite(tmp_path / "old.db")
    assert find_kind(source) is Kind.PUBLISHED_SQLITE
    report = moving(tmp_path / "copy.db").take_over_published(PublishedSqlite(source))
    assert report.added == 2
    assert check_integrity(SqliteFile(tmp_path / "copy.db")).ok


def test_a_file_with_other_columns_is_refused_by_their_names(tmp_path: Path, store_kit: Any) -> None:
    with pytest.raises(BundleInvalid, match="missing writer, unknown author"):
        PublishedSqlite(write_sqlite(tmp_path / "old.db", renamed="author")).verify()
    with pytest.raises(BundleInvalid, match="of this program"):
        PublishedSqlite(store_kit.fill(tmp_path / "ours.db")).verify()
