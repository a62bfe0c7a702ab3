"""The decision record's three files, rendered from the log alone.

Source: cutover-program, "The decision record".
"""

from __future__ import annotations

from collections.abc import Mapping

from cutover.core.case import Case
from cutover.core.record.rendering import render_html, render_json, render_markdown


def render_record(case: Case) -> Mapping[str, bytes]:
    """Return file name -> bytes; the same entries give the same bytes, whenever and wherever. Pure.

    A program that was never opened has a record too: it says so.
    """
    return {
        "record.md": render_markdown(case),
        "record.json": render_json(case),
        "record.html": render_html(case),
    }
