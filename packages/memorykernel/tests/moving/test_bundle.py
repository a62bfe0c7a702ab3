"""A bundle carries everything, gives the same heads, and says no to what is not whole."""

from __future__ import annotations

import hashlib
import io
import json
import random
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from memorykernel.adapters.bundle_archive import BundleArchive, TarWriter
from memorykernel.adapters.bundle_source import SqliteSource
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_integrity import check_integrity
from memorykernel.adapters.sqlite_memory import SqliteMemory
from memorykernel.core.bundle import parse_manifest
from memorykernel.errors import BundleInvalid, QueryFailed, WriteConflict
from memorykernel.service.moving import Moving

Files = dict[str, bytes]
Open = Callable[[Path], Moving]
Export = Callable[[Path], bytes]
Archive = Callable[[Path], BundleArchive]


def unpack(data: bytes) -> Files:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        found = {each.name: archive.extractfile(each) for each in archive}
        return {name: file.read() for name, file in found.items() if file is not None}


def pack(files: Files, *, seal: bool = True) -> bytes:
    """Pack files again, with the digests that they have now."""
    if seal:
        manifest = json.loads(files["manifest.json"])
        chunks = {name: data for name, data in files.items() if name.endswith(".ndjson")}
        manifest["files"] = [
            {"path": name, "sha256": hashlib.sha256(data).hexdigest(), "records": data.count(b"\n")}
            for name, data in chunks.items()
        ]
        files = {**files, "manifest.json": json.dumps(manifest).encode()}
    writer = TarWriter()
    parts = [part for name, data in files.items() for part in writer.encode_file(name, data)]
    return b"".join(parts) + writer.encode_end()


def change_line(files: Files, name: str, number: int, **changes: Any) -> Files:
    lines = files[name].splitlines()
    lines[number] = json.dumps({**json.loads(lines[number]), **changes}).encode()
    return {**files, name: b"\n".join(lines) + b"\n"}


def take_over(open_: Open, archive: Archive, data: bytes, path: Path) -> Any:
    bundle = path.with_suffix(".tar")
    bundle.write_bytes(data)
    return open_(path).take_over(archive(bundle))


def test_an_empty_store_gets_the_same_heads_and_exports_the_same_bytes(
    store: Path, tmp_path: Path, exported: Export, moving: Open, archive: Archive
) -> None:
    data = exported(store)
    copy = tmp_path / "copy.db"
    report = take_over(moving, archive, data, copy)
    assert (report.exact, report.source.records, report.source.links) == (True, 12, 3)
    assert (report.source.answers, report.source.requests) == (1, 1)
    assert exported(copy) == data
    original, imported = (check_integrity(SqliteFile(path)) for path in (store, copy))
    assert imported.ok
    assert (imported.memory_head, imported.answer_head) == (original.memory_head, original.answer_head)


def test_an_existing_empty_file_is_filled_like_a_missing_one(
    store: Path, tmp_path: Path, filled: Any, exported: Export, moving: Open, archive: Archive
) -> None:
    from memorykernel.adapters.sqlite_schema import SqliteSchema

    copy = tmp_path / "copy.db"
    SqliteSchema(SqliteFile(copy), 4).migrate(1)
    assert take_over(moving, archive, exported(store), copy).exact
    assert exported(copy) == exported(store)
    assert check_integrity(SqliteFile(copy)).ok


def test_lines_and_chunks_may_come_in_any_order(
    store: Path, tmp_path: Path, exported: Export, moving: Open, archive: Archive
) -> None:
    data = exported(store)
    files = unpack(data)
    lines = files.pop("memory/000001.ndjson").splitlines(keepends=True)
    random.Random(1).shuffle(lines)
    shuffled = {
        "memory/000003.ndjson": b"".join(lines[:5]),
        "manifest.json": files["manifest.json"],
        "memory/000001.ndjson": b"".join(lines[5:]),
        **files,
    }
    copy = tmp_path / "copy.db"
    assert take_over(moving, archive, pack(shuffled), copy).exact
    assert exported(copy) == data


def test_a_second_import_finds_everything_there(
    store: Path, exported: Export, moving: Open, archive: Archive
) -> None:
    before = exported(store)
    report = take_over(moving, archive, before, store)
    assert (report.exact, report.added, report.identical, report.answers_left_out) == (False, 0, 16, 1)
    assert exported(store) == before


def test_a_merge_adds_what_is_new_and_keeps_what_is_there(
    store: Path, tmp_path: Path, filled: Any, exported: Export, moving: Open, archive: Archive
) -> None:
    larger = filled(tmp_path / "larger.db", 20)
    report = take_over(moving, archive, exported(larger), store)
    assert (report.added, report.identical) == (10, 16)
    checked = check_integrity(SqliteFile(store))
    assert (checked.ok, checked.records) == (True, 20)


def test_a_merge_refuses_other_content_under_the_same_id(
    store: Path, tmp_path: Path, record: Any, exported: Export, moving: Open, archive: Archive
) -> None:
    from memorykernel.adapters.sqlite_schema import SqliteSchema

    other = tmp_path / "other.db"
    file = SqliteFile(other)
    SqliteSchema(file, 4).migrate(1)
    SqliteMemory(file).add_records([record(50), record(3, salt="!")], now_us=1)
    file.close()
    before = exported(store)
    with pytest.raises(WriteConflict, match=r"1 of the bundle's .*01J0{22}3"):
        take_over(moving, archive, exported(other), store)
    assert exported(store) == before


