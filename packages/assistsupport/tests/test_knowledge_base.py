"""The knowledge base: incremental, bounded, durable, and the same however it came to be."""

import os
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from assistsupport.adapters.document_folder import DocumentFolder
from assistsupport.adapters.sqlite_library import FORMAT, SqliteLibrary
from assistsupport.core.draft import compose_draft
from assistsupport.core.knowledge import FoundFile
from assistsupport.core.markdown import MAX_FILE_BYTES
from assistsupport.errors import ArticleRefused, LibraryUnusable, SourceRefused
from assistsupport.service.knowledge import KnowledgeBase

from packages.assistsupport.tests.desk_world import ARTICLES, NoProgress, make_knowledge, write_articles

QUERY = "my vpn certificate has expired on the usb stick of the printer"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_articles(tmp_path / "kb")


@pytest.fixture
def knowledge(tmp_path: Path) -> KnowledgeBase:
    return make_knowledge(tmp_path / "data")


def add(knowledge: KnowledgeBase, path: Path, name: str | None = None) -> tuple[int, int, int, int]:
    report = knowledge.add([path], name, NoProgress())
    return report.added, report.changed, report.removed, report.unchanged


def draft_bytes(knowledge: KnowledgeBase, text: str = QUERY) -> bytes:
    found = knowledge.find(text)
    return repr(compose_draft(found.ranked, found.statistics, found.snapshot)).encode()


def test_articles_are_read_once_and_again_only_when_they_change(
    knowledge: KnowledgeBase, folder: Path
) -> None:
    assert add(knowledge, folder) == (4, 0, 0, 0)
    assert add(knowledge, folder) == (0, 0, 0, 4)
    (folder / "mail" / "shared-mailbox.md").write_text("# Shared mailbox\n\nNow at once.\n")
    (folder / "devices" / "usb-stick.md").unlink()
    (folder / "new.md").write_text("# Zebra\n\nA zebra is new.\n")
    assert add(knowledge, folder) == (1, 1, 1, 2)
    assert [each.article.article.article_id for each in knowledge.find("zebra").ranked] == ["kb/new.md"]
    assert knowledge.find("kiosk").ranked == ()


def test_any_history_gives_the_drafts_of_a_fresh_knowledge_base(tmp_path: Path, folder: Path) -> None:
    old = make_knowledge(tmp_path / "old")
    for text in ("# Vpn\n\nVpn vpn.\n", "# Vpn\n\nThe certificate of a vpn.\n"):
        (folder / "x.md").write_text(text)
        add(old, folder)
    (folder / "x.md").unlink()
    add(old, folder)
    (folder / "y.md").write_text("# Certificate\n\nA certificate of the printer has expired.\n")
    add(old, folder)
    fresh = make_knowledge(tmp_path / "fresh")
    add(fresh, folder)
    assert old.describe() == fresh.describe()
    assert draft_bytes(old) == draft_bytes(fresh)


def test_an_index_extended_file_by_file_gives_the_same_drafts(tmp_path: Path, folder: Path) -> None:
    whole, pieces = make_knowledge(tmp_path / "whole"), make_knowledge(tmp_path / "pieces")
    add(whole, folder)
    aside = folder.rename(tmp_path / "aside")
    for name in sorted(ARTICLES, reverse=True):
        write_articles(folder, {name: (aside / name).read_text()})
        add(pieces, folder)
    assert pieces.describe() == whole.describe()
    assert draft_bytes(whole) == draft_bytes(pieces)


def test_it_reopens_at_once_and_reads_what_another_process_added(tmp_path: Path, folder: Path) -> None:
    first = make_knowledge(tmp_path / "data")
    add(first, folder)
    second = make_knowledge(tmp_path / "data")
    assert draft_bytes(first) == draft_bytes(second)
    (folder / "new.md").write_text("# Zebra\n")
    add(second, folder)
    assert len(first.find("zebra").ranked) == 1


def test_threads_get_the_same_bytes(knowledge: KnowledgeBase, folder: Path) -> None:
    add(knowledge, folder)
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(draft_bytes, [knowledge] * 60))) == 1


