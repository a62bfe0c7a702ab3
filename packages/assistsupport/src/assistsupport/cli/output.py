"""What commands print: results on stdout, narration and progress on stderr, one line for an error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from assistsupport.errors import (
    AssistSupportError,
    BindRefused,
    CatalogueRefused,
    KnowledgeMissing,
    SettingRefused,
)

EXIT_NO = 1
EXIT_USAGE = 2
EXIT_UNDECIDED = 3

_USAGE = (SettingRefused, BindRefused, CatalogueRefused, KnowledgeMissing)


def print_json(value: Any) -> None:
    """Print a record as indented JSON."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    typer.echo(text)


def narrate(text: str) -> None:
    """Say something to the person in front, not to the program behind."""
    typer.echo(text, err=True)


@contextmanager
def refusing() -> Iterator[None]:
    """Turn a refusal into one line on stderr and an exit code."""
    try:
        yield
    except AssistSupportError as exc:
        narrate(f"error: {exc}")
        raise typer.Exit(EXIT_USAGE if isinstance(exc, _USAGE) else EXIT_NO) from exc
    except KeyboardInterrupt as exc:
        narrate("interrupted; nothing was left half done")
        raise typer.Exit(130) from exc


class StderrLogger:
    """Where logs go: the standard error of this moment. When that is gone, service goes on without logs."""

    def msg(self, message: str) -> None:
        """Print one line."""
        with suppress(OSError, ValueError):
            print(message, file=sys.stderr, flush=True)

    debug = info = warning = error = critical = msg


class ProgressBar:
    """A bar on stderr; silent when nobody watches. Implements `ports.Progress`."""

    def __init__(self, bar: Progress | None) -> None:
        self._bar = bar
        self._tasks: dict[str, TaskID] = {}

    def advance(self, stage: str, done: int, total: int) -> None:
        """Show how far a stage is."""
        if self._bar is None:
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total or None)
        self._bar.update(self._tasks[stage], completed=done)


@contextmanager
def show_progress() -> Iterator[ProgressBar]:
    """Show a progress bar while something takes long."""
    if not sys.stderr.isatty():
        yield ProgressBar(None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield ProgressBar(bar)
