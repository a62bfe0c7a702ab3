"""Files written by hand after the wire contracts, not by our encoder: every value comes back as it stands.

They have each record type, truth status, authority, relation and optional field at least once. What the
columns of the published program's SQLite files are called is described nowhere: that part is our reading.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from memorykernel.adapters.sqlite_integrity import check_integrity
from memorykernel.core.release import default_release
from memorykernel.core.request import AskV4, read_request
from memorykernel.wiring import build_suite, import_file, open_kernel, open_moving

FOLDER = Path(__file__).with_name("published")
RECORDS = [json.loads(line) for line in (FOLDER / "memory_records.ndjson").read_text().splitlines()]
PACKAGES = (FOLDER / "context_packages.ndjson").read_bytes().splitlines()


def take_over(source: Path, db: Path) -> Any:
    return import_file(open_moving(db), source, verify_key=None, identity=None)


def show(db: Path, version_id: str) -> dict[str, Any]:
    """A record as service.v4 shows it, without the keys that service.v4 added."""
    kernel = open_kernel(db, default_release())
    try:
        record: dict[str, Any] = json.loads(
            msgspec.json.encode(build_suite(kernel).lineage.show_record(version_id))
        )["record"]
    finally:
        kernel.file.close()
    assert record.pop("expires_at") is None
    scope = record["payload"]["payload"].get("scope", {})
    assert {scope.pop(key) for key in sorted(scope) if key.endswith("_match")} <= {"exact"}
    return record


def test_the_files_have_every_value_of_the_wire() -> None:
    assert {each["payload"]["record_type"] for each in RECORDS} == {
        "constraint", "decision", "preference", "event", "outcome",
    }  # fmt: skip
    assert {each["truth_status"] for each in RECORDS} == {
        "asserted", "observed", "inferred", "speculative", "retracted",
    }  # fmt: skip
    assert {each["authority"] for each in RECORDS} == {"authoritative", "derived", "note"}
    assert {each["confidence"] is None for each in RECORDS} == {True, False}
    assert {each["provenance"]["source_hash"] is None for each in RECORDS} == {True, False}


@pytest.mark.parametrize("schema_version", [1, 2])
def test_every_record_and_answer_of_a_snapshot_comes_back(schema_version: int, tmp_path: Path) -> None:
    source, db = tmp_path / "snapshot", tmp_path / "memory.db"
    shutil.copytree(FOLDER, source)
    (source / "records.sql").unlink()
    manifest = json.loads((source / "manifest.json").read_text())
    manifest["schema_version"] = schema_version
    (source / "manifest.json").write_text(json.dumps(manifest))

    report = take_over(source, db)

    links = sum(len(each["supersedes"]) + len(each["contradicts"]) for each in RECORDS)
    assert (report.added, report.schema_version) == (len(RECORDS) + links + len(PACKAGES), schema_version)
    for record in RECORDS:
        shown = show(db, record["memory_version_id"])
        assert shown == record
        assert list(shown) == list(record)
    kernel = open_kernel(db, default_release())
    for package in PACKAGES:
        assert kernel.asking.find(json.loads(package)["context_package_id"]) == package
    assert check_integrity(kernel.file).ok  # type: ignore[arg-type]  # a file
    asked: Any = {"text": "q", "actor": "contractor", "action": "use", "resource": "usb_drive"}
    answer = json.loads(kernel.asking.ask(read_request(asked, AskV4, strict=True)))
    assert answer["answer"]["result"] == "deny"
    kernel.file.close()


def test_records_and_links_of_a_file_come_back(tmp_path: Path) -> None:
    source, db = tmp_path / "old.db", tmp_path / "memory.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.executescript((FOLDER / "records.sql").read_text())

    report = take_over(source, db)

    assert (report.added, report.schema_version) == (3, 1)
    by_id = {each["memory_version_id"]: each for each in RECORDS}
    first, second = "01HQ3V5Y8A0000000000000004", "01HQ3V5Y8A0000000000000002"
    for version_id, contradicts in ((first, [second]), (second, [])):
        assert show(db, version_id) == {**by_id[version_id], "contradicts": contradicts}
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("old")] == ["old.db"]