def test_a_killed_update_leaves_the_state_before_it(tmp_path: Path, folder: Path) -> None:
    before = make_knowledge(tmp_path / "data")
    add(before, folder)
    draft = draft_bytes(before)
    (folder / "new.md").write_text("# Zebra\n")
    script = f"""
import os
from pathlib import Path
from packages.assistsupport.tests.desk_world import NoProgress, make_knowledge
class Killer(NoProgress):
    def advance(self, stage, done, total):
        if stage == "indexing":
            os.kill(os.getpid(), 9)
make_knowledge(Path({str(tmp_path / "data")!r})).add([Path({str(folder)!r})], None, Killer())
"""
    killed = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": "."}, check=False
    )
    assert killed.returncode == -9
    after = make_knowledge(tmp_path / "data")
    assert draft_bytes(after) == draft
    assert add(after, folder) == (1, 0, 0, 4)


def test_a_lost_index_is_built_again(tmp_path: Path, folder: Path) -> None:
    knowledge = make_knowledge(tmp_path / "data")
    add(knowledge, folder)
    draft = draft_bytes(knowledge)
    shutil.rmtree(tmp_path / "data" / "index")
    again = make_knowledge(tmp_path / "data")
    with pytest.raises(LibraryUnusable, match="kb add"):
        again.find(QUERY)
    add(again, folder)
    assert draft_bytes(again) == draft


def test_drafts_go_on_while_articles_are_added(tmp_path: Path, folder: Path) -> None:
    knowledge, writer = make_knowledge(tmp_path / "data"), make_knowledge(tmp_path / "data")
    add(knowledge, folder)
    with ThreadPoolExecutor(2) as pool:
        drafting = pool.map(lambda _: len(knowledge.find("vpn certificate").ranked), range(60))
        for number in range(5):
            (folder / "vpn.md").write_text(f"# Vpn {number}\n")
            add(writer, folder)
        assert all(drafting)


def test_only_one_process_changes_the_library(tmp_path: Path) -> None:
    library = SqliteLibrary(tmp_path / "k.db", busy_timeout_s=0.05)
    with library.edit(), pytest.raises(LibraryUnusable, match="another 'kb add'"), library.edit():
        raise AssertionError("two changes at once")


