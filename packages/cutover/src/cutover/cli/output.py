"""Results on stdout, narration on stderr; the same facts as JSON or for people."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console
from rich.table import Table

PIPED_WIDTH = 160
_COLORS = {
    "PASSED": "green", "GO": "green", "yes": "green", "ok": "green",
    "WARNED": "yellow", "HOLD": "yellow", "UNKNOWN": "yellow",
    "FAILED": "red", "NO-GO": "red", "no": "red", "missing": "red",
}  # fmt: skip


def _console(*, stderr: bool = False) -> Console:
    """A console for the stream as it is now; plain and wide when it is piped."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(file=stream, highlight=False, width=width, emoji=False, markup=False)


def narrate(line: str) -> None:
    """Tell people what is going on."""
    _console(stderr=True).print(line, soft_wrap=True)


def show_json(value: object) -> None:
    """Print a record as one line of JSON."""
    sys.stdout.write(f"{msgspec.json.encode(value).decode()}\n")
    sys.stdout.flush()


def show_line(line: str, *, color: str | None = None) -> None:
    """Print one line for people."""
    _console().print(line, style=color, soft_wrap=True)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table; words that mean good or bad get their color."""
    from rich.table import Column
    from rich.text import Text

    headers = (Column(name, overflow="fold") for name in columns)  # a digest that is cut says nothing
    table = Table(*headers, title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(cell, style=_COLORS.get(cell, "")) for cell in row))
    _console().print(table)
