"""Words that do not fit into memory at once are indexed in parts, and the index is the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from memorykernel.adapters.bundle_archive import BundleArchive
from memorykernel.adapters.bundle_load import load_exactly
from memorykernel.adapters.sqlite_file import SqliteFile
from memorykernel.adapters.sqlite_integrity import check_integrity
from memorykernel.adapters.sqlite_schema import SqliteSchema

TERMS = "SELECT term, record_seq FROM record_terms"


@pytest.mark.parametrize("words_at_once", [1, 20, 1000])
def test_an_index_made_in_parts_is_whole(
    words_at_once: int,
    store: Path,
    exported: Callable[[Path], bytes],
    archive: Callable[[Path], BundleArchive],
    tmp_path: Path,
) -> None:
    (bundle := tmp_path / "store.tar").write_bytes(exported(store))
    opened = archive(bundle)
    made = SqliteFile(tmp_path / "made.db")
    SqliteSchema(made, 4).migrate(0)
    with made.writing(durable=False) as connection:
        load_exactly(connection, opened, opened.verify(), words_at_once=words_at_once)
    assert check_integrity(made).ok
    assert _read_terms(made) == _read_terms(SqliteFile(store))


def _read_terms(file: SqliteFile) -> list[tuple[str, int]]:
    with file.reading() as connection:
        found = connection.execute(TERMS).fetchall()
    file.close()
    return found
