"""Documents for the tests of the readers, made here byte by byte: HTML, DOCX, PDF."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from xml.sax.saxutils import escape

_WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"

HTML = """<!doctype html><html><head><title>MFA - Intranet</title>
<meta name="keywords" content="mfa, token">
<meta name="date" content="2026-01-02"></head><body><nav><a href="/">Home</a></nav><main>
<h1>Reset the MFA token</h1>
<p>Lost your phone? The desk resets the token <b>at once</b>.<br>Use <code>mfa.exe /reset</code> or
<a href="https://mfa.example.org/reset">the portal</a>, not <a href="javascript:alert(1)">this</a>.</p>
<h2>Steps</h2><ol start="3"><li>Open the portal.<ul><li>Use Edge</li></ul></li>
<li><p>Choose <b>Reset</b>.</p><pre>mfa
  reset</pre></li></ol>
<table><tr><th>OS</th><th>Works</th></tr><tr><td>Windows</td><td>yes|no</td></tr></table>
<div style="display: none">hidden</div><p hidden>hidden</p>
<script>hidden</script>
<img alt="hidden" src="http://x">
<blockquote><p>Never share it.</p></blockquote><pre>a &lt; b</pre></main>
<footer>hidden</footer></body></html>"""
HTML_TEXT = """# Reset the MFA token

