"""A second process makes the same rows of a large bundle, and what it refuses is refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest
from memorykernel.adapters.bundle_apart import WORTH_IT, is_worth_it
from memorykernel.adapters.bundle_archive import BundleArchive
from memorykernel.adapters.bundle_load import load_exactly
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_integrity import check_integrity
from memorykernel.adapters.sqlite_schema import SqliteSchema
from memorykernel.core.bundle import Manifest
from memorykernel.errors import BundleInvalid, MemoryKernelError, WriteFailed
from memorykernel.ports import Bundle, BundleChunk


class ChangedBundle:
    """Verified as it was, and then other chunks are read."""

    def __init__(self, bundle: Bundle, change: Callable[[BundleChunk], BundleChunk]) -> None:
        self._bundle = bundle
        self._change = change

    def verify(self) -> Manifest:
        return self._bundle.verify()

    def read_chunks(self, manifest: Manifest) -> Iterator[BundleChunk]:
        return map(self._change, self._bundle.read_chunks(manifest))


@pytest.fixture
def bundle(
    store: Path,
    exported: Callable[[Path], bytes],
    archive: Callable[[Path], BundleArchive],
    tmp_path: Path,
) -> BundleArchive:
    (path := tmp_path / "store.tar").write_bytes(exported(store))
    return archive(path)


def load(bundle: Bundle, path: Path, *, apart_from: int) -> SqliteFile:
    made = SqliteFile(path)
    SqliteSchema(made, 4).migrate(0)
    with made.writing(durable=False) as connection:
        load_exactly(connection, bundle, bundle.verify(), apart_from=apart_from)
    return made


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def reverse(chunk: BundleChunk) -> BundleChunk:
    return chunk._replace(data=b"\n".join(reversed(chunk.data.splitlines())) + b"\n")


def damage(chunk: BundleChunk) -> BundleChunk:
    return chunk._replace(data=chunk.data.replace(b'"writer"', b'"author"', 1))


def test_the_rows_are_the_same(bundle: BundleArchive, tmp_path: Path) -> None:
    load(bundle, tmp_path / "here.db", apart_from=1000)
    apart = load(bundle, tmp_path / "apart.db", apart_from=1)
    assert dump(tmp_path / "apart.db") == dump(tmp_path / "here.db")
    assert check_integrity(apart).ok


def test_lines_may_come_in_any_order(bundle: BundleArchive, tmp_path: Path) -> None:
    load(bundle, tmp_path / "here.db", apart_from=1000)
    load(ChangedBundle(bundle, reverse), tmp_path / "apart.db", apart_from=1)
    assert dump(tmp_path / "apart.db") == dump(tmp_path / "here.db")


def test_what_is_refused_is_refused_in_the_same_words(bundle: BundleArchive, tmp_path: Path) -> None:
    said = []
    for number, apart_from in enumerate((1000, 1)):
        with pytest.raises(BundleInvalid) as refused:
            load(ChangedBundle(bundle, damage), tmp_path / f"{number}.db", apart_from=apart_from)
        said.append(refused.value.message)
    assert said[0] == said[1]


def test_heads_must_be_those_of_the_manifest(bundle: BundleArchive, tmp_path: Path) -> None:
    def change(chunk: BundleChunk) -> BundleChunk:
        return chunk._replace(data=chunk.data.replace(b'"justification":"', b'"justification":"not ', 1))

    with pytest.raises(BundleInvalid, match="do not give the heads"):
        load(ChangedBundle(bundle, change), tmp_path / "made.db", apart_from=1)


@pytest.mark.parametrize("fault", [BundleInvalid("it changed while it was read"), OSError(5, "gone")])
def test_a_bundle_that_cannot_be_read_on_is_refused(
    fault: Exception, bundle: BundleArchive, tmp_path: Path
) -> None:
    def fail(chunk: BundleChunk) -> BundleChunk:
        del chunk
        raise fault

    with pytest.raises(type(fault)):
        load(ChangedBundle(bundle, fail), tmp_path / "made.db", apart_from=1)


def test_a_second_process_that_dies_is_missed(
    bundle: BundleArchive, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def confuse(chunk: BundleChunk) -> BundleChunk:
        return chunk._replace(member=cast("Any", "no member"))

    with pytest.raises(WriteFailed, match="ended early"):
        load(ChangedBundle(bundle, confuse), tmp_path / "made.db", apart_from=1)
    assert "Error" in capfd.readouterr().err


def test_rows_that_the_store_refuses_end_the_second_process(bundle: BundleArchive, tmp_path: Path) -> None:
    made = load(bundle, tmp_path / "made.db", apart_from=1000)
    with pytest.raises(MemoryKernelError), made.writing(durable=False) as connection:
        load_exactly(connection, bundle, bundle.verify(), apart_from=1)


def test_only_a_large_bundle_is_worth_a_process(bundle: BundleArchive) -> None:
    manifest = bundle.verify()
    assert not is_worth_it(manifest)
    assert WORTH_IT > manifest.state.records > 0
