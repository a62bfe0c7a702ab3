"""The decision record as Markdown, HTML and JSON, byte for byte reproducible from the log.

It is rendered, never read as evidence; a record that somebody edited differs from what the log renders.
The templates are module strings: the core reads no files, and a record can be rendered wherever the
entries can be read.
Source: cutover-program, "The decision record".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec
from jinja2 import DictLoader, Environment, StrictUndefined, select_autoescape

from cutover.core.case import Case
from cutover.core.record.content import STOP_CONDITIONS, calculate_record
from cutover.core.record.html_template import HTML
from cutover.core.record.markdown_template import MARKDOWN

_SPECIAL = re.compile(r"([\\`*\[\]<|])")


def render_markdown(case: Case) -> bytes:
    """Render the record as Markdown (CommonMark with tables), UTF-8. Pure; `case.now` is not used."""
    return _render("record.md", case)


def render_html(case: Case) -> bytes:
    """Render the record as one self-contained page: no script, no request, inline style. Pure."""
    return _render("record.html", case)


def render_json(case: Case) -> bytes:
    """Render the record as JSON with two spaces and a final line break. Pure."""
    return msgspec.json.format(msgspec.json.encode(calculate_record(case)), indent=2) + b"\n"


def _render(name: str, case: Case) -> bytes:
    text = _ENVIRONMENT.get_template(name).render(record=calculate_record(case), conditions=STOP_CONDITIONS)
    return text.encode()


def _format_instant(value: datetime | None) -> str:
    """Return UTC to the millisecond, or a dash."""
    if value is None:
        return "–"
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _format_ms(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f} ms"


def _escape_markdown(value: object) -> str:
    """Make a text one line that Markdown shows as it is; texts in a log come from anybody."""
    return _SPECIAL.sub(r"\\\1", " ".join(str(value).split()))


def _escape_code(value: object) -> str:
    """Make a text fit between back-ticks in a table cell."""
    return " ".join(str(value).replace("`", "'").replace("|", "/").split())


def _make_environment() -> Environment:
    environment = Environment(
        loader=DictLoader({"record.md": MARKDOWN, "record.html": HTML}),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(instant=_format_instant, ms=_format_ms, md=_escape_markdown, code=_escape_code)
    return environment


_ENVIRONMENT = _make_environment()
