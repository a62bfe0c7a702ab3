"""Finds out how an HTML file is encoded, and decodes it; by the labels that browsers know."""

import codecs
import re

from assistsupport.errors import ArticleRefused

_PRESCAN_BYTES = 4_096
_META = re.compile(rb"<meta[^>]{0,400}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_DECLARED = re.compile(rb"^<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{1,40})")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# Source: WHATWG Encoding Standard, 4.2: label -> encoding; the ones that office documents have
_CODECS = {
    "utf-8": "utf-8", "utf8": "utf-8",
    "us-ascii": "cp1252", "ascii": "cp1252", "iso-8859-1": "cp1252",
    "latin1": "cp1252", "windows-1252": "cp1252",
    "iso-8859-2": "iso8859-2", "windows-1250": "cp1250", "iso-8859-5": "iso8859-5", "windows-1251": "cp1251",
    "koi8-r": "koi8-r", "iso-8859-7": "iso8859-7", "windows-1253": "cp1253", "iso-8859-9": "cp1254",
    "windows-1254": "cp1254", "windows-1255": "cp1255", "windows-1256": "cp1256", "windows-1257": "cp1257",
    "windows-1258": "cp1258", "iso-8859-15": "iso8859-15", "shift_jis": "cp932", "euc-jp": "euc-jp",
    "gb2312": "gb18030", "gbk": "gb18030", "gb18030": "gb18030", "big5": "big5hkscs", "euc-kr": "cp949",
    "utf-16": "utf-8", "utf-16le": "utf-8", "utf-16be": "utf-8",  # in a meta element they cannot be true
}  # fmt: skip


def decode_html(data: bytes) -> str:
    """Return an HTML file's text: by its byte order mark, else by what it declares, else UTF-8.

    A file that declares nothing and is no UTF-8 is read as windows-1252, as browsers do.

    Raises:
        ArticleRefused: It declares an encoding that is unknown, or is not in the one it declares.
    """
    for mark, codec in _BOMS:
        if data.startswith(mark):
            return _decode(data[len(mark) :], codec, codec)
    head = data[:_PRESCAN_BYTES]
    declared = _META.search(head) or _DECLARED.search(head)
    if declared is not None:
        label = declared.group(1).decode("ascii").lower()
        if label not in _CODECS:
            raise ArticleRefused(f"encoding '{label}' is not known; save the file as UTF-8")
        return _decode(data, _CODECS[label], label)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _decode(data: bytes, codec: str, label: str) -> str:
    if codec == "cp1252":  # five bytes of it stand for nothing; browsers let them pass
        return data.decode(codec, errors="replace")
    try:
        return data.decode(codec)
    except UnicodeDecodeError as exc:
        raise ArticleRefused(
            f"file is not in the encoding that it declares: expected {label}, "
            f"got byte 0x{data[min(exc.start, len(data) - 1)]:02x} at {exc.start}; save it as UTF-8"
        ) from exc
