"""Documents that were made to harm: each is refused by name, in our words, and the next one is read."""

import io
import os
import signal
import struct
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from assistsupport.adapters.readers import docx, pdf
from assistsupport.adapters.readers.documents import MAX_BYTES, DocumentReaders
from assistsupport.adapters.readers.html import MAX_DEPTH
from assistsupport.adapters.readers.worker import ReadingChild, ReadingLimits
from assistsupport.core.article import Article, DocumentFormat, Span, SpanKind
from assistsupport.core.document import MAX_TEXT_BYTES
from assistsupport.errors import ArticleRefused

from packages.assistsupport.tests.desk_world import NoProgress, make_knowledge
from packages.assistsupport.tests.document_world import assemble_pdf, make_docx, make_pdf, word_paragraph

_STRICT = ReadingLimits(memory_bytes=384 * 1_048_576, cpu_s=2, wall_s=20)
_LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
_WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


@pytest.fixture(scope="module")
def readers() -> Iterator[DocumentReaders]:
    readers = DocumentReaders(ReadingChild(_STRICT))
    yield readers
    readers.close()


def zip_of(entries: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return stream.getvalue()


def with_doctype(doctype: str, text: str) -> bytes:
    body = f"<w:document {_WORD}><w:body><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:body></w:document>"
    return make_docx(parts={"word/document.xml": f"<!DOCTYPE x [{doctype}]>{body}"})


def lying_zip() -> bytes:
    """A part that unpacks to more than its entry says."""
    whole = bytearray(make_docx(word_paragraph("x" * 400_000)))
    at = whole.index(b"PK\x01\x02")
    while whole[at + 46 : at + 46 + 17] != b"word/document.xml":
        at = whole.index(b"PK\x01\x02", at + 1)
    whole[at + 24 : at + 28] = struct.pack("<I", 40)
    return bytes(whole)


def damaged_docx() -> bytes:
    whole = bytearray(make_docx())
    at = whole.index(b"word/document.xml") + 60
    whole[at : at + 8] = bytes(8)
    return bytes(whole)


def locked_zip() -> bytes:
    whole = bytearray(make_docx())
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = whole.find(mark)
        while at >= 0:
            whole[at + offset] |= 1
            at = whole.find(mark, at + 4)
    return bytes(whole)


def flate_bomb() -> bytes:
    """A content stream of a kilobyte that unpacks twice to two gigabytes."""
    packer = zlib.compressobj(9)
    once = b"".join([*(packer.compress(bytes(1_048_576)) for _ in range(2_000)), packer.flush()])
    return assemble_pdf([(b"/Filter [/FlateDecode /FlateDecode]", zlib.compress(once, 9))])


_ENCRYPTED = b"/ID [<00><00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -44 /O <%s> /U <%s> >>" % (
    b"41" * 32,
    b"42" * 32,
)
_HOSTILE: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty html": ("a.html", lambda: b"", "file is empty"),
    "empty pdf": ("a.pdf", lambda: b"", "file is empty"),
    "empty docx": ("a.docx", lambda: b" \n", "file is empty"),
    "empty text": ("a.txt", lambda: b"", "file is empty"),
    "text with a byte order mark alone": ("a.txt", lambda: b"\xef\xbb\xbf", "file is empty"),
    "binary text": ("a.txt", lambda: b"a\0b", "expected text for text, got binary"),
    "late zero byte": ("a.txt", lambda: b"a" * 2_000 + b"\0", "zero byte at 2000"),
    "pdf named html": ("a.html", make_pdf, "expected text for html, got PDF"),
    "docx named pdf": ("a.pdf", make_docx, "expected PDF for pdf, got zip"),
    "html named docx": ("a.docx", lambda: b"<p>x", "expected zip for docx, got text"),
    "pdf named txt": ("a.txt", make_pdf, "got PDF; rename it"),
    "old office": ("a.docx", lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "without a password"),
    "unknown suffix": ("a.odt", lambda: b"x", "no reader for '.odt'"),
    "html that is not what it declares": (
        "a.html",
        lambda: b"<meta charset=utf-8>\xff",
        "got byte 0xff at 20",
    ),
    "html in an unknown encoding": ("a.html", lambda: b"<meta charset=utf-7>+ADw-", "'utf-7' is not known"),
    "html without text": ("a.html", lambda: b"<script>1</script>", "no text"),
    "deep html": ("a.html", lambda: b"<div>" * (MAX_DEPTH + 5) + b"x", "nested too deeply"),
    "deep pre": ("a.html", lambda: b"<pre>" + b"<b><i>" * MAX_DEPTH + b"x", "nested too deeply"),
    "deep lists": ("a.html", lambda: b"<ul><li>" * MAX_DEPTH + b"x", "nested too deeply"),
    "endlessly deep html": ("a.html", lambda: b"<div>" * 200_000 + b"x", "2 s of processor time"),
    "too much text": ("a.html", lambda: b"<p>" + b"word " * 400_000, f"at most {MAX_TEXT_BYTES} bytes"),
    "too large html": ("a.html", lambda: b"x" * (MAX_BYTES[DocumentFormat.HTML] + 1), "too large"),
    "no zip": ("a.docx", lambda: b"PK\x03\x04 and no more", "no whole DOCX"),
    "truncated docx": ("a.docx", lambda: make_docx()[:-200], "no whole DOCX"),
    "damaged docx": ("a.docx", damaged_docx, "no whole DOCX"),
    "zip without a document": ("a.docx", lambda: zip_of({"a.xml": b"<a/>"}), "no word/document.xml"),
    "locked zip": ("a.docx", locked_zip, "protected"),
    "lying zip": ("a.docx", lying_zip, "no whole DOCX"),
    "zip bomb": ("a.docx", lambda: zip_of({"word/media/x.xml": bytes(300_000_000)}), "packed too tightly"),
    "many parts": (
        "a.docx",
        lambda: zip_of({f"p{n}.xml": b"" for n in range(docx.MAX_ENTRIES + 1)}),
        "too many parts",
    ),
    "billion laughs": (
        "a.docx",
        lambda: with_doctype(f'<!ENTITY l0 "ha">{_LAUGHS}', "&l9;"),
        "document type",
    ),
    "external entity": (
        "a.docx",
        lambda: with_doctype('<!ENTITY x SYSTEM "file:///etc/passwd">', "&x;"),
        "document type",
    ),
    "deep xml": (
        "a.docx",
        lambda: make_docx("<w:p>" * docx.MAX_XML_DEPTH + "</w:p>" * docx.MAX_XML_DEPTH),
        "nested too deeply",
    ),
    "no xml": ("a.docx", lambda: make_docx(parts={"word/document.xml": "<w:document"}), "is no XML"),
    "docx without text": ("a.docx", lambda: make_docx(""), "no text"),
    "no pdf": ("a.pdf", lambda: b"%PDF-1.7 and no more", "no whole PDF"),
    "encrypted pdf": (
        "a.pdf",
        lambda: make_pdf().replace(b"/Root 1 0 R ", b"/Root 1 0 R " + _ENCRYPTED),
        "password",
    ),
    "pdf without text": ("a.pdf", lambda: assemble_pdf([(b"", b"0 0 9 9 re f")]), "no text on its 1 pages"),
    "page tree in a circle": ("a.pdf", lambda: assemble_pdf([(b"", b"")], kids=b"2 0 R"), ""),
    "xref in a circle": ("a.pdf", lambda: assemble_pdf([(b"", b"")], trailer=b"/Prev 15"), ""),
    "too many pages": ("a.pdf", lambda: make_pdf([[]] * (pdf.MAX_PAGES + 1)), "too many pages"),
    "flate bomb": ("a.pdf", flate_bomb, ""),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_hostile_document_is_refused_and_the_next_one_read(readers: DocumentReaders, name: str) -> None:
    file, make, complaint = _HOSTILE[name]
    began = time.monotonic()
    with pytest.raises(ArticleRefused) as refused:
        readers.read(f"kb/{file}", make())
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 400
    assert readers.read("kb/next.html", b"<p>Next.").text == "Next.\n"
    assert time.monotonic() - began < _STRICT.wall_s


@pytest.mark.parametrize("make", [make_pdf, make_docx])
def test_any_truncation_is_an_article_or_refused(readers: DocumentReaders, make: Callable[[], bytes]) -> None:
    whole = make()
    for size in range(8, len(whole), 97):
        try:
            readers.read("kb/a.pdf" if make is make_pdf else "kb/a.docx", whole[:size])
        except ArticleRefused as exc:
            assert "crashed" not in str(exc)  # noqa: PT017 - the reason is what must not come


def _child(script: str, **limits: float) -> ReadingChild:
    """A child that does what a script says instead of reading."""
    wall_s = limits.get("wall_s", 10.0)
    return ReadingChild(ReadingLimits(wall_s=wall_s), ("-I", "-c", script))


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("import sys; sys.stdin.buffer.read(4)", "ended without an answer"),
        ("import os; os.kill(os.getpid(), 11)", "crashed (signal 11)"),
        ("import os; os.write(1, b'\\xff' * 9)", "ended without an answer"),
        ("import os; os.write(1, b'\\0\\0\\0\\1\\xc1'); os.read(0, 1)", "ended without an answer"),
        ("import time; time.sleep(60)", "longer than 0.3 s"),
    ],
)
def test_a_child_that_fails_refuses_one_document(script: str, complaint: str) -> None:
    child = _child(script, wall_s=0.3 if "sleep" in script else 10.0)
    try:
        with pytest.raises(ArticleRefused, match=complaint.replace("(", r"\(").replace(")", r"\)")):
            DocumentReaders(child).read("kb/a.html", b"<p>x")
    finally:
        child.close()


