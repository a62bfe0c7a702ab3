"""The decision record's three files, rendered from the log alone.

Source: cutover-program, "The decision record".
"""

from __future__ import annotations

from collections.abc import Mapping

from cutover.core.case import Case
from cutover.core.record.rendering import render_html, render_json, render_markdown
from cutover.errors import Refused


def render_record(case: Case) -> Mapping[str, bytes]:
    """Return file name -> bytes; the same entries give the same bytes, whenever and wherever. Pure.

    Raises:
        Refused: When the program is not open: nothing is recorded yet.
    """
    if not case.entries:
        raise Refused("the log is empty, so there is nothing to record; expected 'cutover open' first")
    return {
        "record.md": render_markdown(case),
        "record.json": render_json(case),
        "record.html": render_html(case),
    }
