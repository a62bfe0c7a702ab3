from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from cutover.adapters.evidence_folder import EvidenceFolder
from cutover.errors import EvidenceUnreadable


def test_what_is_stored_is_loaded_by_its_digest(tmp_path: Path) -> None:
    store = EvidenceFolder(tmp_path / "evidence")
    digest = store.store(b"what was seen")
    assert digest == hashlib.sha256(b"what was seen").hexdigest()
    assert store.load(digest) == b"what was seen"
    assert [path.name for path in (tmp_path / "evidence").iterdir()] == [digest]


def test_storing_twice_is_storing_once(tmp_path: Path) -> None:
    store = EvidenceFolder(tmp_path)
    inode = (tmp_path / store.store(b"x")).stat().st_ino
    assert (tmp_path / store.store(b"x")).stat().st_ino == inode


def test_altered_bytes_are_refused_and_storing_again_heals_them(tmp_path: Path) -> None:
    store = EvidenceFolder(tmp_path)
    digest = store.store(b"GO")
    (tmp_path / digest).write_bytes(b"NO-GO")
    with pytest.raises(EvidenceUnreadable, match="was altered"):
        store.load(digest)
    store.store(b"GO")
    assert store.load(digest) == b"GO"


def test_missing_evidence_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvidenceUnreadable, match=f"evidence {'a' * 12} is missing"):
        EvidenceFolder(tmp_path).load("a" * 64)


@pytest.mark.parametrize("name", ["../etc/passwd", "A" * 64, "", "a" * 63, "a" * 64 + "\n"])
def test_a_name_that_is_no_digest_is_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(EvidenceUnreadable, match="is no digest"):
        EvidenceFolder(tmp_path).load(name)


def test_too_much_is_neither_kept_nor_read(tmp_path: Path) -> None:
    digest = EvidenceFolder(tmp_path).store(b"12345")
    small = EvidenceFolder(tmp_path, max_bytes=4)
    with pytest.raises(EvidenceUnreadable, match="at most 4"):
        small.store(b"12345")
    with pytest.raises(EvidenceUnreadable, match="longer than 4"):
        small.load(digest)


def test_a_folder_that_cannot_be_written_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("a file stands where the folder should be")
    with pytest.raises(EvidenceUnreadable, match="cannot be written"):
        EvidenceFolder(tmp_path / "evidence" / "deeper").store(b"x")
