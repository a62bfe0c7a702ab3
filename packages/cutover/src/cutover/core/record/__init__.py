"""The decision record: what it says (`content`), and how it is shown (`rendering` and its templates)."""

from cutover.core.record.content import calculate_record
from cutover.core.record.rendering import render_html, render_json, render_markdown

__all__ = ["calculate_record", "render_html", "render_json", "render_markdown"]