def test_a_link_to_a_missing_record_refuses_the_whole_import(
    store: Path, tmp_path: Path, exported: Export, moving: Open, archive: Archive
) -> None:
    files = unpack(exported(store))
    number = next(n for n, line in enumerate(files["memory/000001.ndjson"].splitlines()) if b'"link"' in line)
    changed = change_line(files, "memory/000001.ndjson", number, to_version_id="01J" + "9" * 23)
    copy = tmp_path / "copy.db"
    with pytest.raises(WriteConflict, match="not in the bundle"):
        take_over(moving, archive, pack(changed), copy)
    assert not copy.exists()
    with pytest.raises(WriteConflict):
        take_over(moving, archive, pack(changed), store)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"writer": " "}, "line 1"),
        ({"confidence": 1.5}, "line 1"),
        ({"confidence": None}, "needs"),
        ({"unknown": 1}, "line 1"),
        ({"memory_version_id": "x"}, "line 1"),
        ({"expires_at_us": 1}, "line 1"),
        ({"matching": "exact,exact,exact"}, "matching"),
        ({"resource": "no-prefix"}, "prefix"),
        ({"summary": "both"}, "fields"),
        ({"justification": "changed"}, "heads"),
        ({"seq": 99}, "seq"),
        ({"seq": 2}, "seq"),
    ],
)
def test_what_a_store_would_refuse_or_did_not_write_is_refused(
    changes: dict[str, Any],
    message: str,
    store: Path,
    tmp_path: Path,
    exported: Export,
    moving: Open,
    archive: Archive,
) -> None:
    files = change_line(unpack(exported(store)), "memory/000001.ndjson", 0, **changes)
    copy = tmp_path / "copy.db"
    with pytest.raises(BundleInvalid, match=message):
        take_over(moving, archive, pack(files), copy)
    assert [each.name for each in tmp_path.glob("*copy*")] == ["copy.tar"]


def test_every_changed_byte_of_a_chunk_and_every_cut_is_noticed(
    store: Path, tmp_path: Path, exported: Export, archive: Archive
) -> None:
    data = exported(store)
    path = tmp_path / "b.tar"
    chosen = random.Random(2)
    for position in chosen.sample(range(600, 3000), 40):
        path.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        with pytest.raises(BundleInvalid):
            archive(path).verify()
    for size in chosen.sample(range(len(data) - 1024), 40):
        path.write_bytes(data[:size])
        with pytest.raises(BundleInvalid):
            archive(path).verify()


def test_files_that_the_manifest_does_not_name_are_refused(
    store: Path, tmp_path: Path, exported: Export, archive: Archive
) -> None:
    files = unpack(exported(store))
    path = tmp_path / "b.tar"
    for changed in (
        {**files, "memory/000009.ndjson": b"{}\n"},
        {**files, "../evil": b""},
        {name: data for name, data in files.items() if name != "answers/000001.ndjson"},
        {name: data for name, data in files.items() if name != "manifest.json"},
    ):
        path.write_bytes(pack(changed, seal=False))
        with pytest.raises(BundleInvalid):
            archive(path).verify()


def test_a_damaged_store_is_not_exported(store: Path, exported: Export) -> None:
    file = SqliteFile(store)
    with file.writing(durable=True) as connection:
        connection.execute("DROP TRIGGER records_no_UPDATE")
        connection.execute("UPDATE records SET writer = 'mallory' WHERE record_seq = 3")
    with pytest.raises(QueryFailed, match="record 3 is not what was written"):
        exported(store)


def test_an_export_is_one_state_while_others_write(store: Path, record: Any) -> None:
    source = SqliteSource(SqliteFile(store))
    with source.hold() as snapshot:
        before = snapshot.load_state()
        SqliteMemory(SqliteFile(store)).add_record(record(77), now_us=1)
        assert snapshot.load_state() == before


def test_the_manifest_of_another_format_is_refused(store: Path, exported: Export) -> None:
    manifest = json.loads(unpack(exported(store))["manifest.json"])
    with pytest.raises(BundleInvalid, match="format"):
        parse_manifest(json.dumps({**manifest, "format": "memorykernel.bundle.v9"}).encode())


_KILLED = """
import os, signal, sys
from pathlib import Path
from memorykernel.adapters.bundle_file import open_bundle
from memorykernel.wiring import open_moving

class DeadlyBundle:
    def __init__(self, bundle):
        self._bundle = bundle
    def verify(self):
        return self._bundle.verify()
    def read_chunks(self, manifest):
        yield from self._bundle.read_chunks(manifest)
        print("reached", flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

bundle = open_bundle(Path(sys.argv[2]), verify_key=None, identity=None)
open_moving(Path(sys.argv[1])).take_over(DeadlyBundle(bundle))
"""


def test_an_import_that_is_killed_leaves_nothing_and_can_be_repeated(
    store: Path, tmp_path: Path, exported: Export, moving: Open, archive: Archive
) -> None:
    from memorykernel.adapters.sqlite_schema import SqliteSchema

    data = exported(store)
    bundle = tmp_path / "b.tar"
    bundle.write_bytes(data)
    missing, empty = tmp_path / "missing.db", tmp_path / "empty.db"
    SqliteSchema(SqliteFile(empty), 4).migrate(1)
    for path in (missing, empty):
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, str(path), str(bundle)], capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"reached\n"), done.stderr
    assert not missing.exists()
    assert check_integrity(SqliteFile(empty)).records == 0
    for path in (missing, empty):
        assert take_over(moving, archive, data, path).exact
        assert exported(path) == data
    assert not list(tmp_path.glob(".*"))