Lost your phone? The desk resets the token at once.
Use `mfa.exe /reset` or [the portal](https://mfa.example.org/reset), not this.

## Steps

3. Open the portal.
   - Use Edge
4. Choose Reset.
   ```
   mfa
     reset
   ```

| OS | Works |
|---|---|
| Windows | yes\\|no |

> Never share it.

```
a < b
```
"""
DOCX_TEXT = """# Map the drive

The share is mapped at logon. It needs the [VPN](https://vpn.example.org/).

## Steps

1. Open Explorer.
2. Choose Map.
   - Use Z.

```
net use Z:
  /persistent
```

| Drive | For |
|---|---|
| Z | team |
"""
PDF_TEXT = """# Replace the toner

The printer stops when the toner is empty. It shows a yellow light. Order a new one first.

## Steps

1. Open the front door and wait until the drum stops.
2. Pull the toner out.

```
lpstat -p
  lpadmin -d x
```

| Model | Toner |
|---|---|
| M1 | T-100 |

More about number 2.

More about number 3.
"""


def word_paragraph(text: str, style: str | None = None, level: int | None = None) -> str:
    """Return one paragraph of a DOCX; `level` makes it an item of its list."""
    styled = f'<w:pStyle w:val="{style}"/>' if style else ""
    listed = f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="1"/></w:numPr>' if level is not None else ""
    run = f'<w:r><w:t xml:space="preserve">{escape(text)}</w:t></w:r>'
    return f"<w:p><w:pPr>{styled}{listed}</w:pPr>{run}</w:p>"


def word_body() -> str:
    """Return the body behind `DOCX_TEXT`, with a linked picture that must not be fetched."""
    cells = [[word_paragraph(cell) for cell in row] for row in (("Drive", "For"), ("Z", "team"))]
    rows = "".join("<w:tr>" + "".join(f"<w:tc>{cell}</w:tc>" for cell in row) + "</w:tr>" for row in cells)
    link = '<w:hyperlink r:id="rId8"><w:r><w:t>VPN</w:t></w:r></w:hyperlink>'
    picture = '<w:r><w:pict><v:shape><v:imagedata r:id="rId9"/></v:shape></w:pict></w:r>'
    text = '<w:r><w:t xml:space="preserve">The share is mapped at logon. It needs the </w:t></w:r>'
    return "".join(
        [
            word_paragraph("Map the drive", "Heading1"),
            f"<w:p>{text}{link}<w:r><w:t>.</w:t></w:r>{picture}</w:p>",
            word_paragraph("Steps", "Heading2"),
            word_paragraph("Open Explorer.", level=0),
            word_paragraph("Choose Map.", level=0),
            word_paragraph("Use Z.", level=1),
            word_paragraph("net use Z:", "Code"),
            word_paragraph("  /persistent", "Code"),
            f"<w:tbl>{rows}</w:tbl>",
        ]
    )


def make_docx(body: str | None = None, parts: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """Return a DOCX with a body; `parts` replaces parts of it or adds some."""
    names = (("Heading1", "heading 1"), ("Heading2", "heading 2"), ("Code", "Code"))
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/></w:style>'
        for key, name in names
    )
    levels = "".join(
        f'<w:lvl w:ilvl="{level}"><w:numFmt w:val="{kind}"/></w:lvl>'
        for level, kind in enumerate(("decimal", "bullet"))
    )
    spaces = f'{_WORD} xmlns:r="{_OFFICE}" xmlns:v="urn:schemas-microsoft-com:vml"'
    content = word_body() if body is None else body
    made = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": _relationships([("rId1", "officeDocument", "word/document.xml", "")]),
        "word/document.xml": f"<w:document {spaces}><w:body>{content}</w:body></w:document>",
        "word/styles.xml": f"<w:styles {_WORD}>{styles}</w:styles>",
        "word/numbering.xml": f"<w:numbering {_WORD}>"
        f'<w:abstractNum w:abstractNumId="0">{levels}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>',
        "word/_rels/document.xml.rels": _relationships(
            [
                ("rId2", "styles", "styles.xml", ""),
                ("rId3", "numbering", "numbering.xml", ""),
                ("rId8", "hyperlink", "https://vpn.example.org/", ' TargetMode="External"'),
                ("rId9", "image", "file:///etc/passwd", ' TargetMode="External"'),
            ]
        ),
        "docProps/core.xml": '<p xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:t="http://purl.org/dc/terms/">'
        "<dc:title>Template</dc:title><t:modified>2026-02-03T10:00:00Z</t:modified></p>",
    } | dict(parts)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in made.items():
            archive.writestr(name, text)
    return stream.getvalue()


def _relationships(rows: Sequence[tuple[str, str, str, str]]) -> str:
    inner = "".join(
        f'<Relationship Id="{key}" Type="{_OFFICE}/{kind}" Target="{target}"{mode}/>'
        for key, kind, target, mode in rows
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{inner}</Relationships>'


PdfText = tuple[str, float, float, float, str]  # font, size, x, y, text
_FONTS = {"F1": b"Helvetica", "F2": b"Helvetica-Bold", "F3": b"Courier"}


def pdf_pages() -> list[list[PdfText]]:
    """Return the pages behind `PDF_TEXT`, with a head and a foot on each."""
    first: list[PdfText] = [
        ("F2", 20, 72, 760, "Replace the toner"),
        ("F1", 11, 72, 730, "The printer stops when the toner is empty. It shows"),
        ("F1", 11, 72, 716, "a yellow light. Order a new one first."),
        ("F2", 14, 72, 690, "Steps"),
        ("F1", 11, 72, 670, "1. Open the front door and wait until"),
        ("F1", 11, 86, 656, "the drum stops."),
        ("F1", 11, 72, 642, "2. Pull the toner out."),
        ("F3", 11, 72, 610, "lpstat -p"),
        ("F3", 11, 85.2, 596, "lpadmin -d x"),
        ("F1", 11, 72, 560, "Model"),
        ("F1", 11, 200, 560, "Toner"),
        ("F1", 11, 72, 546, "M1"),
        ("F1", 11, 200, 546, "T-100"),
    ]
    more: list[list[PdfText]] = [[("F1", 11, 72, 700, f"More about number {page}.")] for page in (2, 3)]
    return [
        [("F1", 9, 72, 800, "Example handbook"), *lines, ("F1", 9, 72, 40, f"Page {number} of 3")]
        for number, lines in enumerate([first, *more], start=1)
    ]


def make_pdf(pages: Sequence[Sequence[PdfText]] | None = None) -> bytes:
    """Return a PDF with these lines of text."""
    streams = [
        b"".join(
            b"BT /%s %g Tf %g %g Td (%s) Tj ET\n" % (font.encode(), size, x, y, text.encode())
            for font, size, x, y, text in lines
        )
        for lines in (pdf_pages() if pages is None else pages)
    ]
    return assemble_pdf([(b"", stream) for stream in streams])


def assemble_pdf(
    contents: Sequence[tuple[bytes, bytes]], *, kids: bytes | None = None, trailer: bytes = b""
) -> bytes:
    """Return a PDF of content streams, each with the entries of its dictionary.

    Args:
        contents: (entries, bytes) for each page.
        kids: Stands in the page tree instead of the pages.
        trailer: More entries of the trailer.
    """
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b""]
    objects += [b"<< /Type /Font /Subtype /Type1 /BaseFont /%s >>" % name for name in _FONTS.values()]
    fonts = b" ".join(b"/%s %d 0 R" % (key.encode(), at) for at, key in enumerate(_FONTS, start=3))
    pages = []
    for entries, stream in contents:
        objects.append(b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(stream), entries, stream))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << %s >> >>"
            b" /Contents %d 0 R >>" % (fonts, len(objects))
        )
        pages.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids or b" ".join(pages), len(pages))
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\n" % (len(objects) + 1, trailer)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)