@pytest.mark.parametrize("part", ["sha256", "text", "article_id", "spans"])
def test_a_child_that_lies_is_not_believed(readers: DocumentReaders, part: str) -> None:
    honest = readers.read("kb/a.html", b"<p>x")
    false: dict[str, object] = {
        "sha256": "0" * 64,
        "text": "y\n",
        "article_id": "kb/b.html",
        "spans": (Span(kind=SpanKind.SENTENCE, section=0, start=0, end=1, text="y"),),
    }
    lie = msgspec.structs.replace(honest, **{part: false[part]})
    answer = msgspec.msgpack.encode({"article": lie})
    script = f"import os; os.write(1, {len(answer).to_bytes(4, 'big') + answer!r}); os.read(0, 1)"
    child = _child(script)
    try:
        with pytest.raises(ArticleRefused, match="contradicts itself"):
            DocumentReaders(child).read("kb/a.html", b"<p>x")
    finally:
        child.close()


def test_a_child_killed_in_the_middle_of_a_file_refuses_that_file_only() -> None:
    child = ReadingChild(ReadingLimits(cpu_s=30))
    readers = DocumentReaders(child)
    try:
        readers.read("kb/a.html", b"<p>warm")
        first = child.process_id
        assert first is not None
        killer = threading.Timer(0.3, os.kill, (first, signal.SIGKILL))
        killer.start()
        with pytest.raises(ArticleRefused, match="signal 9"):
            readers.read("kb/slow.html", b"<div>" * 200_000)
        killer.join()
        assert readers.read("kb/a.html", b"<p>again").text == "again\n"
        assert child.process_id != first
    finally:
        readers.close()


