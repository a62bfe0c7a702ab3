"""Reads DOCX: mammoth says what the styles mean, as HTML, and the HTML reader makes blocks of it.

A DOCX is a zip of XML. Before anything of it is understood, the number and sizes of its entries are
checked and every XML part is searched for a document type, which Office never writes and entities need.
Only those parts go on, without the text that Word would hide. Pictures are dropped, linked ones too; no
file but the one at hand is opened.
"""

import io
import xml.etree.ElementTree as ET
import zipfile
import zlib
from xml.parsers import expat

import mammoth  # type: ignore[import-untyped] # it has no types

from assistsupport.adapters.readers.html import read_fragment
from assistsupport.core.document import Document
from assistsupport.errors import ArticleRefused

MAX_ENTRIES = 2_000
MAX_XML_BYTES = 48 * 1_048_576
MAX_RATIO = 150  # of an entry; XML that Office writes has under 40
_SMALL_BYTES = 262_144  # what is smaller than this may have any ratio
MAX_XML_DEPTH = 400
_XML_SUFFIXES = (".xml", ".rels")
_DOCUMENT = "word/document.xml"
_WORD = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"

_STYLES = """
p[style-name='Title'] => h1:fresh
p[style-name='Subtitle'] => p:fresh
p[style-name='Code'] => pre:separator('\\n')
p[style-name='Source Code'] => pre:separator('\\n')
p[style-name='HTML Preformatted'] => pre:separator('\\n')
p[style-name='Plain Text'] => pre:separator('\\n')
p[style-name='Quote'] => blockquote > p:fresh
p[style-name='Intense Quote'] => blockquote > p:fresh
r[style-name='HTML Code'] => code
b =>
i =>
u =>
strike => del
"""
_CORE_NAMES = {"title": "title", "keywords": "keywords", "modified": "modified"}


def read_docx(data: bytes) -> Document:
    """Return what a DOCX file says.

    Raises:
        ArticleRefused: It is no DOCX, is protected, or breaks a limit.
    """
    parts = _unpack(data)
    facts = {name: text for part, found in parts.items() for name, text in _check_xml(part, found).items()}
    result = mammoth.convert_to_html(
        _pack(parts),
        style_map=_STYLES,
        include_embedded_style_map=False,
        external_file_access=False,
        convert_image=lambda _: [],
        ignore_empty_paragraphs=True,
    )
    return Document(
        blocks=read_fragment(result.value),
        title=facts.get("title"),
        updated=facts.get("modified", "")[:10] or None,
        tags=tuple(tag.strip() for tag in facts.get("keywords", "").split(",") if tag.strip()),
    )


def _unpack(data: bytes) -> dict[str, bytes]:
    """Return the XML parts, by name."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_entries(archive.infolist())
            parts = {name: archive.read(name) for name in archive.namelist() if name.endswith(_XML_SUFFIXES)}
    except (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, EOFError, OSError, ValueError) as exc:
        raise ArticleRefused(f"file is no whole DOCX: {str(exc).lower()}; save it again") from exc
    except RuntimeError as exc:  # zipfile's word for an entry with a password, or packed in an unknown way
        raise ArticleRefused(f"file is protected or packed oddly: {str(exc).lower()}; save it again") from exc
    if _DOCUMENT not in parts:
        raise ArticleRefused(f"file is no DOCX: it has no {_DOCUMENT}; leave it out")
    return parts


def _pack(parts: dict[str, bytes]) -> io.BytesIO:
    """Return a DOCX of these parts, without hidden text."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, _drop_hidden(part) if b"vanish" in part else part)
    stream.seek(0)
    return stream


def _drop_hidden(part: bytes) -> bytes:
    root = ET.fromstring(part)  # noqa: S314 - it has no document type, so no entities
    for parent in list(root.iter()):
        for run in [child for child in parent if child.tag == f"{_WORD}r"]:
            mark = run.find(f"{_WORD}rPr/{_WORD}vanish")
            if mark is not None and mark.get(f"{_WORD}val", "true") not in {"0", "false", "off"}:
                parent.remove(run)
    return ET.tostring(root)


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > MAX_ENTRIES:
        raise ArticleRefused(f"file has too many parts: expected at most {MAX_ENTRIES}, got {len(entries)}")
    names = [entry.filename for entry in entries]
    if len(set(names)) != len(names):
        raise ArticleRefused("file has two parts of one name; save it again")
    for entry in entries:
        if entry.file_size > _SMALL_BYTES and entry.file_size > MAX_RATIO * max(entry.compress_size, 1):
            raise ArticleRefused(
                f"part {entry.filename[:80]!r} is packed too tightly: expected at most {MAX_RATIO} to 1, "
                f"got {entry.file_size} bytes of {entry.compress_size}"
            )
    size = sum(entry.file_size for entry in entries if entry.filename.endswith(_XML_SUFFIXES))
    if size > MAX_XML_BYTES:
        raise ArticleRefused(f"file unpacks to too much: expected at most {MAX_XML_BYTES} bytes, got {size}")


class _Inspector:
    """Listens to one XML part: refuses document types and depth, keeps the texts of known elements."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        self._depth = 0
        self._open: str | None = None

    def begin(self, name: str, _: object) -> None:
        self._depth += 1
        if self._depth > MAX_XML_DEPTH:
            raise ArticleRefused(f"XML is nested too deeply: expected at most {MAX_XML_DEPTH} levels")
        self._open = _CORE_NAMES.get(name.rsplit(":", 1)[-1])

    def end(self, _: str) -> None:
        self._depth -= 1
        self._open = None

    def text(self, data: str) -> None:
        if self._open is not None:
            self.facts[self._open] = (self.facts.get(self._open, "") + data)[:500]

    def refuse_doctype(self, *_: object) -> None:
        raise ArticleRefused("XML has a document type, which no Office program writes; save the file again")


def _check_xml(name: str, data: bytes) -> dict[str, str]:
    inspector = _Inspector()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = inspector.refuse_doctype
    parser.StartElementHandler = inspector.begin
    parser.EndElementHandler = inspector.end
    if name == "docProps/core.xml":
        parser.CharacterDataHandler = inspector.text
    try:
        parser.Parse(data, True)
    except expat.ExpatError as exc:
        raise ArticleRefused(f"part {name[:80]!r} is no XML: {exc}; save the file again") from exc
    return inspector.facts
