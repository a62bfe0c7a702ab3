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
from memorykernel.core.bundle import parse_manifest
from memorykernel.errors import BundleInvalid, QueryFailed, WriteConflict
from memorykernel.service.moving import Moving

Files = dict[str, bytes]
Location = Path | str
Open = Callable[[Location], Moving]
Export = Callable[[Location], bytes]
Place = Callable[[str], Location]
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


@pytest.fixture
def take_over(tmp_path: Path, moving: Open, archive: Archive) -> Callable[[bytes, Location], Any]:
    """Import the bytes of a bundle."""

    def run(data: bytes, location: Location) -> Any:
        bundle = tmp_path / "taken.tar"
        bundle.write_bytes(data)
        return moving(location).take_over(archive(bundle))

    return run


def test_an_empty_store_gets_the_same_heads_and_exports_the_same_bytes(
    store: Location, exported: Export, take_over: Any, place: Place, store_kit: Any
) -> None:
    data = exported(store)
    copy = place("copy.db")
    report = take_over(data, copy)
    assert (report.exact, report.source.records, report.source.links) == (True, 12, 3)
    assert (report.source.answers, report.source.requests) == (1, 1)
    assert exported(copy) == data
    original, imported = map(store_kit.check, (store, copy))
    assert imported.ok
    assert (imported.memory_head, imported.answer_head) == (original.memory_head, original.answer_head)


def test_a_bundle_moves_from_a_file_to_any_store_and_back(
    tmp_path: Path, exported: Export, take_over: Any, place: Place, store_kit: Any
) -> None:
    file, copy, back = store_kit.fill(tmp_path / "first.db"), place("copy.db"), tmp_path / "back.db"
    assert take_over(exported(file), copy).exact
    assert take_over(exported(copy), back).exact
    assert exported(back) == exported(file)
    assert store_kit.check(back).memory_head == store_kit.check(copy).memory_head


def test_an_existing_empty_file_is_filled_like_a_missing_one(
    store: Location, exported: Export, take_over: Any, place: Place, store_kit: Any
) -> None:
    copy = place("copy.db")
    store_kit.open(copy).file.close()
    assert take_over(exported(store), copy).exact
    assert exported(copy) == exported(store)
    assert store_kit.check(copy).ok


def test_lines_and_chunks_may_come_in_any_order(
    store: Location, exported: Export, take_over: Any, place: Place
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
    copy = place("copy.db")
    assert take_over(pack(shuffled), copy).exact
    assert exported(copy) == data


def test_a_second_import_finds_everything_there(store: Location, exported: Export, take_over: Any) -> None:
    before = exported(store)
    report = take_over(before, store)
    assert (report.exact, report.added, report.identical, report.answers_left_out) == (False, 0, 16, 1)
    assert exported(store) == before


def test_a_merge_adds_what_is_new_and_keeps_what_is_there(
    store: Location, exported: Export, take_over: Any, place: Place, store_kit: Any
) -> None:
    larger = store_kit.fill(place("larger.db"), 20)
    report = take_over(exported(larger), store)
    assert (report.added, report.identical) == (10, 16)
    checked = store_kit.check(store)
    assert (checked.ok, checked.records) == (True, 20)


def test_a_merge_refuses_other_content_under_the_same_id(
    store: Location, record: Any, exported: Export, take_over: Any, place: Place, store_kit: Any
) -> None:
    other = place("other.db")
    store_kit.add(other, record(50), record(3, salt="!"))
    before = exported(store)
    with pytest.raises(WriteConflict, match=r"1 of the bundle's .*01J0{22}3"):
        take_over(exported(other), store)
    assert exported(store) == before


def test_a_link_to_a_missing_record_refuses_the_whole_import(
    store: Location, exported: Export, take_over: Any, place: Place, store_kit: Any
) -> None:
    files = unpack(exported(store))
    number = next(n for n, line in enumerate(files["memory/000001.ndjson"].splitlines()) if b'"link"' in line)
    changed = change_line(files, "memory/000001.ndjson", number, to_version_id="01J" + "9" * 23)
    copy = place("copy.db")
    with pytest.raises(WriteConflict, match="not in the bundle"):
        take_over(pack(changed), copy)
    assert store_kit.is_untouched(copy)
    with pytest.raises(WriteConflict):
        take_over(pack(changed), store)


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
    store: Location,
    tmp_path: Path,
    exported: Export,
    take_over: Any,
    place: Place,
    store_kit: Any,
) -> None:
    files = change_line(unpack(exported(store)), "memory/000001.ndjson", 0, **changes)
    copy = place("copy.db")
    with pytest.raises(BundleInvalid, match=message):
        take_over(pack(files), copy)
    assert store_kit.is_untouched(copy)
    assert not list(tmp_path.glob(".copy*"))


def test_every_changed_byte_of_a_chunk_and_every_cut_is_noticed(
    store: Location, tmp_path: Path, exported: Export, archive: Archive
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
    store: Location, tmp_path: Path, exported: Export, archive: Archive
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


def test_a_damaged_store_is_not_exported(store: Location, stranger: Any, exported: Export) -> None:
    stranger(store).tamper("UPDATE records SET writer = 'mallory' WHERE record_seq = 3")
    with pytest.raises(QueryFailed, match="record 3 is not what was written"):
        exported(store)


def test_an_export_is_one_state_while_others_write(
    store: Location, record: Any, moving: Open, store_kit: Any
) -> None:
    with moving(store).source.hold() as snapshot:
        before = snapshot.load_state()
        store_kit.add(store, record(77))
        assert snapshot.load_state() == before


def test_the_manifest_of_another_format_is_refused(store: Location, exported: Export) -> None:
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
open_moving(sys.argv[1]).take_over(DeadlyBundle(bundle))
"""


def test_an_import_that_is_killed_leaves_nothing_and_can_be_repeated(
    store: Location, tmp_path: Path, exported: Export, take_over: Any, place: Place, store_kit: Any
) -> None:
    data = exported(store)
    bundle = tmp_path / "b.tar"
    bundle.write_bytes(data)
    missing, empty = place("missing.db"), place("empty.db")
    store_kit.open(empty).file.close()
    for path in (missing, empty):
        done = subprocess.run(
            [sys.executable, "-c", _KILLED, str(path), str(bundle)], capture_output=True, check=False
        )
        assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"reached\n"), done.stderr
    assert store_kit.is_untouched(missing)
    assert store_kit.check(empty).records == 0
    for path in (missing, empty):
        assert take_over(data, path).exact
        assert exported(path) == data
    assert not list(tmp_path.glob(".*"))