def test_memory_is_bounded() -> None:
    child = ReadingChild(ReadingLimits(memory_bytes=160 * 1_048_576))
    readers = DocumentReaders(child)
    try:
        assert readers.read("kb/a.html", b"<p>small").text == "small\n"
        with pytest.raises(ArticleRefused, match="memory"):
            readers.read("kb/a.html", b"<p>x" * 1_900_000)
        assert readers.read("kb/a.html", b"<p>small").text == "small\n"
    finally:
        readers.close()


def test_one_child_reads_many_documents_and_is_replaced_when_it_died_idle() -> None:
    child = ReadingChild()
    readers = DocumentReaders(child)
    try:
        seen = set()
        for number in range(5):
            readers.read("kb/a.html", f"<p>{number}".encode())
            seen.add(child.process_id)
        assert len(seen) == 1
        [first] = seen
        assert first is not None
        os.kill(first, signal.SIGKILL)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        assert readers.read("kb/a.html", b"<p>new").text == "new\n"
    finally:
        readers.close()


def test_no_document_of_a_folder_stops_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    folder.mkdir()
    for name in ("encrypted pdf", "billion laughs", "html named docx"):
        file, make, _ = _HOSTILE[name]
        (folder / f"{name}{Path(file).suffix}").write_bytes(make())
    (folder / "fine.html").write_bytes(b"<h1>Zebra</h1>")
    (folder / "link.pdf").symlink_to(folder / "encrypted pdf.pdf")
    knowledge = make_knowledge(tmp_path / "data")
    report = knowledge.add([folder], None, NoProgress())
    assert report.added == 1
    assert {name: reason.split(";")[0] for name, reason in report.refused} == {
        "kb/billion laughs.docx": "XML has a document type, which no Office program writes",
        "kb/encrypted pdf.pdf": "file is protected by a password",
        "kb/html named docx.docx": "file is not what its name says: expected zip for docx, got text",
        "kb/link.pdf": "it is a symbolic link",
    }
    article = knowledge.load_article("kb/fine.html")
    assert isinstance(article, Article)