def test_another_format_is_refused(tmp_path: Path) -> None:
    SqliteLibrary(tmp_path / "k.db").close()
    with sqlite3.connect(tmp_path / "k.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(LibraryUnusable, match=f"expected {FORMAT}, got 99"):
        SqliteLibrary(tmp_path / "k.db")


def test_a_library_of_markdown_alone_is_brought_to_this_format(tmp_path: Path, folder: Path) -> None:
    before = make_knowledge(tmp_path / "data")
    add(before, folder)
    draft, described = draft_bytes(before), before.describe()
    with sqlite3.connect(tmp_path / "data" / "knowledge.db") as connection:
        take_back_to_format_2(connection)
    connection.close()
    after = make_knowledge(tmp_path / "data")
    assert draft_bytes(after) == draft
    assert after.load_article("kb/mail/shared-mailbox.md") == before.load_article("kb/mail/shared-mailbox.md")
    assert add(after, folder) == (0, 0, 0, 4)
    (folder / "new.md").write_text("# Zebra\n")
    add(before, folder)
    assert after.describe() == before.describe() != described


def take_back_to_format_2(connection: sqlite3.Connection) -> None:
    for row, blob in connection.execute("SELECT row, indexed FROM article").fetchall():
        indexed = msgspec.msgpack.decode(blob)
        for name in ("format", "reader", "text_sha256"):
            del indexed[0][name]
        connection.execute(
            "UPDATE article SET indexed = ? WHERE row = ?", (msgspec.msgpack.encode(indexed), row)
        )
    connection.executescript(
        "DROP INDEX article_versions;"
        "ALTER TABLE article DROP COLUMN text_sha256;"
        "ALTER TABLE article DROP COLUMN reader_name;"
        "ALTER TABLE article DROP COLUMN reader_version;"
        "ALTER TABLE article RENAME COLUMN text TO file;"
        "CREATE INDEX article_versions ON article (article_id, sha256, title_terms, body_terms);"
        "PRAGMA user_version = 2;"
    )


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "k.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(LibraryUnusable, match="cannot open"):
        SqliteLibrary(tmp_path / "k.db")


def test_a_damaged_article_is_refused_in_our_words(tmp_path: Path, folder: Path) -> None:
    add(make_knowledge(tmp_path / "data"), folder)
    with sqlite3.connect(tmp_path / "data" / "knowledge.db") as connection:
        connection.execute("UPDATE article SET indexed = x'90'")
    connection.close()
    with pytest.raises(LibraryUnusable, match="damaged"):
        make_knowledge(tmp_path / "data").find(QUERY)


def test_links_are_never_followed(tmp_path: Path, knowledge: KnowledgeBase, folder: Path) -> None:
    secret = tmp_path / "secret.md"
    secret.write_text("# Secret\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "other.md").write_text("# Other secret\n")
    (folder / "link.md").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path / "outside")
    report = knowledge.add([folder], None, NoProgress())
    assert [article_id for article_id, _ in report.refused] == ["kb/link.md"]
    assert knowledge.find("secret").ranked == ()
    with pytest.raises(SourceRefused, match="symbolic link"):
        add(knowledge, folder / "linked")
    with pytest.raises(ArticleRefused, match="cannot be read"):
        DocumentFolder().read(FoundFile(article_id="kb/link.md", path=folder / "link.md"))


def test_what_is_no_article_is_reported_and_the_rest_added(knowledge: KnowledgeBase, folder: Path) -> None:
    (folder / "bad.md").write_bytes(b"\xff")
    (folder / "big.md").write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    os.mkfifo(folder / "pipe.md")
    report = knowledge.add([folder], None, NoProgress())
    assert report.added == 4
    assert [article_id for article_id, _ in report.refused] == ["kb/bad.md", "kb/big.md", "kb/pipe.md"]


def test_an_article_that_broke_keeps_its_last_good_version(knowledge: KnowledgeBase, folder: Path) -> None:
    add(knowledge, folder)
    (folder / "devices" / "usb-stick.md").write_bytes(b"\xff")
    report = knowledge.add([folder], None, NoProgress())
    assert len(report.refused) == 1
    assert len(knowledge.find("kiosk").ranked) == 1


def test_a_single_file_keeps_the_id_it_has_in_its_folder(knowledge: KnowledgeBase, folder: Path) -> None:
    add(knowledge, folder)
    (folder / "devices" / "usb-stick.md").write_text("# Zebra\n")
    assert add(knowledge, folder / "devices" / "usb-stick.md") == (0, 1, 0, 0)
    assert knowledge.find("zebra").ranked[0].article.article.article_id == "kb/devices/usb-stick.md"


def test_two_folders_of_one_name_are_told_apart(
    tmp_path: Path, knowledge: KnowledgeBase, folder: Path
) -> None:
    add(knowledge, folder)
    other = write_articles(tmp_path / "other" / "kb", {"zebra.md": "# Zebra\n"})
    with pytest.raises(SourceRefused, match="pass --name"):
        add(knowledge, other)
    assert add(knowledge, other, "kb2") == (1, 0, 0, 0)
    assert add(knowledge, other, "kb") == (1, 0, 4, 0)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [("nothing", "does not exist"), ("empty", "no document"), ("file.odt", "no document")],
)
def test_what_cannot_be_a_source_is_refused(
    tmp_path: Path, knowledge: KnowledgeBase, name: str, complaint: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.odt").write_text("x")
    with pytest.raises(SourceRefused, match=complaint):
        add(knowledge, tmp_path / name)
    with pytest.raises(SourceRefused, match="not usable"):
        add(knowledge, write_articles(tmp_path / "kb"), "a/b")


def test_an_empty_knowledge_base_finds_nothing(knowledge: KnowledgeBase) -> None:
    assert knowledge.find("vpn").ranked == ()
    assert knowledge.find("").ranked == ()
    assert knowledge.load_article("kb/none.md") is None


def test_hidden_folders_are_left_out(knowledge: KnowledgeBase, folder: Path) -> None:
    write_articles(folder / ".git", {"zebra.md": "# Zebra\n"})
    assert add(knowledge, folder) == (4, 0, 0, 0)


def test_drafts_have_the_same_bytes_for_every_hash_seed(tmp_path: Path, folder: Path) -> None:
    script = f"""
from pathlib import Path
from packages.assistsupport.tests.desk_world import NoProgress, make_knowledge
from packages.assistsupport.tests.test_knowledge_base import draft_bytes
import hashlib, sys
knowledge = make_knowledge(Path(sys.argv[1]))
knowledge.add([Path({str(folder)!r})], None, NoProgress())
print(hashlib.sha256(draft_bytes(knowledge)).hexdigest())
"""
    digests = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / seed)],
            env={**os.environ, "PYTHONPATH": ".", "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1", "4242")
    }
    assert len(digests) == 1
